// SPDX-License-Identifier: MIT
/*
 * Extents for those above: from this pane or another, this node or another, proven where that is
 * asked for; and given back.
 */
#include <errno.h>

#include "internal/option.h"
#include "internal/probe.h"
#include "internal/stat.h"

#include "extent.h"
#include "span.h"

/* Memory that is there already, of whatever kind, comes before more of it. */
static const u8 order_of_backings[NR_BACKINGS][NR_BACKINGS - 1] = {
	[BACKING_SMALL] = { BACKING_SMALL, BACKING_HUGE, BACKING_HUGETLB },
	[BACKING_HUGE] = { BACKING_HUGETLB, BACKING_HUGE, BACKING_SMALL },
	[BACKING_HUGETLB] = { BACKING_HUGETLB, BACKING_HUGE, BACKING_SMALL },
};

/* There is room where a free extent is so many times what is wanted. */
#define ROOM_TIMES 4

/* So many free pages do not keep a pane from growing for the sake of room ... */
#define FREE_LEAST (MIB(16) / PAGE_BYTES)

/* ... of blocks from half a unit, which share huge pages with none or one, to so many pages. */
#define ROOM_MADE_LEAST (PAGES_PER_UNIT / 2)
#define ROOM_MADE_MOST (MIB(16) / PAGE_BYTES)

/* Larger extents that are looked at for one with pages. */
#define TOUCHED_TRIES 16

static u32 largest(const struct nar_pane *x, unsigned int policy, u8 backing)
{
	return nar_tree_below(nar_pane_tree(x, (struct nar_kin){ (u8)policy, backing }), UINT32_MAX, 0);
}

/* From page @at of the free extent at @page on, with so many times as much there. */
static bool has_room_from(const struct nar_pane *x, u32 page, u32 at, const struct nar_want *w, unsigned int times,
			  u32 *from)
{
	*from = nar_pane_first_fit(x, at, (u32)w->align_pages);
	return *from + times * w->nr_pages <= (size_t)page + x->table[page].nr_pages;
}

/*
 * At the start of the largest, or in the middle, if what grows already lies before it: then
 * either has half of the room.
 */
static u32 find_roomy(const struct nar_pane *x, unsigned int policy, const struct nar_want *w, u32 *from)
{
	unsigned int i;
	bool is_second;
	u32 page, at;

	for (i = 0; i < NR_BACKINGS - 1; i++) {
		page = largest(x, policy, order_of_backings[w->backing][i]);
		if (!page)
			continue;
		is_second = x->table[page - 1].nr_grown >= NAR_GROWS;
		at = page + (is_second ? x->table[page].nr_pages / 2 : 0);
		if (has_room_from(x, page, at, w, is_second ? ROOM_TIMES / 2 : ROOM_TIMES, from))
			return page;
	}
	return 0;
}

/* Where @w->near was, if that is the start of a free extent or inside the largest. */
static u32 find_near(const struct nar_pane *x, unsigned int policy, const struct nar_want *w, u32 *from)
{
	u32 near = nar_page_of(w->near), page;
	unsigned int i;

	if (near < x->end && READ_ONCE(x->table[near].state) == EXTENT_FREE &&
	    x->table[near].policy == policy && x->table[near].backing != BACKING_NONE)
		return has_room_from(x, near, near, w, ROOM_TIMES, from) ? near : 0;
	for (i = 0; i < NR_BACKINGS - 1; i++) {
		page = largest(x, policy, order_of_backings[w->backing][i]);
		if (page && near - page < x->table[page].nr_pages)
			return has_room_from(x, page, near, w, ROOM_TIMES, from) ? page : 0;
	}
	return 0;
}

static bool is_touched(const struct nar_pane *x, u32 page)
{
	return x->unit[nar_unit_floor(page)].touched_pages;
}

/* In a larger extent than @page, of the same kin.  Return: @page, if it is in none. */
static u32 find_touched(const struct nar_pane *x, const struct nar_want *w, u32 page, u32 *from)
{
	const struct nar_tree *t = nar_pane_tree(x, nar_kin_of(&x->table[page]));
	u32 other = page, at;
	int tries;

	for (tries = 0; tries < TOUCHED_TRIES; tries++) {
		other = nar_tree_at_least(t, x->table[other].nr_pages, other + 1);
		if (!other)
			break;
		if (has_room_from(x, other, other, w, 1, &at) && is_touched(x, at))
			return *from = at, other;
	}
	return page;
}

