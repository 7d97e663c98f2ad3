// SPDX-License-Identifier: MIT
/*
 * Purge gives back units that have been free for long.  A run that is being purged belongs
 * to nobody (EXTENT_HELD), so no system call is made under the lock.
 *
 * Under huge:auto a pane begins on small pages.  Once the process has more than a small
 * program's memory, all of it counts as huge, and what is small follows unit by unit.
 *
 * The kernel collapses a unit that was purged into 2 MiB of zeros.  So the two keep out of
 * each other's way: what is purged counts as untouched from the moment it is held, which
 * is not collapsed; what is being collapsed is not purged.  It may change hands meanwhile.
 */
#include <errno.h>

#include "internal/lap.h"
#include "internal/option.h"
#include "internal/probe.h"
#include "internal/stat.h"

#include "span.h"
#include "unit.h"

/* huge:auto: a program with so much memory, on all nodes together, is no small one. */
#define GROWN_BYTES MIB(32)

/* Making a unit huge touches all of it: three quarters should have been touched. */
#define COLLAPSE_PAGES (PAGES_PER_UNIT / 4 * 3)

/* So often is a unit tried that is in use just then; there are steps between. */
#define COLLAPSE_TRIES 16

/* Units looked at in a step: 1 GiB of them, 32 KiB of table. */
#define COLLAPSE_LOOK 512

/* ---- Purge ---- */

/* Pages of a pool are there whether or not anybody has seen them. */
static bool is_dirty(const struct nar_unit *u)
{
	return !u->is_reserved && (u->touched_pages || u->backing == BACKING_HUGETLB);
}

static bool is_stale(const struct nar_unit *u, u32 before_ms)
{
	/* The clock wraps after 49 days: compare by difference. */
	return is_dirty(u) && !u->is_collapsing && (int32_t)(before_ms - u->free_since_ms) >= 0;
}

/*
 * The first run of stale units, of at most @max, in the free extent at @page.  Those
 * met that are dirty and not stale are noted: there will be work later.
 */
static u32 stale_run(struct nar_pane *x, u32 page, u32 before_ms, size_t max, u32 *nr)
{
	u32 unit = nar_unit_ceil(page), end = nar_unit_floor(page + x->table[page].nr_pages), first;

	for (; unit < end && !is_stale(&x->unit[unit], before_ms); unit++)
		if (is_dirty(&x->unit[unit]))
			WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
	for (first = unit; unit < end && unit - first < max; unit++)
		if (!is_stale(&x->unit[unit], before_ms))
			break;
	*nr = unit > first ? unit - first : 0;
	return first;
}

/* From now on they read as zeros, for all that anybody knows; or they do not, and are as if full. */
static void note_touched(struct nar_pane *x, u32 unit, u32 nr, u16 pages)
{
	u32 end = unit + nr;

	for (; unit < end; unit++) {
		struct nar_unit *u = &x->unit[unit];

		if (u->backing == BACKING_HUGE)
			x->nr_huge += (u32)(pages != 0) - (u32)(u->touched_pages != 0);
		WRITE_ONCE(u->touched_pages, pages);
	}
}

/* Free since when: since a moment whatever it is, or each kind as it wants to be kept. */
struct due {
	u32 moment_ms;
	bool is_by_kind;	/* the moment is now */
};

/* Far enough to be never: 24 days, as much as can be told apart. */
static u32 before_of(const struct due *due, unsigned int policy)
{
	u64 decay_ms = due->is_by_kind ? nar_kind_decay_ms(policy) : 0;

	return due->moment_ms - (u32)min_of(decay_ms, (u64)INT32_MAX);
}

/* Largest extents first.  Return: the first page of what was taken out of the tree. */
static u32 hold_stale_kin(struct nar_pane *x, struct nar_kin k, u32 before_ms, size_t max, u32 *nr)
{
	const struct nar_tree *t = nar_pane_tree(x, k);
	u32 page, from;

	for (page = nar_tree_below(t, UINT32_MAX, 0);
	     page && x->table[page].nr_pages >= PAGES_PER_UNIT;
	     page = nar_tree_below(t, x->table[page].nr_pages, page)) {
		from = stale_run(x, page, before_ms, max, nr) * (u32)PAGES_PER_UNIT;
		if (!*nr)
			continue;
		nar_pane_carve(x, page, from, *nr * (u32)PAGES_PER_UNIT, EXTENT_HELD);
		note_touched(x, nar_unit_floor(from), *nr, 0);
		WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
		return from;
	}
	return 0;
}

