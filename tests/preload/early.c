/* SPDX-License-Identifier: MIT */
/*
 * A library whose constructor runs before the allocator's own, since it is preloaded
 * after it, and uses all of malloc there: a thread too, whose end comes before the
 * allocator has heard of threads.  Its destructor runs after the allocator's.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NR_STRINGS 1000

static char *strings[NR_STRINGS];

static void require(int truth)
{
	if (!truth)
		abort();
}

static void *allocate_all_ways(void *unused)
{
	char *zeroed = calloc(100, 100);
	char *grown = realloc(strdup("grown"), 100000);
	void *aligned = NULL;

	require(zeroed && !memcmp(zeroed, zeroed + 1, 9999) && !*zeroed);
	require(grown && !strcmp(grown, "grown") && malloc_usable_size(grown) >= 100000);
	require(!posix_memalign(&aligned, 4096, 10));
	free(aligned);
	free(grown);
	free(zeroed);
	return unused;
}

__attribute__((constructor))
static void construct(void)
{
	pthread_t thread;

	for (int i = 0; i < NR_STRINGS; i++)
		require((strings[i] = strdup("early")) != NULL);
	allocate_all_ways(NULL);
	require(!pthread_create(&thread, NULL, allocate_all_ways, NULL));
	require(!pthread_join(thread, NULL));
}

__attribute__((destructor))
static void destruct(void)
{
	allocate_all_ways(NULL);
	for (int i = 0; i < NR_STRINGS; i++) {
		require(!strcmp(strings[i], "early"));
		free(strings[i]);
	}
}
