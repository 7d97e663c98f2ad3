// SPDX-License-Identifier: MIT
#include "workload.h"

#include <malloc.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define KIB	1024U
#define MIB	(1024U * KIB)

/* Operations between two looks at the neighbours: rings, live bytes, the drift. */
#define BLOCK_OPS	64
/* Blocks between two sums of the team's live bytes, each a cache miss a thread. */
#define SUM_BLOCKS	16

/* Of a thread's live objects, so small a part may be on the way to their end. */
#define RING_DIVISOR	16
/* LOAD_BUDGET: bytes a place in the ring, twice the mean size at the drift's upper end. */
#define BUDGET_PARCEL	(256 * KIB)

#define OCTAVE_SHIFT	16	/* log_low and its kin count 1/65536 of an octave */
#define POWER_SHIFT	8	/* and the table of powers has 256 entries in one */

#define __inline_always	inline __attribute__((always_inline))

static const struct workload workloads[] = {
	{
		.name = "rl_small",
		.text = "uniform 16 to 512 B, 100000 live a thread; each operation frees "
			"one at random and allocates its successor",
		.kind = LOAD_REPLACE, .nr_live = 100000, .size_min = 16, .size_max = 512,
	}, {
		.name = "rl_medium",
		.text = "uniform 128 to 4096 B, 20000 live a thread; as rl_small, but a "
			"third of the operations free at once what they allocate",
		.kind = LOAD_REPLACE, .nr_live = 20000, .size_min = 128, .size_max = 4 * KIB,
		.transient_in = 3,
	}, {
		.name = "fragmentation_mix",
		.text = "log-uniform, 64 MiB live a thread; each operation allocates and "
			"frees at random what exceeds that; sizes drift from 16 B to 64 KiB "
			"up to 256 B to 1 MiB over a pass, and back over the next",
		.kind = LOAD_BUDGET, .nr_live = 1U << 15, .live_bytes = 64 * MIB,
		.size_min = 16, .size_max = MIB, .log_uniform = true, .drift_octaves = 4,
	}, {
		.name = "alignment64",
		.text = "posix_memalign 64, log-uniform 64 B to 64 KiB, 5000 live a thread; "
			"as rl_small, but the whole buffer is written",
		.kind = LOAD_REPLACE, .nr_live = 5000, .size_min = 64, .size_max = 64 * KIB,
		.log_uniform = true, .alignment = 64, .write_all = true,
	}, {
		.name = "free_only",
		.text = "uniform 16 to 512 B, 131072 live a pair of threads; one thread "
			"allocates, the other frees in the same order, and does nothing else",
		.kind = LOAD_HANDOVER, .nr_live = 1U << 17, .size_min = 16, .size_max = 512,
	},
};

/* 2^(i/256) in 1/65536, i = 0 to 256. */
static uint32_t power[(1U << POWER_SHIFT) + 1];

const struct workload *workload_at(unsigned int i)
{
	return i < ARRAY_SIZE(workloads) ? &workloads[i] : NULL;
}

const struct workload *workload_find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	return NULL;
}

/* ---- Sizes ---- */

static void power_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(power); i++)
		power[i] = (uint32_t)lround(ldexp(exp2((double)i / (1U << POWER_SHIFT)),
						  OCTAVE_SHIFT));
}

/* 2^log, where log counts 1/65536 of an octave. */
static __inline_always uint32_t power_of(uint32_t log)
{
	uint32_t fraction = log & ((1U << OCTAVE_SHIFT) - 1);
	uint32_t i = fraction >> (OCTAVE_SHIFT - POWER_SHIFT);
	uint32_t rest = fraction & ((1U << (OCTAVE_SHIFT - POWER_SHIFT)) - 1);
	uint32_t mantissa = power[i] +
		((power[i + 1] - power[i]) * rest >> (OCTAVE_SHIFT - POWER_SHIFT));

	return (uint32_t)((uint64_t)mantissa << (log >> OCTAVE_SHIFT) >> OCTAVE_SHIFT);
}

static uint32_t log_of(uint32_t power_of_two)
{
	return (uint32_t)__builtin_ctz(power_of_two) << OCTAVE_SHIFT;
}

/* How wide the window of sizes is. */
static __inline_always uint32_t log_span(const struct workload *load)
{
	return log_of(load->size_max) - log_of(load->size_min) -
		(load->drift_octaves << OCTAVE_SHIFT);
}

