// SPDX-License-Identifier: MIT
/*
 * Best fit with coalescing through boundary tags (Knuth, TAOCP 2.5), one tree a pane,
 * policy and backing, so that memory of one is never used for another.  The trees of all
 * panes, searched in order of distance, are the global one.
 *
 * What the kernel has given and nobody has touched reads as zeros.  That is known a
 * unit, as the page from which on it is untouched: best fit takes low addresses
 * first, so a fresh unit fills upward and one number is enough.
 */
#include "pane.h"

/* Extents of the right size but the wrong alignment to look at before asking for slack. */
#define ALIGN_TRIES 16

/* A meeting is forgotten after so many times without one. */
#define MEETING_COUNTS 4

struct nar_pane nar_pane_none;
struct nar_pane *nar_panes[NAR_MAX_NODES][NAR_MAX_PANES];

static struct nar_pane firsts[NAR_MAX_NODES];
static size_t committed_all;	/* relaxed */
static u32 nr_panes;		/* 0: no two threads have met yet; written once */
static __thread u8 own;
static __thread u8 nr_met;	/* meetings with others, less one for some times without */

/* ---- Which there are ---- */

static void pane_begin(struct nar_pane *x, unsigned int node, unsigned int number)
{
	size_t window = nar_window_offset(node);
	unsigned int backing;

	x->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_EXTENT);
	x->node = (u8)node;
	x->number = (u8)number;
	x->table = &nar_mem.extent[window >> PAGE_SHIFT];
	x->unit = &nar_mem.unit[window >> HUGE_SHIFT];
	x->first = x->end = nar_pane_first(number) + (u32)(GUARD_BYTES >> PAGE_SHIFT);
	x->limit = nar_pane_end(number);
	x->next_collapse = nar_unit_floor(x->first);
	x->tree[POLICY_OURS] = x->ours;
	for (backing = 0; backing < NR_BACKINGS; backing++)
		x->ours[backing].table = x->table;
}

void nar_pane_init(void)
{
	unsigned int node, number;

	for (node = 0; node < nar_nodes.nr; node++) {
		pane_begin(&firsts[node], node, 0);
		nar_panes[node][0] = &firsts[node];
		for (number = 1; number < NAR_MAX_PANES; number++)
			nar_panes[node][number] = &nar_pane_none;
	}
}

unsigned int nar_pane_count(void)
{
	return max_of(READ_ONCE(nr_panes), 1u);
}

