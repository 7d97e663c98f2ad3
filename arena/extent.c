// SPDX-License-Identifier: MIT
/*
 * Best fit with coalescing through boundary tags (Knuth, TAOCP 2.5), one tree a node
 * and backing.  The trees of all nodes, searched in order of distance, are the
 * global one.
 *
 * A window is committed upward in spans that grow with it, so that the number of
 * mappings stays small however much is allocated.  No system call is made under the
 * lock: a span that is being committed and a run that is being purged belong to
 * nobody meanwhile (EXTENT_HELD), and come back through the same door as any extent.
 *
 * What the kernel has given and nobody has touched reads as zeros.  That is known a
 * unit, as the page from which on it is untouched: best fit takes low addresses
 * first, so a fresh unit fills upward and one number is enough.
 */
#include <errno.h>

#include "internal/option.h"
#include "internal/stat.h"
#include "numa/bind.h"

#include "extent.h"
#include "tree.h"

/*
 * A span is a part of what is committed, within these.  What is committed and not touched
 * yet is taken before sparse chunks are dissolved, so it should not be much.
 */
#define SPAN_PART 32
#define SPAN_MIN_BYTES MIB(4)
#define SPAN_MAX_BYTES GIB(1)

/* Extents of the right size but the wrong alignment to look at before asking for slack. */
#define ALIGN_TRIES 16

struct extents {
	struct nar_lock lock;
	struct nar_tree tree[NR_BACKINGS];
	struct nar_extent *table;	/* this window's part */
	struct nar_unit *unit;
	u32 end;			/* first page never used; release-stored */
	u32 limit;			/* pages of the window */
	size_t committed[NR_BACKINGS];	/* relaxed reads */
	size_t large_pages;
	size_t free_pages;
	u32 nr_dirty;			/* 0: no free unit has been touched */
} __shared_line;

static struct extents extents[NAR_MAX_NODES];

static char *page_at(unsigned int node, u32 page)
{
	return nar_at(nar_window_offset(node) + ((size_t)page << PAGE_SHIFT));
}

static u32 page_of(const void *p)
{
	size_t in_window = nar_offset(p) & (((size_t)1 << nar_mem.window_shift) - 1);

	return (u32)(in_window >> PAGE_SHIFT);
}

void nar_extent_init(void)
{
	unsigned int node, backing;

	for (node = 0; node < nar_nodes.nr; node++) {
		struct extents *x = &extents[node];
		size_t window = nar_window_offset(node);

		x->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_EXTENT);
		x->table = &nar_mem.extent[window >> PAGE_SHIFT];
		x->unit = &nar_mem.unit[window >> HUGE_SHIFT];
		x->limit = (u32)(nar_mem.window_bytes >> PAGE_SHIFT);
		x->end = GUARD_BYTES >> PAGE_SHIFT;
		for (backing = 0; backing < NR_BACKINGS; backing++)
			x->tree[backing].table = x->table;
	}
}

/* ---- Free extents: into the tree, out of it, with their neighbours ---- */

static void free_insert(struct extents *x, u32 page, u32 nr_pages, u8 backing)
{
	struct nar_extent *e = &x->table[page];

	e->nr_pages = nr_pages;
	e->backing = backing;
	e->state = EXTENT_FREE;
	x->table[page + nr_pages - 1].back = page;
	nar_tree_insert(&x->tree[backing], page);
	x->free_pages += backing == BACKING_NONE ? 0 : nr_pages;
}

static void free_remove(struct extents *x, u32 page)
{
	struct nar_extent *e = &x->table[page];

	nar_tree_remove(&x->tree[e->backing], page);
	x->table[page + e->nr_pages - 1].back = 0;
	e->state = EXTENT_NONE;
	x->free_pages -= e->backing == BACKING_NONE ? 0 : e->nr_pages;
}

