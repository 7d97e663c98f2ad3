// SPDX-License-Identifier: MIT
/* Rows about threads that come and go, and what they leave to those who come after. */
#include "lane.h"

#include <pthread.h>
#include <string.h>

#define BLOCK_OPS	64

/* larson: as its authors' server: slots a thread, and how often it fills them anew. */
#define LARSON_SLOTS	1000
#define LARSON_ROUNDS	100
#define LARSON_MIN	8
#define LARSON_MAX	1000

/* stress_gen */
#define STRESS_SHARED	1000	/* places that all threads use, whoever they are */
#define STRESS_LIVE	256	/* a thread's own: replaced at random, freed at its end */
#define STRESS_KEPT	1024	/* kept until its end */
#define STRESS_OPS	50000	/* of one thread, about 3 ms */

#define SHORT_OBJECTS	300

#define NR_SLEEPERS	1000
#define SLEEPER_BYTES	(10 * KIB)
#define SLEEPER_STACK	(64 * KIB)

/* What a lane's threads inherit from each other. */
struct lineage {
	struct lane *lane;
	bool checked;
	void *object[];
};

static void lineage_prepare(struct lane *lane, uint32_t nr)
{
	struct lineage *own = own_map(sizeof(*own) + nr * sizeof(own->object[0]));

	own->lane = lane;
	lane->own = own;
}

static void lineage_work(struct lane *lane, void *(*work)(void *), bool checked)
{
	struct lineage *own = lane->own;

	own->checked = checked;
	while (lane_goes_on())
		lane_run_thread(work, own);
}

static void objects_end(void **object, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		object_end(object[i], true);
		object[i] = NULL;
	}
}

/* ---- A server whose threads are replaced ---- */

static void larson_prepare(struct lane *lane)
{
	lineage_prepare(lane, LARSON_SLOTS);
}

static uint32_t larson_size(struct rng *rng)
{
	return LARSON_MIN + rng_below(rng, LARSON_MAX - LARSON_MIN + 1);
}

static void larson_fill(struct lane *lane)
{
	struct lineage *own = lane->own;

	for (uint32_t i = 0; i < LARSON_SLOTS; i++)
		own->object[i] = object_new(larson_size(&lane->rng), true);
}

static __inline_always void *larson_life(struct lineage *own, bool checked)
{
	struct rng *rng = &own->lane->rng;

	for (uint32_t n = 0; n < LARSON_ROUNDS * LARSON_SLOTS && lane_goes_on(); n += BLOCK_OPS) {
		for (unsigned int i = 0; i < BLOCK_OPS; i++) {
			void **slot = &own->object[rng_below(rng, LARSON_SLOTS)];

			object_end(*slot, checked);
			*slot = object_new(larson_size(rng), checked);
		}
		own->lane->nr_ops += BLOCK_OPS;
	}
	return NULL;
}

static void *larson_thread(void *arg)
{
	struct lineage *own = arg;

	return own->checked ? larson_life(own, true) : larson_life(own, false);
}

static __inline_always void larson_body(struct lane *lane, bool checked)
{
	lineage_work(lane, larson_thread, checked);
}
ROW_WORK(larson)

static void larson_empty(struct lane *lane)
{
	struct lineage *own = lane->own;

	objects_end(own->object, LARSON_SLOTS);
}

/* ---- Generations under stress ---- */

static void *_Atomic shared[STRESS_SHARED];

static void stress_prepare(struct lane *lane)
{
	lineage_prepare(lane, STRESS_LIVE + STRESS_KEPT);
}

/* Small ones mostly; one in 64 up to 8 KiB, one in 1024 up to 64 KiB. */
static uint32_t stress_size(struct rng *rng)
{
	uint32_t dice = rng_below(rng, 1024);

	if (!dice)
		return SMALL_MIN + rng_below(rng, 64 * KIB);
	return dice < 16 ? SMALL_MIN + rng_below(rng, 8 * KIB) : small_size(rng);
}

/* Pairs with itself: an object is written before it is given away, and read after. */
static void *shared_swap(struct rng *rng, void *object)
{
	return atomic_exchange_explicit(&shared[rng_below(rng, STRESS_SHARED)], object,
					memory_order_acq_rel);
}

/*
 * Of eight operations one keeps its object to the thread's end, two give it away and free
 * what lay there, and five replace one of the thread's own.
 */
static __inline_always void stress_op(struct lineage *own, uint32_t *nr_kept, bool checked)
{
	struct rng *rng = &own->lane->rng;
	uint32_t dice = rng_below(rng, 8);
	void *new = object_new(stress_size(rng), checked);
	void **slot;

	if (!dice && *nr_kept < STRESS_KEPT) {
		own->object[STRESS_LIVE + (*nr_kept)++] = new;
	} else if (dice < 3) {
		object_end(shared_swap(rng, new), checked);
	} else {
		slot = &own->object[rng_below(rng, STRESS_LIVE)];
		object_end(*slot, checked);
		*slot = new;
	}
}

