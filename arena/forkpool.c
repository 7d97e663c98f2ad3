// SPDX-License-Identifier: MIT
/*
 * A private page of a hugetlb pool is shared by a fork, and who writes to it first needs
 * another one.  If the pool has none, the kernel kills: a child for its own write, or for
 * its next touch of what the parent has written to.  So a child leaves the pools.  Before
 * anything else it puts ordinary memory, with the same content, in the place of every
 * pool page, and the parent's fork() does not return until that is done.  It costs a copy
 * of that memory and happens only where there is some.
 *
 *	parent	open | fork ---- waits, at the desk ------------- | returns
 *	child		    | copies ... a page is gone ... copies | goes on
 *
 * Two things happen to a process with threads meanwhile.  libc resets the locks of open
 * files in the child before any handler runs, and they lie in our memory; and another
 * thread of the parent may write, whereupon the kernel takes the child's page away.  Both
 * end in SIGBUS, so that signal is ours for as long.  In the first case it leaves the
 * pool at once and goes on.  In the second the content is lost here, and the parent puts
 * its own on the desk, memory that both share: for that unit the child's moment is a little
 * later than the fork, as if the fork had come later and the other thread sooner.
 *
 * Nothing here allocates or takes a lock.  A parent that dies closes its end, and so does
 * a child: neither waits for ever.
 */
#include <errno.h>
#include <string.h>

#include "numa/bus.h"
#include "numa/desk.h"
#include "numa/hugetlb.h"

#include "forkpool.h"
#include "span.h"

/* Units in nobody's pane: the child has all it needs. */
#define UNIT_NONE 0

static bool is_open;	/* between a fork's two ends; all locks are held */

/* ---- Which memory ---- */

static bool has_pool_memory(void)
{
	const struct nar_pane *x;
	unsigned int node, i;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_pane(x, node, i)
			if (READ_ONCE(x->committed[BACKING_HUGETLB]))
				return true;
	return false;
}

/* What a thread that the child does not have was about to give or take is nobody's. */
static bool is_pooled(const struct nar_pane *x, u32 page)
{
	return x->table[page].backing == BACKING_HUGETLB && x->table[page].state != EXTENT_HELD &&
	       x->unit[nar_unit_floor(page)].backing == BACKING_HUGETLB;
}

/*
 * The first run of pages on pool pages at or after @page, under one policy.  All of the
 * kernel's pages are whole in it: a span has one policy, and is held as a whole.
 */
static bool find_run(const struct nar_pane *x, u32 page, u32 *start, u32 *end)
{
	*start = 0;
	/* A table that a signal has caught half-way may have no next: then no child needs one. */
	for (; page < x->end && x->table[page].nr_pages; page += x->table[page].nr_pages) {
		if (!*start && is_pooled(x, page))
			*start = page;
		else if (*start && (!is_pooled(x, page) ||
				    x->table[page].policy != x->table[*start].policy))
			break;
	}
	*end = page;
	return *start;
}

/* ---- In the child ---- */

static bool try_fetch(char *to, u32 unit, size_t bytes)
{
	if (!nar_desk_say(DESK_CHILD, unit) || !nar_desk_hear(DESK_CHILD, &unit))
		return false;
	memcpy(to, nar_desk_memory(), bytes);
	return true;
}

static void copy_unit(char *to, u32 unit)
{
	char *from = nar_at((size_t)unit << HUGE_SHIFT);
	size_t bytes = (size_t)nar_mem.unit[unit].touched_pages << PAGE_SHIFT;

	if (bytes && !nar_bus_try_copy(to, from, bytes) && !try_fetch(to, unit, bytes))
		nar_die("a fork's child has lost its memory at %p: the hugetlb pool is empty", from);
}

static void leave_run(struct nar_place place, u32 start, u32 end)
{
	char *from = nar_page_at(place.node, start);
	size_t bytes = (size_t)(end - start) << PAGE_SHIFT, at;
	u32 unit = (u32)(nar_offset(from) >> HUGE_SHIFT);
	char *to = nar_hugetlb_stand_in(bytes);

	if (!to)
		nar_die("no memory for a fork's child: %zu bytes are on hugetlb pages", bytes);
	nar_span_prepare(place, to, bytes, BACKING_HUGE);
	for (at = 0; at < bytes; at += HUGE_BYTES)
		copy_unit(to + at, unit + (u32)(at >> HUGE_SHIFT));
	nar_hugetlb_supplant(from, to, bytes);
	for (at = 0; at < bytes; at += HUGE_BYTES)
		WRITE_ONCE(nar_mem.unit[unit + (at >> HUGE_SHIFT)].backing, BACKING_HUGE);
}

static struct nar_place place_at(const struct nar_pane *x, u32 page)
{
	return (struct nar_place){ x->node, x->table[page].policy };
}

static void leave_pane(struct nar_pane *x)
{
	u32 start, end = x->first;

	while (find_run(x, end, &start, &end))
		leave_run(place_at(x, start), start, end);
	nar_pane_leave_pool(x);
}

/* Before its turn, for who has touched it. */
static bool try_leave_at(const void *p)
{
	u32 start, end, page;
	const struct nar_pane *x;

	if (!nar_is_ours(p))
		return false;
	x = nar_pane_at(p);
	page = nar_page_of(p);
	end = x->first;
	while (find_run(x, end, &start, &end)) {
		if (page < start || page >= end)
			continue;
		leave_run(place_at(x, start), start, end);
		return true;
	}
	return false;
}

/* ---- The fork ---- */

void nar_forkpool_open(void)
{
	int saved = errno;

	is_open = has_pool_memory();
	if (!is_open)
		return;
	/* Without a desk the child does what it can, and the parent does not wait. */
	nar_desk_open();
	nar_bus_catch(try_leave_at);
	errno = saved;
}

void nar_forkpool_parent(void)
{
	int saved = errno;
	u32 unit;

	if (!is_open)
		return;
	nar_desk_leave(DESK_CHILD);
	while (nar_desk_hear(DESK_PARENT, &unit) && unit != UNIT_NONE) {
		nar_unpoison(nar_at((size_t)unit << HUGE_SHIFT), HUGE_BYTES);
		memcpy(nar_desk_memory(), nar_at((size_t)unit << HUGE_SHIFT), HUGE_BYTES);
		nar_desk_say(DESK_PARENT, unit);
	}
	nar_bus_release();
	nar_desk_close();
	errno = saved;
}

void nar_forkpool_child(void)
{
	int saved = errno;
	struct nar_pane *x;
	unsigned int node, i;

	if (!is_open)
		return;
	nar_desk_leave(DESK_PARENT);
	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_pane(x, node, i)
			leave_pane(x);
	nar_desk_say(DESK_CHILD, UNIT_NONE);
	nar_bus_release();
	nar_desk_close();
	errno = saved;
}
