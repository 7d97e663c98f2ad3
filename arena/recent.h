/* SPDX-License-Identifier: MIT */
/*
 * Large blocks freed a moment ago, one small set an arena, the thread's own.
 */
#ifndef NAR_RECENT_H
#define NAR_RECENT_H

#include "extent.h"
#include "large.h"

#define NAR_RECENT_BLOCKS 16

/* Blocks up to a huge page's half; as much of them together. */
#define NAR_RECENT_BYTES MIB(1)
#define NAR_RECENT_PAGES (NAR_RECENT_BYTES / PAGE_BYTES)

struct nar_recent {
	u32 next;		/* place that is filled next, the oldest block's */
	u32 sum_pages;
	u32 nr_pages[NAR_RECENT_BLOCKS];	/* 0 is an empty place */
	void *block[NAR_RECENT_BLOCKS];
	const void *grown;	/* where the last one was that had grown; or NULL */
};

/* A block of @nr_pages, or by NAR_LARGE_SLACK more; NULL. */
void *nar_recent_take(struct nar_recent *r, size_t nr_pages);

/*
 * Keep @p.  Return: false if it is too large, or has grown, so that its place is best left
 * to the next that does, or is not the start of a live large block.
 */
bool nar_recent_try_put(struct nar_recent *r, void *p);

/* All back to the extents. */
void nar_recent_flush(struct nar_recent *r);

#endif /* NAR_RECENT_H */
