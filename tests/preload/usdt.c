// SPDX-License-Identifier: MIT
/*
 * Makes each kind of slow path happen a known number of times, and says how often the
 * preloaded library has counted it: lines of "probe at-least at-most".
 */
#include <numarena.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_OBJECTS 20000
#define SIZE 200
#define NR_LARGE 20
#define LARGE ((size_t)3 << 20)

static void *objects[NR_OBJECTS];

static void *free_objects(void *arg)
{
	int i;

	for (i = 0; i < NR_OBJECTS; i++)
		free(objects[i]);
	return arg;
}

static void alloc_objects(void)
{
	int i;

	for (i = 0; i < NR_OBJECTS; i++)
		objects[i] = malloc(SIZE);
}

/* Freed by another thread, taken back by ours, freed by ours. */
static void exchange(void)
{
	pthread_t thread;

	alloc_objects();
	if (pthread_create(&thread, NULL, free_objects, NULL) || pthread_join(thread, NULL))
		abort();
	alloc_objects();
	free_objects(NULL);
}

static void large(void)
{
	void *p[NR_LARGE];
	int i;

	for (i = 0; i < NR_LARGE; i++)
		memset(p[i] = malloc(LARGE), 1, LARGE);
	for (i = 0; i < NR_LARGE; i++)
		free(p[i]);
}

static void say(const char *probe, unsigned long long least, unsigned long long most)
{
	printf("%s %llu %llu\n", probe, least, most);
}

static void say_all(const struct numarena_stats *s)
{
	const unsigned long long many = ~0ull;

	/* Printing comes after the counting, and needs a buffer. */
	say("refill", s->nr_refills, s->nr_refills + 4);
	say("remote_send", s->nr_remote_batches, s->nr_remote_batches);
	/* Each message at once or in parts. */
	say("remote_drain", s->nr_remote_batches / 2, many);
	say("flush", s->nr_flushes, many);
	say("span_commit", 1, many);
	say("large_alloc", NR_LARGE, many);
	say("purge", 1, s->purged_bytes >> 21);
	say("bind_fallback", s->bind_refused + s->bind_skipped, many);
	say("node_fallback", s->node_fallback, s->node_fallback);
	say("huge_fallback", s->huge_pool_empty != 0, many);
}

int main(void)
{
	int (*get)(struct numarena_stats *, size_t) =
		(int (*)(struct numarena_stats *, size_t))dlsym(RTLD_DEFAULT, "numarena_stats_get");
	int (*trim)(size_t) = (int (*)(size_t))dlsym(RTLD_DEFAULT, "malloc_trim");
	struct numarena_stats stats;

	if (!get || !trim)
		return EXIT_FAILURE;
	exchange();
	large();
	trim(0);
	if (get(&stats, sizeof(stats)))
		return EXIT_FAILURE;
	say_all(&stats);
	return EXIT_SUCCESS;
}
