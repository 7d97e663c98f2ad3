/* SPDX-License-Identifier: MIT */
/*
 * One figure a process: the program starts itself again under an allocator and a setting,
 * and reads what it prints.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stddef.h>

/* Of a case, round by round. */
#define MAX_ROUNDS 1000

struct series {
	const char *conf;		/* NUMARENA_CONF */
	double figure[MAX_ROUNDS];	/* in the order they were taken */
	size_t nr;
};

/* What "self @what" prints, with @library preloaded under @conf; NULL is without. */
double child_figure(const char *what, const char *library, const char *conf);

/*
 * @nr_rounds figures of each of @nr series, the series in turn.  Each is made twice and the
 * first one left out: what a virtual machine's host has taken back is paid for by the first.
 */
void series_run(struct series *series, size_t nr, const char *what, const char *library,
		size_t nr_rounds);

/* 0 is the least, 1 to 3 are the quartiles, 4 is the most. */
double series_quarter(const struct series *s, unsigned int quarter);

/* For the child: memory that the caller may then write to, and write to it. */
char *memory_or_die(size_t bytes);
void memory_touch(char *p, size_t bytes);
double now_seconds(void);

/* LIBRARY [ROUNDS] of a command line, or the usage and exit. */
size_t rounds_of(int argc, char **argv, size_t usual);

#endif
