/* SPDX-License-Identifier: MIT */
/*
 * Extents: runs of 4 KiB pages, the only source of chunks and of large blocks.
 * Every committed page of a window is in exactly one extent.
 */
#ifndef NAR_EXTENT_H
#define NAR_EXTENT_H

#include "meta.h"

enum nar_extent_state {
	EXTENT_NONE,	/* not an extent's first page */
	EXTENT_FREE,	/* in the tree of its backing */
	EXTENT_LARGE,	/* a large block */
	EXTENT_RECENT,	/* one that is free and waits for its thread to want it again */
	EXTENT_CHUNK,	/* cut into slices */
	EXTENT_HELD,	/* between two states, in the hands of one thread */
};

/* Free neighbours become one only if both have the same, and the same policy. */
enum nar_backing {
	BACKING_NONE,	/* address space without memory: refused, or given back */
	BACKING_SMALL,	/* 4 KiB pages, unless collapsed */
	BACKING_HUGE,	/* advised huge on first touch */
	BACKING_HUGETLB,	/* from a pool, and all there */
	NR_BACKINGS,
};

/* Pages that begin at a multiple of @align_pages, on @backing if that can be had. */
struct nar_want {
	size_t nr_pages;
	size_t align_pages;
	enum nar_backing backing;
	enum nar_extent_state state;
};

void nar_extent_init(void);

/*
 * From @place or, if its node is full and the policy allows, from the nearest that is not.
 * May map memory; hold no lock above RANK_CHUNK.  @is_zero: whether all of it reads as
 * zeros.  Return: NULL if there is no memory that will do.
 */
void *nar_extent_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero);

/* The same, of @place and of memory that is there already. */
void *nar_extent_try_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero);

/*
 * Memory of @place that nobody has seen, for the caller to make ready: @bytes, on pages of
 * 2^@shift bytes of a hugetlb pool, or with HUGE_SHIFT and another @backing on such.  It is
 * never purged.  Return: NULL if there is none.  Then it is for everybody.
 */
void *nar_extent_hold(struct nar_place place, size_t bytes, enum nar_backing backing,
		      unsigned int shift);
void nar_extent_release_held(void *p);
/* ... or goes back to the kernel, and may be purged should it come again. */
void nar_extent_drop_held(void *p);

/*
 * The pages of the extent in @state that starts at @p; 0 if none does.  The caller
 * owns it, or is about to be told that it does not.
 */
size_t nar_extent_pages(const void *p, enum nar_extent_state state);

/*
 * Let the extent at @p change between two states in which it belongs to somebody; no
 * lock is needed for that.  Return: false if none starts there in state @from.
 */
bool nar_extent_try_mark(void *p, enum nar_extent_state from, enum nar_extent_state to);

/* The policy of the extent that starts at @p, of which the caller is sure. */
unsigned int nar_extent_policy_at(const void *p);

/* Return: 0, or -EINVAL if no extent in @state starts at @p. */
int nar_extent_free(void *p, enum nar_extent_state state);

/*
 * Part a chunk: slices set in @free_mask become free, each row that begins at a bit
 * of @start_mask an EXTENT_CHUNK of its own.  A chunk lock may be held.
 */
void nar_extent_part_chunk(u32 unit, u64 free_mask, u64 start_mask);

/* Shrink, or grow into a free right neighbour.  Return: 0 or -ENOSPC. */
int nar_extent_resize(void *p, size_t nr_pages);

/* What covers @p, for a message: its first byte, pages and state; else false. */
bool nar_extent_around(const void *p, void **start, size_t *nr_pages,
		       enum nar_extent_state *state);

/*
 * Give wholly free units of @node back that have been free since @before_ms or
 * longer, at most @max_units of them.  Return: how many.
 */
size_t nar_extent_purge(unsigned int node, u32 before_ms, size_t max_units);

/*
 * Move the first @nr_pages of one extent behind another instead of copying.  Return:
 * whether it was done; each move may cost a few mappings, so there is an end to them.
 */
bool nar_extent_try_move(void *from, void *to, size_t nr_pages);

/* ---- Huge pages ---- */

/*
 * huge:auto begins on small pages.  Once a node has more than a small program's memory,
 * what there is becomes huge: a unit a call.  Return: whether there was one.
 */
bool nar_extent_collapse(unsigned int node);

/* After a fork: make huge again what was.  Return: units that the kernel would not. */
size_t nar_extent_recover(unsigned int node);

/* In a fork, all locks held: what is huge is shared from now on. */
void nar_extent_note_fork(void);

/* Make one unit huge and count how that went.  Hold no lock. */
int nar_extent_collapse_unit(u32 unit);

/* ---- Looking ---- */

struct nar_run {
	void *start;
	size_t nr_pages;
	u8 state;		/* enum nar_extent_state */
	u8 policy;
	u8 backing;		/* enum nar_backing */
};

/*
 * Up to @max extents of @node that begin at page *@page or after; moves *@page past them.
 * Return: how many; 0 at the end.
 */
unsigned int nar_extent_walk(unsigned int node, u32 *page, struct nar_run *runs, unsigned int max);

/* The policy of the extent that covers @p; -ENOENT if none does. */
int nar_extent_policy(const void *p);

struct nar_extent_usage {
	size_t committed_bytes[NR_BACKINGS];
	size_t large_bytes;
	size_t free_bytes;
};

/* Racy sums, for statistics and policy. */
void nar_extent_usage(unsigned int node, struct nar_extent_usage *u);
size_t nar_extent_committed(unsigned int node);

void nar_extent_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_EXTENT_H */
