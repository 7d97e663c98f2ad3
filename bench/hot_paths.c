// SPDX-License-Identifier: MIT
/*
 * hot_paths NAME COUNT: a path so many times, for scripts/hot_paths.sh to count
 * instructions.  What is counted are the calls; what they are called from is not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 1000

static void pair(void)
{
	char *p = malloc(64);

	if (!p)
		abort();
	*(volatile char *)p = 1;
	free(p);
}

static void aligned(void)
{
	void *p;

	if (posix_memalign(&p, 64, 100))
		abort();
	free(p);
}

static void zeroed(void)
{
	char *p = calloc(1, 64);

	if (!p || *(volatile char *)p)
		abort();
	free(p);
}

/* More than a magazine holds at first, so that refills and flushes are in it. */
static void batch(void)
{
	static void *object[BATCH];
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		object[i] = malloc(64);
		if (!object[i])
			abort();
	}
	while (i)
		free(object[--i]);
}

static void large(void)
{
	char *p = malloc(200000);

	if (!p)
		abort();
	*(volatile char *)p = 1;
	free(p);
}

static void grow(void)
{
	char *p = NULL;
	size_t size;

	for (size = 40000; size <= 400000; size += 4096) {
		p = realloc(p, size);
		if (!p)
			abort();
	}
	free(p);
}

static const struct path {
	const char *name;
	void (*run)(void);
} paths[] = {
	{ "pair", pair }, { "aligned", aligned }, { "zeroed", zeroed }, { "batch", batch },
	{ "large", large }, { "grow", grow },
};

int main(int argc, char **argv)
{
	unsigned long nr = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	size_t i;

	for (i = 0; argc == 3 && i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strcmp(paths[i].name, argv[1]))
			continue;
		while (nr--)
			paths[i].run();
		return 0;
	}
	fprintf(stderr, "usage: hot_paths NAME COUNT, with NAME one of");
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		fprintf(stderr, " %s", paths[i].name);
	fprintf(stderr, "\n");
	return 2;
}
