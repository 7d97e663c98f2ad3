// SPDX-License-Identifier: MIT
/*
 * One thread only allocates, another only frees: actor and learner.
 *
 *	producer --- batches, LIVE_BYTES of objects on the way --- consumer
 *
 * A consumer that never allocates never refills, so if it sent its frees at
 * refill only, they would pile up and the producer would take new memory for ever.
 *
 * Expect: peak resident memory at most 1.3 times the peak of live bytes.
 */
#include "stress.h"

#define LIVE_BYTES ((size_t)128 << 20)
#define TURNOVER 12			/* times that much is allocated in all */
#define MIN_BYTES 16
#define MAX_BYTES 512
#define BATCH_OBJECTS 256
#define MAX_RSS_PER_LIVE 1.3

/* Objects of a batch are chained through themselves: no memory but what is measured. */
struct link {
	struct link *next;
	uint32_t size;
	uint32_t tag;
};

struct batch {
	struct link *first;
	size_t bytes;
};

#define RING_BATCHES 4096	/* more than LIVE_BYTES of batches */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch batches[RING_BATCHES];
	unsigned long nr_put, nr_got;
	size_t live_bytes, peak_bytes;
	bool is_over;
} way = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static struct link *link_new(struct rng *rng)
{
	size_t size = rng_between(rng, MIN_BYTES, MAX_BYTES);
	struct link *link = numarena_malloc(size);

	object_check_start(link, size);
	link->size = (uint32_t)size;
	link->tag = (uint32_t)rng_next(rng);
	stamp(link + 1, size - sizeof(*link), link->tag);
	return link;
}

static void link_delete(struct link *link)
{
	require(link->size >= MIN_BYTES && link->size <= MAX_BYTES &&
		stamp_is_whole(link + 1, link->size - sizeof(*link), link->tag),
		"object %p was overwritten", (void *)link);
	numarena_free(link);
}

static struct batch batch_new(struct rng *rng)
{
	struct batch batch = { NULL, 0 };

	for (unsigned int i = 0; i < BATCH_OBJECTS; i++) {
		struct link *link = link_new(rng);

		link->next = batch.first;
		batch.first = link;
		batch.bytes += link->size;
	}
	return batch;
}

static void batch_delete(struct batch *batch)
{
	while (batch->first) {
		struct link *link = batch->first;

		batch->first = link->next;
		link_delete(link);
	}
}

/* Waits for room first: the batch is made afterwards, so live is what was promised. */
static void way_wait_for_room(void)
{
	pthread_mutex_lock(&way.lock);
	while (way.live_bytes >= LIVE_BYTES)
		pthread_cond_wait(&way.changed, &way.lock);
	pthread_mutex_unlock(&way.lock);
}

static void way_put(struct batch batch)
{
	pthread_mutex_lock(&way.lock);
	require(way.nr_put - way.nr_got < RING_BATCHES, "more batches than LIVE_BYTES hold");
	way.batches[way.nr_put++ % RING_BATCHES] = batch;
	way.live_bytes += batch.bytes;
	if (way.live_bytes > way.peak_bytes)
		way.peak_bytes = way.live_bytes;
	pthread_cond_signal(&way.changed);
	pthread_mutex_unlock(&way.lock);
}

/* The consumer lags by nearly all of LIVE_BYTES, until the producer has ended. */
static bool way_get(struct batch *batch)
{
	bool has_batch;

	pthread_mutex_lock(&way.lock);
	while (way.live_bytes < LIVE_BYTES && !way.is_over)
		pthread_cond_wait(&way.changed, &way.lock);
	has_batch = way.nr_got < way.nr_put;
	if (has_batch)
		*batch = way.batches[way.nr_got++ % RING_BATCHES];
	pthread_mutex_unlock(&way.lock);
	return has_batch;
}

static void way_forget(size_t bytes)
{
	pthread_mutex_lock(&way.lock);
	way.live_bytes -= bytes;
	pthread_cond_signal(&way.changed);
	pthread_mutex_unlock(&way.lock);
}

static void *produce(void *arg)
{
	size_t left = stress_scaled(TURNOVER * LIVE_BYTES);
	struct rng rng = rng_seeded(1);

	(void)arg;
	for (;;) {
		struct batch batch;

		way_wait_for_room();
		batch = batch_new(&rng);
		way_put(batch);
		if (left <= batch.bytes)
			break;
		left -= batch.bytes;
	}
	pthread_mutex_lock(&way.lock);
	way.is_over = true;
	pthread_cond_signal(&way.changed);
	pthread_mutex_unlock(&way.lock);
	return NULL;
}

static void *consume(void *arg)
{
	struct batch batch;

	(void)arg;
	while (way_get(&batch)) {
		batch_delete(&batch);
		way_forget(batch.bytes);
	}
	return NULL;
}

static void check_peak(void)
{
	size_t peak_rss = status_bytes("VmHWM");
	double ratio = (double)peak_rss / (double)way.peak_bytes;

	require(ratio <= MAX_RSS_PER_LIVE, "peak RSS %zu MiB is %.2f times %zu MiB live",
		peak_rss >> 20, ratio, way.peak_bytes >> 20);
	printf("peak RSS / peak live = %.3f\n", ratio);
}

int main(void)
{
	pthread_t producer, consumer;

	stress_begin();
	consumer = thread_start(consume, NULL);
	producer = thread_start(produce, NULL);
	thread_join(producer);
	thread_join(consumer);
	/* With too little work the program itself outweighs its objects. */
	if (!HAS_SHADOW_MEMORY && way.peak_bytes >= LIVE_BYTES)
		check_peak();
	return EXIT_SUCCESS;
}
