/* SPDX-License-Identifier: MIT */
/*
 * Heaps.  A heap is an object like any other: shards a node, and the arenas that
 * threads have in it.  The process starts with one, the default heap.
 */
#ifndef NAR_HEAP_H
#define NAR_HEAP_H

#include "shard.h"

/* Slabs name their heap by number; a dead heap's number is used again. */
#define NAR_MAX_HEAPS 256

struct nar_heap {
	u16 id;
	struct nar_lock one_lock;	/* mode:baseline: every shard's lock */
	struct nar_shard *shard[NAR_MAX_NODES];	/* by node, then class; constant */
};

extern struct nar_heap nar_heap_default;

/* Release-stored once a heap is ready; NULL where there is none. */
extern struct nar_heap *nar_heaps[NAR_MAX_HEAPS];

/* Return: 0 or -ENOMEM. */
int nar_heap_init(struct nar_heap *h, u16 id);

static inline struct nar_shard *nar_heap_shard(struct nar_heap *h, unsigned int node,
					       unsigned int class)
{
	return &h->shard[node][class];
}

/* The shard of @p's slab. */
struct nar_shard *nar_heap_shard_of(u32 slab);

/* Without an arena: one object, under the shard's lock.  May map memory. */
void *nar_heap_alloc(struct nar_heap *h, unsigned int node, unsigned int class);

/* As nar_shard_try_give(), of the right shard. */
bool nar_heap_try_free(void *p);

void nar_heap_trim(struct nar_heap *h);

void nar_heap_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_HEAP_H */