static u32 hold_stale(struct nar_pane *x, const struct due *due, size_t max, u32 *nr)
{
	struct nar_kin k;
	u32 page = 0;

	WRITE_ONCE(x->nr_dirty, 0);
	for (k.policy = 0; k.policy < NAR_MAX_POLICIES; k.policy++) {
		u32 before_ms = before_of(due, k.policy);

		for (k.backing = BACKING_SMALL; k.backing < NR_BACKINGS && x->tree[k.policy]; k.backing++)
			if ((page = hold_stale_kin(x, k, before_ms, max, nr)))
				return page;
	}
	return 0;
}

/* Units that could not be purged are young again. */
static void unhold(struct nar_pane *x, u32 page, u32 nr_units, bool is_purged)
{
	u32 dirty = x->nr_dirty;

	if (!is_purged)
		note_touched(x, nar_unit_floor(page), nr_units, PAGES_PER_UNIT);
	nar_pane_give(x, page, nr_units * (u32)PAGES_PER_UNIT, nar_kin_of(&x->table[page]));
	/* Clean units are no work for the next purge. */
	if (is_purged)
		WRITE_ONCE(x->nr_dirty, dirty);
}

/* Return: units purged; 0 also if the kernel refused, to leave it alone for a while. */
static size_t purge_run(struct nar_pane *x, const struct due *due, size_t max)
{
	u32 page, nr = 0;
	bool is_purged;
	u64 begun;

	nar_lock(&x->lock);
	nar_pane_take_given(x);
	page = hold_stale(x, due, max, &nr);
	nar_unlock(&x->lock);
	if (!page)
		return 0;
	begun = nar_lap_begin();
	is_purged = !nar_span_give_back(nar_page_at(x->node, page));
	nar_lap_end(LAP_PURGE, begun);
	if (is_purged) {
		nar_node_event(x->node, purged_units, nr);
		nar_probe(purge, x->node, (size_t)nr << HUGE_SHIFT);
	}
	nar_lock(&x->lock);
	unhold(x, page, nr, is_purged);
	nar_pane_unlock(x);
	return is_purged ? nr : 0;
}

static bool may_be_dirty(const struct nar_pane *x)
{
	return READ_ONCE(x->nr_dirty) || READ_ONCE(x->given);
}

static size_t purge(unsigned int node, const struct due *due, size_t max_units)
{
	struct nar_pane *x;
	size_t sum = 0, nr;
	unsigned int i;

	nar_for_each_pane(x, node, i)
		while (may_be_dirty(x) && sum < max_units && (nr = purge_run(x, due, max_units - sum)))
			sum += nr;
	return sum;
}

size_t nar_unit_purge(unsigned int node, u32 before_ms, size_t max_units)
{
	return purge(node, &(struct due){ .moment_ms = before_ms }, max_units);
}

size_t nar_unit_purge_all(unsigned int node)
{
	return nar_unit_purge(node, (u32)nar_clock_ms() + 1, SIZE_MAX);
}

size_t nar_unit_purge_due(unsigned int node, u32 now_ms, size_t max_units)
{
	return purge(node, &(struct due){ .moment_ms = now_ms, .is_by_kind = true }, max_units);
}

/* Units looked at under the lock, for a number that is worth a hint. */
#define DUE_LOOK 512

static size_t nr_due_of_kin(struct nar_pane *x, struct nar_kin k, u32 before_ms, u32 *looks)
{
	const struct nar_tree *t = nar_pane_tree(x, k);
	size_t nr = 0;
	u32 page, unit;

	for (page = nar_tree_below(t, UINT32_MAX, 0); page && x->table[page].nr_pages >= PAGES_PER_UNIT;
	     page = nar_tree_below(t, x->table[page].nr_pages, page))
		for (unit = nar_unit_ceil(page); unit < nar_unit_floor(page + x->table[page].nr_pages); unit++) {
			if (!*looks)
				return nr;
			--*looks;
			nr += is_stale(&x->unit[unit], before_ms);
		}
	return nr;
}

static size_t nr_due(struct nar_pane *x, const struct due *due)
{
	u32 looks = DUE_LOOK;
	struct nar_kin k;
	size_t nr = 0;

	nar_lock(&x->lock);
	nar_pane_take_given(x);
	for (k.policy = 0; k.policy < NAR_MAX_POLICIES; k.policy++)
		for (k.backing = BACKING_SMALL; k.backing < NR_BACKINGS && x->tree[k.policy]; k.backing++)
			nr += nr_due_of_kin(x, k, before_of(due, k.policy), &looks);
	nar_pane_unlock(x);
	return nr;
}

