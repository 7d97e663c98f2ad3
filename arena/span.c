// SPDX-License-Identifier: MIT
/*
 * A pane is committed upward in spans that grow with it, so that the number of
 * mappings stays small however much is allocated.  No system call is made under the
 * lock: a span that is being committed belongs to nobody meanwhile (EXTENT_HELD), and
 * comes back through the same door as any extent.
 */
#include <errno.h>

#include "internal/lap.h"
#include "internal/stat.h"
#include "numa/hugetlb.h"

#include "span.h"

/*
 * A span is a part of what is committed, within these.  What is committed and not touched
 * yet is taken before sparse chunks are dissolved, so it should not be much.
 */
#define SPAN_PART 32
#define SPAN_MIN_BYTES MIB(4)
#define SPAN_MAX_BYTES GIB(1)

/* What comes from a pool is resident at once: no more of it than is needed, at first. */
static u32 span_pages(unsigned int node, u32 need, u8 backing)
{
	size_t least = backing == BACKING_HUGETLB ? HUGE_BYTES : SPAN_MIN_BYTES;
	size_t span = ALIGN_UP(nar_window_committed(node) / SPAN_PART, HUGE_BYTES);

	span = max_of(span, least);
	span = min_of(span, SPAN_MAX_BYTES);
	return max_of((u32)(span >> PAGE_SHIFT), need);
}

/*
 * Space that has no memory, else from the end of what was ever used, as far as
 * @reach, where the tables end.
 */
static u32 hold_span(struct nar_pane *x, u32 nr, u32 align, u32 reach)
{
	u32 from, page = nar_pane_find(x, nr, align, NAR_KIN_NONE, &from), end = x->end;

	if (page) {
		nar_pane_carve(x, page, from, nr, EXTENT_HELD);
		return from;
	}
	from = nar_pane_first_fit(x, end, align);
	if (from + nr > reach)
		return 0;
	/* Release: who sees the new end sees the tables covered. */
	store_release(&x->end, from + nr);
	x->table[from].nr_pages = nr;
	WRITE_ONCE(x->table[from].state, EXTENT_HELD);
	if (from > end)
		nar_pane_give(x, end, from - end, NAR_KIN_NONE);
	return from;
}

noinline void nar_span_lost_huge(unsigned int node, size_t bytes, enum nar_huge_loss why)
{
	u64 nr = bytes >> HUGE_SHIFT;

	if (why == LOSS_THP_OFF)
		nar_node_event(node, huge_off, nr);
	else if (why == LOSS_REFUSED)
		nar_node_event(node, huge_refused, nr);
	else if (why == LOSS_POOL_EMPTY)
		nar_node_event(node, huge_pool_empty, nr);
	else
		nar_node_event(node, collapse_failed, nr);
	nar_probe(huge_fallback, node, bytes, why);
}

void nar_span_advise_huge(unsigned int node, void *start, size_t bytes)
{
	int err = nar_pages_advise_huge(start, bytes);

	if (err)
		nar_span_lost_huge(node, bytes, err == -ENOSYS ? LOSS_THP_OFF : LOSS_REFUSED);
}

bool nar_span_prepare(struct nar_place place, void *start, size_t bytes, u8 backing)
{
	if (backing == BACKING_HUGE)
		nar_span_advise_huge(place.node, start, bytes);
	else
		nar_pages_advise_small(start, bytes);
	return nar_bind(start, bytes, place);
}

static int commit_span(struct nar_place place, u32 page, u32 nr, u8 backing, unsigned int shift)
{
	char *start = nar_page_at(place.node, page);
	size_t bytes = (size_t)nr << PAGE_SHIFT;
	u64 begun = nar_lap_begin();
	int err;

	if (backing == BACKING_HUGETLB)
		err = nar_hugetlb_commit(start, bytes, shift, place);
	else
		err = nar_pages_commit(start, bytes);
	/* Memory that could not be bound just now would never be. */
	if (!err && backing != BACKING_HUGETLB && !nar_span_prepare(place, start, bytes, backing) &&
	    !nar_pages_uncommit(start, bytes))
		err = -EINVAL;
	nar_lap_end(LAP_COMMIT, begun);
	return err;
}

static void note_units(struct nar_pane *x, u32 page, u32 nr, struct nar_kin k)
{
	u32 unit = nar_unit_floor(page), end = nar_unit_floor(page + nr);

	for (; unit < end; unit++) {
		WRITE_ONCE(x->unit[unit].backing, k.backing);
		x->unit[unit].policy = k.policy;
	}
}

static void note_kin(struct nar_pane *x, u32 page, u32 nr, struct nar_kin k)
{
	note_units(x, page, nr, k);
	/* It is for young arenas, but what is left of it serves others. */
	if (k.backing == BACKING_SMALL)
		WRITE_ONCE(x->small_end, max_of(x->small_end, nar_unit_floor(page + nr)));
	nar_pane_count_committed(x, k.backing, (long)nr << PAGE_SHIFT);
}

/*
 * New memory in nobody's hands.  Return: its first page, 0 if there is none; *@again:
 * others have changed the pane meanwhile, so that it is worth looking once more.
 */
