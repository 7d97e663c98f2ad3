// SPDX-License-Identifier: MIT
/*
 * Found by the process and not by a list of files, so a page without a process is never
 * seen: its name has the process's number and start.  It is read and not mapped, since a
 * file that is cut short would end a reader with SIGBUS; and nothing in it is believed that
 * leads outside of it.
 */
#include "page.h"
#include "task.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Writing takes microseconds; a writer that was stopped amid it may take for ever. */
#define TRIES 200
#define PAUSE_NS 1000000

/* A page for 64 nodes has some 130 KiB; one that says more is none. */
#define MAX_BYTES MIB(1)

/* ---- Finding it ---- */

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

/* It has the number that the process has for itself. */
static void page_name(char name[64], pid_t pid)
{
	snprintf(name, 64, NAR_STATPAGE_FORMAT, task_own_number(pid, pid), start_ticks(pid));
}

/* In its own file system first: a container's /dev/shm is not ours. */
static int open_anywhere(pid_t pid)
{
	const int how = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	char path[PATH_MAX], name[64];
	int fd = -1;

	page_name(name, pid);
	if (text_path(path, sizeof(path), "/proc/%d/root" NAR_STATPAGE_DIR "/%s", (int)pid, name))
		fd = open(path, how);
	if (fd < 0 && text_path(path, sizeof(path), NAR_STATPAGE_DIR "/%s", name))
		fd = open(path, how);
	return fd;
}

/* Anyone may write to /dev/shm: only the process's own user is believed. */
static bool is_of_same_user(int fd, pid_t pid)
{
	struct stat page, process;
	char path[PATH_MAX];

	return text_path(path, sizeof(path), "/proc/%d", (int)pid) && !stat(path, &process) &&
	       !fstat(fd, &page) && S_ISREG(page.st_mode) && page.st_uid == process.st_uid;
}

/* A descriptor, of a file that is the process's own user's; -1 with errno. */
static int open_page(pid_t pid)
{
	int fd = open_anywhere(pid);

	if (fd >= 0 && !is_of_same_user(fd, pid)) {
		close(fd);
		fd = -1;
		errno = ENOENT;
	}
	return fd;
}

