// SPDX-License-Identifier: MIT
/*
 * Rows in which one lane frees what another allocated.
 *
 * Every pair of lanes that has something to hand over has a ring of its own, so that the
 * lanes meet in the allocator and not in the benchmark.  A lane that finds nothing to do
 * gives its processor away: with more lanes than processors, whoever it waits for needs it.
 */
#include "exchange.h"
#include "lane.h"

#define BLOCK		64U	/* objects between two looks at a ring's other side */
#define RING_SMALL	1024U	/* what waits at most: enough to work, and stay in the cache */
#define RING_LARGE	32768U	/* free_only: enough for whole slabs to lie with the other lane */
#define RING_EACH	256U	/* all to all: a lane has so many rings */

struct channel {
	struct ring *ring;
	_Atomic unsigned int ended;	/* by the writer: the last pass it has done with */
};

struct handover {
	uint32_t nr_out, nr_in;
	struct channel *out[MAX_LANES], *in[MAX_LANES];
	uint32_t turn;			/* the ring to be served next */
	unsigned int idle;
};

/* By writer and reader.  All lanes are prepared, in order, before any runs. */
static struct channel channels[MAX_LANES][MAX_LANES];

static struct handover *handover_prepare(struct lane *lane)
{
	return lane->own = own_map(sizeof(struct handover));
}

/* A writer is prepared before its reader or with it: whoever comes first makes the ring. */
static struct channel *channel_of(unsigned int writer, unsigned int reader, uint32_t capacity)
{
	struct channel *channel = &channels[writer][reader];

	if (!channel->ring)
		channel->ring = ring_new(capacity);
	return channel;
}

static void pairs_prepare(struct lane *lane, uint32_t capacity)
{
	struct handover *own = handover_prepare(lane);

	if (lane->index % 2)
		own->in[own->nr_in++] = channel_of(lane->index - 1, lane->index, capacity);
	else
		own->out[own->nr_out++] = channel_of(lane->index, lane->index + 1, capacity);
}

static void prodcons_prepare(struct lane *lane)
{
	pairs_prepare(lane, RING_SMALL);
}

static void free_only_prepare(struct lane *lane)
{
	pairs_prepare(lane, RING_LARGE);
}

static void n2n_prepare(struct lane *lane)
{
	struct handover *own = handover_prepare(lane);

	for (unsigned int i = 0; i < lane->nr_lanes; i++) {
		if (i == lane->index)
			continue;
		own->out[own->nr_out++] = channel_of(lane->index, i, RING_EACH);
		own->in[own->nr_in++] = channel_of(i, lane->index, RING_EACH);
	}
}

static void asymmetric_prepare(struct lane *lane)
{
	struct handover *own = handover_prepare(lane);

	if (lane->index) {
		own->in[own->nr_in++] = channel_of(0, lane->index, RING_SMALL);
		return;
	}
	for (unsigned int i = 1; i < lane->nr_lanes; i++)
		own->out[own->nr_out++] = channel_of(0, i, RING_SMALL);
}

/* A block of new objects, or what there is room for. */
static __inline_always uint32_t channel_fill(struct lane *lane, struct ring *ring,
					     uint32_t bytes, bool checked)
{
	uint32_t nr;

	ring_send(ring);
	for (nr = 0; nr < BLOCK && ring->room; nr++) {
		uint32_t size = bytes ? bytes : small_size(&lane->rng);

		ring_put(ring, object_new(size, checked), size);
	}
	ring_send(ring);
	return nr;
}

static __inline_always uint32_t channel_drain(struct ring *ring, bool checked)
{
	uint32_t nr = ring_waiting(ring);

	if (nr > BLOCK)
		nr = BLOCK;
	for (uint32_t i = 0; i < nr; i++)
		object_end(ring_peek(ring, i).object, checked);
	ring_take(ring, nr);
	return nr;
}

static __inline_always uint32_t drain_all(struct handover *own, bool checked)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < own->nr_in; i++)
		nr += channel_drain(own->in[i]->ring, checked);
	return nr;
}

static void end_all(struct handover *own, unsigned int pass)
{
	/* Pairs with has_ended(): what was sent is seen by who sees the end. */
	for (uint32_t i = 0; i < own->nr_out; i++)
		atomic_store_explicit(&own->out[i]->ended, pass, memory_order_release);
}

static bool has_ended(const struct handover *own, unsigned int pass)
{
	for (uint32_t i = 0; i < own->nr_in; i++)
		if (atomic_load_explicit(&own->in[i]->ended, memory_order_acquire) != pass)
			return false;
	return true;
}

/* Of each ring in turn, so that none goes hungry. */
static __inline_always uint32_t fill_next(struct lane *lane, uint32_t bytes, bool checked)
{
	struct handover *own = lane->own;

	for (uint32_t i = 0; i < own->nr_out; i++) {
		struct channel *next = own->out[own->turn++ % own->nr_out];
		uint32_t nr = channel_fill(lane, next->ring, bytes, checked);

		if (nr)
			return nr;
	}
	return 0;
}

/*
 * Until the clock says no and all that was sent is freed.  has_ended() is asked before the
 * rings are drained: what was sent before an end is then seen.
 */
static __inline_always void handover(struct lane *lane, uint32_t bytes, bool checked)
{
	struct handover *own = lane->own;
	unsigned int pass = lane->pass;
	bool is_writing = own->nr_out > 0;

	for (;;) {
		bool all_sent = has_ended(own, pass);
		uint32_t nr = drain_all(own, checked), nr_new = 0;

		lane->nr_ops += nr;
		if (is_writing && lane_goes_on()) {
			nr_new = fill_next(lane, bytes, checked);
		} else if (is_writing) {
			end_all(own, pass);
			is_writing = false;
		}
		if (!is_writing && all_sent && !nr)
			return;
		if (nr || nr_new)
			own->idle = 0;
		else
			lane_idle(&own->idle);
	}
}

static __inline_always void prodcons64_body(struct lane *lane, bool checked)
{
	handover(lane, 64, checked);
}
ROW_WORK(prodcons64)

static __inline_always void prodcons512_body(struct lane *lane, bool checked)
{
	handover(lane, 512, checked);
}
ROW_WORK(prodcons512)

static __inline_always void mixed_body(struct lane *lane, bool checked)
{
	handover(lane, 0, checked);
}
ROW_WORK(mixed)

const struct row rows_handover[] = {
	{
		.name = "prodcons64", .min_lanes = 2, .in_pairs = true,
		.text = "pairs: one allocates 64 B, the other frees, a ring of 1024 between them",
		.prepare = prodcons_prepare, .work = WORK_OF(prodcons64),
	}, {
		.name = "prodcons512", .min_lanes = 2, .in_pairs = true,
		.text = "the same with 512 B",
		.prepare = prodcons_prepare, .work = WORK_OF(prodcons512),
	}, {
		.name = "prodcons_n2n", .min_lanes = 2,
		.text = "16 to 512 B, every thread sends to each other one and frees what it is sent",
		.prepare = n2n_prepare, .work = WORK_OF(mixed),
	}, {
		.name = "asymmetric", .min_lanes = 2,
		.text = "16 to 512 B, one thread allocates, all others free",
		.prepare = asymmetric_prepare, .work = WORK_OF(mixed),
	}, {
		.name = "free_only", .min_lanes = 2, .in_pairs = true,
		.text = "16 to 512 B, pairs: one allocates, the other only frees, up to 32768 behind",
		.prepare = free_only_prepare, .work = WORK_OF(mixed),
	},
};
const size_t nr_rows_handover = ARRAY_SIZE(rows_handover);