static u32 span_hold(struct nar_pane *x, struct nar_place place, u32 nr, u32 align, u8 backing,
		     unsigned int shift, bool *again)
{
	u32 page, end = READ_ONCE(x->end), start = nar_pane_first_fit(x, end, align);
	u32 reach = start > x->limit || nr > x->limit - start ? end : start + nr;

	*again = false;
	/* Tables first: their entries are written as soon as the lock is held. */
	if (nar_meta_cover(x->node, x->number, min_of(reach + 1, x->limit)))
		return 0;
	nar_lock(&x->lock);
	page = hold_span(x, nr, align, reach);
	*again = !page && x->end != end;
	nar_unlock(&x->lock);
	if (!page)
		return 0;
	if (!commit_span(place, page, nr, backing, shift)) {
		nar_probe(span_commit, place.node, (size_t)nr << PAGE_SHIFT, backing);
		nar_lock(&x->lock);
		note_kin(x, page, nr, (struct nar_kin){ place.policy, backing });
		nar_unlock(&x->lock);
		return page;
	}
	nar_lock(&x->lock);
	nar_pane_give(x, page, nr, NAR_KIN_NONE);
	nar_unlock(&x->lock);
	return 0;
}

/* Return: whether it is worth looking for memory again. */
static bool try_grow(struct nar_pane *x, struct nar_place place, u32 nr, u8 backing)
{
	bool again;
	u32 page = span_hold(x, place, nr, PAGES_PER_UNIT, backing, HUGE_SHIFT, &again);

	if (!page)
		return again;
	nar_lock(&x->lock);
	nar_pane_give(x, page, nr, (struct nar_kin){ place.policy, backing });
	nar_unlock(&x->lock);
	return true;
}

/* A generous span first, then what is needed and no more. */
bool nar_span_grow_pane(struct nar_pane *x, struct nar_place place, u32 need, u8 backing)
{
	u32 span;

	if (nar_node_is_left_out(place.node))
		return false;
	span = span_pages(place.node, need, backing);
	return try_grow(x, place, span, backing) || (span > need && try_grow(x, place, need, backing));
}

/* What its own pane has no address space for comes from the first, which has half of all. */
bool nar_span_grow(struct nar_place place, u32 need, u8 backing)
{
	struct nar_pane *own = nar_pane_own(place), *first = nar_pane_of(place.node);

	if (!own)
		return false;
	if (own != first && nar_span_grow_pane(own, place, need, backing))
		return true;
	return nar_pane_ready(first, place.policy) && nar_span_grow_pane(first, place, need, backing);
}

bool nar_span_grow_pool(struct nar_place place, u32 need)
{
	if (nar_span_grow(place, need, BACKING_HUGETLB))
		return true;
	nar_span_lost_huge(place.node, (size_t)need << PAGE_SHIFT, LOSS_POOL_EMPTY);
	return false;
}

/* ---- Memory made ready beforehand ---- */

void *nar_span_hold(struct nar_place place, size_t bytes, enum nar_backing backing,
		      unsigned int shift)
{
	struct nar_pane *x = nar_pane_of(place.node);	/* where there is most room */
	u32 align = 1u << (shift - PAGE_SHIFT), page, unit;
	size_t nr = ALIGN_UP(bytes, (size_t)1 << shift) >> PAGE_SHIFT;
	bool again;

	if (nr >= x->limit || !nar_pane_ready(x, place.policy))
		return NULL;
	do
		page = span_hold(x, place, (u32)nr, align, (u8)backing, shift, &again);
	while (!page && again);
	if (!page)
		return NULL;
	nar_lock(&x->lock);
	nar_set_kin(&x->table[page], (struct nar_kin){ place.policy, (u8)backing });
	for (unit = nar_unit_floor(page); unit < nar_unit_floor(page + (u32)nr); unit++)
		WRITE_ONCE(x->unit[unit].is_reserved, true);
	WRITE_ONCE(x->has_reserve, true);
	nar_unlock(&x->lock);
	return nar_page_at(place.node, page);
}

void nar_span_release(void *p)
{
	struct nar_pane *x = nar_pane_at(p);
	struct nar_extent *e = &x->table[nar_page_of(p)];

	nar_lock(&x->lock);
	nar_pane_give(x, nar_page_of(p), e->nr_pages, nar_kin_of(e));
	nar_unlock(&x->lock);
}

int nar_span_give_back(void *p)
{
	struct nar_pane *x = nar_pane_at(p);
	u32 page = nar_page_of(p), nr = x->table[page].nr_pages;
	size_t bytes = (size_t)nr << PAGE_SHIFT;
	int err;

	if (x->table[page].backing != BACKING_HUGETLB)
		return nar_pages_purge(p, bytes);
	err = nar_pages_uncommit(p, bytes);
	if (err)
		return err;
	nar_lock(&x->lock);
	nar_pane_count_committed(x, BACKING_HUGETLB, -(long)bytes);
	note_units(x, page, nr, NAR_KIN_NONE);
	nar_set_kin(&x->table[page], NAR_KIN_NONE);
	nar_unlock(&x->lock);
	return 0;
}

static bool has_reserve(const struct nar_pane *x)
{
	u32 unit, end = nar_unit_floor(x->end);

	for (unit = nar_unit_floor(x->first); unit < end; unit++)
		if (x->unit[unit].is_reserved)
			return true;
	return false;
}

void nar_span_drop(void *p)
{
	struct nar_pane *x = nar_pane_at(p);
	u32 page = nar_page_of(p), nr = x->table[page].nr_pages, unit;

	nar_span_give_back(p);
	nar_lock(&x->lock);
	for (unit = nar_unit_floor(page); unit < nar_unit_floor(page + nr); unit++)
		WRITE_ONCE(x->unit[unit].is_reserved, false);
	WRITE_ONCE(x->has_reserve, has_reserve(x));
	nar_unlock(&x->lock);
	nar_span_release(p);
}
