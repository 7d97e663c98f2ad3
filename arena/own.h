/* SPDX-License-Identifier: MIT */
/*
 * Threads in heaps that the program makes: a thread's own arenas of them, and how an object
 * of one comes home.
 *
 * A heap is a set of arenas, one a thread that allocates in it and node, and shards for slabs
 * of threads that have ended.  A thread finds its arena in a small table by the heap's number;
 * arenas that share a place are linked, the one used last first.  An arena that names another
 * heap's handle is not the one that is looked for, so a heap that was destroyed is never found.
 *
 * free() of an object of a heap fails the fast path, since the thread's main arena does not
 * own it, and comes here.  The map says whose it is:
 *
 *	the thread's own, of whatever heap	its magazine
 *	another thread's			a message, as for any object; it names the heap
 *	a shard's				its slab, under the shard's lock
 *	OWNER_TOMB				nothing to do
 *
 * Destroying a heap races with all of these.  What is on its way is told apart by the heap's
 * handle, which is never given out again:
 *
 * - The end of a heap first takes the heap's handle away, then each arena's, each under the
 *   lock under which its slabs are given to OWNER_TOMB.  So under an arena's or a shard's lock
 *   a slab that is theirs is of a heap that is alive if the handle is the one expected.
 * - Who frees reads the map, then the owner's handle, then the map again.  If it has not
 *   changed, the object was of that heap; if the owner was dead, it went with the heap.
 * - A message that names another heap than its owner is in now is not put into slabs: each of
 *   its objects is routed anew, if its heap is alive, or it is dropped as a whole.
 * - A magazine is its thread's alone, and so no end of a heap looks into it.  What is in one of
 *   a dead arena is forgotten when its thread lets go of it: when it next uses a heap of that
 *   place in the table, or ends.
 *
 * So an object that was freed before its heap was destroyed never reaches memory that was used
 * again, however late it comes home.
 *
 * Arenas of heaps stay arenas of heaps, and go from one to the next with their number.  A
 * thread's end leaves slabs with live objects to the heap's shards.  In the child of a fork
 * arenas of lost threads are orphans of their heap, and end like any other.
 */
#ifndef NAR_OWN_H
#define NAR_OWN_H

#include "arena.h"

#define NR_OWN 16

/* By the heap's number: the one used last, or nar_arena_none. */
extern __thread struct nar_arena *nar_own[NR_OWN];

/* From then on it is the first in its place, where the fast path looks. */
struct nar_arena *nar_own_find_slow(u64 handle);

/* NULL: there is none, or it is not the one used last. */
static __always_inline struct nar_arena *nar_own_peek(u64 handle)
{
	struct nar_arena *a = nar_own[handle % NR_OWN];

	return likely(READ_ONCE(a->handle) == handle) ? a : NULL;
}

static inline struct nar_arena *nar_own_find(u64 handle)
{
	struct nar_arena *a = nar_own_peek(handle);

	return likely(a) ? a : nar_own_find_slow(handle);
}

/* One more, which the thread has none of yet.  NULL: no memory, or the heap was destroyed. */
struct nar_arena *nar_own_begin(struct nar_heap *h, u64 handle, unsigned int node);

/* The thread ends, or leaves the node: what is in it goes to the shelves. */
void nar_own_end(struct nar_arena *a);
void nar_own_end_all(void);

/* Magazines and kept slabs go back. */
void nar_own_trim(void);

bool nar_is_of_heap_slow(const void *p, u32 entry);

/* Whether the owner that @entry of @p names is one of a heap of the program's, or was. */
static inline bool nar_is_of_heap(const void *p, u32 entry)
{
	return unlikely(READ_ONCE(nar_has_heaps)) && nar_is_of_heap_slow(p, entry);
}

/* @main: the thread's main arena; NULL.  Return: the arena into whose magazine it is to go; NULL: it is done. */
struct nar_arena *nar_own_free(struct nar_arena *main, void *p, u32 entry);

/* Free a large block of a heap.  Return: false if it is of none, and none has taken it along. */
bool nar_own_try_free_block(void *p);

#endif /* NAR_OWN_H */