/* Units are alike, so rather where there are pages already than where they would be more. */
static u32 find_any(const struct nar_pane *x, unsigned int policy, const struct nar_want *w, u32 *from)
{
	unsigned int i;
	u32 page = 0;

	for (i = 0; i < NR_BACKINGS - 1 && !page; i++) {
		struct nar_kin k = { (u8)policy, order_of_backings[w->backing][i] };

		page = nar_pane_find(x, (u32)w->nr_pages, (u32)w->align_pages, k, from);
	}
	if (page && w->nr_pages >= PAGES_PER_UNIT && !is_touched(x, *from))
		page = find_touched(x, w, page, from);
	return page;
}

typedef u32 find_fn(const struct nar_pane *x, unsigned int policy, const struct nar_want *w, u32 *from);

/* Unlocks @x. */
static void *take(struct nar_pane *x, unsigned int policy, const struct nar_want *w, bool *is_zero, find_fn *find)
	__releases(&x->lock)
{
	u32 nr = (u32)w->nr_pages, from = 0, page;

	nar_pane_take_given(x);
	page = find(x, policy, w, &from);
	if (page) {
		nar_pane_carve(x, page, from, nr, (u8)w->state);
		*is_zero = nar_pane_take(x, from, nr);
		WRITE_ONCE(x->large_pages, x->large_pages + (w->state == EXTENT_LARGE ? nr : 0));
		x->table[from].nr_grown = 0;
		x->table[from].is_moving = false;
	}
	nar_pane_unlock(x);
	return page ? nar_page_at(x->node, from) : NULL;
}

/*
 * What is free in another pane is had before more is mapped.  But the thread waits for nobody
 * there if its own pane has little, or all would stay, and meet, where memory was first: unless
 * @waits, for what was made ready beforehand, and where more of it counts though nobody has
 * touched it.
 */
static bool try_lock_other(const struct nar_pane *own, struct nar_pane *x, bool waits) __no_lock_analysis
{
	if (nar_trylock(&x->lock))
		return true;
	if (!waits && !READ_ONCE(x->has_reserve) && nar_pane_has_little(own) && !nar_pages_are_counted())
		return false;
	nar_lock(&x->lock);
	return true;
}

static noinline void *take_of_others(const struct nar_pane *own, unsigned int policy, const struct nar_want *w,
				     bool *is_zero, bool waits) __no_lock_analysis
{
	struct nar_pane *x;
	void *p = NULL;
	unsigned int i;

	nar_for_each_pane(x, own->node, i) {
		if (x == own || READ_ONCE(x->free_pages) < w->nr_pages || !load_acquire(&x->tree[policy]) ||
		    !try_lock_other(own, x, waits))
			continue;
		p = take(x, policy, w, is_zero, find_any);
		if (p)
			break;
	}
	return p;
}

static void *take_own(struct nar_place place, const struct nar_want *w, bool *is_zero, find_fn *find)
	__no_lock_analysis
{
	struct nar_pane *x = nar_pane_lock_own(place);

	return x ? take(x, place.policy, w, is_zero, find) : NULL;
}

static void *take_from_all(struct nar_place place, const struct nar_want *w, bool *is_zero, bool waits)
	__no_lock_analysis
{
	struct nar_pane *x = nar_pane_lock_own(place);
	void *p;

	if (!x)
		return NULL;
	p = take(x, place.policy, w, is_zero, find_any);
	return p ? p : take_of_others(x, place.policy, w, is_zero, waits);
}

/* A pool is not asked for more, and said to be empty, while somebody has some. */
static void *take_any(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	return take_from_all(place, w, is_zero, w->backing == BACKING_HUGETLB);
}

/* Where nothing more can be had, others' memory is worth waiting for. */
static void *take_at_last(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	return take_from_all(place, w, is_zero, true);
}

/* Another thread may take what we grew: then we grow again. */
static void *grow_pool_and_take(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	u32 need = nar_extent_growth(w);
	void *p = NULL;

	while (!p && w->backing == BACKING_HUGETLB && nar_span_grow_pool(place, need))
		p = take_any(place, w, is_zero);
	return p;
}

static void *grow_and_take(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	u8 backing = w->backing == BACKING_HUGETLB ? BACKING_HUGE : (u8)w->backing;
	u32 need = nar_extent_growth(w);
	void *p = NULL;

	while (!p && nar_span_grow(place, need, backing))
		p = take_at_last(place, w, is_zero);
	return p ? p : take_at_last(place, w, is_zero);
}

static bool is_too_much(const struct nar_want *w)
{
	return w->nr_pages + w->align_pages >= nar_pane_bytes() >> PAGE_SHIFT;
}

int nar_extent_enforce(struct nar_place place, void *p, size_t nr_pages)
{
	size_t bytes = nr_pages << PAGE_SHIFT;
	int err;

	if (nar_pages_fault_in(p, bytes))
		return -ENOMEM;
	err = nar_bind_enforce(p, bytes, place);
	if (err == -EPERM)
		nar_node_event(place.node, strict_unproven, 1);
	return err == -EPERM ? 0 : err;
}

