// SPDX-License-Identifier: MIT
/*
 * Maintenance steps.
 *
 * A free unit is purged once it has been free for decay_ms, so that memory which is
 * about to be used again is not given away.  There is no thread for this: a step is
 * made at most once in STEP_MS, by a thread that is on a slow path anyway, and is
 * short.  An idle process makes none.
 */
#include "internal/option.h"

#include "arena.h"
#include "chunk.h"
#include "heap.h"
#include "home.h"
#include "maint.h"
#include "tomb.h"
#include "unit.h"

#define STEP_MS 10

/* DONTNEED of a unit takes 24 us: 200 us at most. */
#define STEP_UNITS 8

/* Slow paths between two looks at the clock. */
#define POLL_TURNS 16

static void (*also)(void);	/* release-stored once */
static bool is_hurried;		/* relaxed */
static u64 last_step_ms;	/* compare-and-swap: who moves it makes the step */

static void make_step(u64 now)
{
	unsigned int node;
	size_t done = 0;

	nar_tomb_poll();
	nar_arena_turn_out(now, false);
	/* Moving one unit takes as long as purging all that, and so does collapsing one. */
	for (node = 0; node < nar_nodes.nr && !done; node++)
		done = nar_home_look(node, (u32)now) ? STEP_UNITS : 0;
	for (node = 0; node < nar_nodes.nr && done < STEP_UNITS; node++)
		done += nar_unit_purge_due(node, (u32)now, STEP_UNITS - done);
	for (node = 0; node < nar_nodes.nr && !done; node++)
		done += nar_chunk_collapse(node) || nar_unit_collapse(node);
}

void nar_maint_on_step(void (*fn)(void))
{
	store_release(&also, fn);
}

void nar_maint_hurry(void)
{
	WRITE_ONCE(is_hurried, true);
}

static void do_also(void)
{
	/* Acquire: pairs with nar_maint_on_step(). */
	void (*fn)(void) = load_acquire(&also);

	if (likely(!fn))
		return;
	WRITE_ONCE(is_hurried, false);
	fn();
}

void nar_maint_poll(void)
{
	static __thread u32 turns;
	u64 now, last;

	if (++turns % POLL_TURNS && likely(!READ_ONCE(is_hurried)))
		return;
	do_also();
	now = nar_clock_ms();
	last = READ_ONCE(last_step_ms);
	if (now - last < STEP_MS || READ_ONCE(nar_opt.purge) == PURGE_STEP)
		return;
	if (__atomic_compare_exchange_n(&last_step_ms, &last, now, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		make_step(now);
}

static bool turn_all_out(void)
{
	u64 now = nar_clock_ms();
	bool was_any = false;

	/* Who comes later stays: where threads come and go all the time there would be no end. */
	while (nar_arena_turn_out(now, true))
		was_any = true;
	return was_any;
}

bool nar_maint_gather(void)
{
	bool was_any = turn_all_out();
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		was_any |= nar_chunk_trim(node);
	return was_any;
}

static size_t purge_all(unsigned int node)
{
	nar_chunk_trim(node);
	return nar_unit_purge_all(node);
}

bool nar_maint_trim(void)
{
	unsigned int node, id;
	size_t purged = 0;

	nar_tomb_empty();
	turn_all_out();
	for (id = 0; id < NAR_MAX_HEAPS; id++)
		if (load_acquire(&nar_heaps[id]))
			nar_heap_trim(nar_heaps[id]);
	for (node = 0; node < nar_nodes.nr; node++)
		purged += purge_all(node);
	return purged;
}

bool nar_maint_reclaim(unsigned int node)
{
	bool was_any = turn_all_out();
	size_t purged = purge_all(node);

	return purged + nar_chunk_release_parts(node) || was_any;
}

bool nar_maint_in_need(struct nar_place place)
{
	return nar_policy_is_strict(place.policy) ? nar_maint_reclaim(place.node) : nar_maint_gather();
}
