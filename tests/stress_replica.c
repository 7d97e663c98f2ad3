// SPDX-License-Identifier: MIT
/*
 * Weights that are replaced while they are read, on the pretend machine of fake_numa.h.
 *
 *	writers		replicate a new version, publish it, free the old one
 *	readers		read the version of the moment on their own node, and elsewhere
 *	others		replicate, migrate and free things of their own, malloc beside it
 *
 * Who reads a version holds it back from being freed by a lock of the program's, as numarena.h
 * asks for; all else is free to race.
 */
#include "arena/meta.h"

#include "fake_numa.h"
#include "stress.h"

#define NR_WRITERS 2
#define NR_READERS 4
#define NR_OTHERS 2
#define NR_ROUNDS 300
#define NR_READS 3000
#define MAX_BYTES MIB(3)

static struct version {
	pthread_rwlock_t lock;
	struct numarena_replicas *replicas;
	size_t size;
	uint64_t tag;
} now = { .lock = PTHREAD_RWLOCK_INITIALIZER };

static atomic_uint_least64_t next_tag = 1;

struct worker {
	void *(*run)(struct worker *w);
	struct rng rng;
	unsigned long nr_rounds;
};

static size_t some_size(struct rng *rng)
{
	return rng_log_size(rng, 4, 17) + (rng_below(rng, 8) ? 0 : rng_between(rng, MIB(1), MAX_BYTES));
}

/* NULL is an answer too: the pretend machine is small. */
static struct numarena_replicas *replicate(size_t size, uint64_t tag)
{
	struct object weights = object_new(size, tag);
	struct numarena_replicas *r = numarena_replicate(weights.p, size);

	require(r || errno == ENOMEM, "replicate: %s", strerror(errno));
	object_delete(&weights);
	return r;
}

static void *writer_run(struct worker *w)
{
	size_t size = some_size(&w->rng);
	uint64_t tag = atomic_fetch_add(&next_tag, 1);
	struct numarena_replicas *r = replicate(size, tag), *old;

	if (!r)
		return NULL;
	pthread_rwlock_wrlock(&now.lock);
	old = now.replicas;
	now.replicas = r;
	now.size = size;
	now.tag = tag;
	pthread_rwlock_unlock(&now.lock);
	numarena_replica_free(old);
	return NULL;
}

static void *reader_run(struct worker *w)
{
	fake_node = (unsigned int)rng_between(&w->rng, 0, FAKE_NODES - 1);
	pthread_rwlock_rdlock(&now.lock);
	if (now.replicas) {
		const void *copy = numarena_replica(now.replicas);

		require(nar_node_of(copy) == fake_node, "%p on %u, read on %u", copy, nar_node_of(copy),
			fake_node);
		require(stamp_is_whole(copy, now.size, now.tag), "a copy of %zu bytes is broken", now.size);
	}
	pthread_rwlock_unlock(&now.lock);
	return NULL;
}

static void *other_run(struct worker *w)
{
	size_t size = some_size(&w->rng);
	uint64_t tag = atomic_fetch_add(&next_tag, 1);
	struct numarena_replicas *r = replicate(size, tag);
	struct object block = object_new(size + KIB(33), tag);

	require(!numarena_migrate(block.p, (int)rng_between(&w->rng, 0, FAKE_NODES - 1)), "migrate: %s",
		strerror(errno));
	if (r)
		require(stamp_is_whole(numarena_replica(r), size, tag), "a copy of %zu bytes is broken", size);
	object_delete(&block);
	numarena_replica_free(r);
	return NULL;
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	for (i = 0; i < w->nr_rounds; i++)
		w->run(w);
	return NULL;
}

int main(void)
{
	struct worker workers[NR_WRITERS + NR_READERS + NR_OTHERS];
	unsigned int i;

	stress_begin();
	for (i = 0; i < ARRAY_SIZE(workers); i++)
		workers[i] = (struct worker){
			i < NR_WRITERS ? writer_run : i < NR_WRITERS + NR_READERS ? reader_run : other_run,
			rng_seeded(i),
			stress_scaled(i >= NR_WRITERS && i < NR_WRITERS + NR_READERS ? NR_READS : NR_ROUNDS),
		};
	threads_run(ARRAY_SIZE(workers), worker_run, workers, sizeof(workers[0]));
	numarena_replica_free(now.replicas);
	return EXIT_SUCCESS;
}
