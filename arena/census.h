/* SPDX-License-Identifier: MIT */
/*
 * A census: what slabs and large blocks hold, counted by going through all of them.  For who
 * prints statistics: it takes about a millisecond a GiB, and asks the kernel of each 2 MiB
 * which pages are there.
 *
 * Live is what the program has, in open scopes too, and what it has freed and waits in messages.  Numbers are
 * exact while nobody allocates, else each is right at some moment.
 */
#ifndef NAR_CENSUS_H
#define NAR_CENSUS_H

#include "arena.h"

struct nar_tally {
	u64 nr_slabs;
	u64 slab_bytes;
	u64 nr_objects;		/* that fit into the slabs */
	u64 nr_live;
	u64 nr_cached;		/* in magazines */
	u64 large_bytes;
	u64 live_bytes;		/* small and large; of nodes and all also in scopes */
	u64 cached_bytes;	/* in magazines, and large blocks that wait with a thread */
	u64 resident_bytes;	/* of slabs and large blocks; of nodes also what is free */
};

struct nar_census {
	struct nar_tally class[NAR_MAX_CLASSES];
	struct nar_tally node[NAR_MAX_NODES];
	struct nar_tally heap[NAR_MAX_HEAPS];
	struct nar_tally all;
	bool has_heap[NAR_MAX_HEAPS];		/* there when the census began; others are not counted */
	u32 heaps_end;				/* past the last of these */
};

/* Zeroes it first.  Takes extent locks for moments. */
void nar_census_take(struct nar_census *c);

/* What one arena's magazines hold: objects of a class, all in bytes; and the blocks that wait. */
unsigned int nar_census_nr_in_magazine(const struct nar_arena *a, unsigned int class);
u64 nar_census_magazine_bytes(const struct nar_arena *a);
u64 nar_census_waiting_bytes(const struct nar_arena *a);

/* Of an arena's slabs: what was handed out, what magazines hold included; and what is there. */
struct nar_holding {
	u64 out_bytes;
	u64 resident_bytes;
};

/* Those of arenas @first to @first + @nr - 1: into @to, zeroed first. */
void nar_census_arenas(u32 first, unsigned int nr, struct nar_holding *to);

/* Of resident bytes, the part that nothing alive fills, in parts of 10000. */
u64 nar_tally_fragmentation(const struct nar_tally *t);

#endif /* NAR_CENSUS_H */