size_t nar_unit_nr_due(unsigned int node, u32 now_ms)
{
	struct due due = { .moment_ms = now_ms, .is_by_kind = true };
	struct nar_pane *x;
	unsigned int i;
	size_t nr = 0;

	nar_for_each_pane(x, node, i)
		nr += may_be_dirty(x) ? nr_due(x, &due) : 0;
	return nr;
}

/* ---- Huge pages ---- */

static struct nar_pane *pane_of_unit(u32 unit)
{
	return nar_pane_at(nar_at((size_t)unit << HUGE_SHIFT));
}

/* Return: whether it is there, and nobody else makes it huge. */
static bool try_begin_collapse(u32 unit)
{
	struct nar_pane *x = pane_of_unit(unit);
	struct nar_unit *u = &nar_mem.unit[unit];
	bool begins;

	nar_lock(&x->lock);
	begins = u->touched_pages && !u->is_collapsing;
	if (begins) {
		u->is_collapsing = true;
		x->nr_collapsing++;
	}
	nar_unlock(&x->lock);
	return begins;
}

/* @counts_huge: whether or not it is, there is no further try. */
static void end_collapse(u32 unit, bool counts_huge)
{
	struct nar_pane *x = pane_of_unit(unit);
	struct nar_unit *u = &nar_mem.unit[unit];

	nar_lock(&x->lock);
	u->is_collapsing = false;
	x->nr_collapsing--;
	if (counts_huge && u->backing == BACKING_SMALL) {
		x->nr_huge++;
		WRITE_ONCE(u->backing, BACKING_HUGE);
	}
	nar_unlock(&x->lock);
}

static int note_huge(u32 unit, int err)
{
	unsigned int node = nar_node_of(nar_at((size_t)unit << HUGE_SHIFT));

	if (err)
		nar_span_lost_huge(node, HUGE_BYTES, LOSS_NOT_COLLAPSED);
	else
		nar_node_event(node, collapse_done, 1);
	WRITE_ONCE(nar_mem.unit[unit].nr_tries, 0);
	end_collapse(unit, true);
	return err;
}

int nar_unit_make_huge(u32 unit)
{
	if (!try_begin_collapse(unit))
		return 0;
	return note_huge(unit, nar_pages_collapse(nar_at((size_t)unit << HUGE_SHIFT)));
}

/* While other threads fault in or look at its pages, the kernel says -EAGAIN. */
int nar_unit_try_huge(u32 unit)
{
	int err;

	if (!try_begin_collapse(unit))
		return 0;
	err = nar_pages_collapse(nar_at((size_t)unit << HUGE_SHIFT));
	if (err != -EAGAIN || add_relaxed(&nar_mem.unit[unit].nr_tries, 1) >= COLLAPSE_TRIES)
		return note_huge(unit, err);
	WRITE_ONCE(pane_of_unit(unit)->has_put_off, true);
	end_collapse(unit, false);
	return err;
}

/* Everything that is small counts as huge from now on; units follow one at a time. */
static void grow_up(struct nar_pane *x)
{
	nar_pane_make_huge(x, BACKING_SMALL);
	x->next_collapse = nar_unit_floor(x->first);
	WRITE_ONCE(x->is_grown, true);
	/* What was small has not been looked at. */
	WRITE_ONCE(x->nr_unseen, x->nr_unseen + 1);
}

/* To a process that has outgrown small pages a chunk that is half full is worth it. */
#define HALF_FULL_BYTES (HUGE_BYTES / 2)

/* Chunks are looked after by their own, for a first try, until then. */
static bool wants_collapse(const struct nar_pane *x, u32 unit)
{
	const struct nar_unit *u = &x->unit[unit];

	if (u->backing != BACKING_SMALL || u->is_reserved || nar_kind_huge(u->policy) == HUGE_OFF)
		return false;
	if (READ_ONCE(x->table[unit * (u32)PAGES_PER_UNIT].state) == EXTENT_CHUNK)
		return READ_ONCE(u->nr_tries) || (x->is_grown && READ_ONCE(u->used_bytes) >= HALF_FULL_BYTES);
	return x->is_grown && u->touched_pages >= COLLAPSE_PAGES;
}

/* Racy without the lock. */
static u32 nr_small(const struct nar_pane *x)
{
	const u32 first = nar_unit_floor(x->first), end = READ_ONCE(x->small_end);

	return end > first ? end - first : 0;
}

static u32 next_collapse(struct nar_pane *x)
{
	const u32 first = nar_unit_floor(x->first);
	u32 unit, nr = nr_small(x), looked;

	x->next_collapse = max_of(x->next_collapse, first);
	for (looked = 0; looked < min_of(nr, (u32)COLLAPSE_LOOK); looked++) {
		unit = x->next_collapse++;
		if (x->next_collapse >= x->small_end)
			x->next_collapse = first;
		if (wants_collapse(x, unit))
			return unit;
	}
	return 0;
}

