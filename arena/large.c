// SPDX-License-Identifier: MIT
/*
 * Large blocks.
 *
 * A block starts on a huge page if that costs little: what is left of its last unit
 * goes back to the tree, but lies on a huge page that is resident with it.  Other blocks
 * share units with their neighbours and are huge all the same.
 */
#include <string.h>

#include "internal/lap.h"
#include "internal/probe.h"

#include "chunk.h"
#include "large.h"
#include "limit.h"
#include "migrate.h"
#include "pane.h"
#include "survey.h"

/* A block from this size on starts on a huge page if no more than a part is lost. */
#define HUGE_START_BYTES MIB(1)
#define HUGE_START_PART 8

/* Smaller ones are copied soon, and there may be very many. */
#define ROOMY_BYTES KIB(128)

/* Moving takes some microseconds and leaves the old place empty; copying takes ten times as long. */
#define MOVE_BYTES MIB(1)

static enum nar_backing backing_for(struct nar_place place, size_t size)
{
	bool is_young = nar_window_committed_all() + size <= NAR_SMALL_PROGRAM_BYTES;

	if (!nar_wants_huge(place.policy, is_young))
		return BACKING_SMALL;
	return nar_kind_huge(place.policy) == HUGE_HUGETLB ? BACKING_HUGETLB : BACKING_HUGE;
}

static bool wants_huge_start(size_t size)
{
	return size >= HUGE_START_BYTES && ALIGN_UP(size, HUGE_BYTES) - size <= size / HUGE_START_PART;
}

/* Before the heap grows, what sparse chunks hold back is used up. */
static void *alloc_without_growth(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	size_t pages = want->nr_pages + want->align_pages - 1;
	size_t nr_slices = DIV_ROUND_UP(pages << PAGE_SHIFT, SLICE_BYTES);
	void *p;

	p = nar_extent_try_alloc(place, want, is_zero);
	/* What was dissolved may lie in a pane that is busy, and is worth waiting for. */
	while (!p && nr_slices < SLICES_PER_UNIT && nar_chunk_dissolve(place, (unsigned int)nr_slices))
		p = nar_extent_try_alloc_at_last(place, want, is_zero);
	return p;
}

/* It will go on as it did: then, with room behind it, most of its growth needs no copy. */
static void *alloc_for_growth(struct nar_place place, const struct nar_block *block,
			      const struct nar_want *want, bool *is_zero)
{
	void *p = NULL;

	if (want->near)
		p = nar_extent_try_alloc_near(place, want, is_zero);
	if (!p && block->size >= ROOMY_BYTES && block->nr_grown >= NAR_GROWS)
		p = nar_extent_try_alloc_roomy(place, want, is_zero);
	return p;
}

static void *large_alloc(struct nar_place place, const struct nar_block *block, bool *is_zero)
{
	size_t size = block->size, alignment = block->alignment;
	struct nar_want want = { .backing = backing_for(place, size), .state = EXTENT_LARGE, .near = block->near };
	u64 begun = nar_lap_begin();
	void *p = NULL;

	if (alignment > PTRDIFF_MAX)
		return NULL;
	if (wants_huge_start(size))
		alignment = max_of(alignment, HUGE_BYTES);
	want.nr_pages = max_of(DIV_ROUND_UP(size, PAGE_BYTES), (size_t)1);
	want.align_pages = max_of(alignment >> PAGE_SHIFT, (size_t)1);
	if (block->is_grown)
		p = alloc_for_growth(place, block, &want, is_zero);
	p = p ? p : alloc_without_growth(place, &want, is_zero);
	p = p ? p : nar_extent_alloc(place, &want, is_zero);
	if (p)
		nar_probe(large_alloc, nar_node_of(p), size);
	if (p && block->is_grown)
		nar_extent_inherit_growth(p, block->nr_grown);
	nar_lap_end(LAP_LARGE, begun);
	return p;
}

