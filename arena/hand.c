// SPDX-License-Identifier: MIT
/*
 * Memory on a node named by hand.
 *
 *	small, own node		the thread's arena, as malloc
 *	small, other node	that node's shelf, an object at a time under its lock, as a
 *				thread has that never got an arena
 *	large			that node's extents
 *
 * A node that is named stands above the thread's memory policy and the option policy:, as
 * mbind(2) does: the memory is of POLICY_OURS, or of POLICY_HAND where POLICY_OURS names no
 * node.  Nothing else of the thread changes.
 */
#include "internal/option.h"

#include "hand.h"
#include "maint.h"
#include "post.h"
#include "thread.h"

static struct nar_place place_on(unsigned int node)
{
	return (struct nar_place){ (u8)node, (u8)nar_policy_by_hand() };
}

/* ---- Small ---- */

/* As malloc's slow path, but that the arena stays: to follow the thread is malloc's business. */
static void *take_from_arena(struct nar_arena *a, unsigned int class)
{
	void *p;

	while (!(p = nar_mag_try_pop(&a->mag, class)))
		if (!nar_arena_refill(a, class) && !nar_arena_grow(a, class, a->member.node))
			return NULL;
	return p;
}

static void give_to_arena(struct nar_arena *a, unsigned int class, void *p)
{
	if (!nar_mag_try_push(&a->mag, class, p))
		nar_post_free_direct(p);
}

/* An arena whose node was full has objects of others, and may have them yet. */
static void *try_own(const struct nar_heap *heap, unsigned int node, unsigned int class)
{
	struct nar_arena *a = nar_arena_mine();
	void *p;

	if (!a || a->heap != heap || a->member.node != node)
		return NULL;
	p = take_from_arena(a, class);
	if (!p || nar_node_of(p) == node)
		return p;
	give_to_arena(a, class, p);
	return NULL;
}

static void *take_from_shelf(struct nar_heap *heap, unsigned int node, unsigned int class)
{
	void *p = nar_heap_take(heap, node, class);

	return p ? p : nar_heap_grow(heap, node, class);
}

static void *alloc_small(struct nar_place place, unsigned int class)
{
	struct nar_heap *heap = nar_heap_of_policy(place.policy);
	void *p;

	if (!heap)
		return NULL;
	p = try_own(heap, place.node, class);
	p = p ? p : take_from_shelf(heap, place.node, class);
	if (!p && nar_maint_in_need(place))
		p = take_from_shelf(heap, place.node, class);
	return nar_live_mark(p);
}

/* ---- Large ---- */

static void *alloc_large(struct nar_place place, const struct nar_block *block)
{
	bool is_zero;
	void *p = nar_large_alloc(place, block, &is_zero);

	if (!p && nar_maint_in_need(place))
		p = nar_large_alloc(place, block, &is_zero);
	return p;
}

void *nar_hand_alloc(unsigned int node, const struct nar_block *block)
{
	struct nar_place place = place_on(node);
	unsigned int class = NAR_MAX_CLASSES;

	nar_maint_poll();
	if (block->size <= NAR_SMALL_MAX)
		class = nar_class_aligned(block->size, block->alignment);
	return class < NAR_MAX_CLASSES ? alloc_small(place, class) : alloc_large(place, block);
}
