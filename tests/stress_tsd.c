// SPDX-License-Identifier: MIT
/*
 * Thread-exit destructors that free and allocate.  The allocator releases the
 * thread's arena in such a destructor itself, and no order among them is promised,
 * so destructors here run before it, after it, and again in a later round, since
 * each sets its key anew until the last round.
 */
#include "stress.h"

#include <limits.h>

#define NR_THREADS 8
#define NR_WAVES 800
#define NR_KEYS 4
#define NR_OBJECTS 24
#define MAX_SHIFT 16

/* TSan's own destructor ends a thread for it in the last round, before ours. */
#define NR_ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - HAS_TSAN)

struct estate {
	pthread_key_t key;
	unsigned int rounds_left;
	struct rng rng;
	uint64_t next_tag;
	struct object objects[NR_OBJECTS];
};

static pthread_key_t keys[NR_KEYS];
static struct exchange exchange = EXCHANGE_INIT;

static void estate_fill(struct estate *estate)
{
	for (unsigned int i = 0; i < NR_OBJECTS; i++) {
		size_t size = rng_log_size(&estate->rng, 3, i ? SMALL_SHIFT : MAX_SHIFT);

		estate->objects[i] = object_new(size, estate->next_tag++);
	}
}

static void estate_empty(struct estate *estate)
{
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		object_delete(&estate->objects[i]);
}

/* One object outlives the thread although it is made after its end. */
static void estate_bequeath(struct estate *estate)
{
	struct object heirloom = object_new(rng_log_size(&estate->rng, 3, SMALL_SHIFT),
					    estate->next_tag++);
	struct object inherited = exchange_swap(&exchange, &estate->rng, heirloom);

	object_delete(&inherited);
}

static void settle(void *arg)
{
	struct estate *estate = arg;

	estate_empty(estate);
	estate_bequeath(estate);
	if (estate->rounds_left--) {
		estate_fill(estate);
		pthread_setspecific(estate->key, estate);
	} else {
		numarena_free(estate);
	}
}

static void *mortal_run(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	for (unsigned int i = 0; i < NR_KEYS; i++) {
		struct estate *estate = numarena_calloc(1, sizeof(*estate));

		object_check_start(estate, sizeof(*estate));
		estate->key = keys[i];
		estate->rounds_left = NR_ROUNDS - 1;
		estate->rng = rng_seeded(seed * NR_KEYS + i);
		estate->next_tag = (seed * NR_KEYS + i) << 32;
		estate_fill(estate);
		pthread_setspecific(keys[i], estate);
	}
	return NULL;
}

static void run_wave(unsigned long wave)
{
	pthread_t threads[NR_THREADS];

	for (unsigned int i = 0; i < NR_THREADS; i++)
		threads[i] = thread_start(mortal_run, (void *)(uintptr_t)(wave * NR_THREADS + i));
	for (unsigned int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
}

int main(void)
{
	unsigned long nr_waves = stress_scaled(NR_WAVES);

	stress_begin();
	for (unsigned int i = 0; i < NR_KEYS; i++)
		require(!pthread_key_create(&keys[i], settle), "pthread_key_create");
	for (unsigned long wave = 0; wave < nr_waves; wave++)
		run_wave(wave);
	exchange_end(&exchange);
	return EXIT_SUCCESS;
}
