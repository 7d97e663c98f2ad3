// SPDX-License-Identifier: MIT
/* Extents as those see them who do not own them: audit, statistics, last words. */
#include <errno.h>

#include "pane.h"
#include "survey.h"

/*
 * Pages behind an extent's first have no state, and there may be millions of them: so they
 * are gone through without the lock, and what is found is looked at again under it.
 */
static u32 start_before(const struct nar_pane *x, u32 page)
{
	while (page > x->first && READ_ONCE(x->table[page].state) == EXTENT_NONE)
		page--;
	return page;
}

static u32 start_after(const struct nar_pane *x, u32 page)
{
	while (page < load_acquire(&x->end) && READ_ONCE(x->table[page].state) == EXTENT_NONE)
		page++;
	return page;
}

static bool is_in_use(u8 state)
{
	return state == EXTENT_LARGE || state == EXTENT_REPLICA || state == EXTENT_SCOPE;
}

/* Whose block it is sees to it that it stays. */
int nar_survey_place(const void *p, struct nar_place *place)
{
	struct nar_pane *x = nar_pane_at(p);
	u32 page = nar_page_of(p), start;
	const struct nar_extent *e;
	int err = -ENOENT;

	if (!nar_pane_has(x, page))
		return -ENOENT;
	start = start_before(x, page);
	e = &x->table[start];
	nar_lock(&x->lock);
	if (is_in_use(READ_ONCE(e->state)) && page - start < e->nr_pages) {
		*place = nar_place_of(x->node, e);
		err = 0;
	}
	nar_unlock(&x->lock);
	return err;
}

/* Up to @max extents from *@at on; none if none begins there any more. */
static unsigned int runs_from(struct nar_pane *x, u32 *at, struct nar_run *runs, unsigned int max)
{
	unsigned int nr = 0;
	u32 page = *at;

	nar_lock(&x->lock);
	while (page < x->end && nr < max && (nr || READ_ONCE(x->table[page].state) != EXTENT_NONE)) {
		const struct nar_extent *e = &x->table[page];

		struct nar_place place = nar_place_of(x->node, e);

		runs[nr++] = (struct nar_run){ nar_page_at(x->node, page), e->nr_pages, READ_ONCE(e->state),
					       place.node, place.policy, e->backing };
		page += e->nr_pages;
	}
	nar_unlock(&x->lock);
	*at = page;
	return nr;
}

static unsigned int walk(struct nar_pane *x, u32 *page, struct nar_run *runs, unsigned int max)
{
	u32 at = max_of(*page, x->first);
	unsigned int nr;

	/* What began here at the last call may have become part of another since. */
	do {
		at = start_after(x, at);
		nr = runs_from(x, &at, runs, max);
	} while (!nr && at < load_acquire(&x->end));
	*page = at;
	return nr;
}

unsigned int nar_survey_walk(unsigned int node, u32 *page, struct nar_run *runs, unsigned int max)
{
	unsigned int i = nar_pane_number(*page), nr = 0;
	struct nar_pane *x;

	for (; !nr && (x = nar_pane_next(node, &i)); i++)
		nr = walk(x, page, runs, max);
	return nr;
}

bool nar_survey_around(const void *p, void **start, size_t *nr_pages,
		       enum nar_extent_state *state)
{
	struct nar_pane *x = nar_pane_at(p);
	u32 page, target = nar_page_of(p);
	bool found = false;

	if (!nar_pane_has(x, target))
		return false;
	nar_lock(&x->lock);
	/* Extents tile the pane: one leads to the next. */
	for (page = x->first; page < x->end; page += x->table[page].nr_pages) {
		if (target - page < x->table[page].nr_pages) {
			*start = nar_page_at(x->node, page);
			*nr_pages = x->table[page].nr_pages;
			*state = READ_ONCE(x->table[page].state);
			found = true;
			break;
		}
	}
	nar_unlock(&x->lock);
	return found;
}

/* ---- Sums ---- */

static void add_pane(struct nar_survey_usage *u, struct nar_pane *x)
{
	unsigned int backing;

	nar_lock(&x->lock);
	nar_pane_take_given(x);
	for (backing = 0; backing < NR_BACKINGS; backing++)
		u->committed_bytes[backing] += x->committed[backing];
	u->large_bytes += x->large_pages << PAGE_SHIFT;
	u->free_bytes += x->free_pages << PAGE_SHIFT;
	nar_unlock(&x->lock);
}

void nar_survey_usage(unsigned int node, struct nar_survey_usage *u)
{
	struct nar_pane *x;
	unsigned int i;

	*u = (struct nar_survey_usage){ .large_bytes = 0 };
	nar_for_each_pane(x, node, i)
		add_pane(u, x);
}
