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
 * another thread.  So an id that is read from the slice map always leads to an arena,
 * if not to the one it was meant for, and whoever drains a queue routes each object
 * by the map again.
 */
#ifndef NAR_ARENA_H
#define NAR_ARENA_H

#include "internal/lap.h"

#include "heap.h"
#include "magazine.h"
#include "recent.h"
#include "registry.h"
#include "remote.h"

struct nar_counters {		/* one writer, the arena's thread */
	u64 nr_refills;
	u64 nr_flushes;
	u64 nr_remote_frees;
	u64 nr_remote_batches;
	u64 frees_to[NAR_MAX_NODES];	/* frees of what is another's, by its node ... */
	u64 bytes_to[NAR_MAX_NODES];	/* ... and their bytes */
	struct nar_laps laps;
};

/*
 * Owners that objects are collected for at once; more share a place, by turns.  Arenas of the
 * program's heaps have places of their own: a message for one is for one of its heaps, which
 * the fast path does not look at.
 */
#define NR_OUTBOXES 16
#define NR_HEAP_OUTBOXES 4
#define NR_ALL_OUTBOXES (NR_OUTBOXES + NR_HEAP_OUTBOXES)

struct nar_arena {
	/* The fast paths': what nar_mem says of the span, so that one pointer leads to all. */
	struct nar_mags mag;
	uintptr_t base;
	size_t span_bytes;
	u32 *map;
	u32 tag;			/* map entry of class 0: the id, shifted */
	struct nar_class_view view;

	/* The thread's own. */
	struct nar_member member;
	struct nar_heap *heap;
	u8 nr_wanted[NAR_MAX_CLASSES];	/* times that a shard has served the class */
	u32 nr_posts;			/* since all outboxes were empty at once */
	struct nar_message *outbox[NR_ALL_OUTBOXES];	/* or nar_message_none */
	struct nar_message *spare;
	struct nar_recent recent;
	struct nar_counters count;
	u32 tid;			/* relaxed reads: of the thread it is or was last of */

	/* Of a heap of the program's; see own.h. */
	u64 handle;			/* lock, racy reads; HANDLE_NONE: of a policy's */
	const void *keeper;		/* names the thread; racy reads */
	struct nar_arena *next_own;	/* the thread's own */
	struct nar_arena *next_in_heap, *prev_in_heap;	/* the heap's lock */
	u64 away_since_ms;		/* the thread's own, as of its other memory */
	u32 away_refills;

	/* Under the lock. */
	struct nar_lock lock __shared_line;
	struct nar_bins bins[NAR_MAX_CLASSES];
	u32 nr_slabs[NAR_MAX_CLASSES];	/* in them; relaxed reads */
	u32 doomed;			/* empty slabs to destroy once unlocked */
	size_t kept_bytes;		/* in empty slabs, kept for the next refill */
	size_t slab_bytes;		/* relaxed reads */
	struct nar_message *inbox;	/* taken from the queue; the first may have begun */

	/* Anybody's. */
	struct nar_queue queue __shared_line;
	bool is_gone;			/* seq_cst: no thread will drain the queue */

	void *slot[] __shared_line;
};

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

/* Its thread ends or leaves the node: everything goes to the shelves. */
void nar_arena_end(struct nar_arena *a);

/*
 * At least one object of @class into its empty magazine, from slabs there are.  Return:
 * false if they have none.
 */
bool nar_arena_refill(struct nar_arena *a, unsigned int class);

/* A slab more, of @node if that has any.  May map memory.  Return: false if there is none. */
bool nar_arena_grow(struct nar_arena *a, unsigned int class, unsigned int node);

/* Room in a full magazine: a larger one, or the oldest objects go back into slabs. */
void nar_arena_make_room(struct nar_arena *a, unsigned int class);

/* Put the @nr oldest objects of a magazine back into slabs. */
void nar_arena_flush(struct nar_arena *a, unsigned int class, unsigned int nr);
void nar_arena_flush_all(struct nar_arena *a);

/*
 * By its thread, from the queue into slabs: a bounded number of objects.  Return: whether there
 * were any.
 */
bool nar_arena_drain_some(struct nar_arena *a);

/* Count the free of what is not @a's own. */
void nar_arena_note_free(struct nar_arena *a, const void *p, size_t bytes);

/* What waits in outboxes and is not counted yet, by node.  A racing reader may miss some. */
void nar_arena_count_unsent(const struct nar_arena *a, u64 *frees, u64 *bytes);

/*
 * Collect @p, owned by arena @owner, and post it with others in time; any way there is.
 * @handle: of the heap of the program's that it is of; HANDLE_NONE.
 */
void nar_arena_post(struct nar_arena *a, void *p, u32 owner, u64 handle);
void nar_arena_send_all(struct nar_arena *a);
/* To one owner.  Return: whether there was one. */
bool nar_arena_send_one(struct nar_arena *a);

/* Free @p into the slab of whoever owns it, under that owner's lock. */
void nar_arena_free_direct(void *p);

/* The same for an object of a heap of the program's; nothing if that was destroyed. */
void nar_arena_free_direct_of(void *p, u64 handle);

/*
 * Its heap is destroyed: what it has is nobody's, and it is HANDLE_DEAD until its thread lets
 * go of it.  As nar_slabs_bury().
 */
u32 nar_arena_bury(struct nar_arena *a, u32 slabs, size_t *bytes);

/* Bytes of objects in use or in its magazines. */
size_t nar_arena_live_bytes(struct nar_arena *a);

/* Destroy empty slabs that are kept. */
void nar_arena_trim(struct nar_arena *a);

/* The map of sizes anew, if a class was added. */
void nar_arena_update_classes(struct nar_arena *a);

u32 nar_arena_nr_live(void);

/* In the child of a fork: all arenas but @self have lost their thread. */
void nar_arenas_orphan(struct nar_arena *self);
/* Shelve what one orphan left.  Return: whether there was one. */
bool nar_arena_adopt_orphan(void);

void nar_arena_each_lock(void (*fn)(struct nar_lock *));

static inline struct nar_arena *nar_arena_of_member(struct nar_member *m)
{
	return container_of(m, struct nar_arena, member);
}

static inline struct nar_arena *nar_arena_of(u32 id)
{
	return nar_arena_of_member(nar_registry_find(id));
}

#endif /* NAR_ARENA_H */
