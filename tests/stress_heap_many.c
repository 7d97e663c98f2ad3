// SPDX-License-Identifier: MIT
/*
 * Many heaps at once.  Threads make heaps, allocate in their own and in those that all
 * share, pass objects on to be freed or resized by whoever takes them, and destroy their
 * heaps with what is left in them, while others' frees of it are under way.
 *
 * Expect: an object that was passed on is whole when it is taken, and what was is all there
 * is: in the end each shared heap has nothing live.
 */
#include "stress.h"

#define NR_THREADS 4
#define NR_SHARED 24		/* more than a thread's table has places */
#define NR_STEPS 200000
#define NR_OWN_OBJECTS 40
#define STEPS_PER_OWN 200

static struct numarena_heap *shared[NR_SHARED];
static struct exchange exchange = EXCHANGE_INIT;

static struct object object_in(struct numarena_heap *heap, struct rng *rng, uint64_t tag)
{
	struct object object = { NULL, rng_log_size(rng, 3, rng_next(rng) % 64 ? 12 : 17), tag };

	if (rng_next(rng) >> 62 == 0) {
		size_t alignment = (size_t)8 << rng_between(rng, 0, 9);

		object.p = numarena_heap_aligned_alloc(heap, alignment, object.size);
		require((uintptr_t)object.p % alignment == 0, "%p at %zu", object.p, alignment);
	} else {
		object.p = numarena_heap_alloc(heap, object.size);
	}
	object_check_start(object.p, object.size);
	stamp(object.p, object.size, object.tag);
	return object;
}

/* One of this thread's alone, with all that is in it but what another frees meanwhile. */
static void own_heap(struct rng *rng, uint64_t tag)
{
	struct numarena_heap *heap = numarena_heap_create(NULL);
	struct object objects[NR_OWN_OBJECTS];

	require(heap, "%s", strerror(errno));
	for (unsigned int i = 0; i < NR_OWN_OBJECTS; i++)
		objects[i] = object_in(heap, rng, tag + i);
	for (unsigned int i = 0; i < NR_OWN_OBJECTS; i += 3)
		object_resize(&objects[i], rng_log_size(rng, 3, 16));
	for (unsigned int i = 0; i < NR_OWN_OBJECTS; i += 2)
		object_delete(&objects[i]);
	for (unsigned int i = 1; i < NR_OWN_OBJECTS; i += 2)
		object_check(&objects[i]);
	numarena_heap_destroy(heap);
}

static void *run(void *arg)
{
	uint64_t index = (uint64_t)(uintptr_t)arg, tag = index << 40;
	unsigned long nr_steps = stress_scaled(NR_STEPS);
	struct rng rng = rng_seeded(index);

	for (unsigned long i = 0; i < nr_steps; i++) {
		struct object object = object_in(shared[rng_between(&rng, 0, NR_SHARED - 1)], &rng, tag++);

		object = exchange_swap(&exchange, &rng, object);
		if (object.p && rng_next(&rng) >> 62 == 0)
			object_resize(&object, rng_log_size(&rng, 3, 13));
		object_delete(&object);
		if (i % STEPS_PER_OWN == 0)
			own_heap(&rng, tag), tag += NR_OWN_OBJECTS;
	}
	return NULL;
}

int main(void)
{
	struct numarena_heap_stats stats;
	pthread_t threads[NR_THREADS];

	stress_begin();
	for (unsigned int i = 0; i < NR_SHARED; i++)
		require(shared[i] = numarena_heap_create(NULL), "%s", strerror(errno));
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		threads[i] = thread_start(run, (void *)i);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	exchange_end(&exchange);
	numarena_malloc_trim(0);
	for (unsigned int i = 0; i < NR_SHARED; i++) {
		require(!numarena_heap_stats_get(shared[i], &stats, sizeof(stats)), "stats");
		require(!stats.live_bytes, "heap %u has %llu bytes live", i,
			(unsigned long long)stats.live_bytes);
		require(!stats.charged_bytes, "heap %u has %llu bytes", i,
			(unsigned long long)stats.charged_bytes);
		numarena_heap_destroy(shared[i]);
	}
	return EXIT_SUCCESS;
}
