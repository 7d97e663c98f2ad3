// SPDX-License-Identifier: MIT
/*
 * The limits of cgroup2, where it is usually mounted.  Each level on the way up has one of its
 * own, or none, and counts what all below it use.
 *
 *	/sys/fs/cgroup			no files: the root has no limit
 *	/sys/fs/cgroup/a		memory.max 1 GiB, memory.current, memory.stat
 *	/sys/fs/cgroup/a/b		no files: memory is limited by a
 *
 * A container has a namespace in which its own cgroup is the root, and that has files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "text.h"

#define CGROUPS "/sys/fs/cgroup"

/* A folder's; of a longer one nobody tells. */
#define FOLDER_BYTES 1024

/* memory.stat has some 80 lines of 30 bytes; what is looked for is in the first half. */
#define STAT_BYTES 4096

static bool read_file(const char *folder, const char *name, char *text, size_t size)
{
	char path[FOLDER_BYTES + 32];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return nar_text_read(path, text, size) > 0;
}

/* "\ninactive_file 4096\n" */
static size_t stat_bytes(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoul(at + strlen(label), NULL, 10) : 0;
}

/* Of page cache, which makes room, as it does for a node. */
static size_t cache_in(const char *folder)
{
	char text[STAT_BYTES];

	if (!read_file(folder, "memory.stat", text, sizeof(text)))
		return 0;
	return stat_bytes(text, "\ninactive_file ") + stat_bytes(text, "\nactive_file ");
}

static size_t room_in(const char *folder)
{
	char text[32];
	size_t limit, used;

	if (!read_file(folder, "memory.max", text, sizeof(text)) || !strncmp(text, "max", 3))
		return SIZE_MAX;
	limit = strtoul(text, NULL, 10);
	if (!read_file(folder, "memory.current", text, sizeof(text)))
		return SIZE_MAX;
	used = strtoul(text, NULL, 10);
	used -= min_of(used, cache_in(folder));
	return limit - min_of(limit, used);
}

/* "0::/a/b\n", after lines of cgroup1 if any.  Return: false if nobody tells, or not all. */
static bool find_own(char *folder)
{
	char text[4096], *path, *end;

	text[0] = '\n';
	if (nar_text_read("/proc/self/cgroup", text + 1, sizeof(text) - 1) <= 0)
		return false;
	path = strstr(text, "\n0::/");
	end = path ? strchr(path + 1, '\n') : NULL;
	if (!end)
		return false;
	*end = '\0';
	path += strlen("\n0::");
	return snprintf(folder, FOLDER_BYTES, CGROUPS "%s", path) < FOLDER_BYTES;
}

/* "size resident shared ...", in pages; what is shared is of files. */
size_t nar_cgroup_own_bytes(void)
{
	unsigned long size, resident, shared;
	char text[128];

	if (nar_text_read("/proc/self/statm", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%lu %lu %lu", &size, &resident, &shared) != 3)
		return 0;
	return (resident - min_of(resident, shared)) * (size_t)sysconf(_SC_PAGESIZE);
}

size_t nar_cgroup_room(void)
{
	char folder[FOLDER_BYTES], *slash;
	size_t room = SIZE_MAX;

	if (!find_own(folder))
		return SIZE_MAX;
	do {
		room = min_of(room, room_in(folder));
		slash = strrchr(folder + strlen(CGROUPS), '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return room;
}
