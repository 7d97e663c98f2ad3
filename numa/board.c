// SPDX-License-Identifier: MIT
/*
 * /dev/shm is everybody's.  So the file is made and never opened: a link, or a file that
 * somebody else has put there, is EEXIST, and then there is no board.  The directory is
 * sticky, so nobody else can take ours away.
 *
 * Its memory is had at once: a page that the file system has no room for would be a SIGBUS
 * at the first write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal/statpage.h"

#include "board.h"
#include "process.h"
#include "text.h"

/* One system call's worth of names; a directory of more is read in parts. */
#define NAMES_BYTES 2048

/* As NAR_STATPAGE_FORMAT says. */
static void make_path(char *path, u32 pid, u64 start_ticks)
{
	char *at = stpcpy(path, NAR_STATPAGE_DIR "/" NAR_STATPAGE_PREFIX);

	at = nar_text_number(at, pid);
	*at++ = '-';
	nar_text_number(at, start_ticks);
}

static int make_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* A page of this user's, of a process of that namespace. */
static bool is_ours_in(u64 pid_namespace, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct nar_statpage head;
	struct stat about;
	bool is_ours;

	if (fd < 0)
		return false;
	is_ours = !fstat(fd, &about) && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
		  pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
		  !memcmp(head.magic, NAR_STATPAGE_MAGIC, sizeof(head.magic)) &&
		  head.pid_namespace == pid_namespace;
	close(fd);
	return is_ours;
}

/*
 * Nobody else in this namespace has its number and began when it did: it is from before an
 * exec.  In another one somebody may.
 */
static int make_anew(const char *path, u64 pid_namespace)
{
	int fd = make_file(path);

	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (!is_ours_in(pid_namespace, AT_FDCWD, path)) {
		errno = EEXIST;
		return -1;
	}
	unlink(path);
	return make_file(path);
}

/* Return: 0 or -errno. */
static int give_memory(int fd, size_t bytes)
{
	int err;

	/* The umask may have taken even our own rights. */
	if (fchmod(fd, 0600))
		return -errno;
	do
		err = fallocate(fd, 0, 0, (off_t)bytes) ? -errno : 0;
	while (err == -EINTR);
	return err;
}

static int map_file(struct nar_board *b, int fd)
{
	int err = give_memory(fd, b->bytes);
	void *p;

	if (err)
		return err;
	p = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	b->memory = p;
	return 0;
}

int nar_board_make(struct nar_board *b, const struct nar_statpage *head)
{
	int saved = errno, fd, err;

	*b = (struct nar_board){ .bytes = head->bytes };
	make_path(b->path, head->pid, head->start_ticks);
	fd = make_anew(b->path, head->pid_namespace);
	err = fd < 0 ? -errno : map_file(b, fd);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && err)
		unlink(b->path);
	errno = saved;
	return err;
}

void nar_board_remove(const struct nar_board *b)
{
	int saved = errno;

	unlink(b->path);
	errno = saved;
}

void nar_board_forget(struct nar_board *b)
{
	int saved = errno;

	if (b->memory)
		munmap(b->memory, b->bytes);
	b->memory = NULL;
	errno = saved;
}

void *nar_board_draft(size_t bytes)
{
	int saved = errno;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		madvise(p, bytes, MADV_WIPEONFORK);
	errno = saved;
	return p == MAP_FAILED ? NULL : p;
}

/* ---- Left behind ---- */

/* "numarena-PID-START": whether that process is there no more. */
static bool is_of_the_dead(const char *name)
{
	char *end;
	unsigned long pid;
	u64 start;

	if (strncmp(name, NAR_STATPAGE_PREFIX, strlen(NAR_STATPAGE_PREFIX)))
		return false;
	pid = strtoul(name + strlen(NAR_STATPAGE_PREFIX), &end, 10);
	if (!pid || pid > INT32_MAX || *end != '-')
		return false;
	start = strtoull(end + 1, &end, 10);
	return !*end && start && nar_process_start_ticks((u32)pid) != start;
}

static void sweep(int dir, u64 pid_namespace)
{
	_Alignas(struct dirent64) char names[NAMES_BYTES];
	long len, at;

	while ((len = syscall(SYS_getdents64, dir, names, sizeof(names))) > 0) {
		for (at = 0; at < len;) {
			const struct dirent64 *d = (const void *)(names + at);

			at += d->d_reclen;
			if (is_of_the_dead(d->d_name) && is_ours_in(pid_namespace, dir, d->d_name))
				unlinkat(dir, d->d_name, 0);
		}
	}
}

void nar_board_sweep(u64 pid_namespace)
{
	int saved = errno, dir;

	/* Without /proc everybody would seem dead. */
	if (!pid_namespace)
		return;
	dir = open(NAR_STATPAGE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		sweep(dir, pid_namespace);
		close(dir);
	}
	errno = saved;
}
