// SPDX-License-Identifier: MIT
/*
 * What a scope costs beside malloc and free, with numarena preloaded; scripts/scope_cost.sh
 * runs it.
 *
 * usage: scope_cost		a line a measure: nanoseconds, median of the rounds
 *	  scope_cost NAME COUNT	one measure so many times, for instructions to be counted
 *
 * All of one run, by turns: a request of NR_SMALL objects allocated and freed by malloc, the
 * same captured, and in a scope that is reset; then the reset of a scope that holds NR_MANY.
 */
#include <dlfcn.h>
#include <numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE 64
#define NR_SMALL 1000
#define NR_MANY 100000
#define ROUNDS 301

static struct api {
	struct numarena_scope *(*begin)(const char *, unsigned int);
	void *(*alloc)(struct numarena_scope *, size_t);
	void (*reset)(struct numarena_scope *);
	void (*end)(struct numarena_scope *);
} api;

static struct numarena_scope *scope;
static void *object[NR_SMALL];

static void *find(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	if (p)
		return p;
	fprintf(stderr, "scope_cost: no %s: run it with LD_PRELOAD=libnumarena.so\n", name);
	exit(EXIT_FAILURE);
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *touched(void *p)
{
	if (!p)
		abort();
	*(volatile char *)p = 1;
	return p;
}

/* Each is one request; what is timed is all of it. */
static void by_malloc(void)
{
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		object[i] = touched(malloc(SIZE));
	while (i)
		free(object[--i]);
}

static void by_scope(void)
{
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		object[i] = touched(api.alloc(scope, SIZE));
	api.reset(scope);
}

static void by_capture(void)
{
	struct numarena_scope *s = api.begin("captured", NUMARENA_SCOPE_CAPTURE);
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		object[i] = touched(malloc(SIZE));
	api.end(s);
}

static void by_empty_scope(void)
{
	api.end(api.begin("empty", 0));
}

static void fill(void)
{
	unsigned int i;

	for (i = 0; i < NR_MANY; i++)
		touched(api.alloc(scope, SIZE));
}

static double time_of(void (*run)(void))
{
	double start = now_ns();

	run();
	return now_ns() - start;
}

static double time_of_reset(void)
{
	double start;

	fill();
	start = now_ns();
	api.reset(scope);
	return now_ns() - start;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	return ns[ROUNDS / 2];
}

static void measure(void)
{
	static double times[5][ROUNDS];
	double pair, alloc;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		times[0][i] = time_of(by_malloc);
		times[1][i] = time_of(by_scope);
		times[2][i] = time_of(by_capture);
		times[3][i] = time_of(by_empty_scope);
		times[4][i] = time_of_reset();
	}
	pair = median(times[0]) / NR_SMALL;
	alloc = median(times[1]) / NR_SMALL;
	printf("%-44s %8.2f ns\n", "malloc(64) and free, 1,000 of them", pair);
	printf("%-44s %8.2f ns, %.2f of that\n", "numarena_scope_alloc(64), 1,000 and a reset", alloc,
	       alloc / pair);
	printf("%-44s %8.2f ns\n", "malloc(64) captured, 1,000 in a scope", median(times[2]) / NR_SMALL);
	printf("%-44s %8.0f ns\n", "a scope begun and ended", median(times[3]));
	printf("%-44s %8.0f ns\n", "reset of a scope that holds 100,000", median(times[4]));
}

static void many_and_reset(void)
{
	fill();
	api.reset(scope);
}

static const struct {
	const char *name;
	void (*run)(void);
} counted[] = {
	{ "malloc", by_malloc }, { "alloc", by_scope }, { "capture", by_capture },
	{ "empty", by_empty_scope }, { "reset", many_and_reset },
};

static int count(const char *name, unsigned long nr)
{
	size_t i;

	for (i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		if (strcmp(counted[i].name, name))
			continue;
		while (nr--)
			counted[i].run();
		return 0;
	}
	fprintf(stderr, "scope_cost: no measure is called %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	*(void **)&api.begin = find("numarena_scope_begin");
	*(void **)&api.alloc = find("numarena_scope_alloc");
	*(void **)&api.reset = find("numarena_scope_reset");
	*(void **)&api.end = find("numarena_scope_end");
	scope = api.begin("measured", 0);
	if (argc == 3)
		return count(argv[1], strtoul(argv[2], NULL, 10));
	if (argc != 1) {
		fprintf(stderr, "usage: scope_cost [NAME COUNT]\n");
		return 2;
	}
	measure();
	return 0;
}