/* First units wholly at or above a page, and wholly below one. */
static u32 unit_ceil(u32 page)
{
	return DIV_ROUND_UP(page, (u32)PAGES_PER_UNIT);
}

static u32 unit_floor(u32 page)
{
	return page / (u32)PAGES_PER_UNIT;
}

/* Units of the free run [@run, @run_end) that the pages [@from, @to) have completed. */
static void note_free_units(struct extents *x, u32 run, u32 run_end, u32 from, u32 to)
{
	u32 unit = max_of(unit_ceil(run), unit_floor(from));
	u32 end = min_of(unit_floor(run_end), unit_ceil(to));
	u32 now;

	if (unit >= end)
		return;
	now = (u32)nar_clock_ms();
	for (; unit < end; unit++)
		x->unit[unit].free_since_ms = now;
	WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
}

static void give_back(struct extents *x, u32 page, u32 nr_pages, u8 backing)
{
	u32 start = page, end = page + nr_pages, before = x->table[page - 1].back;
	struct nar_extent *after = &x->table[end];

	x->table[page].state = EXTENT_NONE;
	if (before && x->table[before].backing == backing) {
		free_remove(x, before);
		start = before;
	}
	if (end < x->end && READ_ONCE(after->state) == EXTENT_FREE && after->backing == backing) {
		free_remove(x, end);
		end += after->nr_pages;
	}
	free_insert(x, start, end - start, backing);
	note_free_units(x, start, end, page, page + nr_pages);
}

/* Take [@from, @from + @nr) out of the free extent at @page that contains it. */
static void carve(struct extents *x, u32 page, u32 from, u32 nr, u8 state)
{
	u32 end = page + x->table[page].nr_pages;
	u8 backing = x->table[page].backing;

	free_remove(x, page);
	if (page < from)
		free_insert(x, page, from - page, backing);
	if (from + nr < end)
		free_insert(x, from + nr, end - from - nr, backing);
	x->table[from].nr_pages = nr;
	x->table[from].backing = backing;
	x->table[from].state = state;
}

/* The span starts at a unit; beyond that, alignment is a matter of addresses. */
static bool fits(const struct extents *x, u32 page, u32 nr, u32 align, u32 *from)
{
	size_t bias = (nar_mem.base >> PAGE_SHIFT) + (size_t)(x->table - nar_mem.extent);

	*from = (u32)(ALIGN_UP(page + bias, align) - bias);
	return *from + nr <= page + x->table[page].nr_pages;
}

static u32 find_fit(const struct extents *x, u32 nr, u32 align, u8 backing, u32 *from)
{
	const struct nar_tree *t = &x->tree[backing];
	u32 page = nar_tree_at_least(t, nr, 0);
	int tries;

	for (tries = 0; page && tries < ALIGN_TRIES; tries++) {
		if (fits(x, page, nr, align, from))
			return page;
		page = nar_tree_at_least(t, x->table[page].nr_pages, page + 1);
	}
	page = nar_tree_at_least(t, nr + align - 1, 0);
	return page && fits(x, page, nr, align, from) ? page : 0;
}

/* ---- Zero knowledge ---- */

static bool take_zero(struct extents *x, u32 page, u32 nr)
{
	u32 end = page + nr;
	bool is_zero = true;

	while (page < end) {
		struct nar_unit *u = &x->unit[unit_floor(page)];
		u32 first = ALIGN_DOWN(page, (u32)PAGES_PER_UNIT);
		u32 stop = min_of(end, first + (u32)PAGES_PER_UNIT);

		if (page - first < u->touched_pages)
			is_zero = false;
		if (stop - first > u->touched_pages)
			u->touched_pages = (u16)(stop - first);
		page = stop;
	}
	return is_zero;
}

/* ---- Growth ---- */

size_t nar_extent_committed(unsigned int node)
{
	const struct extents *x = &extents[node];

	return READ_ONCE(x->committed[BACKING_SMALL]) + READ_ONCE(x->committed[BACKING_HUGE]);
}

