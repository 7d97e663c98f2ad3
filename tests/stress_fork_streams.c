// SPDX-License-Identifier: MIT
/*
 * A fork while streams are waited for:
 *
 *	reader:		getline()	has its stream, waits for input, then allocates
 *	flusher:	fflush(NULL)	has the list of streams, waits for the reader's
 *	main:		fork()		waits for the list: with none of our locks
 *
 * Then input comes, more than the reader has room for.
 */
#include "stress.h"

#include <sys/syscall.h>

#define LINE_BYTES ((size_t)4 << 20)

static _Atomic pid_t reader_tid, flusher_tid, main_tid;
static FILE *input;
static int into;

static void *read_line(void *arg)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t nr;

	(void)arg;
	reader_tid = (pid_t)syscall(SYS_gettid);
	nr = getline(&line, &room, input);
	require(nr == (ssize_t)LINE_BYTES, "a line of %zd bytes", nr);
	free(line);
	return NULL;
}

static void *flush_all(void *arg)
{
	(void)arg;
	flusher_tid = (pid_t)syscall(SYS_gettid);
	fflush(NULL);
	return NULL;
}

/* The number of the system call that it sleeps in; -1: it runs. */
static long call_of(pid_t tid)
{
	char path[64], text[128];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	require(fd >= 0, "%s: %s", path, strerror(errno));
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return *text >= '0' && *text <= '9' ? strtol(text, NULL, 10) : -1;
}

static void wait_until_in(const _Atomic pid_t *tid, long call)
{
	while (!*tid || call_of(*tid) != call)
		sched_yield();
}

/* Once the fork waits, too. */
static void *write_line(void *arg)
{
	static char line[LINE_BYTES];
	size_t done = 0;

	(void)arg;
	wait_until_in(&main_tid, SYS_futex);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	while (done < sizeof(line)) {
		ssize_t nr = write(into, line + done, sizeof(line) - done);

		require(nr > 0, "the pipe: %s", strerror(errno));
		done += (size_t)nr;
	}
	return NULL;
}

int main(void)
{
	pthread_t reader, flusher, writer;
	int ends[2];
	pid_t pid;

	stress_begin();
	if (access("/proc/self/syscall", R_OK))
		stress_skip("there is no /proc/self/syscall");
	require(!pipe(ends), "a pipe");
	into = ends[1];
	input = fdopen(ends[0], "r");
	require(input, "a stream");
	reader = thread_start(read_line, NULL);
	wait_until_in(&reader_tid, SYS_read);
	flusher = thread_start(flush_all, NULL);
	wait_until_in(&flusher_tid, SYS_futex);
	writer = thread_start(write_line, NULL);
	main_tid = (pid_t)syscall(SYS_gettid);
	pid = fork_or_fail();
	if (!pid) {
		object_check_start(malloc(100), 100);
		_exit(EXIT_SUCCESS);
	}
	child_join(pid);
	thread_join(reader);
	thread_join(flusher);
	thread_join(writer);
	return EXIT_SUCCESS;
}
