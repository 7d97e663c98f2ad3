/* SPDX-License-Identifier: MIT */
/*
 * Panes: the parts of a node's window, as free extents and extents in use, and what is known
 * of their units.  What is above (spans, units, extents) calls this with the pane's lock held,
 * unless it says otherwise.
 *
 * A node has one pane until threads are in each other's way there: who finds its pane busy
 * again and again takes from the next from then on, much as threads do with ptmalloc's arenas
 * (Gloger, 1996).  What is freed goes where it came from.  Pages are counted from the window's
 * start in all of them.
 */
#ifndef NAR_PANE_H
#define NAR_PANE_H

#include "tree.h"

/* Free extents are alike in these, or they stay apart. */
struct nar_kin {
	u8 policy;
	u8 backing;
};

struct nar_pane {
	struct nar_lock lock;
	u8 node;			/* constant, as are number, first, limit */
	u8 number;
	u32 first;			/* page; before it is the guard */
	struct nar_tree *tree[NAR_MAX_POLICIES];	/* by backing; release-stored when needed */
	struct nar_tree ours[NR_BACKINGS];	/* POLICY_OURS, and space without memory */
	struct nar_extent *table;	/* the window's part */
	struct nar_unit *unit;
	u32 end;			/* first page never used; release-stored */
	u32 limit;			/* the page past the last */
	size_t committed[NR_BACKINGS];	/* relaxed reads */
	size_t large_pages;		/* relaxed reads, as are these */
	size_t free_pages;
	u32 given;			/* EXTENT_GIVEN, linked by left; many push, the lock's holder takes all */
	u32 nr_dirty;			/* 0: no free unit has been touched */
	u32 nr_huge;			/* units touched that were asked to be huge */
	u32 small_end;			/* units from here on began huge; racy reads */
	bool has_put_off;		/* relaxed: the kernel has once put off making one huge */
	u32 next_collapse;		/* relaxed: where to look for a unit to make huge */
	u32 next_look;			/* ... and for one that is not at home; relaxed reads */
	u32 nr_unseen;			/* relaxed reads; 0: there is none to look at */
	bool is_grown;			/* relaxed reads */
	bool has_reserve;		/* relaxed reads: some was made ready beforehand */
	u32 nr_collapsing;
} __shared_line;

/* What has no memory has no policy either. */
#define NAR_KIN_NONE ((struct nar_kin){ POLICY_OURS, BACKING_NONE })

extern struct nar_pane *nar_panes[NAR_MAX_NODES][NAR_MAX_PANES];	/* release-stored when needed */

/* What stands where there is none yet: it has no pages. */
extern struct nar_pane nar_pane_none;

/* The first of @node. */
static inline struct nar_pane *nar_pane_of(unsigned int node)
{
	return nar_panes[node][0];
}

static inline char *nar_page_at(unsigned int node, u32 page)
{
	return nar_at(nar_window_offset(node) + ((size_t)page << PAGE_SHIFT));
}

static inline u32 nar_page_of(const void *p)
{
	size_t in_window = nar_offset(p) & (((size_t)1 << nar_mem.window_shift) - 1);

	return (u32)(in_window >> PAGE_SHIFT);
}

/* The pane that @p lies in, which is ours. */
static inline struct nar_pane *nar_pane_at(const void *p)
{
	return load_acquire(&nar_panes[nar_node_of(p)][nar_pane_number(nar_page_of(p))]);
}

/* The first there is from number *@i on; NULL past the last. */
static inline struct nar_pane *nar_pane_next(unsigned int node, unsigned int *i)
{
	struct nar_pane *x;

	for (; *i < NAR_MAX_PANES; ++*i)
		if ((x = load_acquire(&nar_panes[node][*i])) != &nar_pane_none)
			return x;
	return NULL;
}

#define nar_for_each_pane(x, node, i) \
	for ((i) = 0; ((x) = nar_pane_next((node), &(i))); (i)++)

/* Relaxed, like states: who has an extent looks without the lock, while grow_up() may come by. */
static inline struct nar_kin nar_kin_of(const struct nar_extent *e)
{
	return (struct nar_kin){ READ_ONCE(e->policy), READ_ONCE(e->backing) };
}

static inline bool nar_is_kin(const struct nar_extent *e, struct nar_kin k)
{
	return READ_ONCE(e->policy) == k.policy && READ_ONCE(e->backing) == k.backing;
}

static inline void nar_set_kin(struct nar_extent *e, struct nar_kin k)
{
	WRITE_ONCE(e->policy, k.policy);
	WRITE_ONCE(e->backing, k.backing);
}

