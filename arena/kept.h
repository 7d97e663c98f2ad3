/* SPDX-License-Identifier: MIT */
/*
 * Regions that a thread keeps when scopes end, for those that begin next: touched, on
 * the thread's node, and had without a lock.
 *
 *	newest -> ... -> oldest		up to the option scope_keep
 *		  | never needed since the last sweep: given back by the next
 */
#ifndef NAR_KEPT_H
#define NAR_KEPT_H

#include "region.h"

struct nar_kept {
	u32 newest;
	u32 nr_polls;
	size_t bytes;
	size_t unneeded_bytes;	/* the least there were since the last sweep */
	u64 swept_ms;
};

/* One of @place for many objects, of @bytes and more; 0. */
u32 nar_kept_take(struct nar_kept *k, struct nar_place place, size_t bytes);

/* A single one for @bytes aligned to @alignment, of which not much is lost; 0. */
u32 nar_kept_take_single(struct nar_kept *k, struct nar_place place, size_t bytes, size_t alignment);

/* Keep it, or give it back if that would be more than may be kept. */
void nar_kept_put(struct nar_kept *k, u32 region);

/* All of it. */
void nar_kept_trim(struct nar_kept *k);

/* What was not needed for decay_ms, if it is time to look. */
void nar_kept_sweep(struct nar_kept *k);

/* The same, called often: mostly without a look at the clock. */
static inline void nar_kept_poll(struct nar_kept *k)
{
	if (k->bytes && ++k->nr_polls % 16 == 0)
		nar_kept_sweep(k);
}

#endif /* NAR_KEPT_H */
