/* SPDX-License-Identifier: MIT */
/*
 * Extents: runs of 4 KiB pages, the only source of chunks and of large blocks.
 * Every committed page of a pane is in exactly one extent.
 */
#ifndef NAR_EXTENT_H
#define NAR_EXTENT_H

#include "meta.h"

/* Pages that begin at a multiple of @align_pages, on @backing if that can be had. */
struct nar_want {
	size_t nr_pages;
	size_t align_pages;
	enum nar_backing backing;
	enum nar_extent_state state;
	const void *near;	/* for nar_extent_try_alloc_near(): ours */
};

/*
 * From @place or, if its node is full and the policy allows, from the nearest that is not.
 * May map memory; hold no lock above RANK_CHUNK.  @is_zero: whether all of it reads as
 * zeros.  Return: NULL if there is no memory that will do.
 */
void *nar_extent_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero);

/* Pages to be had for it.  Spans start at units, so alignment up to a unit needs no slack. */
static inline u32 nar_extent_growth(const struct nar_want *w)
{
	size_t slack = w->align_pages > PAGES_PER_UNIT ? w->align_pages : 0;

	return (u32)ALIGN_UP(w->nr_pages + slack, PAGES_PER_UNIT);
}

/* A node that the kernel says is full would have the pages elsewhere, and nobody would know. */
bool nar_extent_has_room(struct nar_place place, const struct nar_want *want);

/* The same, of @place and of memory that is there already. */
void *nar_extent_try_alloc(struct nar_place place, const struct nar_want *want, bool *is_zero);
/* The same, and waits for panes that are busy. */
void *nar_extent_try_alloc_at_last(struct nar_place place, const struct nar_want *want, bool *is_zero);

/* The same, but where @want->near was, if that is free with much free behind it. */
void *nar_extent_try_alloc_near(struct nar_place place, const struct nar_want *want, bool *is_zero);

/* Not where they fit best: with much free behind them, for which memory may be mapped; or NULL. */
void *nar_extent_try_alloc_roomy(struct nar_place place, const struct nar_want *want, bool *is_zero);

/*
 * policy:strict.  All of it is faulted in and looked at; a page that will not come home
 * makes the whole as good as none.  Return: 0 or -ENOMEM.
 */
int nar_extent_enforce(struct nar_place place, void *p, size_t nr_pages);

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

/* The policy of the extent that starts at @p, of which the caller is sure: POLICY_HAND if moved. */
unsigned int nar_extent_policy_at(const void *p);

/* Whether the block at @p, of which the caller is sure, was moved to another node by hand. */
bool nar_extent_is_moved(const void *p);

/* Return: 0, or -EINVAL if no extent in @state starts at @p. */
int nar_extent_free(void *p, enum nar_extent_state state);

/*
 * Part a chunk: slices set in @free_mask become free, each row that begins at a bit
 * of @start_mask an EXTENT_CHUNK of its own.  A chunk lock may be held.
 */
void nar_extent_part_chunk(u32 unit, u64 free_mask, u64 start_mask);

/* ---- In use, in resize.c ---- */

/* An extent that has grown so often goes on, for all one knows. */
#define NAR_GROWS 4

/* How often the extent at @p has grown, and that it stands for one that did. */
u8 nar_extent_nr_grown(const void *p);
void nar_extent_inherit_growth(void *p, unsigned int nr_before);

/*
 * Shrink, or grow into a free right neighbour, or with the pane if it is the last there.
 * @want: how many pages, and on what backing more would be.  Return: 0 or -ENOSPC.
 */
int nar_extent_resize(void *p, const struct nar_want *want);

/*
 * Move the first @nr_pages of one extent behind another instead of copying.  Return:
 * whether it was done; each move may cost a few mappings, so there is an end to them.
 */
bool nar_extent_try_move(void *from, void *to, size_t nr_pages);

/* ---- For fork ---- */

void nar_extent_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_EXTENT_H */