static __inline_always uint32_t size_draw(struct worker *worker)
{
	const struct workload *load = worker->load;

	if (load->log_uniform)
		return power_of(worker->log_low + rng_below(&worker->rng, log_span(load) + 1));
	return load->size_min + rng_below(&worker->rng, load->size_max - load->size_min + 1);
}

/* Up over the throughput pass, down over the latency pass: no step in between. */
static void size_drift(struct worker *worker, uint64_t done, uint64_t nr_ops, enum pass pass)
{
	uint64_t range = (uint64_t)worker->load->drift_octaves << OCTAVE_SHIFT;

	if (pass == PASS_WARM)
		return;
	if (pass == PASS_TIMED)
		done = nr_ops - done;
	worker->log_low = log_of(worker->load->size_min) + (uint32_t)(range * done / nr_ops);
}

/* ---- Objects ---- */

/* Of two objects that overlap, the later one's mark differs from the earlier one's. */
static __inline_always unsigned char mark_of(const void *object, uint32_t bytes)
{
	return (unsigned char)(((uintptr_t)object >> 4) ^ bytes);
}

static __inline_always void object_mark(void *object, uint32_t bytes, bool write_all)
{
	unsigned char *byte = object;

	if (write_all)
		memset(byte, mark_of(object, bytes), bytes);
	byte[0] = mark_of(object, bytes);
	byte[bytes - 1] = (unsigned char)~mark_of(object, bytes);
}

static void object_check(const void *object, uint32_t bytes)
{
	const unsigned char *byte = object;
	unsigned char mark = mark_of(object, bytes);

	if (byte[0] != mark || byte[bytes - 1] != (unsigned char)~mark)
		die("object %p of %u bytes was overwritten", object, bytes);
}

static __inline_always void *object_get(const struct workload *load, uint32_t bytes)
{
	void *object;

	if (!load->alignment)
		return malloc(bytes);
	return posix_memalign(&object, load->alignment, bytes) ? NULL : object;
}

static __inline_always void *object_new(struct worker *worker, uint32_t bytes, enum pass pass)
{
	const struct workload *load = worker->load;
	uintptr_t alignment = load->alignment ? load->alignment : _Alignof(max_align_t);
	uint64_t start = pass == PASS_TIMED ? ticks_now() : 0;
	void *object = object_get(load, bytes);

	if (pass == PASS_TIMED)
		histogram_add(&worker->alloc, ticks_now() - start);
	if (!object)
		die("%u bytes refused", bytes);
	if ((uintptr_t)object & (alignment - 1))
		die("object %p of %u bytes is not aligned to %zu", object, bytes, alignment);
	object_mark(object, bytes, load->write_all);
	worker->live_bytes += bytes;
	return object;
}

static __inline_always void object_delete(struct worker *worker, void *object, uint32_t bytes,
					  enum pass pass)
{
	uint64_t start;

	worker->live_bytes -= bytes;
	worker->nr_frees++;
	if (pass == PASS_WARM)
		object_check(object, bytes);
	start = pass == PASS_TIMED ? ticks_now() : 0;
	free(object);
	if (pass == PASS_TIMED)
		histogram_add(&worker->free, ticks_now() - start);
}

/* A full ring is no reason to wait: the object is then freed here, and counted so. */
static __inline_always void object_release(struct worker *worker, void *object, uint32_t bytes,
					   enum pass pass)
{
	if (worker->out && rng_next(&worker->rng) < worker->remote_below &&
	    ring_put(worker->out, object, bytes))
		return;
	object_delete(worker, object, bytes, pass);
}

/* ---- Operations ---- */

static __inline_always void slot_fill(struct worker *worker, uint32_t slot, uint32_t bytes,
				      enum pass pass)
{
	worker->object[slot] = object_new(worker, bytes, pass);
	worker->bytes[slot] = bytes;
}

static __inline_always void op_replace(struct worker *worker, enum pass pass)
{
	const struct workload *load = worker->load;
	uint32_t bytes = size_draw(worker), slot;

	if (load->transient_in && !rng_below(&worker->rng, load->transient_in)) {
		object_delete(worker, object_new(worker, bytes, pass), bytes, pass);
		return;
	}
	slot = rng_below(&worker->rng, load->nr_live);
	object_release(worker, worker->object[slot], worker->bytes[slot], pass);
	slot_fill(worker, slot, bytes, pass);
}

static __inline_always void release_random(struct worker *worker, enum pass pass)
{
	uint32_t slot = rng_below(&worker->rng, worker->nr_live);
	uint32_t last = --worker->nr_live;
	void *object = worker->object[slot];
	uint32_t bytes = worker->bytes[slot];

	worker->object[slot] = worker->object[last];
	worker->bytes[slot] = worker->bytes[last];
	worker->held_bytes -= bytes;
	object_release(worker, object, bytes, pass);
}

