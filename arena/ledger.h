/* SPDX-License-Identifier: MIT */
/*
 * A ledger: what classes, heaps and threads have, by what is counted anyway.  For who has to
 * know it often: a census (census.h) is by two orders of magnitude dearer, and alone knows
 * which pages are there.
 *
 *	turn	| arena | arena | ... | heap's shelves | heap's shelves | ...	-> lines
 *
 * A turn goes through all arenas and shelves, and may be made in parts: how many there are
 * does not decide how long one who goes on with it is kept.  Lines are as old as the turn they
 * are of.  Nobody is stopped, and no lock is taken: arenas and heaps stay where they are for
 * ever, and what has become another's meanwhile is told by its handle.
 */
#ifndef NAR_LEDGER_H
#define NAR_LEDGER_H

#include "internal/ledger.h"
#include "internal/statpage.h"

#include "arena.h"

/* The first lines of a table: those that have the most. */
struct nar_ledger_list {
	void *line;
	size_t line_bytes;
	u64 *has_bytes;		/* by line */
	unsigned int nr, max;
	u64 nr_left_off;
};

/* What arenas and shelves of a heap add up to, if it is of this turn and handle. */
struct nar_ledger_sum {
	u64 turn;
	u64 handle;
	u64 nr_slabs;
	u64 slab_bytes;
	u64 live_bytes;
	u64 cached_bytes;	/* in magazines ... */
	u64 waiting_bytes;	/* ... and blocks */
};

/* Zero is one that has made no turn.  Of one thread at a time. */
struct nar_ledger {
	struct nar_total_line total;
	struct numarena_stats shards;	/* see nar_stats_add_heap(); all else is zero */
	struct nar_class_line class[NAR_MAX_CLASSES];	/* by number */
	struct nar_heap_line heap[NAR_STATPAGE_HEAPS];
	struct nar_thread_line thread[NAR_STATPAGE_THREADS];
	struct nar_ledger_list heaps, threads;

	/* Where the turn is, and what it has seen. */
	u64 turn;
	u32 next_arena, next_heap;
	bool has_policies;		/* default heaps beside the first */
	u64 block_bytes;		/* large, of the program's heaps */
	u64 waiting_bytes;		/* blocks that wait with a thread */
	u64 heap_has[NAR_STATPAGE_HEAPS], thread_has[NAR_STATPAGE_THREADS];
	struct nar_ledger_sum sum[NAR_MAX_HEAPS];
};

void nar_ledger_begin(struct nar_ledger *l);

/* Return: whether the turn is at its end; false: it was @until_ns, and more is to be done. */
bool nar_ledger_go_on(struct nar_ledger *l, u64 until_ns);

/*
 * Lines are whole from now on.  @large_bytes: of the process, see numarena_stats_get(); copies
 * that numarena_replicate() has made are among them.
 */
void nar_ledger_close(struct nar_ledger *l, u64 large_bytes);

/*
 * Of one heap and of one arena, what needs no adding up; all else is zero.  Return: false if
 * there is no such heap.
 */
bool nar_ledger_see_heap(struct nar_heap_line *to, u32 id);
void nar_ledger_see_thread(struct nar_thread_line *to, const struct nar_arena *a);

#endif /* NAR_LEDGER_H */
