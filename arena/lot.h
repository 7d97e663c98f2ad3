/* SPDX-License-Identifier: MIT */
/*
 * Lots: chunks in bins by how many slices they have left, under one lock.
 *
 * A place has one lot until threads are in each other's way there: who finds its lot busy
 * takes from the next from then on, as threads do with ptmalloc's arenas (Gloger, 1996).
 */
#ifndef NAR_LOT_H
#define NAR_LOT_H

#include "meta.h"

/* Which pages a chunk lies on. */
enum nar_pool {
	POOL_SMALL,	/* 4 KiB pages, for arenas too young to fill a huge one */
	POOL_HUGE,
	NR_POOLS,
};

/* Full, then one bin for each number of free slices; the last is empty chunks. */
#define NAR_NR_BINS (SLICES_PER_UNIT + 1)
#define NAR_BIN_WHOLE SLICES_PER_UNIT

struct nar_lot {
	struct nar_lock lock;
	u8 policy;			/* constant */
	u8 number;			/* constant */
	struct nar_lot *next;		/* of the node; release-stored when another is made */
	u32 bin[NR_POOLS][NAR_NR_BINS];	/* units */
	u64 has[NR_POOLS];		/* bit n - 1: bin n is not empty; of full chunks nobody asks */
	size_t nr_slices;		/* in slabs; relaxed reads */
	size_t nr_free;			/* slices of chunks that are in no slab; relaxed reads */
	u64 nr_slabs_made;		/* relaxed reads */
	u32 nr_filled;			/* no less than small chunks that have filled since one looked */
} __shared_line;

void nar_lot_init(void);

/* Lots that a place may have by now.  Racy: it grows once. */
unsigned int nar_lot_count(void);

/* NULL: there is none yet. */
struct nar_lot *nar_lot_at(struct nar_place place, unsigned int number);

/* The lot of the chunk @unit. */
struct nar_lot *nar_lot_of(u32 unit);

/* The calling thread's at @place; may map memory, hold no lock.  NULL: there is none. */
struct nar_lot *nar_lot_own(struct nar_place place);

/* The same, locked; from now on it is another if that was busy. */
struct nar_lot *nar_lot_lock_own(struct nar_place place);

/* Each is met once, but for those made meanwhile. */
struct nar_lot *nar_lot_first(unsigned int node);

#define nar_for_each_lot(l, node) \
	for ((l) = nar_lot_first(node); (l); (l) = load_acquire(&(l)->next))

/* ---- Under its lock ---- */

/* Slices that are free in its chunks, more or, below 0, less. */
static inline void nar_lot_count_free(struct nar_lot *l, long nr)
{
	WRITE_ONCE(l->nr_free, l->nr_free + (size_t)nr);
}

void nar_lot_add(struct nar_lot *l, u32 unit);
void nar_lot_del(struct nar_lot *l, u32 unit);

/* A chunk with @nr free slices in a row: of a bin, of the fullest bin that has one; or 0. */
u32 nar_lot_find_in_bin(const struct nar_lot *l, unsigned int pool, unsigned int bin, unsigned int nr);
u32 nar_lot_find(const struct nar_lot *l, enum nar_pool pool, unsigned int nr);

/* The first such row of @unit; @nr is less than all.  Return: its first slice. */
u32 nar_lot_take(struct nar_lot *l, u32 unit, unsigned int nr);

static inline u64 nar_row_mask(unsigned int first, unsigned int nr)
{
	NAR_ASSERT(nr && nr < SLICES_PER_UNIT);
	return ((1ull << nr) - 1) << first;
}

#endif /* NAR_LOT_H */