static u32 span_pages(unsigned int node, u32 need)
{
	size_t span = ALIGN_UP(nar_extent_committed(node) / SPAN_PART, HUGE_BYTES);

	span = max_of(span, SPAN_MIN_BYTES);
	span = min_of(span, SPAN_MAX_BYTES);
	return max_of((u32)(span >> PAGE_SHIFT), need);
}

/*
 * Space that was refused before, else from the end of what was ever used, as far as
 * @reach, where the tables end.
 */
static u32 hold_span(struct extents *x, u32 nr, u32 reach)
{
	u32 from, page = find_fit(x, nr, PAGES_PER_UNIT, BACKING_NONE, &from);

	if (page) {
		carve(x, page, from, nr, EXTENT_HELD);
		return from;
	}
	if (x->end + nr > reach)
		return 0;
	from = x->end;
	/* Release: who sees the new end sees the tables covered. */
	store_release(&x->end, from + nr);
	x->table[from].nr_pages = nr;
	x->table[from].state = EXTENT_HELD;
	return from;
}

static void prepare_span(unsigned int node, void *start, size_t bytes, enum nar_backing backing)
{
	if (backing == BACKING_HUGE)
		nar_pages_advise_huge(start, bytes);
	else
		nar_pages_advise_small(start, bytes);
	nar_bind(start, bytes, node);
}

static int commit_span(unsigned int node, u32 page, u32 nr, enum nar_backing backing)
{
	char *start = page_at(node, page);
	size_t bytes = (size_t)nr << PAGE_SHIFT;
	int err = nar_pages_commit(start, bytes);

	if (!err)
		prepare_span(node, start, bytes, backing);
	return err;
}

/* Return: whether it is worth looking for memory again. */
static bool try_grow(unsigned int node, u32 nr, enum nar_backing backing)
{
	struct extents *x = &extents[node];
	u32 page, end = READ_ONCE(x->end);
	u32 reach = nr > x->limit - end ? end : end + nr;
	bool overtaken;
	int err;

	/* Tables first: their entries are written as soon as the lock is held. */
	if (nar_meta_cover(node, (size_t)(reach + 1) << PAGE_SHIFT))
		return false;
	nar_lock(&x->lock);
	page = hold_span(x, nr, reach);
	overtaken = x->end != end;
	nar_unlock(&x->lock);
	if (!page)
		return overtaken;
	err = commit_span(node, page, nr, backing);
	nar_lock(&x->lock);
	if (!err)
		WRITE_ONCE(x->committed[backing], x->committed[backing] + ((size_t)nr << PAGE_SHIFT));
	give_back(x, page, nr, err ? BACKING_NONE : (u8)backing);
	nar_unlock(&x->lock);
	return !err;
}

/* A generous span first, then what is needed and no more. */
static bool extent_grow(unsigned int node, u32 need, enum nar_backing backing)
{
	u32 span = span_pages(node, need);

	return try_grow(node, span, backing) || (span > need && try_grow(node, need, backing));
}

/* ---- The interface ---- */

static void *take_fit(unsigned int node, u32 nr, u32 align, u8 backing, u8 state, bool *is_zero)
{
	struct extents *x = &extents[node];
	u32 from = 0, page;

	nar_lock(&x->lock);
	page = find_fit(x, nr, align, backing, &from);
	if (page) {
		carve(x, page, from, nr, state);
		*is_zero = take_zero(x, from, nr);
		x->large_pages += state == EXTENT_LARGE ? nr : 0;
	}
	nar_unlock(&x->lock);
	return page ? page_at(node, from) : NULL;
}

/* Memory that is there already, of either kind, comes before more of it. */
static void *take_any(unsigned int node, u32 nr, u32 align, u8 backing, u8 state, bool *is_zero)
{
	u8 other = backing == BACKING_SMALL ? BACKING_HUGE : BACKING_SMALL;
	void *p = take_fit(node, nr, align, backing, state, is_zero);

	return p ? p : take_fit(node, nr, align, other, state, is_zero);
}

