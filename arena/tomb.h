/* SPDX-License-Identifier: MIT */
/*
 * What heaps that were destroyed have left, kept for a moment.
 */
#ifndef NAR_TOMB_H
#define NAR_TOMB_H

#include "block.h"

struct nar_remains {
	u32 slabs;		/* linked by their next */
	void *blocks;		/* the first; linked */
	size_t bytes;
	u64 handle;		/* that the heap had */
};

/* A heap is being destroyed: until it is, a free of what it had is no mistake. */
void nar_tomb_begin(void);
bool nar_tomb_is_busy(void);
/* It was; and what there is too much of, or has been here for long, goes. */
void nar_tomb_end(const struct nar_remains *remains);

/* For messages: nar_heap_label() of the heap that has left the slab around @p, or the block. */
const char *nar_tomb_label(const void *p, char label[NAR_HEAP_LABEL_BYTES]);

/* Let go what is due, or all.  Hold no lock.  Return: whether there was one. */
bool nar_tomb_poll_one(void);
void nar_tomb_poll(void);
void nar_tomb_empty(void);

/* In the child of a fork: nobody is destroying anything. */
void nar_tomb_forget_threads(void);
void nar_tomb_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_TOMB_H */
