// SPDX-License-Identifier: MIT
/*
 * A program that frees a buffer often asks for one like it next.  Such a block need not
 * go through a tree and its lock: it waits here, whole, for a request that it
 * fits nearly.  Old ones make room for new ones and go back to be coalesced.
 */
#include "recent.h"

static void drop(struct nar_recent *r, u32 place)
{
	void *p = r->block[place];

	r->sum_pages -= r->nr_pages[place];
	r->nr_pages[place] = 0;
	if (nar_extent_free(p, EXTENT_RECENT))
		nar_die("large block %p was lost while it waited: a bug in numarena, please report it", p);
}

void *nar_recent_take(struct nar_recent *r, size_t nr_pages)
{
	u32 most = (u32)(nr_pages + nr_pages / NAR_LARGE_SLACK), place, i;

	if (!r->sum_pages)
		return NULL;
	/* The newest first: it is the likeliest to be in the cache. */
	for (i = 1; i <= NAR_RECENT_BLOCKS; i++) {
		place = (r->next - i) % NAR_RECENT_BLOCKS;
		if (r->nr_pages[place] < nr_pages || r->nr_pages[place] > most)
			continue;
		r->sum_pages -= r->nr_pages[place];
		r->nr_pages[place] = 0;
		nar_extent_try_mark(r->block[place], EXTENT_RECENT, EXTENT_LARGE);
		return r->block[place];
	}
	return NULL;
}

static u32 take_place(struct nar_recent *r)
{
	u32 place = r->next;

	r->next = (place + 1) % NAR_RECENT_BLOCKS;
	if (r->nr_pages[place])
		drop(r, place);
	return place;
}

static bool note_growth(struct nar_recent *r, const void *p)
{
	bool has_grown = nar_extent_nr_grown(p) >= NAR_GROWS;

	if (has_grown)
		r->grown = p;
	return has_grown;
}

bool nar_recent_try_put(struct nar_recent *r, void *p)
{
	size_t nr_pages = nar_extent_pages(p, EXTENT_LARGE);
	u32 place;

	if (!nr_pages || note_growth(r, p) || nr_pages > NAR_RECENT_PAGES ||
	    !nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_RECENT))
		return false;
	do
		place = take_place(r);
	while (r->sum_pages + nr_pages > NAR_RECENT_PAGES);
	r->nr_pages[place] = (u32)nr_pages;
	r->block[place] = p;
	r->sum_pages += (u32)nr_pages;
	return true;
}

void nar_recent_flush(struct nar_recent *r)
{
	u32 place;

	for (place = 0; place < NAR_RECENT_BLOCKS; place++)
		if (r->nr_pages[place])
			drop(r, place);
}
