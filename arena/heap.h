/* SPDX-License-Identifier: MIT */
/*
 * Heaps.  A heap is an object like any other: shards a node, and the arenas that
 * threads have in it.  The process starts with one, the default heap.
 */
#ifndef NAR_HEAP_H
#define NAR_HEAP_H

#include "shard.h"

/*
 * Slabs name their heap by number; a dead heap's number is used again.  The first numbers
 * are those of policies: threads that the program has put under a policy of its own have
 * a default heap apart.
 */
#define NAR_MAX_HEAPS 256

struct nar_heap {
	u16 id;
	u8 policy;		/* under which its memory is had */
	struct nar_lock one_lock;	/* mode:baseline: every shard's lock */
	struct nar_shard *shard[NAR_MAX_NODES];	/* by node, then class; constant */
};

extern struct nar_heap nar_heap_default;

/* Release-stored once a heap is ready; NULL where there is none. */
extern struct nar_heap *nar_heaps[NAR_MAX_HEAPS];

/* Return: 0 or -ENOMEM. */
int nar_heap_init(struct nar_heap *h, u16 id, unsigned int policy);

/* The default heap of @policy; NULL without memory. */
struct nar_heap *nar_heap_of_policy(unsigned int policy);

/* The same, of the policy that the calling thread is under. */
struct nar_heap *nar_heap_current(void);

static inline struct nar_place nar_heap_place(const struct nar_heap *h, unsigned int node)
{
	return (struct nar_place){ (u8)node, h->policy };
}

static inline struct nar_shard *nar_heap_shard(struct nar_heap *h, unsigned int node,
					       unsigned int class)
{
	return &h->shard[node][class];
}

/* The shard of @p's slab. */
struct nar_shard *nar_heap_shard_of(u32 slab);

/* Without an arena: one object, under the shard's lock.  Or one of a new slab. */
void *nar_heap_take(struct nar_heap *h, unsigned int node, unsigned int class);
void *nar_heap_grow(struct nar_heap *h, unsigned int node, unsigned int class);

/* As nar_shard_try_give(), of the right shard. */
bool nar_heap_try_free(void *p);

void nar_heap_trim(struct nar_heap *h);

/* Those of shards, and the one that ranks before all. */
void nar_heap_each_lock(void (*fn)(struct nar_lock *));
void nar_heap_each_make_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_HEAP_H */
