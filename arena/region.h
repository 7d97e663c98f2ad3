/* SPDX-License-Identifier: MIT */
/*
 * Regions: the memory that scopes are cut from.  A region is an extent that begins at a
 * slice.  The slice map names OWNER_SCOPE there, which is nobody's id, so that free() of
 * what lies in it leaves the fast paths; the slots that slabs have in the slab table
 * describe regions instead.
 *
 *	| slice | slice | ... |	map[]: OWNER_SCOPE		slot: first
 *	  ^ first		slot: all of struct nar_region
 *
 * A single region holds one object that is large, at its start, and marks its first slice
 * only.  Its scope's thread alone changes a region; others may look at what says so.
 */
#ifndef NAR_REGION_H
#define NAR_REGION_H

#include "slab.h"

/* What the first region of a thread takes, and those after it. */
#define NAR_REGION_FIRST_BYTES KIB(256)
#define NAR_REGION_BYTES HUGE_BYTES

struct numarena_scope;

struct nar_region {
	u32 first;		/* the first slice's number; constant, in the slot of each slice */
	u32 next;		/* the one before it in its scope, or any that is kept; 0 */
	size_t bytes;		/* constant */
	size_t base;		/* position in the scope of its first byte */
	struct numarena_scope *scope;	/* NULL: kept for another; racy reads */
	struct nar_place place;	/* where it is; constant */
	bool is_single;		/* constant */
	u32 nr_ended;		/* grains from the start that may still have ends of captured objects */

	/* No 32 bits are too few: a single region is used, and filled, as a whole or not at all. */
	u32 used_bytes;		/* handed out when its scope went on to another */
	u32 filled_bytes;	/* harden: from the top to here it holds a pattern */
	u32 filled_by_bytes;	/* ... below this since this scope has released it, */
	u32 filled_by_life;	/* which had begun so often by then */
	const struct numarena_scope *filled_by;
};

_Static_assert(sizeof(struct nar_region) <= sizeof(struct nar_slab), "a region fits a slab's slot");

/* Memory without a declared type: it is what was written to it last. */
static inline struct nar_region *nar_region_at(u32 slice)
{
	void *slot = nar_slab_at(slice);

	return slot;
}

static inline char *nar_region_start(u32 region)
{
	return nar_slab_base(region);
}

static inline char *nar_region_end(u32 region)
{
	return nar_region_start(region) + nar_region_at(region)->bytes;
}

/* The region around @p, whose map entry names OWNER_SCOPE. */
static inline u32 nar_region_around(const void *p)
{
	return READ_ONCE(nar_region_at((u32)(nar_offset(p) >> SLICE_SHIFT))->first);
}

/*
 * At least @bytes at @place, aligned to @alignment and to a slice.  May map memory; hold
 * no lock.  Return: 0 if there is no memory.
 */
u32 nar_region_new(struct nar_place place, size_t bytes, size_t alignment, bool is_single);

/* Back to the extents. */
void nar_region_free(u32 region);

/* Bytes of @node in regions, kept ones too; all nodes' now, and the most there were. */
size_t nar_region_bytes(unsigned int node);
size_t nar_region_peak_bytes(void);

#endif /* NAR_REGION_H */
