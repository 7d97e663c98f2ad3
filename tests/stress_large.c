// SPDX-License-Identifier: MIT
/*
 * Blocks above the largest class: extents are split, coalesced, grown in place,
 * moved and purged from several threads at once, and blocks change hands.
 */
#include "stress.h"

#define NR_THREADS 4
#define NR_SLOTS 24
#define NR_STEPS 40000
#define STEPS_PER_SWAP 8
#define STEPS_PER_TRIM 2000
#define LOW_SHIFT 15
#define HIGH_SHIFT 20
#define HUGE_SHIFT 25	/* one block in 64 */

/* Enough to see a wrong copy or an overlap: writing all of it measures memory. */
#define EDGE_BYTES 512

struct block {
	unsigned char *p;
	size_t size;
	uint64_t tag;
};

struct worker {
	struct rng rng;
	uint64_t next_tag;
	struct block blocks[NR_SLOTS];
};

static struct worker workers[NR_THREADS];
static struct exchange exchange = EXCHANGE_INIT;

static size_t block_size(struct rng *rng)
{
	bool is_huge = rng_next(rng) % 64 == 0;

	return rng_log_size(rng, LOW_SHIFT, is_huge ? HUGE_SHIFT : HIGH_SHIFT);
}

/* Both ends and the middle are stamped, each by a tag of its own. */
static void block_stamp(const struct block *block)
{
	stamp(block->p, EDGE_BYTES, block->tag);
	stamp(block->p + block->size / 2, EDGE_BYTES, block->tag + 1);
	stamp(block->p + block->size - EDGE_BYTES, EDGE_BYTES, block->tag + 2);
}

static void block_check(const struct block *block)
{
	require(stamp_is_whole(block->p, EDGE_BYTES, block->tag) &&
		stamp_is_whole(block->p + block->size / 2, EDGE_BYTES, block->tag + 1) &&
		stamp_is_whole(block->p + block->size - EDGE_BYTES, EDGE_BYTES, block->tag + 2),
		"block %p of %zu bytes was overwritten", (void *)block->p, block->size);
}

/* calloc's promise is checked over the whole block: reuse leaves dirt anywhere. */
static void block_make(struct worker *worker, struct block *block)
{
	block->size = block_size(&worker->rng);
	block->tag = worker->next_tag;
	worker->next_tag += 3;
	if (rng_next(&worker->rng) >> 62) {
		block->p = numarena_malloc(block->size);
		object_check_start(block->p, block->size);
	} else {
		block->p = numarena_calloc(1, block->size);
		object_check_start(block->p, block->size);
		require(is_zero(block->p, block->size), "calloc of %zu bytes is not zero",
			block->size);
	}
	block_stamp(block);
}

static void block_drop(struct block *block)
{
	if (!block->p)
		return;
	block_check(block);
	numarena_free(block->p);
	block->p = NULL;
}

/* The low half is kept by a doubling, the whole low edge by anything. */
static void block_resize(struct worker *worker, struct block *block)
{
	size_t old_size = block->size;
	unsigned char *p;

	block_check(block);
	block->size = block_size(&worker->rng);
	p = numarena_realloc(block->p, block->size);
	object_check_start(p, block->size);
	require(stamp_is_whole(p, EDGE_BYTES, block->tag), "realloc lost the start");
	if (block->size >= old_size)
		require(stamp_is_whole(p + old_size - EDGE_BYTES, EDGE_BYTES, block->tag + 2),
			"realloc of %zu to %zu bytes lost the end", old_size, block->size);
	block->p = p;
	block_stamp(block);
}

static void block_swap(struct worker *worker, struct block *block)
{
	struct object given = { block->p, block->size, block->tag };
	struct object taken = exchange_swap(&exchange, &worker->rng, given);

	*block = (struct block){ taken.p, taken.size, taken.tag };
}

static void *large_run(void *arg)
{
	struct worker *worker = arg;
	unsigned long nr_steps = stress_scaled(NR_STEPS);

	worker->rng = rng_seeded((uint64_t)(worker - workers));
	worker->next_tag = (uint64_t)(worker - workers) << 40;
	for (unsigned long i = 0; i < nr_steps; i++) {
		size_t slot = rng_between(&worker->rng, 0, NR_SLOTS - 1);
		struct block *block = &worker->blocks[slot];

		if (!block->p)
			block_make(worker, block);
		else if (rng_next(&worker->rng) >> 62 == 0)
			block_resize(worker, block);
		else
			block_drop(block);
		if (i % STEPS_PER_SWAP == 0)
			block_swap(worker, block);
		if (i % STEPS_PER_TRIM == STEPS_PER_TRIM - 1)
			numarena_malloc_trim(0);
	}
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		block_drop(&worker->blocks[i]);
	return NULL;
}

static void exchange_drop(void)
{
	for (unsigned int i = 0; i < EXCHANGE_SLOTS; i++) {
		struct object *object = &exchange.slots[i];
		struct block block = { object->p, object->size, object->tag };

		block_drop(&block);
	}
}

int main(void)
{
	stress_begin();
	threads_run(NR_THREADS, large_run, workers, sizeof(workers[0]));
	exchange_drop();
	return EXIT_SUCCESS;
}
