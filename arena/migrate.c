// SPDX-License-Identifier: MIT
/*
 * A block that is moved keeps its address, in the window of the node that it was had from.
 * So where it is meant to be is no arithmetic any more but a note on its extent, which the
 * audit, numarena_node_of() and realloc respect:
 *
 *	window of node 0:	| ... | block, away: 1 | ... |
 *				      `- a mapping of its own, bound to node 1
 *
 * Maintenance leaves it alone, since units that it shares with others are marked; of whole
 * units the kernel says that they are bound elsewhere, as of those that the program has bound
 * itself.  When the block is freed its pages go back to the kernel and its binding becomes that
 * of the window again, before anybody else can have it.
 *
 * Nothing is held while pages move.  Two threads that move one block would leave it between
 * two nodes: the second is told that it is busy.
 */
#include <errno.h>

#include "internal/stat.h"
#include "numa/move.h"

#include "extent.h"
#include "migrate.h"
#include "unit.h"

/* Each is up to two mappings more; see nar_extent_try_move() for the others. */
#define AWAY_MAX 128

static u32 nr_away;	/* relaxed */

/* A block and what is noted of it. */
struct block {
	struct nar_pane *x;
	char *start;
	u32 page, nr_pages;
	unsigned int node;	/* of the window */
	u8 away;		/* as it was */
};

static size_t block_bytes(const struct block *b)
{
	return (size_t)b->nr_pages << PAGE_SHIFT;
}

static struct nar_extent *extent_of(const struct block *b)
{
	return &b->x->table[b->page];
}

/* As its window is bound. */
static struct nar_place window_place(const struct block *b)
{
	return (struct nar_place){ (u8)b->node, nar_kin_of(extent_of(b)).policy };
}

/* @change: 1 or -1, of units that it has a part of. */
static void mark_edges(const struct block *b, int change)
{
	const u32 per_unit = (u32)PAGES_PER_UNIT;
	u32 end = b->page + b->nr_pages, first = nar_unit_floor(b->page), last = nar_unit_floor(end);
	struct nar_unit *unit = b->x->unit;

	if (b->page % per_unit)
		WRITE_ONCE(unit[first].nr_moved, (u8)(unit[first].nr_moved + change));
	if (end % per_unit && (last != first || !(b->page % per_unit)))
		WRITE_ONCE(unit[last].nr_moved, (u8)(unit[last].nr_moved + change));
}

/* Of the units at its ends that are huge, the others' part is small from now on. */
static void count_parted(const struct block *b)
{
	u32 end = b->page + b->nr_pages, nr = 0;
	const struct nar_unit *unit = b->x->unit;

	nr += b->page % PAGES_PER_UNIT && unit[nar_unit_floor(b->page)].backing == BACKING_HUGE;
	nr += end % PAGES_PER_UNIT && unit[nar_unit_floor(end)].backing == BACKING_HUGE;
	nar_node_event(b->node, huge_parted, nr);
}

/* ---- The note ---- */

/* Whose block it is sees to it that it stays; *@b is filled if it is one at all. */
static int try_begin(struct block *b, void *p)
{
	struct nar_extent *e;
	int err = -EINVAL;

	b->start = p;
	b->node = nar_node_of(p);
	b->x = nar_pane_at(p);
	b->page = nar_page_of(p);
	nar_lock(&b->x->lock);
	b->nr_pages = (u32)nar_extent_pages(p, EXTENT_LARGE);
	if (b->nr_pages) {
		e = extent_of(b);
		b->away = e->away;
		err = e->is_moving ? -EBUSY : e->backing == BACKING_HUGETLB ? -EOPNOTSUPP : 0;
		e->is_moving |= !err;
	}
	nar_pane_unlock(b->x);
	return err;
}

static void end(const struct block *b)
{
	nar_lock(&b->x->lock);
	extent_of(b)->is_moving = false;
	nar_pane_unlock(b->x);
}

static bool try_count(void)
{
	if (add_relaxed(&nr_away, 1) < AWAY_MAX)
		return true;
	sub_relaxed(&nr_away, 1);
	return false;
}

static void set_note_locked(const struct block *b, u8 away) __must_hold(&b->x->lock)
{
	struct nar_extent *e = extent_of(b);

	if (!e->away != !away)
		mark_edges(b, away ? 1 : -1);
	if (!away)
		nar_pane_look_again(b->x, b->page, b->nr_pages);
	WRITE_ONCE(e->away, away);
}

static void set_note(const struct block *b, u8 away)
{
	nar_lock(&b->x->lock);
	set_note_locked(b, away);
	nar_pane_unlock(b->x);
}

/* ---- Moving ---- */

/* What is free there and ours is in the way. */
static int move_to(const struct block *b, unsigned int node)
{
	int err = nar_move_to(b->start, block_bytes(b), node);

	if (err == -ENOMEM && nar_unit_purge_all(node))
		err = nar_move_to(b->start, block_bytes(b), node);
	return err;
}

/* As far as there is room. */
static void move_back(const struct block *b)
{
	nar_move_to(b->start, block_bytes(b), b->away ? b->away - 1u : b->node);
	if (!b->away)
		nar_move_forget(b->start, block_bytes(b), window_place(b));
}

static bool is_home(const struct block *b, unsigned int node)
{
	return node == b->node && nar_policy_names_node(window_place(b).policy);
}

static int migrate(const struct block *b, unsigned int node)
{
	int err = move_to(b, node);

	if (err)
		move_back(b);
	else if (is_home(b, node))
		nar_move_forget(b->start, block_bytes(b), window_place(b));
	else if (!b->away)
		count_parted(b);
	return err;
}

/*
 * The note comes first: a fork's child that finds pages elsewhere knows why.  A block counts as
 * away until it is home, so that the way back of one that could not come is never refused.
 */
static int migrate_noted(const struct block *b, unsigned int node)
{
	u8 away = is_home(b, node) ? 0 : (u8)(node + 1), last;
	int err;

	if (!b->away && away && !try_count())
		return -ENOSPC;
	set_note(b, away);
	err = migrate(b, node);
	last = err ? b->away : away;
	if (err)
		set_note(b, last);
	if ((b->away || away) && !last)
		sub_relaxed(&nr_away, 1);
	return err;
}

int nar_migrate(void *p, unsigned int node)
{
	struct block b;
	int err = -EINVAL;

	/* Where there is no pane there is no lock that a fork knows of. */
	if (nar_extent_pages(p, EXTENT_LARGE))
		err = try_begin(&b, p);
	if (err)
		return err;
	/* Where there is one node, nothing can be elsewhere. */
	if (nar_nodes.nr > 1)
		err = migrate_noted(&b, node);
	end(&b);
	return err;
}

/* ---- The end ---- */

/* Memory that is locked cannot go back: then it comes home as it is. */
static void empty(const struct block *b)
{
	size_t bytes = block_bytes(b);
	bool is_gone = !nar_pages_purge(b->start, bytes);

	if (!is_gone)
		nar_move_to(b->start, bytes, b->node);
	nar_move_forget(b->start, bytes, window_place(b));
	if (is_gone && nar_pane_is_reserved(b->x, b->page, b->nr_pages))
		nar_pages_fault_in(b->start, bytes);
}

/* Busy: a fork has lost the thread that was moving it. */
void nar_migrate_undo(void *p)
{
	struct block b;
	int err = try_begin(&b, p);

	if ((err && err != -EBUSY) || !b.away)
		return;
	empty(&b);
	set_note(&b, 0);
	sub_relaxed(&nr_away, 1);
	end(&b);
}
