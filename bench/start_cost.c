// SPDX-License-Identifier: MIT
/*
 * What preloading a library costs a process that does nothing: peak resident memory
 * and time from start to end, of `true` with the library less of `true` without.
 *
 * usage: start_cost ROUNDS [NAME=LIBRARY ...]
 *
 * Prints a line a name, "system" (nothing preloaded) first: median peak RSS in bytes,
 * median microseconds, and both less the system's.  Rounds are interleaved: each
 * starts every one of them once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CASES	32
#define MAX_ROUNDS	10000

struct sample {
	long rss_kib, nsec;
};

struct start_case {
	const char *name;
	char *preload;			/* "LD_PRELOAD=..."; NULL for the system */
	struct sample *sample;
};

static struct start_case cases[MAX_CASES] = { { .name = "system" } };
static unsigned int nr_cases = 1;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "start_cost: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * fork, not vfork: the kernel counts the peak of the memory a process had before its
 * exec, which under vfork is all of ours and after a fork next to nothing.
 */
static pid_t true_start(char *preload)
{
	static char name[] = "true";
	char *argv[] = { name, NULL };
	char *envp[] = { preload, NULL };
	pid_t child = fork();

	if (child)
		return child;
	execve("/bin/true", argv, envp);
	_exit(127);
}

static struct sample true_run(char *preload)
{
	struct rusage usage;
	struct sample sample;
	long start = now_ns();
	pid_t child = true_start(preload);
	int status;

	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		die("/bin/true");
	sample.nsec = now_ns() - start;
	sample.rss_kib = usage.ru_maxrss;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		errno = ECHILD;
		die(preload ? preload : "/bin/true");
	}
	return sample;
}

static int compare_rss(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->rss_kib > y->rss_kib) - (x->rss_kib < y->rss_kib);
}

static int compare_nsec(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->nsec > y->nsec) - (x->nsec < y->nsec);
}

static struct sample median(struct sample *sample, size_t nr)
{
	struct sample result;

	qsort(sample, nr, sizeof(*sample), compare_rss);
	result.rss_kib = sample[nr / 2].rss_kib;
	qsort(sample, nr, sizeof(*sample), compare_nsec);
	result.nsec = sample[nr / 2].nsec;
	return result;
}

/* The loader only warns of a library that it cannot open. */
static void case_add(char *arg)
{
	struct start_case *new = &cases[nr_cases];
	char *library = strchr(arg, '=');

	if (nr_cases == MAX_CASES || !library) {
		errno = EINVAL;
		die(arg);
	}
	*library++ = '\0';
	if (access(library, R_OK))
		die(library);
	new->name = arg;
	if (asprintf(&new->preload, "LD_PRELOAD=%s", library) < 0)
		die("asprintf");
	nr_cases++;
}

static void rounds_run(size_t nr_rounds)
{
	for (unsigned int i = 0; i < nr_cases; i++) {
		cases[i].sample = calloc(nr_rounds, sizeof(struct sample));
		if (!cases[i].sample)
			die("calloc");
		true_run(cases[i].preload);	/* reads the files into the page cache */
	}
	for (size_t round = 0; round < nr_rounds; round++)
		for (unsigned int i = 0; i < nr_cases; i++)
			cases[i].sample[round] = true_run(cases[i].preload);
}

static void results_print(size_t nr_rounds)
{
	struct sample base = median(cases[0].sample, nr_rounds), own;

	printf("allocator,peak_rss_bytes,microseconds,over_system_bytes,over_system_us\n");
	for (unsigned int i = 0; i < nr_cases; i++) {
		own = median(cases[i].sample, nr_rounds);
		printf("%s,%ld,%.0f,%ld,%.0f\n", cases[i].name, own.rss_kib * 1024,
		       (double)own.nsec / 1e3, (own.rss_kib - base.rss_kib) * 1024,
		       (double)(own.nsec - base.nsec) / 1e3);
	}
}

int main(int argc, char **argv)
{
	size_t nr_rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	if (nr_rounds < 1 || nr_rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: start_cost ROUNDS [NAME=LIBRARY ...]\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		case_add(argv[i]);
	rounds_run(nr_rounds);
	results_print(nr_rounds);
	return 0;
}
