// SPDX-License-Identifier: MIT
/*
 * Extents in use that grow and shrink where they are, or are moved to where there is room.
 */
#include <errno.h>

#include "internal/stat.h"

#include "extent.h"
#include "span.h"

/* ---- Growing ---- */

/* What has outgrown small pages may go on in huge ones, and counts as huge from there on. */
static bool may_join(const struct nar_pane *x, u32 page, struct nar_kin k, const struct nar_extent *after)
{
	struct nar_kin next = nar_kin_of(after);

	return READ_ONCE(after->state) == EXTENT_FREE && k.policy == next.policy &&
	       (k.backing == next.backing || (k.backing == BACKING_SMALL && next.backing == BACKING_HUGE &&
					      !x->unit[nar_unit_floor(page)].is_reserved));
}

/* What is free behind an extent and may become part of it ends here. */
static u32 end_of_room(const struct nar_pane *x, u32 page)
{
	struct nar_kin k = nar_kin_of(&x->table[page]);
	u32 end = page + x->table[page].nr_pages;

	while (end < x->end && may_join(x, page, k, &x->table[end])) {
		k = nar_kin_of(&x->table[end]);
		end += x->table[end].nr_pages;
	}
	return end;
}

/* @nr pages that are free there. */
static void take_behind(struct nar_pane *x, u32 page, u32 nr)
{
	struct nar_extent *e = &x->table[page];

	while (e->nr_pages < nr) {
		u32 end = page + e->nr_pages, n = min_of(nr - e->nr_pages, x->table[end].nr_pages);

		nar_set_kin(e, nar_kin_of(&x->table[end]));
		nar_pane_carve(x, end, end, n, EXTENT_NONE);
		e->nr_pages += n;
		nar_pane_take(x, end, n);
	}
}

static void note_growth(struct nar_pane *x, u32 page, unsigned int nr_before)
{
	struct nar_extent *e = &x->table[page];

	e->nr_grown = (u8)min_of(nr_before + 1, (unsigned int)UINT8_MAX);
	if (e->nr_grown >= NAR_GROWS)
		x->table[page + e->nr_pages - 1].nr_grown = e->nr_grown;
}

static int resize_locked(struct nar_pane *x, u32 page, u32 nr)
{
	struct nar_extent *e = &x->table[page];
	u32 old = e->nr_pages;

	if (nr < old) {
		e->nr_pages = nr;
		nar_pane_give(x, page + nr, old - nr, nar_kin_of(e));
	} else if (nr > old) {
		if (end_of_room(x, page) - page < nr)
			return -ENOSPC;
		take_behind(x, page, nr);
		note_growth(x, page, e->nr_grown);
	}
	WRITE_ONCE(x->large_pages, x->large_pages + nr - old);
	return 0;
}

static int resize(struct nar_pane *x, u32 page, u32 nr)
{
	int err;

	nar_lock(&x->lock);
	nar_pane_take_given(x);
	err = resize_locked(x, page, nr);
	nar_pane_unlock(x);
	return err;
}

u8 nar_extent_nr_grown(const void *p)
{
	return READ_ONCE(nar_extent_at(p)->nr_grown);
}

void nar_extent_inherit_growth(void *p, unsigned int nr_before)
{
	struct nar_pane *x = nar_pane_at(p);

	nar_lock(&x->lock);
	note_growth(x, nar_page_of(p), nr_before);
	nar_unlock(&x->lock);
}

static struct nar_place place_of(const struct nar_pane *x, const void *p)
{
	return (struct nar_place){ (u8)nar_node_of(p), nar_kin_of(&x->table[nar_page_of(p)]).policy };
}

/* Whether nothing but free pages lies between the extent at @page and the pane's end. */
static bool is_last(struct nar_pane *x, u32 page)
{
	bool is;

	nar_lock(&x->lock);
	is = end_of_room(x, page) == x->end;
	nar_unlock(&x->lock);
	return is;
}

/* The last of a pane grows with it. */
static bool try_grow_pane(struct nar_pane *x, struct nar_place place, u32 page, const struct nar_want *w)
{
	return w->backing != BACKING_HUGETLB && is_last(x, page) && nar_node_is_allowed(place.node) &&
	       nar_extent_has_room(place, w) && nar_span_grow_pane(x, place, nar_extent_growth(w), (u8)w->backing);
}