void *nar_large_alloc(struct nar_place place, const struct nar_block *block, bool *is_zero)
{
	struct nar_claim claim;
	void *p;

	if (block->size > PTRDIFF_MAX || !nar_limit_try_claim(&claim, ALIGN_UP((u64)block->size, PAGE_BYTES)))
		return NULL;
	p = large_alloc(place, block, is_zero);
	nar_limit_settle(&claim);
	return p;
}

void nar_large_die(const void *p, const char *call)
{
	enum nar_extent_state state = EXTENT_NONE;
	size_t nr_pages = 0;
	void *start = NULL;

	if (!nar_survey_around(p, &start, &nr_pages, &state))
		nar_die("%s of %p, which numarena never allocated", call, p);
	if (state == EXTENT_REPLICA)
		nar_die("%s of %p, which numarena_replicate() made: numarena_replica_free() frees all copies",
			call, p);
	if (state == EXTENT_LARGE)
		nar_die("%s of %p, which is inside a large block (class large, owner node %u, %zu bytes at %p)",
			call, p, nar_node_of(p), nr_pages << PAGE_SHIFT, start);
	if (state == EXTENT_SCOPE)
		nar_die("%s of %p, which is inside an object of a scope (owner node %u, %zu bytes at %p)",
			call, p, nar_node_of(p), nr_pages << PAGE_SHIFT, start);
	if (strcmp(call, "free"))
		nar_die("%s of %p, which was freed before (class large, or a slab or scope that is gone, owner node %u)",
			call, p, nar_node_of(p));
	nar_die("double free of %p (class large, or a slab or scope that is gone, owner node %u)", p,
		nar_node_of(p));
}

void nar_large_free(void *p)
{
	if (unlikely(nar_extent_is_moved(p)))
		nar_migrate_undo(p);
	if (unlikely(nar_extent_free(p, EXTENT_LARGE)))
		nar_large_die(p, "free");
}

size_t nar_large_bytes(const void *p)
{
	size_t nr_pages = nar_extent_pages(p, EXTENT_LARGE);

	if (unlikely(!nr_pages))
		nar_large_die(p, "free");
	return nr_pages << PAGE_SHIFT;
}

static bool try_resize(void *p, size_t nr_pages)
{
	struct nar_place place = { (u8)nar_node_of(p), (u8)nar_extent_policy_at(p) };
	struct nar_want want = { .nr_pages = nr_pages, .backing = backing_for(place, nr_pages << PAGE_SHIFT) };

	return !nar_extent_resize(p, &want);
}

static bool try_grow_to(void *p, size_t have, size_t nr_pages)
{
	struct nar_claim claim;
	bool done;

	if (!nar_limit_try_claim(&claim, (u64)(nr_pages - have) << PAGE_SHIFT))
		return false;
	done = try_resize(p, nr_pages);
	nar_limit_settle(&claim);
	return done;
}

/*
 * One that grows by little takes some more than is asked for, or each of many steps would
 * meet a pane's lock.
 */
static bool try_grow(void *p, size_t have, size_t nr_pages, size_t most)
{
	size_t slack = nr_pages - have <= have / NAR_LARGE_SLACK ? nr_pages / NAR_LARGE_SLACK : 0;
	size_t roomy = min_of(nr_pages + slack, most >> PAGE_SHIFT);

	return (roomy > nr_pages && try_grow_to(p, have, roomy)) || try_grow_to(p, have, nr_pages);
}

bool nar_large_try_resize(void *p, size_t size, size_t most)
{
	size_t nr_pages = DIV_ROUND_UP(size, PAGE_BYTES), have = nar_large_bytes(p);

	if (nar_large_fits(have, size))
		return true;
	if (nr_pages > have >> PAGE_SHIFT)
		return try_grow(p, have >> PAGE_SHIFT, nr_pages, most);
	return try_resize(p, nr_pages);
}

bool nar_large_try_move(void *from, void *to, size_t bytes)
{
	return bytes >= MOVE_BYTES && nar_extent_try_move(from, to, DIV_ROUND_UP(bytes, PAGE_BYTES));
}
