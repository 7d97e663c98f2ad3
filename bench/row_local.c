// SPDX-License-Identifier: MIT
/* Rows in which each lane frees what it allocated itself. */
#include "lane.h"
#include "latency.h"

#include <string.h>

#define BLOCK_OPS	64	/* between two looks at the clock's flag */
#define BATCH		1000
#define BURST		2000
#define CALLOC_BATCH	100
#define LATENCY_LIVE	100000	/* as in rl_small */
#define ALIGNED_LIVE	1000

/* A lane's live objects. */
struct slots {
	uint32_t nr;
	uint16_t order[BATCH];		/* batch_random: in which to free */
	struct histogram latency;
	void *object[];
};

static struct slots *lane_slots[MAX_LANES];

static void slots_prepare(struct lane *lane, uint32_t nr)
{
	struct slots *slots = own_map(sizeof(*slots) + nr * sizeof(slots->object[0]));

	slots->nr = nr;
	lane->own = lane_slots[lane->index] = slots;
}

static void slots_empty(struct lane *lane)
{
	struct slots *slots = lane->own;

	for (uint32_t i = 0; i < slots->nr; i++) {
		object_end(slots->object[i], true);
		slots->object[i] = NULL;
	}
}

/* ---- Pairs and batches ---- */

static void pair_prepare(struct lane *lane)
{
	slots_prepare(lane, 0);
}

static __inline_always void pair64_body(struct lane *lane, bool checked)
{
	while (lane_goes_on()) {
		for (unsigned int i = 0; i < BLOCK_OPS; i++)
			object_end(object_new(64, checked), checked);
		lane->nr_ops += BLOCK_OPS;
	}
}
ROW_WORK(pair64)

/* A shuffle, the same for every allocator. */
static void batch_prepare(struct lane *lane)
{
	struct slots *slots;

	slots_prepare(lane, BATCH);
	slots = lane->own;
	for (uint32_t i = 0; i < BATCH; i++) {
		uint32_t j = rng_below(&lane->rng, i + 1);

		slots->order[i] = slots->order[j];
		slots->order[j] = (uint16_t)i;
	}
}

static __inline_always void batch(struct lane *lane, bool mixed, bool shuffled, bool checked)
{
	struct slots *slots = lane->own;

	while (lane_goes_on()) {
		for (uint32_t i = 0; i < BATCH; i++)
			slots->object[i] = object_new(mixed ? small_size(&lane->rng) : 64, checked);
		for (uint32_t i = BATCH; i-- > 0;)
			object_end(slots->object[shuffled ? slots->order[i] : i], checked);
		lane->nr_ops += BATCH;
	}
	memset(slots->object, 0, sizeof(slots->object[0]) * BATCH);
}

static __inline_always void batch64_body(struct lane *lane, bool checked)
{
	batch(lane, false, false, checked);
}
ROW_WORK(batch64)

static __inline_always void batch_reverse_body(struct lane *lane, bool checked)
{
	batch(lane, true, false, checked);
}
ROW_WORK(batch_reverse)

static __inline_always void batch_random_body(struct lane *lane, bool checked)
{
	batch(lane, true, true, checked);
}
ROW_WORK(batch_random)

static void bursts_prepare(struct lane *lane)
{
	slots_prepare(lane, BURST);
}

/* What one size has freed is of use to the next one only if it changes its class. */
static __inline_always void bursts_body(struct lane *lane, bool checked)
{
	static const uint32_t sizes[] = { 16, 1024, 48, 4096, 96, 256, 2048, 32, 640, 128, 3072,
					  64, 1536, 192, 512, 320 };
	struct slots *slots = lane->own;

	for (unsigned int at = lane->index; lane_goes_on(); at++) {
		uint32_t bytes = sizes[at % ARRAY_SIZE(sizes)];

		for (uint32_t i = 0; i < BURST; i++)
			slots->object[i] = object_new(bytes, checked);
		for (uint32_t i = 0; i < BURST; i++)
			object_end(slots->object[i], checked);
		lane->nr_ops += BURST;
	}
	memset(slots->object, 0, sizeof(slots->object[0]) * BURST);
}
ROW_WORK(bursts)

static void calloc_prepare(struct lane *lane)
{
	slots_prepare(lane, CALLOC_BATCH);
}

static void zero_check(const unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i])
			die("calloc'ed byte %zu of %p is not zero", i, (const void *)p);
}

static __inline_always void calloc256_body(struct lane *lane, bool checked)
{
	struct slots *slots = lane->own;

	while (lane_goes_on()) {
		for (uint32_t i = 0; i < CALLOC_BATCH; i++) {
			slots->object[i] = calloc(1, 256);
			if (!slots->object[i])
				die("calloc failed");
			if (checked)
				zero_check(slots->object[i], 256);
			object_write(slots->object[i], 256, checked);
		}
		for (uint32_t i = CALLOC_BATCH; i-- > 0;)
			object_end(slots->object[i], checked);
		lane->nr_ops += CALLOC_BATCH;
	}
	memset(slots->object, 0, sizeof(slots->object[0]) * CALLOC_BATCH);
}
ROW_WORK(calloc256)

/* ---- Random replacement ---- */

static void replace10k_prepare(struct lane *lane)
{
	slots_prepare(lane, 10000 / lane->nr_lanes);
}

static void replace1m_prepare(struct lane *lane)
{
	slots_prepare(lane, 1000000 / lane->nr_lanes);
}

static void replace_fill(struct lane *lane)
{
	struct slots *slots = lane->own;

	for (uint32_t i = 0; i < slots->nr; i++)
		slots->object[i] = object_new(small_size(&lane->rng), true);
}

