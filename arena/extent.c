// SPDX-License-Identifier: MIT
/*
 * Best fit with coalescing through boundary tags (Knuth, TAOCP 2.5), one tree a node,
 * policy and backing, so that memory of one is never used for another.  The trees of all
 * nodes, searched in order of distance, are the global one.
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
#include "numa/hugetlb.h"

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

/* huge:auto: a node with so much memory is no small program's. */
#define GROWN_BYTES MIB(32)

/* Making a unit huge touches all of it: three quarters should have been touched. */
#define COLLAPSE_PAGES (PAGES_PER_UNIT / 4 * 3)

/* Free extents are alike in these, or they stay apart. */
struct kin {
	u8 policy;
	u8 backing;
};

struct extents {
	struct nar_lock lock;
	struct nar_tree *tree[NAR_MAX_POLICIES];	/* by backing; release-stored when needed */
	struct nar_tree ours[NR_BACKINGS];	/* POLICY_OURS, and space without memory */
	struct nar_extent *table;	/* this window's part */
	struct nar_unit *unit;
	u32 end;			/* first page never used; release-stored */
	u32 limit;			/* pages of the window */
	size_t committed[NR_BACKINGS];	/* relaxed reads */
	size_t large_pages;
	size_t free_pages;
	u32 nr_dirty;			/* 0: no free unit has been touched */
	u32 nr_huge;			/* units touched that were asked to be huge */
	u32 small_end;			/* huge:auto, once grown: units from here on began huge */
	u32 next_collapse;		/* relaxed: where to look for a unit to make huge */
	bool is_grown;			/* relaxed reads */
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
		x->tree[POLICY_OURS] = x->ours;
		for (backing = 0; backing < NR_BACKINGS; backing++)
			x->ours[backing].table = x->table;
	}
}

/* ---- Kin and their trees ---- */

static struct kin kin_of(const struct nar_extent *e)
{
	return (struct kin){ e->policy, e->backing };
}

/* What has no memory has no policy either. */
static const struct kin no_memory = { POLICY_OURS, BACKING_NONE };

static bool is_kin(const struct nar_extent *e, struct kin k)
{
	return e->policy == k.policy && e->backing == k.backing;
}

static struct nar_tree *tree_of(const struct extents *x, struct kin k)
{
	return &x->tree[k.policy][k.backing];
}

static void set_kin(struct nar_extent *e, struct kin k)
{
	e->policy = k.policy;
	e->backing = k.backing;
}

/* Trees of a policy that the program has set.  Return: whether they are there. */
static bool trees_ready(struct nar_place place)
{
	struct extents *x = &extents[place.node];
	struct nar_tree *trees;
	unsigned int backing;

	if (likely(load_acquire(&x->tree[place.policy])))
		return true;
	trees = nar_meta_alloc(place.node, NR_BACKINGS * sizeof(*trees));
	if (!trees)
		return false;
	for (backing = 0; backing < NR_BACKINGS; backing++)
		trees[backing].table = x->table;
	nar_lock(&x->lock);
	/* Whoever comes second loses a few pages of tables, once. */
	if (!x->tree[place.policy])
		store_release(&x->tree[place.policy], trees);
	nar_unlock(&x->lock);
	return true;
}

/* ---- Free extents: into the tree, out of it, with their neighbours ---- */

static void free_insert(struct extents *x, u32 page, u32 nr_pages, struct kin k)
{
	struct nar_extent *e = &x->table[page];

	e->nr_pages = nr_pages;
	set_kin(e, k);
	e->state = EXTENT_FREE;
	x->table[page + nr_pages - 1].back = page;
	nar_tree_insert(tree_of(x, k), page);
	x->free_pages += k.backing == BACKING_NONE ? 0 : nr_pages;
}

