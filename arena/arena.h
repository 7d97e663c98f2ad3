/* SPDX-License-Identifier: MIT */
/*
 * Arenas.  An arena is the slabs that one thread uses in one heap on one node, and
 * the magazines in front of them.
 *
 * A magazine is a stack of pointers to free objects of one class; pushing and popping
 * are the fast path and touch nothing but the magazine.  Only the arena's thread does
 * that, without a lock.  All that moves objects between magazines and slabs, or slabs
 * between arenas and shards, holds the arena's lock.
 *
 * An arena's memory and id stay an arena's for ever: when its thread ends it waits for
 * another thread, with its slabs for a while (lobby.h), then without.  So an id that is read from the slice map always leads to an arena,
 * if not to the one it was meant for, and whoever drains a queue routes each object
 * by the map again.
 */
#ifndef NAR_ARENA_H
#define NAR_ARENA_H

#include "post.h"

/* What nar_self points to where there is no arena: empty magazine, owns nothing, no span. */
extern struct nar_arena nar_arena_none;

/* The calling thread's; NULL.  thread.c alone sets it. */
extern __thread struct nar_arena *nar_arena_own;

/* ... and while a scope captures what the thread allocates; then the other is NULL. */
extern __thread struct nar_arena *nar_arena_aside;

static inline struct nar_arena *nar_arena_mine(void)
{
	return nar_arena_own ? nar_arena_own : nar_arena_aside;
}

/* The node that numarena_thread_bind() named for the calling thread, plus one; or 0. */
extern __thread u8 nar_bound_to;

static inline unsigned int nar_wanted_node(void)
{
	return unlikely(nar_bound_to) ? nar_bound_to - 1u : nar_node_current();
}

/* What a thread's arenas of heaps name it by, while it lives. */
static inline const void *nar_keeper_self(void)
{
	return &nar_arena_own;
}

/*
 * An arena for the calling thread; NULL if there is no memory, or the heap that @handle names
 * was destroyed.
 */
struct nar_arena *nar_arena_begin(struct nar_heap *heap, u64 handle, unsigned int node);

/* Its thread leaves it: everything goes to the shelves. */
void nar_arena_end(struct nar_arena *a);

/* Its thread ends: it waits for another for a while, if it is small. */
void nar_arena_pass_on(struct nar_arena *a);

/* End one that has waited long at @now_ms, or with @any whichever.  Return: whether there was one. */
bool nar_arena_turn_out(u64 now_ms, bool any);

/* At a refill: whether its thread has wanted memory of @node for so long that it should follow. */
bool nar_arena_is_left(struct nar_arena *a, unsigned int node);

/*
 * At least one object of @class into its empty magazine, from slabs there are.  Return:
 * false if they have none.
 */
bool nar_arena_refill(struct nar_arena *a, unsigned int class);

/*
 * A slab more, of @node if that has any, and objects of it into the empty magazine.  May map
 * memory.  Return: false if there is none.
 */
bool nar_arena_grow(struct nar_arena *a, unsigned int class, unsigned int node);

/* Room in a full magazine: a larger one, or the oldest objects go back into slabs. */
void nar_arena_make_room(struct nar_arena *a, unsigned int class);

/* All that magazines hold goes back into slabs. */
void nar_arena_flush_all(struct nar_arena *a);

/*
 * Its heap is destroyed: what it has is nobody's, and it is HANDLE_DEAD until its thread lets
 * go of it.  As nar_slabs_bury().
 */
u32 nar_arena_bury(struct nar_arena *a, u32 slabs, size_t *bytes);

/* Bytes of objects in use or in its magazines. */
size_t nar_arena_live_bytes(const struct nar_arena *a);

/* Destroy empty slabs that are kept. */
void nar_arena_trim(struct nar_arena *a);

/* The map of sizes anew, if a class was added. */
void nar_arena_update_classes(struct nar_arena *a);

u32 nar_arena_nr_live(void);

/* In the child of a fork: all arenas have lost their thread but those of the one that was @tid_before. */
void nar_arenas_orphan(u32 tid_before);
/* Shelve what one orphan left.  Return: whether there was one. */
bool nar_arena_adopt_orphan(void);

void nar_arena_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_ARENA_H */