static __inline_always void replace_with(struct lane *lane, bool checked,
					 void *(*new)(struct lane *lane, bool checked))
{
	struct slots *slots = lane->own;

	while (lane_goes_on()) {
		for (unsigned int i = 0; i < BLOCK_OPS; i++) {
			void **slot = &slots->object[rng_below(&lane->rng, slots->nr)];

			object_end(*slot, checked);
			*slot = new(lane, checked);
		}
		lane->nr_ops += BLOCK_OPS;
	}
}

static __inline_always void *small_new(struct lane *lane, bool checked)
{
	return object_new(small_size(&lane->rng), checked);
}

static __inline_always void replace_body(struct lane *lane, bool checked)
{
	replace_with(lane, checked, small_new);
}

ROW_WORK(replace)

static void *aligned_new(struct lane *lane, bool checked)
{
	uint32_t bytes = SMALL_MIN + rng_below(&lane->rng, KIB);
	void *p;

	if (posix_memalign(&p, 64, bytes))
		die("posix_memalign(64, %u) failed", bytes);
	if (checked && (uintptr_t)p % 64)
		die("%p is not aligned to 64", p);
	object_write(p, bytes, checked);
	return p;
}

static void aligned64_prepare(struct lane *lane)
{
	slots_prepare(lane, ALIGNED_LIVE);
}

static void aligned64_fill(struct lane *lane)
{
	struct slots *slots = lane->own;

	for (uint32_t i = 0; i < slots->nr; i++)
		slots->object[i] = aligned_new(lane, true);
}

static __inline_always void aligned64_body(struct lane *lane, bool checked)
{
	replace_with(lane, checked, aligned_new);
}
ROW_WORK(aligned64)

/* ---- What a small program needs ---- */

static void small_loop_prepare(struct lane *lane)
{
	slots_prepare(lane, 100);
}

/* ---- Single calls ---- */

static void latency_prepare(struct lane *lane)
{
	slots_prepare(lane, LATENCY_LIVE);
}

static __inline_always void latency_body(struct lane *lane, bool checked)
{
	struct slots *slots = lane->own;

	/* The warm-up's calls do not count. */
	memset(&slots->latency, 0, sizeof(slots->latency));
	while (lane_goes_on()) {
		for (unsigned int i = 0; i < BLOCK_OPS; i++) {
			void **slot = &slots->object[rng_below(&lane->rng, slots->nr)];
			uint32_t bytes = small_size(&lane->rng);
			uint64_t start;
			void *p;

			object_end(*slot, checked);
			start = ticks_now();
			p = malloc(bytes);
			histogram_add(&slots->latency, ticks_now() - start);
			if (!p)
				die("malloc(%u) failed", bytes);
			object_write(p, bytes, checked);
			*slot = p;
		}
		lane->nr_ops += BLOCK_OPS;
	}
}
ROW_WORK(latency)

static double latency_figure(void)
{
	static struct histogram sum;

	for (unsigned int i = 0; i < MAX_LANES && lane_slots[i]; i++)
		histogram_merge(&sum, &lane_slots[i]->latency);
	return histogram_quantile_ns(&sum, 0.999);
}

/* ---- The rows ---- */

#define REPLACE	.fill = replace_fill, .work = WORK_OF(replace), .empty = slots_empty

const struct row rows_local[] = {
	{
		.name = "pair64", .text = "malloc(64) and free in turn",
		.prepare = pair_prepare, .work = WORK_OF(pair64),
	}, {
		.name = "batch64", .text = "1000 of 64 B, freed the latest first",
		.prepare = batch_prepare, .work = WORK_OF(batch64),
	}, {
		.name = "batch_reverse", .text = "1000 of 16 to 512 B, freed the latest first",
		.prepare = batch_prepare, .work = WORK_OF(batch_reverse),
	}, {
		.name = "batch_random", .text = "1000 of 16 to 512 B, freed at random",
		.prepare = batch_prepare, .work = WORK_OF(batch_random),
	}, {
		.name = "bursts",
		.text = "2000 of one size, freed the oldest first; then the next of 16 sizes, "
			"16 B to 4 KiB",
		.prepare = bursts_prepare, .work = WORK_OF(bursts),
	}, {
		.name = "replace10k",
		.text = "10000 live of 16 to 512 B, shared out to the threads; each operation "
			"replaces one at random",
		.prepare = replace10k_prepare, REPLACE,
	}, {
		.name = "replace1m", .text = "the same with 1000000 live",
		.prepare = replace1m_prepare, REPLACE,
	}, {
		.name = "calloc256", .text = "100 times calloc(1, 256), freed the latest first",
		.prepare = calloc_prepare, .work = WORK_OF(calloc256),
	}, {
		.name = "aligned64",
		.text = "posix_memalign(64) of 16 B to 1 KiB, 1000 live a thread, one at random "
			"replaced",
		.prepare = aligned64_prepare, .fill = aligned64_fill, .work = WORK_OF(aligned64),
		.empty = slots_empty,
	}, {
		.name = "small_loop", .kind = ROW_MEMORY, .max_lanes = 1,
		.text = "a program that keeps 100 objects of 16 to 512 B",
		.prepare = small_loop_prepare, REPLACE,
	}, {
		.name = "latency", .kind = ROW_LATENCY, .max_lanes = 4,
		.text = "malloc's p99.9 in ns; 100000 live of 16 to 512 B a thread, one at random "
			"replaced; numarena with memory reserved and nothing given back",
		.prepare = latency_prepare, .fill = replace_fill, .work = WORK_OF(latency),
		.empty = slots_empty, .figure = latency_figure,
	},
};
const size_t nr_rows_local = ARRAY_SIZE(rows_local);
