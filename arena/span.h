/* SPDX-License-Identifier: MIT */
/*
 * Spans: memory that a pane did not have yet.  May make system calls; hold no lock above
 * RANK_CHUNK.
 */
#ifndef NAR_SPAN_H
#define NAR_SPAN_H

#include "internal/probe.h"

#include "pane.h"

/*
 * At least @need more pages of @place on @backing.  Return: whether it is worth looking for
 * memory again.  Pool: on hugetlb pages, and counted if the pool has none.
 */
bool nar_span_grow(struct nar_place place, u32 need, u8 backing);
bool nar_span_grow_pool(struct nar_place place, u32 need);

/* The same, in that pane of @place's node. */
bool nar_span_grow_pane(struct nar_pane *x, struct nar_place place, u32 need, u8 backing);

/* Say of a range that is new, or as good as new, what it is for.  Return: as nar_bind(). */
bool nar_span_prepare(struct nar_place place, void *start, size_t bytes, u8 backing);
void nar_span_advise_huge(unsigned int node, void *start, size_t bytes);

/* Count units of @node that should be huge and are not. */
void nar_span_lost_huge(unsigned int node, size_t bytes, enum nar_huge_loss why);

/*
 * Memory of @place that nobody has seen, for the caller to make ready: @bytes, on pages of
 * 2^@shift bytes of a hugetlb pool, or with HUGE_SHIFT and another @backing on such.  It is
 * never purged.  Return: NULL if there is none.
 */
void *nar_span_hold(struct nar_place place, size_t bytes, enum nar_backing backing,
		    unsigned int shift);

/*
 * Units that are held (EXTENT_HELD) go back to the kernel; pages of a pool by leaving the
 * space without memory.  Return: 0; or -errno, and they are as they were.
 */
int nar_span_give_back(void *p);

/* Then it is for everybody.  Or it goes back to the kernel, and is like any other. */
void nar_span_release(void *p);
void nar_span_drop(void *p);

#endif /* NAR_SPAN_H */