static __inline_always void op_budget(struct worker *worker, enum pass pass)
{
	const struct workload *load = worker->load;
	uint32_t bytes = size_draw(worker);

	while (worker->held_bytes + bytes > load->live_bytes || worker->nr_live == load->nr_live)
		release_random(worker, pass);
	slot_fill(worker, worker->nr_live++, bytes, pass);
	worker->held_bytes += bytes;
}

/* ---- Blocks of operations ---- */

/* Free what others have sent so far. */
static __inline_always void inbox_drain(struct worker *worker, struct ring *ring, uint32_t nr,
					enum pass pass)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct parcel parcel = ring_peek(ring, i);

		object_delete(worker, parcel.object, parcel.bytes, pass);
	}
	worker->nr_remote_frees += nr;
	ring_take(ring, nr);
}

static __inline_always void inboxes_drain(struct worker *worker, enum pass pass)
{
	for (unsigned int i = 0; i < worker->nr_inboxes; i++)
		inbox_drain(worker, worker->inbox[i], ring_waiting(worker->inbox[i]), pass);
}

static __inline_always void block_replace(struct worker *worker, unsigned int nr, enum pass pass)
{
	for (unsigned int i = 0; i < nr; i++)
		op_replace(worker, pass);
}

static __inline_always void block_budget(struct worker *worker, unsigned int nr, enum pass pass)
{
	for (unsigned int i = 0; i < nr; i++)
		op_budget(worker, pass);
}

/*
 * The consumer keeps three quarters of the live objects waiting, so that how many
 * are live does not depend on which of the two threads is faster.
 */
static __inline_always void block_handover(struct worker *worker, unsigned int nr, enum pass pass)
{
	if (worker->out) {
		while (ring_send(worker->out), worker->out->room < nr)
			sched_yield();
		for (unsigned int i = 0; i < nr; i++) {
			uint32_t bytes = size_draw(worker);

			ring_put(worker->out, object_new(worker, bytes, pass), bytes);
		}
	} else {
		struct ring *inbox = worker->inbox[0];

		while (ring_waiting(inbox) < inbox->capacity / 4 * 3 + nr)
			sched_yield();
		inbox_drain(worker, inbox, nr, pass);
	}
}

/* Live bytes are the team's; each thread knows but what it added and took away. */
static void live_publish(struct worker *worker)
{
	atomic_store_explicit(&worker->published_bytes, worker->live_bytes,
			      memory_order_relaxed);
}

static void live_sum(struct worker *worker)
{
	int64_t sum = 0;

	live_publish(worker);
	for (unsigned int i = 0; i < worker->nr_team; i++)
		sum += atomic_load_explicit(&worker->team[i].published_bytes,
					    memory_order_relaxed);
	if (sum > worker->peak_bytes)
		worker->peak_bytes = sum;
}

static __inline_always void block_run(struct worker *worker, unsigned int nr, enum load_kind kind,
				      enum pass pass)
{
	switch (kind) {
	case LOAD_REPLACE:
		block_replace(worker, nr, pass);
		break;
	case LOAD_BUDGET:
		block_budget(worker, nr, pass);
		break;
	case LOAD_HANDOVER:
		block_handover(worker, nr, pass);
		break;
	}
	if (worker->out)
		ring_send(worker->out);
	if (kind != LOAD_HANDOVER)
		inboxes_drain(worker, pass);
}

static __inline_always void blocks_run(struct worker *worker, uint64_t nr_ops,
				       enum load_kind kind, enum pass pass)
{
	uint64_t done, nr_blocks = 0;
	unsigned int nr;

	for (done = 0; done < nr_ops; done += nr) {
		nr = nr_ops - done < BLOCK_OPS ? (unsigned int)(nr_ops - done) : BLOCK_OPS;
		if (kind == LOAD_BUDGET)
			size_drift(worker, done, nr_ops, pass);
		block_run(worker, nr, kind, pass);
		live_publish(worker);
		if (nr_blocks++ % SUM_BLOCKS == 0)
			live_sum(worker);
	}
}

