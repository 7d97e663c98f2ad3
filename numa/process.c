// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "text.h"

/* "/proc/self/task/4294967295/comm" is the longest. */
#define PATH_BYTES 48

u32 nar_process_id(void)
{
	return (u32)getpid();
}

/* @before, a number, @after. */
static void make_path(char path[PATH_BYTES], const char *before, u32 number, const char *after)
{
	strcpy(nar_text_number(stpcpy(path, before), number), after);
}

void nar_process_name(u32 tid, char name[NAR_NAME_BYTES])
{
	char path[PATH_BYTES] = "/proc/self/comm", text[NAR_NAME_BYTES + 1], *end;
	int saved = errno;

	if (tid)
		make_path(path, "/proc/self/task/", tid, "/comm");
	nar_text_read(path, text, sizeof(text));
	/* The last: a name may have others. */
	end = strrchr(text, '\n');
	if (end)
		*end = '\0';
	text[NAR_NAME_BYTES - 1] = '\0';
	strcpy(name, text);
	errno = saved;
}

/* The name is in parentheses and may have some itself: fields are counted from the last. */
u64 nar_process_start_ticks(u32 pid)
{
	char path[PATH_BYTES] = "/proc/self/stat", text[1024], *at;
	int saved = errno, field;

	if (pid)
		make_path(path, "/proc/", pid, "/stat");
	nar_text_read(path, text, sizeof(text));
	errno = saved;
	at = strrchr(text, ')');
	/* After it comes field 3. */
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* /proc may have been mounted by another namespace, whose numbers are not ours. */
static bool has_own_proc(void)
{
	char link[16];
	ssize_t len = readlink("/proc/self", link, sizeof(link) - 1);

	link[len > 0 ? len : 0] = '\0';
	return strtoul(link, NULL, 10) == (unsigned long)getpid();
}

u64 nar_process_namespace(void)
{
	int saved = errno;
	struct stat about;
	u64 inode = !has_own_proc() || stat("/proc/self/ns/pid", &about) ? 0 : about.st_ino;

	errno = saved;
	return inode;
}

void nar_process_pause(void)
{
	const struct timespec a_moment = { 0, 1000000 };
	int saved = errno;

	nanosleep(&a_moment, NULL);
	errno = saved;
}

u64 nar_process_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}