static void *prove(struct nar_place place, const struct nar_want *w, void *p)
{
	if (likely(!p || !nar_policy_is_strict(place.policy)) || !nar_extent_enforce(place, p, w->nr_pages))
		return p;
	nar_node_event(place.node, strict_failed, 1);
	/* A page that a pool gets back need not be there at the next touch. */
	if (nar_pane_at(p)->table[nar_page_of(p)].backing != BACKING_HUGETLB)
		nar_pages_purge(p, w->nr_pages << PAGE_SHIFT);
	nar_extent_free(p, w->state);
	return NULL;
}

void *nar_extent_try_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	if (is_too_much(want))
		return NULL;
	return prove(place, want, take_any(place, want, is_zero));
}

void *nar_extent_try_alloc_at_last(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	return is_too_much(want) ? NULL : prove(place, want, take_at_last(place, want, is_zero));
}

void *nar_extent_try_alloc_near(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	struct nar_pane *x = nar_pane_at(want->near);

	if (is_too_much(want) || x->node != place.node || !nar_pane_ready(x, place.policy))
		return NULL;
	nar_lock(&x->lock);
	return prove(place, want, take(x, place.policy, want, is_zero, find_near));
}

static void *alloc_on_node(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	void *p = take_any(place, w, is_zero);

	p = p ? p : grow_pool_and_take(place, w, is_zero);
	p = p ? p : grow_and_take(place, w, is_zero);
	return prove(place, w, p);
}

bool nar_extent_has_room(struct nar_place place, const struct nar_want *w)
{
	return nar_nodes.nr == 1 || !nar_policy_names_node(place.policy) ||
	       nar_node_has_room(place.node, (size_t)nar_extent_growth(w) << PAGE_SHIFT);
}

/*
 * Room is committed, not touched, and serves others too; nevertheless no more of it than what
 * is in use, and none where it is counted.
 */
static bool may_make_room(const struct nar_pane *x, struct nar_place place, const struct nar_want *w)
{
	return w->backing != BACKING_HUGETLB && w->nr_pages >= ROOM_MADE_LEAST && w->nr_pages <= ROOM_MADE_MOST &&
	       READ_ONCE(x->free_pages) <= READ_ONCE(x->large_pages) + FREE_LEAST &&
	       !nar_pages_are_counted() && nar_node_is_allowed(place.node) && nar_extent_has_room(place, w);
}

/* What another pane has would not be looked for: it is had in this, or not at all. */
static void *make_room_and_take(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	u32 need = (u32)ALIGN_UP(2 * ROOM_TIMES * w->nr_pages, PAGES_PER_UNIT);
	struct nar_pane *x = nar_pane_own(place);

	if (!x || !may_make_room(x, place, w) || !nar_span_grow_pane(x, place, need, (u8)w->backing))
		return NULL;
	nar_lock(&x->lock);
	return take(x, place.policy, w, is_zero, find_roomy);
}

/* What was made ready beforehand lies in the first pane, for all. */
static void *take_room_of_reserve(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	struct nar_pane *first = nar_pane_of(place.node);

	/* In its own it has looked. */
	if (!READ_ONCE(first->has_reserve) || first == nar_pane_own(place) ||
	    !nar_pane_ready(first, place.policy))
		return NULL;
	nar_lock(&first->lock);
	return take(first, place.policy, w, is_zero, find_roomy);
}

void *nar_extent_try_alloc_roomy(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	void *p;

	if (is_too_much(want))
		return NULL;
	p = take_own(place, want, is_zero, find_roomy);
	p = p ? p : take_room_of_reserve(place, want, is_zero);
	return prove(place, want, p ? p : make_room_and_take(place, want, is_zero));
}

static void *alloc_with_room(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	void *p = take_any(place, w, is_zero);

	/* A pool's pages are nobody's room. */
	p = p ? p : grow_pool_and_take(place, w, is_zero);
	if (p)
		return p;
	return nar_extent_has_room(place, w) ? grow_and_take(place, w, is_zero) : take_at_last(place, w, is_zero);
}

/* Where there is room, in order of distance; where there is none, what the kernel will give. */
static void *alloc_anywhere(struct nar_place home, const struct nar_want *w, bool *is_zero)
{
	struct nar_place place = home;
	struct nar_want rest = *w;
	void *p = NULL;
	unsigned int i;

	for (i = 0; i < nar_nodes.nr && !p; i++) {
		place.node = nar_nodes.order[home.node][i];
		if (nar_node_is_allowed(place.node) || !i)
			p = alloc_with_room(place, w, is_zero);
	}
	/* The pools have been asked. */
	if (rest.backing == BACKING_HUGETLB)
		rest.backing = BACKING_HUGE;
	for (i = 0; i < nar_nodes.nr && !p; i++) {
		place.node = nar_nodes.order[home.node][i];
		p = alloc_on_node(place, &rest, is_zero);
	}
	if (p && place.node != home.node) {
		nar_node_event(home.node, node_fallback, 1);
		nar_probe(node_fallback, home.node, place.node, w->nr_pages << PAGE_SHIFT);
	}
	return p;
}

