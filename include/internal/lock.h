/* SPDX-License-Identifier: MIT */
/*
 * The one lock numarena has: a word that holds its owner's thread id, or zero.
 * Uncontended it costs one compare-and-swap and one exchange; contended it spins
 * briefly and sleeps in futex(2), so that a preempted holder stalls nobody for
 * longer than its own time slice (the three-state mutex of Drepper, "Futexes are
 * tricky", 2011, with the owner in place of state 1).
 *
 * Knowing the owner is what fork needs: a fork made in a signal handler that
 * interrupted a holder must not wait for itself.
 */
#ifndef NAR_LOCK_H
#define NAR_LOCK_H

#include "internal/bug.h"
#include "internal/compiler.h"

/*
 * Take upward only.  Equal ranks never nest: a thread holds one arena and one
 * shard at a time.  Fork alone takes everything, in this order.
 */
enum nar_rank {
	RANK_INIT,	/* one-time start-up */
	RANK_TABLE,	/* class table writers */
	RANK_REGISTRY,	/* arena ids, parked and orphaned arenas */
	RANK_HEAP,	/* one heap's arenas and large blocks; what is left of destroyed ones */
	RANK_ARENA,	/* one arena's slabs and queue */
	RANK_SHARD,	/* one (node, class)'s unowned slabs */
	RANK_CHUNK,	/* one place's chunks of slices */
	RANK_EXTENT,	/* one pane's best-fit trees */
	RANK_MESSAGE,	/* one node's unused messages */
	RANK_SCOPE,	/* one node's unused scopes */
	RANK_META,	/* one node's metadata pages */
	NR_RANKS,
};

struct __capability nar_lock {
	u32 word;		/* owner's tid, LOCK_WAITERS beside it; 0 is free */
	u8 rank;
	bool is_held_for_fork;
	u32 nr_contended;	/* relaxed; for the statistics */
};

#define LOCK_WAITERS 0x80000000u
#define NAR_LOCK_INIT(r) { .rank = (r) }

extern __thread u32 nar_tid_cached;
u32 nar_tid_slow(void);

static inline u32 nar_tid(void)
{
	u32 tid = nar_tid_cached;

	return likely(tid) ? tid : nar_tid_slow();
}

/*
 * Fork takes every lock, whatever its rank; one that the forking thread holds already
 * (it forks in a signal handler) is left to it, and then it only tries the others.  The
 * child has no other threads: its locks begin anew.
 */
void nar_lock_for_fork(struct nar_lock *l);
void nar_trylock_for_fork(struct nar_lock *l);
void nar_unlock_after_fork(struct nar_lock *l);
void nar_lock_reset(struct nar_lock *l);

void nar_lock_slow(struct nar_lock *l);
void nar_unlock_slow(struct nar_lock *l);

#ifdef NAR_DEBUG
void nar_rank_push(const struct nar_lock *l);
void nar_rank_pop(const struct nar_lock *l);
#else
static inline void nar_rank_push(const struct nar_lock *l)
{
	(void)l;
}
static inline void nar_rank_pop(const struct nar_lock *l)
{
	(void)l;
}
#endif

static inline bool nar_lock_is_mine(const struct nar_lock *l)
{
	return (READ_ONCE(l->word) & ~LOCK_WAITERS) == nar_tid();
}

static inline bool nar_trylock(struct nar_lock *l) __ts(try_acquire_capability(true, l))
	__no_lock_analysis
{
	u32 free = 0;

	/* Acquire: pairs with the release in nar_unlock(). */
	if (!__atomic_compare_exchange_n(&l->word, &free, nar_tid(), false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	nar_rank_push(l);
	return true;
}

static inline void nar_lock(struct nar_lock *l) __acquires(l) __no_lock_analysis
{
	u32 free = 0;

	if (unlikely(!__atomic_compare_exchange_n(&l->word, &free, nar_tid(), false,
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		nar_lock_slow(l);
	nar_rank_push(l);
}

static inline void nar_unlock(struct nar_lock *l) __releases(l) __no_lock_analysis
{
	nar_rank_pop(l);
	if (unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) & LOCK_WAITERS))
		nar_unlock_slow(l);
}

#endif /* NAR_LOCK_H */
