// SPDX-License-Identifier: MIT
/*
 * Looking while others work.
 *
 *	churners: blocks of 32 KiB to 16 MiB come, grow, move and go
 *	watchers: audit, statistics, node_of of their own blocks, fork_recover, trim
 *
 * The heap grows past what a small program has, so that all its extents become huge while
 * their owners use them.  Expect: no block is overwritten, a watcher's block is found from
 * any byte of it, and sums fit in what is committed.
 */
#include "stress.h"

#define CHURNERS 2
#define SLOTS 24
#define STEPS 20000
#define LOOKS 60

/* Blocks stay with their thread up to 1 MiB; from 8 MiB on realloc moves them. */
#define MIN_SHIFT 16
#define MAX_SHIFT 24
#define MOVED_BYTES ((size_t)8 << 20)

static atomic_uint nr_churning = CHURNERS;

/* A stamp over 16 MiB takes longer than all that is to be seen: the first page's will do. */
#define STAMPED 4096

struct block {
	void *p;
	uint64_t tag;
};

static void block_change(struct block *b, struct rng *rng, uint64_t tag)
{
	size_t size = rng_log_size(rng, MIN_SHIFT, tag % 16 ? 20 : MAX_SHIFT);

	if (b->p)
		require(stamp_is_whole(b->p, STAMPED, b->tag), "%p was overwritten", b->p);
	if (b->p && tag % 4) {
		numarena_free(b->p);
		b->p = NULL;
		return;
	}
	b->p = numarena_realloc(b->p, size);
	require(b->p, "%zu bytes refused", size);
	b->tag = tag;
	stamp(b->p, STAMPED, tag);
}

static void *churner_run(void *arg)
{
	unsigned int index = *(unsigned int *)arg;
	struct rng rng = rng_seeded(index);
	struct block blocks[SLOTS] = { 0 };
	unsigned long i, steps = stress_scaled(STEPS);

	for (i = 0; i < steps; i++)
		block_change(&blocks[rng_between(&rng, 0, SLOTS - 1)], &rng,
			     (uint64_t)index << 40 | i);
	for (i = 0; i < SLOTS; i++)
		numarena_free(blocks[i].p);
	atomic_fetch_sub(&nr_churning, 1);
	return NULL;
}

/* From its first byte to its last, all of a block is of one node. */
static void look_at_block(char *p, size_t size)
{
	int node = numarena_node_of(p);

	require(node >= 0, "%p: %s", (void *)p, strerror(errno));
	require(numarena_node_of(p + size / 2) == node, "middle of %p", (void *)p);
	require(numarena_node_of(p + size - 1) == node, "end of %p", (void *)p);
}

static void look(void)
{
	static struct numarena_audit audit;
	struct numarena_stats stats;

	audit.size = sizeof(audit);
	require(!numarena_audit(&audit) || errno == ENOSYS, "audit: %s", strerror(errno));
	require(!numarena_stats_get(&stats, sizeof(stats)), "stats");
	require(stats.large_bytes + stats.free_bytes <= stats.reserved_bytes, "%" PRIu64 " large, %" PRIu64 " free",
		stats.large_bytes, stats.free_bytes);
	numarena_malloc_trim(0);
	numarena_fork_recover();
}

static void *watcher_run(void *arg)
{
	unsigned long i, looks = stress_scaled(LOOKS);
	char *p = numarena_malloc(MOVED_BYTES);

	(void)arg;
	require(p, "a block to watch");
	for (i = 0; i < looks || atomic_load(&nr_churning); i++) {
		look_at_block(p, MOVED_BYTES);
		look();
	}
	numarena_free(p);
	return NULL;
}

int main(void)
{
	unsigned int index[CHURNERS] = { 1, 2 };
	pthread_t watcher;

	stress_begin();
	watcher = thread_start(watcher_run, NULL);
	threads_run(CHURNERS, churner_run, index, sizeof(*index));
	thread_join(watcher);
	return 0;
}
