/* SPDX-License-Identifier: MIT */
/*
 * Heaps.  A heap is an object like any other: shards a node, and the arenas that
 * threads have in it.  The process starts with one, the default heap.
 */
#ifndef NAR_HEAP_H
#define NAR_HEAP_H

#include <numarena.h>

#include "account.h"
#include "shard.h"

struct nar_arena;

struct nar_heap {
	u16 id;
	u8 policy;		/* under which its memory is had */
	u64 handle;		/* HANDLE_NONE: not the program's; HANDLE_DEAD: destroyed */
	struct nar_lock one_lock;	/* mode:baseline: every shard's lock */
	struct nar_shard *shard[NAR_MAX_NODES];	/* by node, then class; constant */

	/* Of heaps that the program makes, from here on. */
	u64 nodes;		/* bit n: dense node n may have its memory; 0: all may */
	char name[NUMARENA_HEAP_NAME_MAX + 1];	/* the last one's until another has the number; racy reads */
	u64 name_life;		/* whose name that is; 0 while it is written */
	void (*low_memory)(struct numarena_heap *heap, size_t wanted_bytes, void *arg);
	void *low_memory_arg;
	u64 nr_low_memory;	/* relaxed */

	struct nar_lock lock;	/* RANK_HEAP */
	struct nar_arena *arenas;	/* lock: of threads that are in it */
	u32 first_block[NAR_MAX_NODES];	/* lock: large blocks, pages of the window; see block.h */
	u64 block_bytes;	/* lock; racy reads */

	u64 nr_lives;		/* of who has made it and not opened it yet */
	struct nar_heap *next_free;
};

extern struct nar_heap nar_heap_default;

/* Whether the program has ever made one: if not, no object can be of any.  Relaxed. */
extern bool nar_has_heaps;

/* Release-stored once a heap is ready; NULL where there is none. */
extern struct nar_heap *nar_heaps[NAR_MAX_HEAPS];

/* Return: 0 or -ENOMEM. */
int nar_heap_init(struct nar_heap *h, u16 id, unsigned int policy);

/* One of the program's, without a handle yet.  Return: 0, -ENOSPC or -ENOMEM. */
int nar_heap_make(struct nar_heap **to);
/* The name of who is about to be opened. */
void nar_heap_set_name(struct nar_heap *h, const char *name);
/* From now on it can be found.  Return: its handle. */
u64 nar_heap_open(struct nar_heap *h);
/* It has nothing any more, and may be made again. */
void nar_heap_unmake(struct nar_heap *h);

/* NULL if it was destroyed, or there never was one. */
struct nar_heap *nar_heap_find(u64 handle);

/* The name of who has or had @handle, to the end zeros.  Return: whether that is still known. */
bool nar_heap_try_name(u64 handle, char name[NUMARENA_HEAP_NAME_MAX + 1]);

/* For messages: ' ("name")', or nothing if no heap had the handle or another has the number by now. */
#define NAR_HEAP_LABEL_BYTES (NUMARENA_HEAP_NAME_MAX + sizeof(" (\"\")"))
const char *nar_heap_label(u64 handle, char label[NAR_HEAP_LABEL_BYTES]);

static inline bool nar_heap_is_alive(u64 handle)
{
	return nar_heap_find(handle);
}

static inline struct numarena_heap *nar_handle_to_heap(u64 handle)
{
	return (struct numarena_heap *)(uintptr_t)handle;
}

static inline u64 nar_heap_to_handle(const struct numarena_heap *heap)
{
	return (uintptr_t)heap;
}

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

/* The shard of @slab. */
struct nar_shard *nar_heap_shard_of(u32 slab);

/* Without an arena: one object, under the shard's lock.  Or one of a new slab. */
void *nar_heap_take(struct nar_heap *h, unsigned int node, unsigned int class);
void *nar_heap_grow(struct nar_heap *h, unsigned int node, unsigned int class);

/* As nar_shard_try_give(), of the right shard. */
bool nar_heap_try_free(void *p);
bool nar_heap_try_free_of(void *p, u64 handle);

/* The number of the heap that the slab around @p is of; NAR_FIRST_HEAP and above: the program's. */
static inline u32 nar_heap_id_around(const void *p)
{
	return nar_slab_at(nar_slab_around(p))->heap;
}

void nar_heap_trim(struct nar_heap *h);

/* Those of shards, and the one that ranks before all. */
void nar_heap_each_lock(void (*fn)(struct nar_lock *));
void nar_heap_each_make_lock(void (*fn)(struct nar_lock *));
void nar_heap_each_list_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_HEAP_H */
