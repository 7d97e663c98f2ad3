// SPDX-License-Identifier: MIT
#include "child.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SMALL_PAGE 4096

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(EXIT_FAILURE);
}

double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

char *memory_or_die(size_t bytes)
{
	char *p = malloc(bytes);

	if (!p)
		die("malloc");
	return p;
}

void memory_touch(char *p, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += SMALL_PAGE)
		*(volatile char *)(p + at) = 1;
}

/* ---- Children ---- */

static _Noreturn void child_exec(const char *what, const char *library, const char *conf, int out)
{
	char name[] = "child", *argv[] = { name, strdup(what), NULL };

	if (dup2(out, STDOUT_FILENO) < 0)
		die("dup2");
	if (library && (setenv("LD_PRELOAD", library, 1) || setenv("NUMARENA_CONF", conf, 1)))
		die("setenv");
	execv("/proc/self/exe", argv);
	_exit(127);
}

double child_figure(const char *what, const char *library, const char *conf)
{
	char text[64] = "";
	int ends[2], status;
	pid_t child;

	if (pipe(ends) || (child = fork()) < 0)
		die("fork");
	if (!child)
		child_exec(what, library, conf, ends[1]);
	close(ends[1]);
	if (read(ends[0], text, sizeof(text) - 1) < 0 || waitpid(child, &status, 0) != child)
		die(what);
	close(ends[0]);
	if (status || !*text) {
		errno = ECHILD;
		die(what);
	}
	return strtod(text, NULL);
}

void series_run(struct series *series, size_t nr, const char *what, const char *library,
		size_t nr_rounds)
{
	for (size_t round = 0; round < nr_rounds; round++) {
		for (size_t i = 0; i < nr; i++) {
			struct series *s = &series[(round + i) % nr];

			child_figure(what, library, s->conf);
			s->figure[s->nr++] = child_figure(what, library, s->conf);
		}
	}
}

/* ---- Figures ---- */

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double series_quarter(const struct series *s, unsigned int quarter)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, s->figure, s->nr * sizeof(sorted[0]));
	qsort(sorted, s->nr, sizeof(sorted[0]), compare);
	return sorted[(s->nr - 1) * quarter / 4];
}

size_t rounds_of(int argc, char **argv, size_t usual)
{
	size_t nr = argc > 2 ? strtoul(argv[2], NULL, 10) : usual;

	if (argc < 2 || argc > 3 || !nr || nr > MAX_ROUNDS) {
		fprintf(stderr, "usage: %s LIBRARY [ROUNDS]\n", program_invocation_short_name);
		exit(2);
	}
	if (access(argv[1], R_OK))
		die(argv[1]);
	return nr;
}