/* As many as a node has CPUs: more threads do not run at once. */
static noinline void count_panes(void)
{
	u32 none = 0, nr = min_of(nar_node_most_cpus(), nar_mem.nr_panes);

	__atomic_compare_exchange_n(&nr_panes, &none, nr, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Published under the lock of the node's first, which fork takes before it looks for others. */
static noinline struct nar_pane *pane_make(unsigned int node, unsigned int number)
{
	struct nar_pane *x = nar_meta_alloc(node, sizeof(*x));

	if (!x)
		return &nar_pane_none;
	pane_begin(x, node, number);
	nar_lock(&firsts[node].lock);
	if (nar_panes[node][number] == &nar_pane_none)
		store_release(&nar_panes[node][number], x);
	nar_unlock(&firsts[node].lock);
	return load_acquire(&nar_panes[node][number]);
}

/* Where there is no memory for one more, or for its trees, the first does. */
struct nar_pane *nar_pane_own(struct nar_place place)
{
	struct nar_pane *x = load_acquire(&nar_panes[place.node][own]);

	if (unlikely(x == &nar_pane_none))
		x = pane_make(place.node, own);
	if (likely(x != &nar_pane_none && nar_pane_ready(x, place.policy)))
		return x;
	x = nar_pane_of(place.node);
	return nar_pane_ready(x, place.policy) ? x : NULL;
}

/* Return: whether the thread is in the way of others, or they are in its, too often. */
static noinline bool note_meeting(void)
{
	if (!READ_ONCE(nr_panes))
		count_panes();
	nr_met += MEETING_COUNTS;
	if (nr_met <= (NAR_PANE_MEETINGS - 1) * MEETING_COUNTS)
		return false;
	nr_met = 0;
	return true;
}

/*
 * Who left at the first meeting would come to where another is, who leaves, and so on: blocks
 * of all threads would lie in all panes.
 */
struct nar_pane *nar_pane_lock_own(struct nar_place place) __no_lock_analysis
{
	struct nar_pane *x = nar_pane_own(place);

	if (unlikely(!x))
		return NULL;
	if (likely(nar_trylock(&x->lock))) {
		nr_met -= nr_met > 0;
		return x;
	}
	if (note_meeting()) {
		own = (u8)((own + 1u) % nar_pane_count());
		x = nar_pane_own(place);
	}
	if (likely(x))
		nar_lock(&x->lock);
	return x;
}

/* ---- Sums ---- */

void nar_pane_count_committed(struct nar_pane *x, u8 backing, long bytes)
{
	WRITE_ONCE(x->committed[backing], x->committed[backing] + (size_t)bytes);
	add_relaxed(&committed_all, (size_t)bytes);
}

static size_t committed(const struct nar_pane *x)
{
	return READ_ONCE(x->committed[BACKING_SMALL]) + READ_ONCE(x->committed[BACKING_HUGE]) +
	       READ_ONCE(x->committed[BACKING_HUGETLB]);
}

size_t nar_window_committed(unsigned int node)
{
	const struct nar_pane *x;
	unsigned int i;
	size_t sum = 0;

	nar_for_each_pane(x, node, i)
		sum += committed(x);
	return sum;
}

bool nar_pane_has_little(const struct nar_pane *x)
{
	return committed(x) * nar_pane_count() < nar_window_committed(x->node);
}

size_t nar_window_used(unsigned int node)
{
	const struct nar_pane *x;
	unsigned int i;
	u32 end = 0;

	nar_for_each_pane(x, node, i)
		end = max_of(end, load_acquire(&x->end));
	return (size_t)end << PAGE_SHIFT;
}

size_t nar_window_committed_all(void)
{
	return READ_ONCE(committed_all);
}

/* ---- Kin and their trees ---- */

struct nar_tree *nar_pane_tree(const struct nar_pane *x, struct nar_kin k)
{
	return &x->tree[k.policy][k.backing];
}

/* Trees of a policy that the program has set.  Return: whether they are there. */
bool nar_pane_ready(struct nar_pane *x, unsigned int policy)
{
	struct nar_tree *trees;
	unsigned int backing;

	if (likely(load_acquire(&x->tree[policy])))
		return true;
	trees = nar_meta_alloc(x->node, NR_BACKINGS * sizeof(*trees));
	if (!trees)
		return false;
	for (backing = 0; backing < NR_BACKINGS; backing++)
		trees[backing].table = x->table;
	nar_lock(&x->lock);
	/* Whoever comes second loses a few pages of tables, once. */
	if (!x->tree[policy])
		store_release(&x->tree[policy], trees);
	nar_unlock(&x->lock);
	return true;
}

/* ---- Free extents: into the tree, out of it, with their neighbours ---- */

static void pane_insert(struct nar_pane *x, u32 page, u32 nr_pages, struct nar_kin k)
{
	struct nar_extent *e = &x->table[page];

	e->nr_pages = nr_pages;
	nar_set_kin(e, k);
	WRITE_ONCE(e->state, EXTENT_FREE);
	x->table[page + nr_pages - 1].back = page;
	nar_tree_insert(nar_pane_tree(x, k), page);
	WRITE_ONCE(x->free_pages, x->free_pages + (k.backing == BACKING_NONE ? 0 : nr_pages));
}

/* A free extent is out of its tree, and in nobody's hands. */
static void pane_remove(struct nar_pane *x, u32 page)
{
	struct nar_extent *e = &x->table[page];

	nar_tree_remove(nar_pane_tree(x, nar_kin_of(e)), page);
	x->table[page + e->nr_pages - 1].back = 0;
	WRITE_ONCE(e->state, EXTENT_NONE);
	WRITE_ONCE(x->free_pages, x->free_pages - (e->backing == BACKING_NONE ? 0 : e->nr_pages));
}

/* Units of the free run [@run, @run_end) that the pages [@from, @to) have completed. */
static void note_free_units(struct nar_pane *x, u32 run, u32 run_end, u32 from, u32 to)
{
	u32 unit = max_of(nar_unit_ceil(run), nar_unit_floor(from));
	u32 end = min_of(nar_unit_floor(run_end), nar_unit_ceil(to));
	u32 now;

	if (unit >= end)
		return;
	now = (u32)nar_clock_ms();
	for (; unit < end; unit++)
		x->unit[unit].free_since_ms = now;
	WRITE_ONCE(x->nr_dirty, x->nr_dirty + 1);
}

void nar_pane_give(struct nar_pane *x, u32 page, u32 nr_pages, struct nar_kin k)
{
	u32 start = page, end = page + nr_pages, before = x->table[page - 1].back;
	struct nar_extent *after = &x->table[end];

	WRITE_ONCE(x->table[page].state, EXTENT_NONE);
	if (before && nar_is_kin(&x->table[before], k)) {
		pane_remove(x, before);
		start = before;
	}
	if (end < x->end && READ_ONCE(after->state) == EXTENT_FREE && nar_is_kin(after, k)) {
		pane_remove(x, end);
		end += after->nr_pages;
	}
	pane_insert(x, start, end - start, k);
	note_free_units(x, start, end, page, page + nr_pages);
}

/* ---- Given back while another has the lock ---- */

static void push_given(struct nar_pane *x, u32 page)
{
	u32 head = READ_ONCE(x->given);

	/* Release: pairs with the exchange that takes all, so nothing is popped and pushed again. */
	do
		x->table[page].left = head;
	while (!__atomic_compare_exchange_n(&x->given, &head, page, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
}

static void put_away(struct nar_pane *x, u32 page)
{
	struct nar_extent *e = &x->table[page];

	WRITE_ONCE(x->large_pages, x->large_pages - e->nr_pages);
	nar_pane_give(x, page, e->nr_pages, nar_kin_of(e));
}

void nar_pane_take_given(struct nar_pane *x)
{
	u32 page, next;

	if (likely(!READ_ONCE(x->given)))
		return;
	for (page = __atomic_exchange_n(&x->given, 0, __ATOMIC_ACQUIRE); page; page = next) {
		next = x->table[page].left;
		put_away(x, page);
	}
}

/* One that is pushed after the look waits for the next who has the lock. */
void nar_pane_unlock(struct nar_pane *x) __no_lock_analysis
{
	nar_unlock(&x->lock);
	while (unlikely(READ_ONCE(x->given)) && nar_trylock(&x->lock)) {
		nar_pane_take_given(x);
		nar_unlock(&x->lock);
	}
}

void nar_pane_give_later(struct nar_pane *x, u32 page) __no_lock_analysis
{
	bool is_mine = nar_trylock(&x->lock);

	if (likely(is_mine))
		put_away(x, page);
	else
		push_given(x, page);
	/* Who has let the lock go since then has not seen it. */
	if (likely(is_mine) || nar_trylock(&x->lock)) {
		nar_pane_take_given(x);
		nar_pane_unlock(x);
	}
}

void nar_pane_make_huge(struct nar_pane *x, u8 from)
{
	u32 page, nr;

	for (page = x->first; page < x->end; page += nr) {
		struct nar_extent *e = &x->table[page];
		struct nar_kin k = { e->policy, BACKING_HUGE };
		u8 state = READ_ONCE(e->state);	/* large or recent: its owner may change it */

		nr = e->nr_pages;
		if (!nr)
			break;	/* a fork's child, where a signal has interrupted a change */
		if (e->backing != from || state == EXTENT_HELD || state == EXTENT_NONE)
			continue;
		/* A heap may want none, or none yet. */
		if (from == BACKING_SMALL && nar_kind_huge(e->policy) == HUGE_OFF)
			continue;
		/* Whoever reserves small pages wants them. */
		if (from == BACKING_SMALL && x->unit[nar_unit_floor(page)].is_reserved)
			continue;
		if (state == EXTENT_FREE) {
			pane_remove(x, page);
			nar_pane_give(x, page, nr, k);
		} else {
			nar_set_kin(e, k);
		}
	}
}

void nar_pane_leave_pool(struct nar_pane *x)
{
	size_t left = 0;
	u32 unit;

	nar_pane_make_huge(x, BACKING_HUGETLB);
	x->nr_huge = 0;
	for (unit = nar_unit_floor(x->first); unit < nar_unit_floor(x->end); unit++) {
		left += x->unit[unit].backing == BACKING_HUGETLB ? HUGE_BYTES : 0;
		x->nr_huge += x->unit[unit].backing == BACKING_HUGE && x->unit[unit].touched_pages;
	}
	WRITE_ONCE(x->committed[BACKING_HUGE],
		   x->committed[BACKING_HUGE] + x->committed[BACKING_HUGETLB] - left);
	WRITE_ONCE(x->committed[BACKING_HUGETLB], left);
}

/* Take [@from, @from + @nr) out of the free extent at @page that contains it. */
void nar_pane_carve(struct nar_pane *x, u32 page, u32 from, u32 nr, u8 state)
{
	u32 end = page + x->table[page].nr_pages;
	struct nar_kin k = nar_kin_of(&x->table[page]);

	pane_remove(x, page);
	if (page < from)
		pane_insert(x, page, from - page, k);
	if (from + nr < end)
		pane_insert(x, from + nr, end - from - nr, k);
	x->table[from].nr_pages = nr;
	nar_set_kin(&x->table[from], k);
	WRITE_ONCE(x->table[from].state, state);
}

/* The span starts at a unit; beyond that, alignment is a matter of addresses. */
u32 nar_pane_first_fit(const struct nar_pane *x, u32 page, u32 align)
{
	size_t bias = (nar_mem.base >> PAGE_SHIFT) + (size_t)(x->table - nar_mem.extent);

	return (u32)(ALIGN_UP(page + bias, align) - bias);
}

static bool fits(const struct nar_pane *x, u32 page, u32 nr, u32 align, u32 *from)
{
	*from = nar_pane_first_fit(x, page, align);
	return *from + nr <= page + x->table[page].nr_pages;
}

u32 nar_pane_find(const struct nar_pane *x, u32 nr, u32 align, struct nar_kin k, u32 *from)
{
	const struct nar_tree *t = nar_pane_tree(x, k);
	u32 page;
	int tries;

	if (!t->nr)
		return 0;
	page = nar_tree_at_least(t, nr, 0);
	for (tries = 0; page && tries < ALIGN_TRIES; tries++) {
		if (fits(x, page, nr, align, from))
			return page;
		page = nar_tree_at_least(t, x->table[page].nr_pages, page + 1);
	}
	page = page ? nar_tree_at_least(t, nr + align - 1, 0) : 0;
	return page && fits(x, page, nr, align, from) ? page : 0;
}

/* ---- Zero knowledge ---- */

static void look_again(struct nar_pane *x, struct nar_unit *u)
{
	u->nr_looks = 0;
	WRITE_ONCE(x->nr_unseen, x->nr_unseen + 1);
}

void nar_pane_look_again(struct nar_pane *x, u32 page, u32 nr)
{
	u32 unit = nar_unit_floor(page), end = nar_unit_ceil(page + nr);

	for (; unit < end; unit++)
		look_again(x, &x->unit[unit]);
}

bool nar_pane_take(struct nar_pane *x, u32 page, u32 nr)
{
	u32 end = page + nr;
	bool is_zero = true;

	while (page < end) {
		struct nar_unit *u = &x->unit[nar_unit_floor(page)];
		u32 first = ALIGN_DOWN(page, (u32)PAGES_PER_UNIT);
		u32 stop = min_of(end, first + (u32)PAGES_PER_UNIT);

		if (page - first < u->touched_pages)
			is_zero = false;
		if (!u->touched_pages) {
			x->nr_huge += u->backing == BACKING_HUGE;
			u->is_away = false;
			look_again(x, u);
		}
		if (stop - first > u->touched_pages)
			WRITE_ONCE(u->touched_pages, (u16)(stop - first));
		page = stop;
	}
	return is_zero;
}
