// SPDX-License-Identifier: MIT
#include "layout.h"
#include "text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal/option.h"
#include "internal/statpage.h"

/* The page's name has the number that the process has for itself: the last of NSpid. */
static unsigned int own_pid(pid_t pid)
{
	char status[16384], value[256], *last;

	if (!text_read(status, sizeof(status), "/proc/%d/status", (int)pid) ||
	    !text_field(status, "NSpid:", value, sizeof(value)))
		return (unsigned int)pid;
	last = strrchr(value, '\t');
	return (unsigned int)strtoul(last ? last : value, NULL, 10);
}

/* Field 22 of stat; the second, a name in brackets, may hold anything. */
static unsigned long long start_ticks(pid_t pid)
{
	unsigned long long ticks = 0;
	char stat[4096], *at;

	if (!text_read(stat, sizeof(stat), "/proc/%d/stat", (int)pid) || !(at = strrchr(stat, ')')))
		return 0;
	sscanf(at + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
	       &ticks);
	return ticks;
}

/* Anyone may write to /dev/shm: only the process's own user is believed. */
static bool is_of_same_user(int fd, pid_t pid)
{
	struct stat page, process;
	char path[PATH_MAX];

	return text_path(path, sizeof(path), "/proc/%d", (int)pid) && !stat(path, &process) &&
	       !fstat(fd, &page) && S_ISREG(page.st_mode) && page.st_uid == process.st_uid;
}

static int page_open(pid_t pid)
{
	char path[PATH_MAX];
	int fd;

	if (!text_path(path, sizeof(path), "/proc/%d/root" NAR_STATPAGE_DIR "/" NAR_STATPAGE_FORMAT,
		       (int)pid, own_pid(pid), start_ticks(pid)))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !is_of_same_user(fd, pid)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool read_windows(int fd, const struct nar_statpage_part *part, struct layout *l)
{
	unsigned int i;

	l->nr = part->nr < LAYOUT_MAX_WINDOWS ? part->nr : LAYOUT_MAX_WINDOWS;
	for (i = 0; i < l->nr; i++) {
		struct nar_statpage_window w = { 0 };
		size_t bytes = part->bytes < sizeof(w) ? part->bytes : sizeof(w);

		if (pread(fd, &w, bytes, (off_t)part->offset + (off_t)i * part->bytes) != (ssize_t)bytes)
			return false;
		l->window[i] = (struct layout_window){ w.start, w.start + w.bytes, w.node,
							w.is_allowed };
	}
	return l->nr;
}

/* Between two equal even sequences. */
static bool read_whole(int fd, struct layout *l)
{
	struct nar_statpage before, after;
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (pread(fd, &before, sizeof(before), 0) != (ssize_t)sizeof(before) ||
		    memcmp(before.magic, NAR_STATPAGE_MAGIC, sizeof(before.magic)) ||
		    before.version != NAR_STATPAGE_VERSION ||
		    !read_windows(fd, &before.part[STATPAGE_WINDOWS], l) ||
		    pread(fd, &after, sizeof(after), 0) != (ssize_t)sizeof(after))
			return false;
		l->inherits = before.policy == BIND_INHERIT;
		if (before.sequence == after.sequence && !(before.sequence & 1))
			return true;
	}
	return false;
}

bool layout_read(struct layout *l, pid_t pid)
{
	int fd = page_open(pid);
	bool is_read = fd >= 0 && read_whole(fd, l);

	if (fd >= 0)
		close(fd);
	return is_read;
}

const struct layout_window *layout_find(const struct layout *l, uintptr_t address)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (address >= l->window[i].start && address < l->window[i].end)
			return &l->window[i];
	return NULL;
}
