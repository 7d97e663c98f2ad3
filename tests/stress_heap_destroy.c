// SPDX-License-Identifier: MIT
/*
 * Heaps that are destroyed while much of what was in them is on its way.
 *
 *	workers   allocate in the heap, and free each other's objects and their own: those
 *		  lie in magazines, outboxes and queues when the heap ends
 *	guests    allocate in it and are gone before it ends
 *	main      destroys it, at once makes another, and stamps what it gets there
 *
 * Expect: no object of the next heap, nor of the default one, is handed out twice or
 * written to, whatever comes home late.  In every other turn workers go on to free while the
 * heap is destroyed: those frees do no harm, whoever comes first.
 */
#include "stress.h"

#define NR_WORKERS 4
#define NR_GUESTS 2
#define NR_TURNS 1000
#define NR_OBJECTS 160		/* a worker */
#define NR_RACING 40		/* frees of a worker after it has seen that the end has begun */

/* Frees that come after the end are a mistake, which harden:1 reports. */
extern const char *numarena_conf;
const char *numarena_conf = "harden:0";

static bool is_hardened(void)
{
	char value[8];

	require(numarena_option_get("harden", value, sizeof(value)) > 0, "option harden");
	return !strcmp(value, "true");
}

static struct numarena_heap *heap;
static void *objects[NR_WORKERS][NR_OBJECTS];
static pthread_barrier_t barrier;
static atomic_bool has_begun, is_racing, is_over;

/* Few classes: what a heap leaves is kept from use for a second if it is 4 MiB at most. */
static size_t size_at(struct rng *rng)
{
	static const size_t sizes[] = { 20, 100, 100, 500, 1000, 3000 };

	return rng_next(rng) % 64 ? sizes[rng_between(rng, 0, ARRAY_SIZE(sizes) - 1)] : 50000;
}

/* Objects of the default heap that live through it all. */
#define NR_KEPT 64

static void fill(struct rng *rng, unsigned int index)
{
	for (unsigned int i = 0; i < NR_OBJECTS; i++) {
		size_t size = size_at(rng);

		objects[index][i] = numarena_heap_alloc(heap, size);
		object_check_start(objects[index][i], size);
		stamp(objects[index][i], size, i);
	}
}

/* Half of the next worker's, and some of its own: most stay unsent. */
static void free_some(unsigned int index)
{
	void **own = objects[index], **next = objects[(index + 1) % NR_WORKERS];

	for (unsigned int i = 0; i < NR_OBJECTS / 4; i++)
		numarena_free(own[i]);
	for (unsigned int i = NR_OBJECTS / 4; i < NR_OBJECTS / 2; i++)
		numarena_free(next[i]);
}

static void free_racing(unsigned int index)
{
	void **next = objects[(index + 1) % NR_WORKERS];
	unsigned int left = NR_RACING;

	for (unsigned int i = NR_OBJECTS / 2; i < NR_OBJECTS && left; i++) {
		numarena_free(next[i]);
		left -= atomic_load(&has_begun);
	}
}

static void *work(void *arg)
{
	unsigned int index = (unsigned int)(uintptr_t)arg;
	struct rng rng = rng_seeded(index);
	struct object kept[NR_KEPT] = { 0 };

	for (;;) {
		pthread_barrier_wait(&barrier);		/* there is a heap */
		if (atomic_load(&is_over))
			break;
		fill(&rng, index);
		pthread_barrier_wait(&barrier);		/* all have filled it */
		free_some(index);
		pthread_barrier_wait(&barrier);		/* it is about to end */
		if (atomic_load(&is_racing))
			free_racing(index);
		pthread_barrier_wait(&barrier);		/* it has ended */
		for (unsigned int i = 0; i < NR_KEPT; i++) {
			object_delete(&kept[i]);
			kept[i] = object_new(size_at(&rng), (uint64_t)index << 32 | i);
		}
	}
	for (unsigned int i = 0; i < NR_KEPT; i++)
		object_delete(&kept[i]);
	return NULL;
}

/* Leaves objects behind, and some that it frees itself. */
static void *visit(void *arg)
{
	struct rng rng = rng_seeded((uint64_t)(uintptr_t)arg);
	void *p[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		object_check_start(p[i] = numarena_heap_alloc(heap, size_at(&rng)), 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i += 2)
		numarena_heap_free(heap, p[i]);
	return NULL;
}

static void fill_new(struct object *own, unsigned int nr, struct numarena_heap *next, struct rng *rng)
{
	for (unsigned int i = 0; i < nr; i++) {
		own[i] = (struct object){ NULL, size_at(rng), i };
		own[i].p = numarena_heap_alloc(next, own[i].size);
		object_check_start(own[i].p, own[i].size);
		stamp(own[i].p, own[i].size, own[i].tag);
	}
}

int main(void)
{
	unsigned long nr_turns = stress_scaled(NR_TURNS);
	static struct object own[NR_OBJECTS];
	struct numarena_heap *last = NULL;
	struct rng rng = rng_seeded(99);
	pthread_t workers[NR_WORKERS];

	stress_begin();
	pthread_barrier_init(&barrier, NULL, NR_WORKERS + 1);
	for (uintptr_t i = 0; i < NR_WORKERS; i++)
		workers[i] = thread_start(work, (void *)i);
	for (unsigned long turn = 0; turn < nr_turns; turn++) {
		heap = numarena_heap_create(NULL);
		require(heap, "turn %lu: %s", turn, strerror(errno));
		atomic_store(&has_begun, false);
		atomic_store(&is_racing, turn % 2 && !is_hardened());
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		threads_run(NR_GUESTS, visit, &turn, 0);
		pthread_barrier_wait(&barrier);
		atomic_store(&has_begun, true);
		numarena_heap_destroy(heap);
		pthread_barrier_wait(&barrier);
		/* The last turn's has seen all that was late. */
		for (unsigned int i = 0; last && i < NR_OBJECTS; i++)
			object_delete(&own[i]);
		numarena_heap_destroy(last);
		last = numarena_heap_create(NULL);
		fill_new(own, NR_OBJECTS, last, &rng);
	}
	atomic_store(&is_over, true);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		thread_join(workers[i]);
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		object_delete(&own[i]);
	numarena_heap_destroy(last);
	return EXIT_SUCCESS;
}