/* Compiled once for each kind and pass, so that no operation asks which it is. */
void worker_run(struct worker *worker, uint64_t nr_ops, enum pass pass)
{
#define RUN(kind_)							\
	case kind_:							\
		if (pass == PASS_PLAIN)					\
			blocks_run(worker, nr_ops, kind_, PASS_PLAIN);	\
		else if (pass == PASS_TIMED)				\
			blocks_run(worker, nr_ops, kind_, PASS_TIMED);	\
		else							\
			blocks_run(worker, nr_ops, kind_, PASS_WARM);	\
		break

	switch (worker->load->kind) {
	RUN(LOAD_REPLACE);
	RUN(LOAD_BUDGET);
	RUN(LOAD_HANDOVER);
	}
#undef RUN
}

/* ---- Before, between and after ---- */

/* A reader that is not running must not let the live set grow out of its bounds. */
static uint32_t remote_capacity(const struct workload *load)
{
	if (load->kind == LOAD_BUDGET)
		return (uint32_t)(load->live_bytes / BUDGET_PARCEL);
	return load->nr_live / RING_DIVISOR;
}

/* What is freed at once is freed by its own thread, so more of the rest must go. */
static uint32_t remote_threshold(const struct workload *load, double share)
{
	if (load->transient_in)
		share /= 1 - 1.0 / load->transient_in;
	return share < 1 ? (uint32_t)(share * UINT32_MAX) : UINT32_MAX;
}

void worker_prepare(struct worker *worker, const struct workload *load, uint64_t seed,
		    double remote_share)
{
	power_init();
	worker->load = load;
	worker->rng = rng_seeded(seed, worker->index);
	worker->log_low = load->log_uniform ? log_of(load->size_min) : 0;
	if (load->kind == LOAD_HANDOVER) {
		if (worker->reader)
			worker->out = ring_new(load->nr_live);
		return;
	}
	worker->object = own_map(load->nr_live * sizeof(*worker->object));
	worker->bytes = own_map(load->nr_live * sizeof(*worker->bytes));
	if (worker->reader && remote_share > 0) {
		worker->out = ring_new(remote_capacity(load));
		worker->remote_below = remote_threshold(load, remote_share);
	}
}

void worker_link(struct worker *worker)
{
	worker->inbox = own_map(worker->nr_team * sizeof(struct ring *));
	for (unsigned int i = 0; i < worker->nr_team; i++)
		if (worker->team[i].out && worker->team[i].reader == worker)
			worker->inbox[worker->nr_inboxes++] = worker->team[i].out;
}

static void fill_handover(struct worker *worker)
{
	if (!worker->out)
		return;
	for (uint32_t i = 0; i < worker->load->nr_live; i++) {
		uint32_t bytes = size_draw(worker);

		ring_put(worker->out, object_new(worker, bytes, PASS_WARM), bytes);
	}
	ring_send(worker->out);
}

static void fill_replace(struct worker *worker)
{
	for (; worker->nr_live < worker->load->nr_live; worker->nr_live++)
		slot_fill(worker, worker->nr_live, size_draw(worker), PASS_WARM);
}

static void fill_budget(struct worker *worker)
{
	while (worker->held_bytes + worker->load->size_max <= worker->load->live_bytes &&
	       worker->nr_live < worker->load->nr_live)
		op_budget(worker, PASS_WARM);
}

void worker_fill(struct worker *worker)
{
	switch (worker->load->kind) {
	case LOAD_REPLACE:
		fill_replace(worker);
		break;
	case LOAD_BUDGET:
		fill_budget(worker);
		break;
	case LOAD_HANDOVER:
		fill_handover(worker);
		break;
	}
	live_sum(worker);
}

void worker_each(struct worker *worker,
		 void (*visit)(struct worker *worker, void *object, uint32_t bytes, void *arg),
		 void *arg)
{
	for (uint32_t i = 0; i < worker->nr_live; i++)
		visit(worker, worker->object[i], worker->bytes[i], arg);
	for (uint32_t i = 0; worker->out && i < ring_waiting(worker->out); i++) {
		struct parcel parcel = ring_peek(worker->out, i);

		visit(worker, parcel.object, parcel.bytes, arg);
	}
}

static void visit_check(struct worker *worker, void *object, uint32_t bytes, void *unused)
{
	(void)worker;
	(void)unused;
	object_check(object, bytes);
}

void worker_check(struct worker *worker)
{
	live_sum(worker);
	worker_each(worker, visit_check, NULL);
}

static void visit_free(struct worker *worker, void *object, uint32_t bytes, void *unused)
{
	(void)worker;
	(void)bytes;
	(void)unused;
	free(object);
}

void worker_empty(struct worker *worker)
{
	worker_each(worker, visit_free, NULL);
	worker->nr_live = 0;
	worker->out = NULL;
}
