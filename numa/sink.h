/* SPDX-License-Identifier: MIT */
/*
 * A sink: text goes through a small buffer to a descriptor.  Nothing is allocated, no lock
 * is taken, errno stays: it works in a signal handler.
 */
#ifndef NAR_SINK_H
#define NAR_SINK_H

#include "internal/compiler.h"

/* A page: what a pipe takes whole. */
#define SINK_BYTES 4096

struct nar_sink {
	int fd;
	int err;			/* 0; or the -errno of the first write that failed */
	int patience_ms;		/* for a descriptor that does not block and is full */
	bool had_sigpipe;		/* pending before we began */
	bool is_sigpipe_blocked;	/* by the program, before we began */
	unsigned int used;
	char buffer[SINK_BYTES];
};

/*
 * The calling thread's SIGPIPE is held back until the end, so that a pipe without a reader is
 * -EPIPE and no more.
 */
void nar_sink_begin(struct nar_sink *s, int fd, int patience_ms);

/* After a failure nothing more is written. */
void nar_sink_put(struct nar_sink *s, const char *text, size_t len);

/* Return: 0 if all has been written, else -errno. */
int nar_sink_end(struct nar_sink *s);

/*
 * A file to write to from its beginning, made if need be.  "%p" in @path is the process's
 * number, "%%" a percent sign.  Return: a descriptor or -errno.
 */
int nar_sink_open(const char *path);
void nar_sink_close(int fd);

/*
 * Programs close stderr before they end, so that they hear of a disk that is full.  A copy
 * is kept, out of the way of descriptors that they count on; exec closes it.
 */
void nar_sink_keep_stderr(void);

/* stderr if it is open, else the copy if it is still that.  Return: a descriptor or -EBADF. */
int nar_sink_stderr(void);

#endif /* NAR_SINK_H */