static void *alloc_on_node(unsigned int node, u32 nr, u32 align, u8 backing, u8 state, bool *is_zero)
{
	/* Spans start at units, so alignment up to a unit needs no slack. */
	u32 need = ALIGN_UP(nr + (align > PAGES_PER_UNIT ? align : 0), (u32)PAGES_PER_UNIT);
	void *p = take_any(node, nr, align, backing, state, is_zero);

	/* Another thread may take what we grew: then we grow again. */
	while (!p && extent_grow(node, need, backing))
		p = take_fit(node, nr, align, backing, state, is_zero);
	return p;
}

static bool is_too_much(size_t nr_pages, size_t align_pages)
{
	return nr_pages + align_pages >= nar_mem.window_bytes >> PAGE_SHIFT;
}

void *nar_extent_try_alloc(unsigned int node, size_t nr_pages, size_t align_pages,
			   enum nar_backing backing, enum nar_extent_state state, bool *is_zero)
{
	if (is_too_much(nr_pages, align_pages))
		return NULL;
	return take_any(node, (u32)nr_pages, (u32)align_pages, (u8)backing, (u8)state, is_zero);
}

void *nar_extent_alloc(unsigned int node, size_t nr_pages, size_t align_pages,
		       enum nar_backing backing, enum nar_extent_state state, bool *is_zero)
{
	unsigned int i;
	void *p = NULL;

	if (is_too_much(nr_pages, align_pages))
		return NULL;
	for (i = 0; i < nar_nodes.nr && !p; i++)
		p = alloc_on_node(nar_nodes.order[node][i], (u32)nr_pages, (u32)align_pages,
				  (u8)backing, (u8)state, is_zero);
	if (p && i > 1)
		nar_event(node_fallback, 1);
	return p;
}

/* Committed pages only: beyond them the table cannot be read. */
static bool has_descriptor(const struct extents *x, u32 page)
{
	return page >= GUARD_BYTES >> PAGE_SHIFT && page < load_acquire(&x->end);
}

static bool starts_extent(const struct extents *x, const void *p, u8 state)
{
	u32 page = page_of(p);

	return !(nar_offset(p) % PAGE_BYTES) && has_descriptor(x, page) &&
	       READ_ONCE(x->table[page].state) == state;
}

size_t nar_extent_pages(const void *p, enum nar_extent_state state)
{
	struct extents *x = &extents[nar_node_of(p)];

	return starts_extent(x, p, (u8)state) ? READ_ONCE(x->table[page_of(p)].nr_pages) : 0;
}