static __inline_always void *stress_life(struct lineage *own, bool checked)
{
	uint32_t nr_kept = 0;

	for (uint32_t n = 0; n < STRESS_OPS && lane_goes_on(); n += BLOCK_OPS) {
		for (unsigned int i = 0; i < BLOCK_OPS; i++)
			stress_op(own, &nr_kept, checked);
		own->lane->nr_ops += BLOCK_OPS;
	}
	objects_end(own->object, STRESS_LIVE + nr_kept);
	return NULL;
}

static void *stress_thread(void *arg)
{
	struct lineage *own = arg;

	return own->checked ? stress_life(own, true) : stress_life(own, false);
}

static __inline_always void stress_gen_body(struct lane *lane, bool checked)
{
	lineage_work(lane, stress_thread, checked);
}
ROW_WORK(stress_gen)

static void stress_empty(struct lane *lane)
{
	for (uint32_t i = lane->index; i < STRESS_SHARED; i += lane->nr_lanes)
		object_end(atomic_exchange_explicit(&shared[i], NULL, memory_order_acquire), true);
}

/* ---- Short lives ---- */

static void short_prepare(struct lane *lane)
{
	lineage_prepare(lane, SHORT_OBJECTS);
}

static void *short_thread(void *arg)
{
	struct lineage *own = arg;

	for (uint32_t i = 0; i < SHORT_OBJECTS; i++)
		own->object[i] = object_new(small_size(&own->lane->rng), own->checked);
	for (uint32_t i = 0; i < SHORT_OBJECTS; i++)
		object_end(own->object[i], own->checked);
	own->lane->nr_ops += SHORT_OBJECTS;
	return NULL;
}

static __inline_always void short_body(struct lane *lane, bool checked)
{
	lineage_work(lane, short_thread, checked);
}
ROW_WORK(short)

/* ---- Threads that sleep ---- */

static struct {
	pthread_t id[NR_SLEEPERS];
	pthread_barrier_t asleep;
	pthread_barrier_t woken;
} sleepers;

static void sleepers_prepare(struct lane *lane)
{
	(void)lane;
	pthread_barrier_init(&sleepers.asleep, NULL, NR_SLEEPERS + 1);
	pthread_barrier_init(&sleepers.woken, NULL, NR_SLEEPERS + 1);
}

static void *sleeper_thread(void *arg)
{
	char *p = object_new(SLEEPER_BYTES, true);

	memset(p + sizeof(uint64_t), 1, SLEEPER_BYTES - sizeof(uint64_t) - 1);
	pthread_barrier_wait(&sleepers.asleep);
	pthread_barrier_wait(&sleepers.woken);
	object_end(p, true);
	return arg;
}

/* Whatever the clock says, once in the warm-up: the peak is what is looked at. */
static __inline_always void sleepers_body(struct lane *lane, bool checked)
{
	pthread_attr_t attr;

	(void)checked;
	if (lane->nr_ops || lane->pass > 1)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SLEEPER_STACK);
	for (unsigned int i = 0; i < NR_SLEEPERS; i++) {
		int err = pthread_create(&sleepers.id[i], &attr, sleeper_thread, NULL);

		if (err)
			die("sleeper %u: %s", i, strerror(err));
	}
	pthread_attr_destroy(&attr);
	pthread_barrier_wait(&sleepers.asleep);
	pthread_barrier_wait(&sleepers.woken);
	for (unsigned int i = 0; i < NR_SLEEPERS; i++)
		pthread_join(sleepers.id[i], NULL);
	lane->nr_ops += NR_SLEEPERS;
}
ROW_WORK(sleepers)

/* ---- The rows ---- */

const struct row rows_threads[] = {
	{
		.name = "larson",
		.text = "a server: 1000 live of 8 to 1000 B a thread, one at random replaced; after "
			"100000 operations the thread leaves them to its successor and ends",
		.prepare = larson_prepare, .fill = larson_fill, .work = WORK_OF(larson),
		.empty = larson_empty,
	}, {
		.name = "stress_gen",
		.text = "16 B to 64 KiB, mostly small, some kept, some given to other threads; each "
			"thread ends after 50000 operations and another begins",
		.prepare = stress_prepare, .work = WORK_OF(stress_gen), .empty = stress_empty,
	}, {
		.name = "short_threads",
		.text = "each thread allocates and frees 300 objects of 16 to 512 B, ends, and "
			"another begins",
		.prepare = short_prepare, .work = WORK_OF(short),
	}, {
		.name = "sleepers", .kind = ROW_MEMORY, .max_lanes = 1,
		.text = "1000 threads that hold 10 KiB each and sleep",
		.prepare = sleepers_prepare, .work = WORK_OF(sleepers),
	},
};
const size_t nr_rows_threads = ARRAY_SIZE(rows_threads);
