/* SPDX-License-Identifier: MIT */
/*
 * From one thread's hands into another's arena, and what the arena does with it.
 */
#ifndef NAR_POST_H
#define NAR_POST_H

#include "stock.h"

/*
 * By its thread, from the queue into slabs: a bounded number of objects.  Return: whether there
 * were any.
 */
bool nar_post_drain_some(struct nar_arena *a);

/* Count the free of what is not @a's own. */
void nar_post_note_free(struct nar_arena *a, const void *p, size_t bytes);

/* What waits in outboxes and is not counted yet, by node.  A racing reader may miss some. */
void nar_post_count_unsent(const struct nar_arena *a, u64 *frees, u64 *bytes);

/*
 * Collect @p, owned by arena @owner, and post it with others in time; any way there is.
 * @handle: of the heap of the program's that it is of; HANDLE_NONE.
 */
void nar_post_add(struct nar_arena *a, void *p, u32 owner, u64 handle);
void nar_post_send_all(struct nar_arena *a);
/* To one owner.  Return: whether there was one. */
bool nar_post_send_one(struct nar_arena *a);

/* Free @p into the slab of whoever owns it, under that owner's lock. */
void nar_post_free_direct(void *p);

/* The same for an object of a heap of the program's; nothing if that was destroyed. */
void nar_post_free_direct_of(void *p, u64 handle);

/*
 * Objects collected from the queue a refill: as long as a few refills; and the class that stands
 * for none, if another than the arena's thread drains, which has no business in its magazines.
 */
#define NAR_DRAIN_MAX 256
#define NAR_BY_A_STRANGER NAR_MAX_CLASSES

/*
 * Up to @max objects from the queue into slabs; if the arena's own thread does it to refill
 * @class, into magazines first, and no more than that takes.  Return: messages that are done
 * with, for nar_post_finish() once unlocked.
 */
struct nar_message *nar_post_drain(struct nar_arena *a, unsigned int max, unsigned int class)
	__must_hold(&a->lock);
void nar_post_finish(struct nar_message *done);

/* All of it, in bounded steps. */
void nar_post_drain_all(struct nar_arena *a);

#endif /* NAR_POST_H */