bool nar_extent_try_mark(void *p, enum nar_extent_state from, enum nar_extent_state to)
{
	struct extents *x = &extents[nar_node_of(p)];
	u8 seen = (u8)from;

	/* Neighbours look for EXTENT_FREE alone, so they may look meanwhile. */
	return starts_extent(x, p, (u8)from) &&
	       __atomic_compare_exchange_n(&x->table[page_of(p)].state, &seen, (u8)to, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int nar_extent_free(void *p, enum nar_extent_state state)
{
	struct extents *x = &extents[nar_node_of(p)];
	u32 page = page_of(p);
	int err = -EINVAL;

	nar_lock(&x->lock);
	if (starts_extent(x, p, (u8)state)) {
		struct nar_extent *e = &x->table[page];

		x->large_pages -= state == EXTENT_CHUNK ? 0 : e->nr_pages;
		give_back(x, page, e->nr_pages, e->backing);
		err = 0;
	}
	nar_unlock(&x->lock);
	return err;
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
	struct extents *x = &extents[nar_node_of(start)];
	unsigned int slice, nr;
	u8 backing;

	nar_lock(&x->lock);
	backing = x->table[page_of(start)].backing;
	/* Used rows first: free ones look at their neighbours. */
	for (slice = 0; slice < SLICES_PER_UNIT; slice += nr) {
		struct nar_extent *e = &x->table[page_of(start) + slice * slice_pages];

		nr = free_mask >> slice & 1 ? 1 : row_length(slice, free_mask | start_mask);
		e->nr_pages = nr * slice_pages;
		e->backing = backing;
		e->state = free_mask >> slice & 1 ? EXTENT_HELD : EXTENT_CHUNK;
	}
	for (slice = 0; slice < SLICES_PER_UNIT; slice++)
		if (free_mask >> slice & 1)
			give_back(x, page_of(start) + slice * slice_pages, slice_pages, backing);
	nar_unlock(&x->lock);
}

static int resize_locked(struct extents *x, u32 page, u32 nr)
{
	struct nar_extent *e = &x->table[page];
	u32 old = e->nr_pages, end = page + old;
	struct nar_extent *after = &x->table[end];

	if (nr < old) {
		e->nr_pages = nr;
		give_back(x, page + nr, old - nr, e->backing);
	} else if (nr > old) {
		if (end >= x->end || READ_ONCE(after->state) != EXTENT_FREE || after->backing != e->backing ||
		    after->nr_pages < nr - old)
			return -ENOSPC;
		carve(x, end, end, nr - old, EXTENT_NONE);
		e->nr_pages = nr;
		take_zero(x, end, nr - old);
	}
	x->large_pages += (size_t)nr - old;
	return 0;
}

int nar_extent_resize(void *p, size_t nr_pages)
{
	struct extents *x = &extents[nar_node_of(p)];
	int err;

	if (nr_pages >= x->limit)
		return -ENOSPC;
	nar_lock(&x->lock);
	err = resize_locked(x, page_of(p), (u32)nr_pages);
	nar_unlock(&x->lock);
	return err;
}

bool nar_extent_around(const void *p, void **start, size_t *nr_pages,
		       enum nar_extent_state *state)
{
	unsigned int node = nar_node_of(p);
	struct extents *x = &extents[node];
	u32 page, target = page_of(p);
	bool found = false;

	if (!has_descriptor(x, target))
		return false;
	nar_lock(&x->lock);
	/* Extents tile the window: one leads to the next. */
	for (page = GUARD_BYTES >> PAGE_SHIFT; page < x->end; page += x->table[page].nr_pages) {
		if (target - page < x->table[page].nr_pages) {
			*start = page_at(node, page);
			*nr_pages = x->table[page].nr_pages;
			*state = x->table[page].state;
			found = true;
			break;
		}
	}
	nar_unlock(&x->lock);
	return found;
}

/* ---- Moving ---- */

/* A mapping that was moved does not merge with its neighbours: 4 mappings a move at most. */
#define MOVES_MAX 128

static u32 nr_moves;	/* relaxed */

/* The kernel keeps what the old range had: say again what the new one is for. */
bool nar_extent_try_move(void *from, void *to, size_t nr_pages)
{
	unsigned int node = nar_node_of(to);
	size_t bytes = nr_pages << PAGE_SHIFT;
	int err;

	if (READ_ONCE(nr_moves) >= MOVES_MAX)
		return false;
	err = nar_pages_move(from, to, bytes);
	prepare_span(node, to, bytes, (enum nar_backing)extents[node].table[page_of(to)].backing);
	add_relaxed(&nr_moves, 1);
	nar_event(moved_pages, err ? 0 : nr_pages);
	return !err;
}

/* ---- Purge ---- */

static bool is_stale(const struct nar_unit *u, u32 before_ms)
{
	/* The clock wraps after 49 days: compare by difference. */
	return u->touched_pages && (int32_t)(before_ms - u->free_since_ms) >= 0;
}

/*
 * The first run of stale units, of at most @max, in the free extent at @page.  Those
 * met that are too young are noted: there will be work later.
 */
static u32 stale_run(struct extents *x, u32 page, u32 before_ms, size_t max, u32 *nr)
{
	u32 unit = unit_ceil(page), end = unit_floor(page + x->table[page].nr_pages), first;

	for (; unit < end && !is_stale(&x->unit[unit], before_ms); unit++)
		if (x->unit[unit].touched_pages)
			WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
	for (first = unit; unit < end && unit - first < max; unit++)
		if (!is_stale(&x->unit[unit], before_ms))
			break;
	*nr = unit > first ? unit - first : 0;
	return first;
}

/* Largest extents first.  Return: the first page of what was taken out of the tree. */
static u32 hold_stale(struct extents *x, u32 before_ms, size_t max, u32 *nr_units)
{
	unsigned int backing;
	u32 page, unit, nr;

	WRITE_ONCE(x->nr_dirty, 0);
	for (backing = BACKING_SMALL; backing < NR_BACKINGS; backing++) {
		const struct nar_tree *t = &x->tree[backing];

		for (page = nar_tree_below(t, UINT32_MAX, 0);
		     page && x->table[page].nr_pages >= PAGES_PER_UNIT;
		     page = nar_tree_below(t, x->table[page].nr_pages, page)) {
			unit = stale_run(x, page, before_ms, max, &nr);
			if (nr) {
				u32 from = unit * (u32)PAGES_PER_UNIT;

				carve(x, page, from, nr * (u32)PAGES_PER_UNIT, EXTENT_HELD);
				*nr_units = nr;
				WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
				return from;
			}
		}
	}
	return 0;
}

/* Units that could not be purged are as they were, and young again. */
static void release_held(struct extents *x, u32 page, u32 nr_units, bool is_purged)
{
	u32 first = page / (u32)PAGES_PER_UNIT, i, dirty = x->nr_dirty;

	for (i = 0; is_purged && i < nr_units; i++)
		x->unit[first + i].touched_pages = 0;
	give_back(x, page, nr_units * (u32)PAGES_PER_UNIT, x->table[page].backing);
	/* Clean units are no work for the next purge. */
	if (is_purged)
		WRITE_ONCE(x->nr_dirty, dirty);
}

/* Return: units purged; 0 also if the kernel refused, to leave it alone for a while. */
static size_t purge_run(unsigned int node, u32 before_ms, size_t max)
{
	struct extents *x = &extents[node];
	u32 page, nr = 0;
	bool is_purged;

	nar_lock(&x->lock);
	page = hold_stale(x, before_ms, max, &nr);
	nar_unlock(&x->lock);
	if (!page)
		return 0;
	is_purged = !nar_pages_purge(page_at(node, page), (size_t)nr << HUGE_SHIFT);
	if (is_purged)
		nar_event(purged_units, nr);
	nar_lock(&x->lock);
	release_held(x, page, nr, is_purged);
	nar_unlock(&x->lock);
	return is_purged ? nr : 0;
}

size_t nar_extent_purge(unsigned int node, u32 before_ms, size_t max_units)
{
	size_t sum = 0, nr;

	if (!READ_ONCE(extents[node].nr_dirty))
		return 0;
	while (sum < max_units && (nr = purge_run(node, before_ms, max_units - sum)))
		sum += nr;
	return sum;
}

void nar_extent_usage(unsigned int node, struct nar_extent_usage *u)
{
	struct extents *x = &extents[node];
	unsigned int backing;

	nar_lock(&x->lock);
	for (backing = 0; backing < NR_BACKINGS; backing++)
		u->committed_bytes[backing] = x->committed[backing];
	u->large_bytes = x->large_pages << PAGE_SHIFT;
	u->free_bytes = x->free_pages << PAGE_SHIFT;
	nar_unlock(&x->lock);
}

void nar_extent_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		fn(&extents[node].lock);
}
