// SPDX-License-Identifier: MIT
/*
 * Producers allocate, consumers check and free: every free is remote.  A quarter
 * of the objects are resized by the consumer first, so realloc meets objects that
 * its thread does not own.
 */
#include "stress.h"

#define NR_PRODUCERS 2
#define NR_CONSUMERS 2
#define NR_OBJECTS 1500000	/* a producer */
#define RING_SLOTS 4096

/* A bounded queue; what it holds is live and owned by neither side. */
static struct ring {
	pthread_mutex_t lock;
	pthread_cond_t has_room;
	pthread_cond_t has_objects;
	unsigned int head, nr;
	unsigned int nr_producers;	/* still producing */
	struct object slots[RING_SLOTS];
} ring = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.has_room = PTHREAD_COND_INITIALIZER,
	.has_objects = PTHREAD_COND_INITIALIZER,
	.nr_producers = NR_PRODUCERS,
};

static void ring_put(struct object object)
{
	pthread_mutex_lock(&ring.lock);
	while (ring.nr == RING_SLOTS)
		pthread_cond_wait(&ring.has_room, &ring.lock);
	ring.slots[(ring.head + ring.nr++) % RING_SLOTS] = object;
	pthread_cond_signal(&ring.has_objects);
	pthread_mutex_unlock(&ring.lock);
}

/* False when the ring is empty for good. */
static bool ring_get(struct object *object)
{
	bool has_object;

	pthread_mutex_lock(&ring.lock);
	while (!ring.nr && ring.nr_producers)
		pthread_cond_wait(&ring.has_objects, &ring.lock);
	has_object = ring.nr > 0;
	if (has_object) {
		*object = ring.slots[ring.head];
		ring.head = (ring.head + 1) % RING_SLOTS;
		ring.nr--;
		pthread_cond_signal(&ring.has_room);
	}
	pthread_mutex_unlock(&ring.lock);
	return has_object;
}

static void ring_leave(void)
{
	pthread_mutex_lock(&ring.lock);
	ring.nr_producers--;
	pthread_cond_broadcast(&ring.has_objects);
	pthread_mutex_unlock(&ring.lock);
}

static struct churn makers[NR_PRODUCERS];

static void *produce(void *arg)
{
	struct churn *maker = arg;
	unsigned long nr_objects = stress_scaled(NR_OBJECTS);

	churn_begin(maker, (unsigned int)(maker - makers), SMALL_SHIFT + 4);
	for (unsigned long i = 0; i < nr_objects; i++)
		ring_put(churn_object(maker));
	ring_leave();
	return NULL;
}

static void *consume(void *arg)
{
	struct rng rng = rng_seeded((uint64_t)(uintptr_t)arg);
	struct object object;

	while (ring_get(&object)) {
		if (rng_next(&rng) >> 62 == 0)
			object_resize(&object, rng_log_size(&rng, 3, SMALL_SHIFT));
		object_delete(&object);
	}
	return NULL;
}

int main(void)
{
	pthread_t consumers[NR_CONSUMERS];

	stress_begin();
	for (unsigned int i = 0; i < NR_CONSUMERS; i++)
		consumers[i] = thread_start(consume, (void *)(uintptr_t)(NR_PRODUCERS + i));
	threads_run(NR_PRODUCERS, produce, makers, sizeof(makers[0]));
	for (unsigned int i = 0; i < NR_CONSUMERS; i++)
		thread_join(consumers[i]);
	return EXIT_SUCCESS;
}