static void free_remove(struct extents *x, u32 page)
{
	struct nar_extent *e = &x->table[page];

	nar_tree_remove(tree_of(x, kin_of(e)), page);
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

static void give_back(struct extents *x, u32 page, u32 nr_pages, struct kin k)
{
	u32 start = page, end = page + nr_pages, before = x->table[page - 1].back;
	struct nar_extent *after = &x->table[end];

	x->table[page].state = EXTENT_NONE;
	if (before && is_kin(&x->table[before], k)) {
		free_remove(x, before);
		start = before;
	}
	if (end < x->end && READ_ONCE(after->state) == EXTENT_FREE && is_kin(after, k)) {
		free_remove(x, end);
		end += after->nr_pages;
	}
	free_insert(x, start, end - start, k);
	note_free_units(x, start, end, page, page + nr_pages);
}

/* Take [@from, @from + @nr) out of the free extent at @page that contains it. */
static void carve(struct extents *x, u32 page, u32 from, u32 nr, u8 state)
{
	u32 end = page + x->table[page].nr_pages;
	struct kin k = kin_of(&x->table[page]);

	free_remove(x, page);
	if (page < from)
		free_insert(x, page, from - page, k);
	if (from + nr < end)
		free_insert(x, from + nr, end - from - nr, k);
	x->table[from].nr_pages = nr;
	set_kin(&x->table[from], k);
	x->table[from].state = state;
}

/* The span starts at a unit; beyond that, alignment is a matter of addresses. */
static u32 first_fit(const struct extents *x, u32 page, u32 align)
{
	size_t bias = (nar_mem.base >> PAGE_SHIFT) + (size_t)(x->table - nar_mem.extent);

	return (u32)(ALIGN_UP(page + bias, align) - bias);
}

static bool fits(const struct extents *x, u32 page, u32 nr, u32 align, u32 *from)
{
	*from = first_fit(x, page, align);
	return *from + nr <= page + x->table[page].nr_pages;
}

static u32 find_fit(const struct extents *x, u32 nr, u32 align, struct kin k, u32 *from)
{
	const struct nar_tree *t = tree_of(x, k);
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
		x->nr_huge += !u->touched_pages && u->backing == BACKING_HUGE;
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

	return READ_ONCE(x->committed[BACKING_SMALL]) + READ_ONCE(x->committed[BACKING_HUGE]) +
	       READ_ONCE(x->committed[BACKING_HUGETLB]);
}

/* What comes from a pool is resident at once: no more of it than is needed, at first. */
static u32 span_pages(unsigned int node, u32 need, u8 backing)
{
	size_t least = backing == BACKING_HUGETLB ? HUGE_BYTES : SPAN_MIN_BYTES;
	size_t span = ALIGN_UP(nar_extent_committed(node) / SPAN_PART, HUGE_BYTES);

	span = max_of(span, least);
	span = min_of(span, SPAN_MAX_BYTES);
	return max_of((u32)(span >> PAGE_SHIFT), need);
}

/*
 * Space that has no memory, else from the end of what was ever used, as far as
 * @reach, where the tables end.
 */
static u32 hold_span(struct extents *x, u32 nr, u32 align, u32 reach)
{
	u32 from, page = find_fit(x, nr, align, no_memory, &from), end = x->end;

	if (page) {
		carve(x, page, from, nr, EXTENT_HELD);
		return from;
	}
	from = first_fit(x, end, align);
	if (from + nr > reach)
		return 0;
	/* Release: who sees the new end sees the tables covered. */
	store_release(&x->end, from + nr);
	x->table[from].nr_pages = nr;
	x->table[from].state = EXTENT_HELD;
	if (from > end)
		give_back(x, end, from - end, no_memory);
	return from;
}

static void advise_huge(unsigned int node, void *start, size_t bytes)
{
	int err = nar_pages_advise_huge(start, bytes);

	if (err == -ENOSYS)
		nar_node_event(node, huge_off, bytes >> HUGE_SHIFT);
	else if (err)
		nar_node_event(node, huge_refused, bytes >> HUGE_SHIFT);
}

static void prepare_span(struct nar_place place, void *start, size_t bytes, u8 backing)
{
	if (backing == BACKING_HUGE)
		advise_huge(place.node, start, bytes);
	else
		nar_pages_advise_small(start, bytes);
	nar_bind(start, bytes, place);
}

static int commit_span(struct nar_place place, u32 page, u32 nr, u8 backing, unsigned int shift)
{
	char *start = page_at(place.node, page);
	size_t bytes = (size_t)nr << PAGE_SHIFT;
	int err;

	if (backing == BACKING_HUGETLB)
		return nar_hugetlb_commit(start, bytes, shift, place);
	err = nar_pages_commit(start, bytes);
	if (!err)
		prepare_span(place, start, bytes, backing);
	return err;
}

static void note_backing(struct extents *x, u32 page, u32 nr, u8 backing)
{
	u32 unit = unit_floor(page), end = unit_floor(page + nr);

	for (; unit < end; unit++)
		WRITE_ONCE(x->unit[unit].backing, backing);
	WRITE_ONCE(x->committed[backing], x->committed[backing] + ((size_t)nr << PAGE_SHIFT));
}

/*
 * New memory in nobody's hands.  Return: its first page, 0 if there is none; *@again:
 * others have changed the window meanwhile, so that it is worth looking once more.
 */
static u32 hold_new(struct nar_place place, u32 nr, u32 align, u8 backing, unsigned int shift,
		    bool *again)
{
	struct extents *x = &extents[place.node];
	u32 page, end = READ_ONCE(x->end), start = first_fit(x, end, align);
	u32 reach = start > x->limit || nr > x->limit - start ? end : start + nr;

	*again = false;
	/* Tables first: their entries are written as soon as the lock is held. */
	if (nar_meta_cover(place.node, (size_t)(reach + 1) << PAGE_SHIFT))
		return 0;
	nar_lock(&x->lock);
	page = hold_span(x, nr, align, reach);
	*again = !page && x->end != end;
	nar_unlock(&x->lock);
	if (!page)
		return 0;
	if (!commit_span(place, page, nr, backing, shift)) {
		nar_lock(&x->lock);
		note_backing(x, page, nr, backing);
		nar_unlock(&x->lock);
		return page;
	}
	nar_lock(&x->lock);
	give_back(x, page, nr, no_memory);
	nar_unlock(&x->lock);
	return 0;
}

/* Return: whether it is worth looking for memory again. */
static bool try_grow(struct nar_place place, u32 nr, u8 backing)
{
	struct extents *x = &extents[place.node];
	bool again;
	u32 page = hold_new(place, nr, PAGES_PER_UNIT, backing, HUGE_SHIFT, &again);

	if (!page)
		return again;
	nar_lock(&x->lock);
	give_back(x, page, nr, (struct kin){ place.policy, backing });
	nar_unlock(&x->lock);
	return true;
}

/* A generous span first, then what is needed and no more. */
static bool extent_grow(struct nar_place place, u32 need, u8 backing)
{
	u32 span = span_pages(place.node, need, backing);

	return try_grow(place, span, backing) || (span > need && try_grow(place, need, backing));
}

/* ---- The interface ---- */

/* Memory that is there already, of whatever kind, comes before more of it. */
static const u8 order_of_backings[NR_BACKINGS][NR_BACKINGS - 1] = {
	[BACKING_SMALL] = { BACKING_SMALL, BACKING_HUGE, BACKING_HUGETLB },
	[BACKING_HUGE] = { BACKING_HUGETLB, BACKING_HUGE, BACKING_SMALL },
	[BACKING_HUGETLB] = { BACKING_HUGETLB, BACKING_HUGE, BACKING_SMALL },
};

static u32 find_any(const struct extents *x, unsigned int policy, const struct nar_want *w, u32 *from)
{
	unsigned int i;
	u32 page = 0;

	for (i = 0; i < NR_BACKINGS - 1 && !page; i++) {
		struct kin k = { (u8)policy, order_of_backings[w->backing][i] };

		page = find_fit(x, (u32)w->nr_pages, (u32)w->align_pages, k, from);
	}
	return page;
}

static void *take_any(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	struct extents *x = &extents[place.node];
	u32 nr = (u32)w->nr_pages, from = 0, page;

	nar_lock(&x->lock);
	page = find_any(x, place.policy, w, &from);
	if (page) {
		carve(x, page, from, nr, (u8)w->state);
		*is_zero = take_zero(x, from, nr);
		x->large_pages += w->state == EXTENT_LARGE ? nr : 0;
	}
	nar_unlock(&x->lock);
	return page ? page_at(place.node, from) : NULL;
}

/* Spans start at units, so alignment up to a unit needs no slack. */
static u32 growth_for(const struct nar_want *w)
{
	size_t slack = w->align_pages > PAGES_PER_UNIT ? w->align_pages : 0;

	return (u32)ALIGN_UP(w->nr_pages + slack, PAGES_PER_UNIT);
}

static bool grow_pool(struct nar_place place, u32 need)
{
	if (extent_grow(place, need, BACKING_HUGETLB))
		return true;
	nar_node_event(place.node, huge_pool_empty, need / PAGES_PER_UNIT);
	return false;
}

/* Another thread may take what we grew: then we grow again. */
static void *grow_and_take(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	bool is_pooled = w->backing == BACKING_HUGETLB;
	u32 need = growth_for(w);
	void *p = NULL;

	while (!p && is_pooled && grow_pool(place, need))
		p = take_any(place, w, is_zero);
	while (!p && extent_grow(place, need, is_pooled ? BACKING_HUGE : (u8)w->backing))
		p = take_any(place, w, is_zero);
	return p;
}

static bool is_too_much(const struct nar_want *w)
{
	return w->nr_pages + w->align_pages >= nar_mem.window_bytes >> PAGE_SHIFT;
}

/*
 * policy:strict.  All of it is faulted in and looked at; a page that will not come home
 * makes the whole as good as none.
 */
static int enforce(struct nar_place place, void *p, size_t nr_pages)
{
	size_t bytes = nr_pages << PAGE_SHIFT;
	int err = nar_pages_populate(p, bytes);

	if (err == -EINVAL)
		nar_pages_touch(p, bytes);
	else if (err)
		return -ENOMEM;
	err = nar_bind_enforce(p, bytes, place);
	if (err == -EPERM)
		nar_node_event(place.node, strict_unproven, 1);
	return err == -EPERM ? 0 : err;
}

static void *prove(struct nar_place place, const struct nar_want *w, void *p)
{
	if (likely(!p || !nar_policy_is_strict(place.policy)) || !enforce(place, p, w->nr_pages))
		return p;
	nar_node_event(place.node, strict_failed, 1);
	nar_pages_purge(p, w->nr_pages << PAGE_SHIFT);
	nar_extent_free(p, w->state);
	return NULL;
}

void *nar_extent_try_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero)
{
	if (is_too_much(want) || !trees_ready(place))
		return NULL;
	return prove(place, want, take_any(place, want, is_zero));
}