/* What came by exec may know nothing of the page that was there before: it does not map it. */
static bool is_in_use(pid_t pid)
{
	char path[PATH_MAX], name[64], *line = NULL;
	bool is_found = false;
	size_t size = 0;
	FILE *maps;

	text_path(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return true;
	page_name(name, pid);
	while (!is_found && getline(&line, &size, maps) > 0)
		is_found = strstr(line, name);
	fclose(maps);
	free(line);
	return is_found;
}

/* ---- Reading it ---- */

/* Up to @max entries of @size bytes, each as far as both sides know it.  Return: how many. */
static unsigned int copy_part(void *to, size_t size, size_t max, const char *file,
			      const struct nar_statpage_part *part)
{
	size_t nr = part->nr < max ? part->nr : max, bytes = part->bytes < size ? part->bytes : size, i;

	for (i = 0; i < nr; i++) {
		char *entry = (char *)to + i * size;

		memset(entry, 0, size);
		memcpy(entry, file + part->offset + i * part->bytes, bytes);
	}
	return (unsigned int)nr;
}

static bool is_sound(const struct nar_statpage *head, size_t file_bytes)
{
	unsigned int i;

	if (memcmp(head->magic, NAR_STATPAGE_MAGIC, sizeof(head->magic)) ||
	    head->version != NAR_STATPAGE_VERSION || head->bytes > file_bytes)
		return false;
	for (i = 0; i < STATPAGE_NR_PARTS; i++) {
		uint64_t end = head->part[i].offset + (uint64_t)head->part[i].bytes * head->part[i].nr;

		if (end > head->bytes || head->part[i].nr > MAX_BYTES)
			return false;
	}
	return true;
}

/* What is of no thread is no line, and comes last. */
static void take_scopes(struct page *p, const char *file)
{
	unsigned int nr = copy_part(p->scope, sizeof(p->scope[0]), ARRAY_SIZE(p->scope), file,
				    &p->head.part[STATPAGE_SCOPES]);

	for (p->nr_scopes = 0; p->nr_scopes < nr && p->scope[p->nr_scopes].tid; p->nr_scopes++)
		p->scope[p->nr_scopes].name[NAR_ROSTER_NAME - 1] = '\0';
}

/* A class without slabs has nothing else either. */
static void take_classes(struct page *p, const char *file)
{
	unsigned int nr = copy_part(p->class, sizeof(p->class[0]), ARRAY_SIZE(p->class), file,
				    &p->head.part[STATPAGE_CLASSES]), i;

	for (p->nr_classes = i = 0; i < nr; i++)
		if (p->class[i].size && p->class[i].slabs)
			p->class[p->nr_classes++] = p->class[i];
}

static void take_heaps(struct page *p, const char *file)
{
	unsigned int nr = copy_part(p->heap, sizeof(p->heap[0]), ARRAY_SIZE(p->heap), file,
				    &p->head.part[STATPAGE_HEAPS]);

	for (p->nr_heaps = 0; p->nr_heaps < nr && p->heap[p->nr_heaps].is_there; p->nr_heaps++)
		p->heap[p->nr_heaps].name[NAR_HEAP_LINE_NAME - 1] = '\0';
}

static void take_threads(struct page *p, const char *file)
{
	unsigned int nr = copy_part(p->thread, sizeof(p->thread[0]), ARRAY_SIZE(p->thread), file,
				    &p->head.part[STATPAGE_THREADS]);

	for (p->nr_threads = 0; p->nr_threads < nr && p->thread[p->nr_threads].arena; p->nr_threads++)
		;
}

static void take_parts(struct page *p, const char *file)
{
	const struct nar_statpage_part *part = p->head.part;
	unsigned int nr = NUMARENA_MAX_NODES;

	memset(&p->stats, 0, sizeof(p->stats));
	copy_part(&p->stats, sizeof(p->stats), 1, file, &part[STATPAGE_STATS]);
	p->nr_nodes = copy_part(p->window, sizeof(p->window[0]), nr, file, &part[STATPAGE_WINDOWS]);
	memset(p->node, 0, sizeof(p->node));
	copy_part(p->node, sizeof(p->node[0]), nr, file, &part[STATPAGE_NODES]);
	memset(p->frees, 0, sizeof(p->frees));
	memset(p->bytes, 0, sizeof(p->bytes));
	copy_part(p->frees, sizeof(p->frees[0]), ARRAY_SIZE(p->frees), file, &part[STATPAGE_FREES]);
	copy_part(p->bytes, sizeof(p->bytes[0]), ARRAY_SIZE(p->bytes), file, &part[STATPAGE_BYTES]);
	memset(p->lap, 0, sizeof(p->lap));
	copy_part(p->lap, sizeof(p->lap[0]), NR_STEPS, file, &part[STATPAGE_LAPS]);
	take_scopes(p, file);
	memset(&p->total, 0, sizeof(p->total));
	copy_part(&p->total, sizeof(p->total), 1, file, &part[STATPAGE_TOTALS]);
	take_classes(p, file);
	take_heaps(p, file);
	take_threads(p, file);
	p->head.name[sizeof(p->head.name) - 1] = '\0';
	p->head.library[sizeof(p->head.library) - 1] = '\0';
}

/* The sequence is looked at before and after all else: a read() is no single moment. */
static bool try_read(int fd, char *file, size_t bytes)
{
	const size_t at = offsetof(struct nar_statpage, sequence);
	uint32_t before, after, within;

	if (pread(fd, &before, sizeof(before), at) != sizeof(before) ||
	    pread(fd, file, bytes, 0) != (ssize_t)bytes ||
	    pread(fd, &after, sizeof(after), at) != sizeof(after))
		return false;
	memcpy(&within, file + at, sizeof(within));
	return before == after && before == within && !(before & 1);
}

static enum page_result read_file(struct page *p, int fd, char *file, size_t bytes)
{
	const struct timespec pause = { 0, PAUSE_NS };
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (try_read(fd, file, bytes)) {
			memcpy(&p->head, file, sizeof(p->head));
			if (!is_sound(&p->head, bytes))
				return PAGE_STRANGE;
			take_parts(p, file);
			return PAGE_OK;
		}
		nanosleep(&pause, NULL);
	}
	return PAGE_STRANGE;
}

static enum page_result read_open(struct page *p, int fd)
{
	enum page_result result = PAGE_STRANGE;
	struct stat about;
	char *file;

	if (fstat(fd, &about) || about.st_size < (off_t)sizeof(p->head) || about.st_size > (off_t)MAX_BYTES)
		return PAGE_STRANGE;
	file = malloc((size_t)about.st_size);
	if (file)
		result = read_file(p, fd, file, (size_t)about.st_size);
	free(file);
	return result;
}

static enum page_result why_not(pid_t pid, int err)
{
	if (kill(pid, 0) && errno == ESRCH)
		return PAGE_NO_PROCESS;
	return err == EACCES || err == EPERM ? PAGE_NO_RIGHTS : PAGE_NONE;
}

enum page_result page_read(struct page *p, pid_t pid)
{
	enum page_result result;
	int fd = open_page(pid);

	if (fd < 0)
		return why_not(pid, errno);
	result = read_open(p, fd);
	close(fd);
	if (result == PAGE_OK && !is_in_use(pid))
		return kill(pid, 0) && errno == ESRCH ? PAGE_NO_PROCESS : PAGE_NONE;
	return result;
}

uint64_t page_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