static int resize_or_grow(struct nar_pane *x, struct nar_place place, u32 page, const struct nar_want *w)
{
	u32 nr = (u32)w->nr_pages, old = x->table[page].nr_pages;
	struct nar_want more = { .nr_pages = nr - old, .backing = w->backing };
	int err = resize(x, page, nr);

	if (err && nr > old && try_grow_pane(x, place, page, &more))
		err = resize(x, page, nr);
	return err;
}

int nar_extent_resize(void *p, const struct nar_want *want)
{
	struct nar_pane *x = nar_pane_at(p);
	u32 page = nar_page_of(p), old = x->table[page].nr_pages;
	struct nar_place place = place_of(x, p);
	size_t nr_pages = want->nr_pages;
	int err;

	if (nr_pages >= x->limit - x->first)
		return -ENOSPC;
	/* Its pages are no neighbour's kin: none is given, none is taken. */
	if (unlikely(READ_ONCE(x->table[page].away)))
		return nr_pages <= old ? 0 : -ENOSPC;
	err = resize_or_grow(x, place, page, want);
	if (err || nr_pages <= old || !nar_policy_is_strict(place.policy))
		return err;
	if (!nar_extent_enforce(place, nar_page_at(place.node, page + old), nr_pages - old))
		return 0;
	nar_node_event(place.node, strict_failed, 1);
	resize(x, page, old);
	return -ENOSPC;
}

/* ---- Moving ---- */

/*
 * A mapping that was moved does not merge with its neighbours: 4 mappings a move at most.  Half
 * of the moves are left to those to whom they matter most.
 */
#define MOVES_MAX 128
#define MOVES_OF_SOME 64
#define MANY_PAGES (MIB(8) / PAGE_BYTES)

static u32 nr_moves;	/* relaxed */

/* Huge pages stay huge where they are moved whole. */
static bool moves_whole(const void *from, const void *to)
{
	return !((nar_offset(from) | nar_offset(to)) % HUGE_BYTES);
}

/*
 * Pages keep their node when they move; and their size, unless there are so many that to have
 * them twice, as for a copy, is worse.
 */
static bool may_move(const void *from, const void *to, size_t nr_pages)
{
	const struct nar_pane *x = nar_pane_at(from);
	const struct nar_extent *e = &x->table[nar_page_of(from)];
	struct nar_kin k = nar_kin_of(e);

	return nar_node_of(from) == nar_node_of(to) && !nar_extent_is_moved(from) &&
	       k.backing != BACKING_HUGETLB &&
	       (k.backing == BACKING_SMALL || nr_pages >= MANY_PAGES || moves_whole(from, to)) &&
	       nar_is_kin(&x->table[nar_page_of(to)], k);
}

/* Reserved memory keeps its pages: there a copy is the lesser evil. */
static bool is_reserved(const void *p, size_t nr_pages)
{
	return nar_pane_is_reserved(nar_pane_at(p), nar_page_of(p), (u32)nr_pages);
}

static void look_again(const void *p, size_t nr_pages)
{
	struct nar_pane *x = nar_pane_at(p);

	nar_lock(&x->lock);
	nar_pane_look_again(x, nar_page_of(p), (u32)nr_pages);
	nar_unlock(&x->lock);
}

/* The kernel keeps what the old range had: say again what the new one is for. */
bool nar_extent_try_move(void *from, void *to, size_t nr_pages)
{
	const struct nar_pane *x = nar_pane_at(to);
	size_t bytes = nr_pages << PAGE_SHIFT;
	int err;

	if (!may_move(from, to, nr_pages) || READ_ONCE(nr_moves) >= (nr_pages < MANY_PAGES ? MOVES_OF_SOME : MOVES_MAX) ||
	    is_reserved(from, nr_pages) || is_reserved(to, nr_pages))
		return false;
	err = nar_pages_move(from, to, bytes);
	nar_span_prepare(place_of(x, to), to, bytes, nar_kin_of(&x->table[nar_page_of(to)]).backing);
	look_again(from, nr_pages);
	look_again(to, nr_pages);
	add_relaxed(&nr_moves, 1);
	nar_event(moved_pages, err ? 0 : nr_pages);
	return !err;
}