/* What is meant for another node than its window's has been moved by hand.  Racy as above. */
static inline struct nar_place nar_place_of(unsigned int node, const struct nar_extent *e)
{
	u8 away = READ_ONCE(e->away);

	if (unlikely(away))
		return (struct nar_place){ (u8)(away - 1), POLICY_HAND };
	return (struct nar_place){ (u8)node, READ_ONCE(e->policy) };
}

/* First units wholly at or above a page, and wholly below one. */
static inline u32 nar_unit_ceil(u32 page)
{
	return DIV_ROUND_UP(page, (u32)PAGES_PER_UNIT);
}

static inline u32 nar_unit_floor(u32 page)
{
	return page / (u32)PAGES_PER_UNIT;
}

/* Committed pages only: beyond them the table cannot be read.  No lock. */
static inline bool nar_pane_has(const struct nar_pane *x, u32 page)
{
	return page >= x->first && page < load_acquire(&x->end);
}

/* Whether a unit of these pages was made ready beforehand; racy. */
static inline bool nar_pane_is_reserved(const struct nar_pane *x, u32 page, u32 nr)
{
	u32 unit = nar_unit_floor(page), end = nar_unit_ceil(page + nr);

	while (unit < end && !READ_ONCE(x->unit[unit].is_reserved))
		unit++;
	return unit < end;
}

void nar_pane_init(void);

/* Those a node may have by now.  Racy: it grows once. */
unsigned int nar_pane_count(void);

/*
 * The calling thread's at @place, and ready for it; may map memory, hold no lock.  NULL: there
 * is no memory for it.
 */
struct nar_pane *nar_pane_own(struct nar_place place);

/* Who meets others so often in a row at its pane leaves it. */
#define NAR_PANE_MEETINGS 4

/* The same, locked; from now on it is another if that was busy too often. */
struct nar_pane *nar_pane_lock_own(struct nar_place place);

/* Memory that @x has got or, below 0, no longer has. */
void nar_pane_count_committed(struct nar_pane *x, u8 backing, long bytes);

/* Whether it has less memory than its share of what all panes of its node have; racy. */
bool nar_pane_has_little(const struct nar_pane *x);

/* Bytes that have memory behind them; no lock, racy.  All: of the whole process. */
size_t nar_window_committed(unsigned int node);
size_t nar_window_committed_all(void);

/* huge:auto: so much is a small program's memory, and stays on small pages. */
#define NAR_SMALL_PROGRAM_BYTES MIB(8)

/* Bytes from the window's start to where no page was ever used. */
size_t nar_window_used(unsigned int node);

/* The trees of a policy that the program has set; no lock held.  Return: whether they are there. */
bool nar_pane_ready(struct nar_pane *x, unsigned int policy);

struct nar_tree *nar_pane_tree(const struct nar_pane *x, struct nar_kin k);

/* Pages become free, and one with their neighbours. */
void nar_pane_give(struct nar_pane *x, u32 page, u32 nr_pages, struct nar_kin k);

/*
 * Give back a large block's extent, which is EXTENT_GIVEN; no lock held, and none waited for.
 * Whoever has the lock puts it into the tree, at the latest who has it next.
 */
void nar_pane_give_later(struct nar_pane *x, u32 page);
void nar_pane_take_given(struct nar_pane *x);

/* Unlock, and put away what others have given back meanwhile. */
void nar_pane_unlock(struct nar_pane *x) __releases(&x->lock);

/* Extents of one backing count as huge from now on, but for those that are held. */
void nar_pane_make_huge(struct nar_pane *x, u8 from);

/* A fork's child: its units have left the pools, and so do extents and sums.  No lock. */
void nar_pane_leave_pool(struct nar_pane *x);

/* Take [@from, @from + @nr) out of the free extent at @page that contains it. */
void nar_pane_carve(struct nar_pane *x, u32 page, u32 from, u32 nr, u8 state);

/* The first page from @page on whose address is a multiple of @align pages.  No lock. */
u32 nar_pane_first_fit(const struct nar_pane *x, u32 page, u32 align);

/* Pages of these units may be new. */
void nar_pane_look_again(struct nar_pane *x, u32 page, u32 nr);

/* The best free extent for @nr pages, and where in it they begin; 0 if there is none. */
u32 nar_pane_find(const struct nar_pane *x, u32 nr, u32 align, struct nar_kin k, u32 *from);

/* Pages go into somebody's hands.  Return: whether all of them read as zeros. */
bool nar_pane_take(struct nar_pane *x, u32 page, u32 nr);

#endif /* NAR_PANE_H */
