/* SPDX-License-Identifier: MIT */
/*
 * Shards: for each class on each node one lock, and the slabs that no arena owns,
 * left by threads that ended or moved away.
 */
#ifndef NAR_SHARD_H
#define NAR_SHARD_H

#include "class.h"

struct nar_shard {
	struct nar_lock own;
	struct nar_lock *lock;	/* own, or the heap's one lock under mode:baseline */
	const u64 *handle;	/* the heap's; constant */
	struct nar_bins bins;	/* lock */
	u32 nr_empty;		/* lock: slabs in use by nobody, kept for the next */
	u32 nr_slabs;		/* lock; a racy read is a hint */
	u64 nr_shelved;		/* lock; racy reads for statistics */
	u64 nr_adopted;
} __shared_line;

/* Take the densest slab that has something to hand out for @owner; 0. */
u32 nar_shard_adopt(struct nar_shard *s, u32 owner);

/* Shelve a slab that is in no list.  The lock of its owner until now is held. */
void nar_shard_shelve(struct nar_shard *s, u32 slab);

/* One object from the shelf; NULL if it has none. */
void *nar_shard_take(struct nar_shard *s);

/*
 * Put @p back into its slab, if the shard owns it.  Return: false if it doesn't, since
 * an arena has adopted it meanwhile.
 */
bool nar_shard_try_give(struct nar_shard *s, void *p);

/*
 * The same for @p of the heap that @handle names, which may be destroyed at any time: then
 * there is nothing to do, and that is done.
 */
bool nar_shard_try_give_of(struct nar_shard *s, void *p, u64 handle);

/* Its heap is destroyed, and has no handle: as nar_slabs_bury(). */
u32 nar_shard_bury(struct nar_shard *s, u32 slabs, size_t *bytes);

/* Put a new slab on the shelf and take its first object; NULL if the heap was destroyed. */
void *nar_shard_take_new(struct nar_shard *s, u32 slab);

/* Destroy empty slabs that are kept. */
void nar_shard_trim(struct nar_shard *s);

#endif /* NAR_SHARD_H */