void *nar_extent_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	if (is_too_much(want))
		return NULL;
	if (nar_policy_is_strict(place.policy))
		return alloc_on_node(place, want, is_zero);
	return alloc_anywhere(place, want, is_zero);
}

/* ---- Extents in use ---- */

static bool has_entry(const void *p)
{
	return nar_pane_has(nar_pane_at(p), nar_page_of(p));
}

static bool starts_extent(const void *p, u8 state)
{
	return !(nar_offset(p) % PAGE_BYTES) && has_entry(p) && READ_ONCE(nar_extent_at(p)->state) == state;
}

size_t nar_extent_pages(const void *p, enum nar_extent_state state)
{
	return starts_extent(p, (u8)state) ? READ_ONCE(nar_extent_at(p)->nr_pages) : 0;
}

/* Any page of ours has an entry to read; what it says of other pages nobody uses. */
unsigned int nar_extent_policy_at(const void *p)
{
	return has_entry(p) ? nar_place_of(nar_node_of(p), nar_extent_at(p)).policy : POLICY_OURS;
}

bool nar_extent_is_moved(const void *p)
{
	return has_entry(p) && READ_ONCE(nar_extent_at(p)->away);
}

bool nar_extent_try_mark(void *p, enum nar_extent_state from, enum nar_extent_state to)
{
	u8 seen = (u8)from;

	/* Neighbours look for EXTENT_FREE alone, so they may look meanwhile. */
	return starts_extent(p, (u8)from) &&
	       __atomic_compare_exchange_n(&nar_extent_at(p)->state, &seen, (u8)to, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

static void free_chunk(struct nar_pane *x, u32 page)
{
	nar_lock(&x->lock);
	nar_pane_give(x, page, x->table[page].nr_pages, nar_kin_of(&x->table[page]));
	nar_pane_unlock(x);
}

/* Who frees waits for nobody: the lock may be held by a thread that has lost its processor. */
int nar_extent_free(void *p, enum nar_extent_state state)
{
	struct nar_pane *x = nar_pane_at(p);

	/* Of two that free it at once, one fails. */
	if (!nar_extent_try_mark(p, state, EXTENT_GIVEN))
		return -EINVAL;
	if (state == EXTENT_CHUNK)
		free_chunk(x, nar_page_of(p));
	else
		nar_pane_give_later(x, nar_page_of(p));
	return 0;
}

/* Slices from @slice to the next row's start or free slice, or the unit's end. */
static unsigned int row_length(unsigned int slice, u64 ends)
{
	u64 after = slice + 1 < SLICES_PER_UNIT ? ends >> (slice + 1) : 0;

	return after ? (unsigned int)__builtin_ctzll(after) + 1 : SLICES_PER_UNIT - slice;
}

void nar_extent_part_chunk(u32 unit, u64 free_mask, u64 start_mask)
{
	const u32 slice_pages = SLICE_BYTES / PAGE_BYTES;
	void *start = nar_at((size_t)unit << HUGE_SHIFT);
	struct nar_pane *x = nar_pane_at(start);
	unsigned int slice, nr;
	struct nar_kin k;

	nar_lock(&x->lock);
	k = nar_kin_of(&x->table[nar_page_of(start)]);
	/* Used rows first: free ones look at their neighbours. */
	for (slice = 0; slice < SLICES_PER_UNIT; slice += nr) {
		struct nar_extent *e = &x->table[nar_page_of(start) + slice * slice_pages];

		nr = free_mask >> slice & 1 ? 1 : row_length(slice, free_mask | start_mask);
		e->nr_pages = nr * slice_pages;
		nar_set_kin(e, k);
		WRITE_ONCE(e->state, free_mask >> slice & 1 ? EXTENT_HELD : EXTENT_CHUNK);
	}
	for (slice = 0; slice < SLICES_PER_UNIT; slice++)
		if (free_mask >> slice & 1)
			nar_pane_give(x, nar_page_of(start) + slice * slice_pages, slice_pages, k);
	nar_unlock(&x->lock);
}

void nar_extent_each_lock(void (*fn)(struct nar_lock *))
{
	struct nar_pane *x;
	unsigned int node, i;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_pane(x, node, i)
			fn(&x->lock);
}
