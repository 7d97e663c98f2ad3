// SPDX-License-Identifier: MIT
/*
 * Writes may be cut short, interrupted, refused for now or for good.  A signal that a write
 * has caused is taken back before it is let through, unless one was waiting already.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sink.h"
#include "text.h"

static bool is_pending(int sig)
{
	sigset_t set;

	return !sigpending(&set) && sigismember(&set, sig) == 1;
}

static void sigpipe_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGPIPE);
}

void nar_sink_begin(struct nar_sink *s, int fd, int patience_ms)
{
	int saved = errno;
	sigset_t set, old;

	s->fd = fd;
	s->err = 0;
	s->patience_ms = patience_ms;
	s->used = 0;
	s->had_sigpipe = is_pending(SIGPIPE);
	sigpipe_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	s->is_sigpipe_blocked = sigismember(&old, SIGPIPE) == 1;
	errno = saved;
}

/* Return: whether there is room by now. */
static bool wait_for_room(struct nar_sink *s)
{
	struct pollfd look = { .fd = s->fd, .events = POLLOUT };
	int nr;

	do
		nr = poll(&look, 1, s->patience_ms);
	while (nr < 0 && errno == EINTR);
	return nr > 0;
}

static void write_out(struct nar_sink *s, const char *text, size_t len)
{
	while (len && !s->err) {
		ssize_t n = write(s->fd, text, len);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (!n) {
			s->err = -EIO;
		} else if (errno == EAGAIN) {
			s->err = s->patience_ms && wait_for_room(s) ? 0 : -EAGAIN;
		} else if (errno != EINTR) {
			s->err = -errno;
		}
	}
}

void nar_sink_put(struct nar_sink *s, const char *text, size_t len)
{
	int saved = errno;

	while (len && !s->err) {
		size_t part = min_of(len, (size_t)(SINK_BYTES - s->used));

		memcpy(s->buffer + s->used, text, part);
		s->used += (unsigned int)part;
		text += part;
		len -= part;
		if (s->used < SINK_BYTES)
			break;
		write_out(s, s->buffer, s->used);
		s->used = 0;
	}
	errno = saved;
}

/* One that was waiting before is the program's. */
static void release_sigpipe(const struct nar_sink *s)
{
	const struct timespec at_once = { 0 };
	sigset_t set;

	sigpipe_set(&set);
	if (s->err == -EPIPE && !s->had_sigpipe)
		while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
			;
	if (!s->is_sigpipe_blocked)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int nar_sink_end(struct nar_sink *s)
{
	int saved = errno;

	write_out(s, s->buffer, s->used);
	s->used = 0;
	release_sigpipe(s);
	errno = saved;
	return s->err;
}

/* ---- stderr ---- */

/* The copy's number is from here on. */
#define COPY_MIN 100

static struct {
	int fd;
	dev_t dev;
	ino_t ino;
} kept = { .fd = -1 };

void nar_sink_keep_stderr(void)
{
	int saved = errno;
	struct stat about;

	if (!fstat(STDERR_FILENO, &about)) {
		kept.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, COPY_MIN);
		kept.dev = about.st_dev;
		kept.ino = about.st_ino;
	}
	errno = saved;
}

int nar_sink_stderr(void)
{
	int saved = errno, fd = -EBADF;
	struct stat about;

	if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
		fd = STDERR_FILENO;
	else if (kept.fd >= 0 && !fstat(kept.fd, &about) && about.st_dev == kept.dev &&
		 about.st_ino == kept.ino)
		fd = kept.fd;
	errno = saved;
	return fd;
}

/* ---- Files ---- */

/* Small: a signal handler's stack may be. */
#define PATH_BYTES 1024

/* Return: 0 or -ENAMETOOLONG. */
static int expand(char path[PATH_BYTES], const char *pattern)
{
	size_t len = 0;

	for (; *pattern; pattern++) {
		if (len + 20 >= PATH_BYTES)
			return -ENAMETOOLONG;
		if (pattern[0] == '%' && pattern[1] == 'p')
			len = (size_t)(nar_text_number(path + len, (u64)getpid()) - path);
		else
			path[len++] = *pattern;
		pattern += pattern[0] == '%' && (pattern[1] == 'p' || pattern[1] == '%');
	}
	path[len] = '\0';
	return 0;
}

int nar_sink_open(const char *pattern)
{
	int saved = errno, fd;
	char path[PATH_BYTES];

	fd = expand(path, pattern);
	if (fd)
		return fd;
	do
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	while (fd < 0 && errno == EINTR);
	fd = fd < 0 ? -errno : fd;
	errno = saved;
	return fd;
}

void nar_sink_close(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}
