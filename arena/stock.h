/* SPDX-License-Identifier: MIT */
/*
 * What an arena is and has, and its slabs: in and out of its lists, under its lock, by its
 * thread or another.
 */
#ifndef NAR_STOCK_H
#define NAR_STOCK_H

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
	struct nar_heap *heap;			/* release-stored; racy reads */
	u8 nr_wanted[NAR_MAX_CLASSES];	/* times that a shard has served the class */
	u32 nr_posts;			/* since all outboxes were empty at once */
	struct nar_message *outbox[NR_ALL_OUTBOXES];	/* or nar_message_none */
	struct nar_message *spare;
	struct nar_recent recent;
	struct nar_counters count;
	u32 away_refills;		/* while the thread wanted another node's memory ... */
	u64 away_since_ms;		/* ... and since when */

	/* In the lobby, under its lock. */
	struct nar_arena *next_waiting;
	u64 waits_since_ms;

	/* Of a heap of the program's; see own.h. */
	u64 handle;			/* lock, racy reads; HANDLE_NONE: of a policy's */
	const void *keeper;		/* names the thread; racy reads */
	struct nar_arena *next_own;	/* the thread's own */
	struct nar_arena *next_in_heap, *prev_in_heap;	/* the heap's lock */

	/* Under the lock. */
	struct nar_lock lock __shared_line;
	struct nar_bins bins[NAR_MAX_CLASSES];
	u32 doomed;			/* empty slabs to destroy once unlocked */
	size_t kept_bytes;		/* in empty slabs, kept for the next refill */
	size_t slab_bytes;		/* relaxed reads */
	struct nar_message *inbox;	/* taken from the queue; the first may have begun */

	/* Anybody's. */
	struct nar_queue queue __shared_line;
	bool is_gone;			/* seq_cst: no thread will drain the queue */

	void *slot[] __shared_line;
};

static inline struct nar_arena *nar_arena_of_member(struct nar_member *m)
{
	return container_of(m, struct nar_arena, member);
}

static inline struct nar_arena *nar_arena_of(u32 id)
{
	return nar_arena_of_member(nar_registry_find(id));
}

/* ---- Under its lock ---- */

void nar_stock_link(struct nar_arena *a, unsigned int class, u32 slab) __must_hold(&a->lock);
void nar_stock_unlink(struct nar_arena *a, unsigned int class, u32 slab) __must_hold(&a->lock);

/* An empty slab that was kept is used, or goes. */
void nar_stock_unkeep(struct nar_arena *a, u32 slab) __must_hold(&a->lock);

/* To be destroyed by nar_stock_unlock(); it is in no list. */
void nar_stock_doom(struct nar_arena *a, u32 slab) __must_hold(&a->lock);

/*
 * As many of the first of @p as lie in one slab, which is the arena's: what is freed in some
 * order often does.  Return: how many.
 */
unsigned int nar_stock_give_run(struct nar_arena *a, void *const *p, unsigned int nr) __must_hold(&a->lock);
void nar_stock_give_all(struct nar_arena *a, void *const *p, unsigned int nr) __must_hold(&a->lock);

/* Unlock, and destroy what is doomed. */
void nar_stock_unlock(struct nar_arena *a) __releases(&a->lock);

#endif /* NAR_STOCK_H */