static void *alloc_on_node(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	void *p;

	if (!trees_ready(place))
		return NULL;
	p = take_any(place, w, is_zero);
	if (!p)
		p = grow_and_take(place, w, is_zero);
	return prove(place, w, p);
}

/* A node that the kernel says is full would have the pages elsewhere, and nobody would know. */
static bool has_room(struct nar_place place, const struct nar_want *w)
{
	return nar_nodes.nr == 1 || !nar_policy_names_node(place.policy) ||
	       nar_node_has_room(place.node, (size_t)growth_for(w) << PAGE_SHIFT);
}

static void *alloc_with_room(struct nar_place place, const struct nar_want *w, bool *is_zero)
{
	void *p;

	if (!trees_ready(place))
		return NULL;
	p = take_any(place, w, is_zero);
	return p || !has_room(place, w) ? p : grow_and_take(place, w, is_zero);
}

/* Where there is room, in order of distance; where there is none, what the kernel will give. */
static void *alloc_anywhere(struct nar_place home, const struct nar_want *w, bool *is_zero)
{
	struct nar_place place = home;
	void *p = NULL;
	unsigned int i;

	for (i = 0; i < nar_nodes.nr && !p; i++) {
		place.node = nar_nodes.order[home.node][i];
		if (nar_node_is_allowed(place.node) || !i)
			p = alloc_with_room(place, w, is_zero);
	}
	for (i = 0; i < nar_nodes.nr && !p; i++) {
		place.node = nar_nodes.order[home.node][i];
		p = alloc_on_node(place, w, is_zero);
	}
	if (p && place.node != home.node)
		nar_node_event(home.node, node_fallback, 1);
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

/* ---- Memory made ready beforehand ---- */

void *nar_extent_hold(struct nar_place place, size_t bytes, enum nar_backing backing,
		      unsigned int shift)
{
	struct extents *x = &extents[place.node];
	u32 align = 1u << (shift - PAGE_SHIFT), page, unit;
	size_t nr = ALIGN_UP(bytes, (size_t)1 << shift) >> PAGE_SHIFT;
	bool again;

	if (nr >= x->limit || !trees_ready(place))
		return NULL;
	do
		page = hold_new(place, (u32)nr, align, (u8)backing, shift, &again);
	while (!page && again);
	if (!page)
		return NULL;
	nar_lock(&x->lock);
	set_kin(&x->table[page], (struct kin){ place.policy, (u8)backing });
	for (unit = unit_floor(page); unit < unit_floor(page + (u32)nr); unit++)
		x->unit[unit].is_reserved = true;
	nar_unlock(&x->lock);
	return page_at(place.node, page);
}

void nar_extent_release_held(void *p)
{
	struct extents *x = &extents[nar_node_of(p)];
	struct nar_extent *e = &x->table[page_of(p)];

	nar_lock(&x->lock);
	give_back(x, page_of(p), e->nr_pages, kin_of(e));
	nar_unlock(&x->lock);
}

void nar_extent_drop_held(void *p)
{
	struct extents *x = &extents[nar_node_of(p)];
	u32 page = page_of(p), nr = x->table[page].nr_pages, unit;

	nar_pages_purge(p, (size_t)nr << PAGE_SHIFT);
	nar_lock(&x->lock);
	for (unit = unit_floor(page); unit < unit_floor(page + nr); unit++)
		x->unit[unit].is_reserved = false;
	nar_unlock(&x->lock);
	nar_extent_release_held(p);
}

/* ---- Extents in use ---- */

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

/* Any page of ours has an entry to read; what it says of other pages nobody uses. */
unsigned int nar_extent_policy_at(const void *p)
{
	struct extents *x = &extents[nar_node_of(p)];

	return has_descriptor(x, page_of(p)) ? READ_ONCE(x->table[page_of(p)].policy) : POLICY_OURS;
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
		give_back(x, page, e->nr_pages, kin_of(e));
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
	struct kin k;

	nar_lock(&x->lock);
	k = kin_of(&x->table[page_of(start)]);
	/* Used rows first: free ones look at their neighbours. */
	for (slice = 0; slice < SLICES_PER_UNIT; slice += nr) {
		struct nar_extent *e = &x->table[page_of(start) + slice * slice_pages];

		nr = free_mask >> slice & 1 ? 1 : row_length(slice, free_mask | start_mask);
		e->nr_pages = nr * slice_pages;
		set_kin(e, k);
		e->state = free_mask >> slice & 1 ? EXTENT_HELD : EXTENT_CHUNK;
	}
	for (slice = 0; slice < SLICES_PER_UNIT; slice++)
		if (free_mask >> slice & 1)
			give_back(x, page_of(start) + slice * slice_pages, slice_pages, k);
	nar_unlock(&x->lock);
}

static int resize_locked(struct extents *x, u32 page, u32 nr)
{
	struct nar_extent *e = &x->table[page];
	u32 old = e->nr_pages, end = page + old;
	struct nar_extent *after = &x->table[end];

	if (nr < old) {
		e->nr_pages = nr;
		give_back(x, page + nr, old - nr, kin_of(e));
	} else if (nr > old) {
		if (end >= x->end || READ_ONCE(after->state) != EXTENT_FREE ||
		    !is_kin(after, kin_of(e)) || after->nr_pages < nr - old)
			return -ENOSPC;
		carve(x, end, end, nr - old, EXTENT_NONE);
		e->nr_pages = nr;
		take_zero(x, end, nr - old);
	}
	x->large_pages += (size_t)nr - old;
	return 0;
}

static int resize(struct extents *x, u32 page, u32 nr)
{
	int err;

	nar_lock(&x->lock);
	err = resize_locked(x, page, nr);
	nar_unlock(&x->lock);
	return err;
}

static struct nar_place place_of(const struct extents *x, const void *p)
{
	return (struct nar_place){ (u8)nar_node_of(p), x->table[page_of(p)].policy };
}

int nar_extent_resize(void *p, size_t nr_pages)
{
	struct extents *x = &extents[nar_node_of(p)];
	u32 page = page_of(p), old = x->table[page].nr_pages;
	struct nar_place place = place_of(x, p);
	int err;

	if (nr_pages >= x->limit)
		return -ENOSPC;
	err = resize(x, page, (u32)nr_pages);
	if (err || nr_pages <= old || !nar_policy_is_strict(place.policy))
		return err;
	if (!enforce(place, page_at(place.node, page + old), nr_pages - old))
		return 0;
	nar_node_event(place.node, strict_failed, 1);
	resize(x, page, old);
	return -ENOSPC;
}

/* The first page of the extent that covers @page: those behind it have no state. */
static u32 start_of(const struct extents *x, u32 page)
{
	while (page > GUARD_BYTES >> PAGE_SHIFT && x->table[page].state == EXTENT_NONE)
		page--;
	return page;
}

int nar_extent_policy(const void *p)
{
	struct extents *x = &extents[nar_node_of(p)];
	const struct nar_extent *e;
	int policy;

	if (!has_descriptor(x, page_of(p)))
		return -ENOENT;
	nar_lock(&x->lock);
	e = &x->table[start_of(x, page_of(p))];
	policy = e->state == EXTENT_FREE ? -ENOENT : e->policy;
	nar_unlock(&x->lock);
	return policy;
}

unsigned int nar_extent_walk(unsigned int node, u32 *page, struct nar_run *runs, unsigned int max)
{
	struct extents *x = &extents[node];
	u32 at = max_of(*page, (u32)(GUARD_BYTES >> PAGE_SHIFT));
	unsigned int nr = 0;

	nar_lock(&x->lock);
	/* What began here at the last call may have become part of another since. */
	while (at < x->end && x->table[at].state == EXTENT_NONE)
		at++;
	for (; at < x->end && nr < max; at += x->table[at].nr_pages) {
		const struct nar_extent *e = &x->table[at];

		runs[nr++] = (struct nar_run){ page_at(node, at), e->nr_pages, e->state, e->policy,
					       e->backing };
	}
	nar_unlock(&x->lock);
	*page = at;
	return nr;
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

/* Pages keep their node when they move. */
static bool may_move(const void *from, const void *to)
{
	const struct extents *x = &extents[nar_node_of(from)];
	const struct nar_extent *e = &x->table[page_of(from)];

	return nar_node_of(from) == nar_node_of(to) && e->backing != BACKING_HUGETLB &&
	       is_kin(&x->table[page_of(to)], kin_of(e));
}

/* The kernel keeps what the old range had: say again what the new one is for. */
bool nar_extent_try_move(void *from, void *to, size_t nr_pages)
{
	struct extents *x = &extents[nar_node_of(to)];
	size_t bytes = nr_pages << PAGE_SHIFT;
	int err;

	if (!may_move(from, to) || READ_ONCE(nr_moves) >= MOVES_MAX)
		return false;
	err = nar_pages_move(from, to, bytes);
	prepare_span(place_of(x, to), to, bytes, x->table[page_of(to)].backing);
	add_relaxed(&nr_moves, 1);
	nar_event(moved_pages, err ? 0 : nr_pages);
	return !err;
}

/* ---- Purge ---- */

/* Pages of a pool are there whether or not anybody has seen them. */
static bool is_dirty(const struct nar_unit *u)
{
	return !u->is_reserved && (u->touched_pages || u->backing == BACKING_HUGETLB);
}

static bool is_stale(const struct nar_unit *u, u32 before_ms)
{
	/* The clock wraps after 49 days: compare by difference. */
	return is_dirty(u) && (int32_t)(before_ms - u->free_since_ms) >= 0;
}

/*
 * The first run of stale units, of at most @max, in the free extent at @page.  Those
 * met that are too young are noted: there will be work later.
 */
static u32 stale_run(struct extents *x, u32 page, u32 before_ms, size_t max, u32 *nr)
{
	u32 unit = unit_ceil(page), end = unit_floor(page + x->table[page].nr_pages), first;

	for (; unit < end && !is_stale(&x->unit[unit], before_ms); unit++)
		if (is_dirty(&x->unit[unit]))
			WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
	for (first = unit; unit < end && unit - first < max; unit++)
		if (!is_stale(&x->unit[unit], before_ms))
			break;
	*nr = unit > first ? unit - first : 0;
	return first;
}

/* Largest extents first.  Return: the first page of what was taken out of the tree. */
static u32 hold_stale_kin(struct extents *x, struct kin k, u32 before_ms, size_t max, u32 *nr)
{
	const struct nar_tree *t = tree_of(x, k);
	u32 page, from;

	for (page = nar_tree_below(t, UINT32_MAX, 0);
	     page && x->table[page].nr_pages >= PAGES_PER_UNIT;
	     page = nar_tree_below(t, x->table[page].nr_pages, page)) {
		from = stale_run(x, page, before_ms, max, nr) * (u32)PAGES_PER_UNIT;
		if (!*nr)
			continue;
		carve(x, page, from, *nr * (u32)PAGES_PER_UNIT, EXTENT_HELD);
		WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
		return from;
	}
	return 0;
}

static u32 hold_stale(struct extents *x, u32 before_ms, size_t max, u32 *nr)
{
	struct kin k;
	u32 page = 0;

	WRITE_ONCE(x->nr_dirty, 0);
	for (k.policy = 0; k.policy < NAR_MAX_POLICIES; k.policy++)
		for (k.backing = BACKING_SMALL; k.backing < NR_BACKINGS && x->tree[k.policy]; k.backing++)
			if ((page = hold_stale_kin(x, k, before_ms, max, nr)))
				return page;
	return 0;
}

/* Nobody has the run; what it is made of stays as it is. */
static int purge_held(void *p, size_t bytes, u8 backing)
{
	return backing == BACKING_HUGETLB ? nar_pages_uncommit(p, bytes) : nar_pages_purge(p, bytes);
}

static void note_purged(struct extents *x, u32 unit, u32 nr, u8 backing)
{
	u32 end = unit + nr;

	for (; unit < end; unit++) {
		struct nar_unit *u = &x->unit[unit];

		x->nr_huge -= u->touched_pages && u->backing == BACKING_HUGE;
		u->touched_pages = 0;
		if (backing == BACKING_HUGETLB)
			WRITE_ONCE(u->backing, BACKING_NONE);
	}
	if (backing == BACKING_HUGETLB)
		WRITE_ONCE(x->committed[backing], x->committed[backing] - ((size_t)nr << HUGE_SHIFT));
}

/* Units that could not be purged are as they were, and young again. */
static void release_held(struct extents *x, u32 page, u32 nr_units, bool is_purged)
{
	struct kin k = kin_of(&x->table[page]);
	u32 dirty = x->nr_dirty;

	if (is_purged) {
		note_purged(x, unit_floor(page), nr_units, k.backing);
		k = k.backing == BACKING_HUGETLB ? no_memory : k;
	}
	give_back(x, page, nr_units * (u32)PAGES_PER_UNIT, k);
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
	is_purged = !purge_held(page_at(node, page), (size_t)nr << HUGE_SHIFT, x->table[page].backing);
	if (is_purged)
		nar_node_event(node, purged_units, nr);
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

/* ---- Huge pages ---- */

int nar_extent_collapse_unit(u32 unit)
{
	void *p = nar_at((size_t)unit << HUGE_SHIFT);
	int err = nar_pages_collapse(p);

	if (err)
		nar_node_event(nar_node_of(p), collapse_failed, 1);
	else
		nar_node_event(nar_node_of(p), collapse_done, 1);
	WRITE_ONCE(nar_mem.unit[unit].backing, BACKING_HUGE);
	return err;
}

/* Everything that is small counts as huge from now on; units follow one at a time. */
static void grow_up(struct extents *x)
{
	const u32 first = GUARD_BYTES >> PAGE_SHIFT;
	u32 page, nr;

	for (page = first; page < x->end; page += nr) {
		struct nar_extent *e = &x->table[page];
		struct kin k = { e->policy, BACKING_HUGE };

		nr = e->nr_pages;
		if (e->backing != BACKING_SMALL || e->state == EXTENT_HELD || e->state == EXTENT_NONE)
			continue;
		if (e->state == EXTENT_FREE) {
			free_remove(x, page);
			give_back(x, page, nr, k);
		} else {
			set_kin(e, k);
		}
	}
	x->small_end = unit_floor(x->end);
	x->next_collapse = unit_floor(first);
	WRITE_ONCE(x->is_grown, true);
}

/* Chunks are looked after by their own: they know how full they are. */
static bool wants_collapse(const struct extents *x, u32 unit)
{
	const struct nar_unit *u = &x->unit[unit];

	return u->backing == BACKING_SMALL && u->touched_pages >= COLLAPSE_PAGES &&
	       x->table[unit * (u32)PAGES_PER_UNIT].state != EXTENT_CHUNK;
}

static u32 next_collapse(struct extents *x)
{
	u32 unit, nr = x->small_end - unit_floor(GUARD_BYTES >> PAGE_SHIFT), looked;

	for (looked = 0; looked < nr; looked++) {
		unit = x->next_collapse++;
		if (x->next_collapse >= x->small_end)
			x->next_collapse = unit_floor(GUARD_BYTES >> PAGE_SHIFT);
		if (wants_collapse(x, unit))
			return unit;
	}
	return 0;
}

bool nar_extent_collapse(unsigned int node)
{
	struct extents *x = &extents[node];
	bool was_grown;
	u32 unit;

	if (nar_opt.huge != HUGE_AUTO || nar_extent_committed(node) < GROWN_BYTES)
		return false;
	nar_lock(&x->lock);
	was_grown = x->is_grown;
	if (!was_grown)
		grow_up(x);
	unit = next_collapse(x);
	nar_unlock(&x->lock);
	/* For what is purged and touched again. */
	if (!was_grown)
		advise_huge(node, page_at(node, GUARD_BYTES >> PAGE_SHIFT),
			    ((size_t)x->small_end << HUGE_SHIFT) - GUARD_BYTES);
	if (!unit)
		return false;
	nar_extent_collapse_unit((u32)(nar_window_offset(node) >> HUGE_SHIFT) + unit);
	return true;
}

size_t nar_extent_recover(unsigned int node)
{
	u32 base = (u32)(nar_window_offset(node) >> HUGE_SHIFT), unit;
	const struct extents *x = &extents[node];
	u32 end = unit_floor(load_acquire(&x->end));
	size_t nr_failed = 0;

	for (unit = unit_floor(GUARD_BYTES >> PAGE_SHIFT); unit < end; unit++)
		if (READ_ONCE(x->unit[unit].backing) == BACKING_HUGE &&
		    READ_ONCE(x->unit[unit].touched_pages))
			nr_failed += nar_extent_collapse_unit(base + unit) != 0;
	return nr_failed;
}

void nar_extent_note_fork(void)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_node_event(node, huge_forked, extents[node].nr_huge);
}

/* ---- Sums ---- */

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
