// SPDX-License-Identifier: MIT
/*
 * Forks while threads allocate in heaps, make and destroy them.
 *
 * Expect: a child has its parent's heaps.  It frees and resizes what it finds in them, of
 * threads that it does not have too, allocates there, destroys them and makes others, and its
 * objects stay whole; and so do its parent's.
 */
#include "stress.h"

#define NR_CHURNERS 3
#define NR_FORKS 60
#define NR_GIFTS 64
#define NR_CHILD_OBJECTS 2000

static struct numarena_heap *heap;
static struct object gifts[NR_CHURNERS][NR_GIFTS];
static pthread_barrier_t gifts_are_made;
static atomic_bool is_over;

static struct object object_in(struct numarena_heap *in, struct rng *rng, uint64_t tag)
{
	struct object object = { NULL, rng_log_size(rng, 3, rng_next(rng) % 64 ? 12 : 17), tag };

	object.p = numarena_heap_alloc(in, object.size);
	object_check_start(object.p, object.size);
	stamp(object.p, object.size, object.tag);
	return object;
}

static void short_life(struct rng *rng)
{
	struct numarena_heap *own = numarena_heap_create(NULL);

	require(own, "%s", strerror(errno));
	for (unsigned int i = 0; i < 20; i++)
		object_in(own, rng, i);
	numarena_heap_destroy(own);
}

static void *churn_in_heap(void *arg)
{
	unsigned int index = (unsigned int)(uintptr_t)arg;
	struct rng rng = rng_seeded(index);
	struct object objects[128] = { 0 };

	for (unsigned int i = 0; i < NR_GIFTS; i++)
		gifts[index][i] = object_in(heap, &rng, i);
	pthread_barrier_wait(&gifts_are_made);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		struct object *object = &objects[rng_between(&rng, 0, ARRAY_SIZE(objects) - 1)];

		object_delete(object);
		*object = object_in(heap, &rng, rng_next(&rng));
		if (rng_next(&rng) % 256 == 0)
			short_life(&rng);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		object_delete(&objects[i]);
	return NULL;
}

static void child_run(struct rng *rng)
{
	static struct object objects[NR_CHILD_OBJECTS];

	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		for (unsigned int j = 0; j < NR_GIFTS; j++)
			if (j % 2)
				object_delete(&gifts[i][j]);
			else
				object_resize(&gifts[i][j], rng_log_size(rng, 3, 15));
	for (unsigned int i = 0; i < NR_CHILD_OBJECTS; i++)
		objects[i] = object_in(heap, rng, i);
	for (unsigned int i = 0; i < NR_CHILD_OBJECTS; i += 2)
		object_delete(&objects[i]);
	for (unsigned int i = 1; i < NR_CHILD_OBJECTS; i += 2)
		object_check(&objects[i]);
	numarena_heap_destroy(heap);
	for (unsigned int i = 0; i < 50; i++)
		short_life(rng);
	_exit(EXIT_SUCCESS);
}

int main(void)
{
	unsigned long nr_forks = stress_scaled(NR_FORKS);
	pthread_t churners[NR_CHURNERS];
	struct rng rng = rng_seeded(77);

	stress_begin();
	heap = numarena_heap_create(NULL);
	require(heap, "%s", strerror(errno));
	pthread_barrier_init(&gifts_are_made, NULL, NR_CHURNERS + 1);
	for (uintptr_t i = 0; i < NR_CHURNERS; i++)
		churners[i] = thread_start(churn_in_heap, (void *)i);
	pthread_barrier_wait(&gifts_are_made);
	for (unsigned long i = 0; i < nr_forks; i++) {
		struct object own = object_in(heap, &rng, i);
		pid_t child = fork_or_fail();

		if (!child)
			child_run(&rng);
		object_delete(&own);
		short_life(&rng);
		child_join(child);
	}
	atomic_store(&is_over, true);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		thread_join(churners[i]);
	numarena_heap_destroy(heap);
	return EXIT_SUCCESS;
}
