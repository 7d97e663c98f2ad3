/* SPDX-License-Identifier: MIT */
/*
 * How long slow steps take: a histogram a step, by powers of two, of each arena.
 *
 * The clock is read around steps that take a lock or a system call, nowhere else, and it
 * is the CPU's own counter: two reads and the counting are some 25 ns, where the steps of
 * a batch take hundreds.
 */
#ifndef NAR_LAP_H
#define NAR_LAP_H

#include "internal/compiler.h"

enum nar_step {
	LAP_REFILL,	/* a magazine filled: waiting for locks, draining and adopting included */
	LAP_FLUSH,	/* part of a magazine emptied */
	LAP_DRAIN,	/* objects taken from the queue */
	LAP_LARGE,	/* a large block from the tree, commit included */
	LAP_COMMIT,	/* memory made usable, advised and bound */
	LAP_PURGE,	/* memory given back */
	NR_STEPS,
};

/* Bucket i has what took less than 2^(i + 5) ns, the last all that is more: from 2.1 s on. */
#define NAR_LAP_SHIFT 5
#define NAR_LAP_BUCKETS 28

/* One writer, the thread; but for nar_laps_shared. */
struct nar_lap {
	u64 sum_ns;
	u64 nr[NAR_LAP_BUCKETS];
};

struct nar_laps {
	struct nar_lap of[NR_STEPS];
};

/* Where the calling thread counts; NULL: in nar_laps_shared, with atomics. */
extern __thread struct nar_laps *nar_laps_own;
extern struct nar_laps nar_laps_shared;

/* In our constructor; before that nothing is counted. */
void nar_lap_init(void);

/* Some counter, good for differences. */
u64 nar_ticks_slow(void);
extern bool nar_has_ticks;

static inline u64 nar_lap_begin(void)
{
#if defined(__x86_64__) && !defined(__CHECKER__)	/* sparse does not know it */
	if (likely(nar_has_ticks))
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	u64 ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#endif
	return nar_ticks_slow();
}

void nar_lap_end(enum nar_step step, u64 begun);

/* Since nar_lap_init(); and when that was, by CLOCK_MONOTONIC.  0 before. */
u64 nar_lap_uptime_ns(void);
u64 nar_lap_started_ns(void);

/* Add @from, which others may be writing. */
void nar_laps_add(struct nar_laps *to, const struct nar_laps *from);

static inline u64 nar_lap_count(const struct nar_lap *lap)
{
	unsigned int i;
	u64 nr = 0;

	for (i = 0; i < NAR_LAP_BUCKETS; i++)
		nr += lap->nr[i];
	return nr;
}

#endif /* NAR_LAP_H */