static bool may_be_huge(const struct nar_unit *u)
{
	return !READ_ONCE(u->is_reserved) && nar_kind_huge(READ_ONCE(u->policy)) != HUGE_OFF;
}

/* For what is purged and touched again: units before @small_end, as it was under the lock. */
static void advise_grown(const struct nar_pane *x, u32 small_end)
{
	u32 unit, end;

	for (unit = nar_unit_floor(x->first); unit < small_end; unit = end + 1) {
		for (end = unit; end < small_end && may_be_huge(&x->unit[end]); end++)
			;
		if (end > unit)
			nar_span_advise_huge(x->node, nar_page_at(x->node, unit * (u32)PAGES_PER_UNIT),
					     (size_t)(end - unit) << HUGE_SHIFT);
	}
}

static void pane_try_grow_up(struct nar_pane *x)
{
	bool was_grown;
	u32 small_end;

	if (READ_ONCE(x->is_grown))
		return;
	nar_lock(&x->lock);
	was_grown = x->is_grown;
	if (!was_grown)
		grow_up(x);
	small_end = x->small_end;
	nar_unlock(&x->lock);
	if (!was_grown)
		advise_grown(x, small_end);
}

void nar_unit_try_grow_up(unsigned int node)
{
	struct nar_pane *x;
	unsigned int i;

	if (nar_opt.huge != HUGE_AUTO || nar_window_committed_all() < GROWN_BYTES)
		return;
	nar_for_each_pane(x, node, i)
		pane_try_grow_up(x);
}

/* Of the whole span, as others count. */
static u32 unit_number(const struct nar_pane *x, u32 unit)
{
	return (u32)(nar_window_offset(x->node) >> HUGE_SHIFT) + unit;
}

static bool collapse_one(struct nar_pane *x)
{
	u32 unit;

	nar_lock(&x->lock);
	unit = next_collapse(x);
	nar_unlock(&x->lock);
	if (unit)
		nar_unit_try_huge(unit_number(x, unit));
	return unit;
}

/* Where nothing has grown up, only what was put off is of interest. */
static bool may_collapse(const struct nar_pane *x)
{
	return READ_ONCE(x->is_grown) || READ_ONCE(x->has_put_off);
}

/* Among @most units, a stretch under the lock at a time. */
static bool collapse_among(struct nar_pane *x, u32 most)
{
	u32 left = may_collapse(x) ? min_of(nr_small(x), most) : 0;

	for (; left; left -= min_of(left, (u32)COLLAPSE_LOOK))
		if (collapse_one(x))
			return true;
	return false;
}

static bool collapse_on(unsigned int node, u32 most)
{
	struct nar_pane *x;
	unsigned int i;

	nar_unit_try_grow_up(node);
	nar_for_each_pane(x, node, i)
		if (collapse_among(x, most))
			return true;
	return false;
}

bool nar_unit_collapse(unsigned int node)
{
	return collapse_on(node, COLLAPSE_LOOK);
}

bool nar_unit_collapse_any(unsigned int node)
{
	return collapse_on(node, UINT32_MAX);
}

static size_t recover(const struct nar_pane *x)
{
	u32 unit, end = nar_unit_floor(load_acquire(&x->end));
	size_t nr_failed = 0;

	for (unit = nar_unit_floor(x->first); unit < end; unit++)
		if (READ_ONCE(x->unit[unit].backing) == BACKING_HUGE &&
		    READ_ONCE(x->unit[unit].touched_pages))
			nr_failed += nar_unit_make_huge(unit_number(x, unit)) != 0;
	return nr_failed;
}

size_t nar_unit_recover(unsigned int node)
{
	const struct nar_pane *x;
	size_t nr_failed = 0;
	unsigned int i;

	nar_for_each_pane(x, node, i)
		nr_failed += recover(x);
	return nr_failed;
}

void nar_unit_note_fork(void)
{
	const struct nar_pane *x;
	unsigned int node, i;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_pane(x, node, i)
			nar_node_event(node, huge_forked, x->nr_huge);
}

static void forget_collapsing(struct nar_pane *x)
{
	u32 unit;

	for (unit = nar_unit_floor(x->first); x->nr_collapsing && unit < nar_unit_floor(x->end); unit++) {
		x->nr_collapsing -= x->unit[unit].is_collapsing;
		x->unit[unit].is_collapsing = false;
	}
}

void nar_unit_forget_threads(void)
{
	struct nar_pane *x;
	unsigned int node, i;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_pane(x, node, i)
			forget_collapsing(x);
}
