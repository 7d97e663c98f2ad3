/* SPDX-License-Identifier: MIT */
/*
 * What the suite's rows share: a row, its lanes, and objects that know when they are hurt.
 *
 * A lane is one of a row's threads.  It stays on one processor; threads that it starts stay
 * there too.  A row is timed by the clock, not by a count: what is slow does less, and each
 * run takes the same time.
 */
#ifndef BENCH_LANE_H
#define BENCH_LANE_H

#include "process.h"
#include "rng.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MAX_LANES	64

#define KIB		1024U
#define MIB		(1024U * KIB)

#define __inline_always	inline __attribute__((always_inline))

struct lane {
	unsigned int index, nr_lanes;
	unsigned int cpu;
	struct rng rng;
	unsigned int pass;		/* that runs */
	uint64_t nr_ops;		/* by work(), of the pass that runs */
	void *own;			/* the row's, from own_map() in prepare() */
};

enum row_kind {
	ROW_TIME,	/* operations by time, and memory */
	ROW_MEMORY,	/* memory alone */
	ROW_LATENCY,	/* a quantile of single calls; memory is not compared */
};

struct row {
	const char *name, *text;
	enum row_kind kind;
	unsigned int min_lanes;		/* and a multiple of it if @in_pairs */
	unsigned int max_lanes;		/* 0: any number */
	bool in_pairs;

	/* Main thread, before resident memory is looked at: whatever is not the allocator's. */
	void (*prepare)(struct lane *lane);
	/* Each lane: live objects before the clock runs, or NULL. */
	void (*fill)(struct lane *lane);
	/*
	 * Memory is looked at when fill() is done, which is the same work for each allocator; else
	 * when the clock has run, by when a fast one may have met more than a slow one ever does.
	 */
	bool peak_is_filled;
	/*
	 * Each lane, once to warm up and once by the clock: until lane_goes_on() says no.
	 * [1] writes both ends of each object and looks at them before it is freed.
	 */
	void (*work[2])(struct lane *lane);
	/* Each lane: frees what is left, or NULL. */
	void (*empty)(struct lane *lane);
	/* ROW_LATENCY: the figure, in ns. */
	double (*figure)(void);
};

extern const struct row rows_local[], rows_handover[], rows_threads[], rows_large[];
extern const size_t nr_rows_local, nr_rows_handover, nr_rows_threads, nr_rows_large;

/* The pass that runs; odd while lanes are to go on.  Written by the main thread. */
extern _Atomic unsigned int lane_pass;

static inline bool lane_goes_on(void)
{
	return atomic_load_explicit(&lane_pass, memory_order_relaxed) & 1;
}

/* Nothing to do until another lane has done something: give the processor away. */
void lane_idle(unsigned int *times);

/* Calls @work in a new thread, on the lane's processor, and waits for its end. */
void lane_run_thread(void *(*work)(void *), void *arg);

/* ---- Objects ---- */

/*
 * The first 8 bytes tell address and size, so that a second object at the same place, or
 * one that overlaps, cannot look like the first.  An address has 47 bits and a size 23.
 */
#define TAG_SHIFT	17
#define OBJECT_MAX	(8 * MIB)

static __inline_always uint64_t tag_of(const void *p, size_t bytes)
{
	return (uint64_t)(uintptr_t)p << TAG_SHIFT ^ bytes;
}

static __inline_always void object_write(void *p, size_t bytes, bool both_ends)
{
	*(volatile uint64_t *)p = tag_of(p, bytes);
	if (both_ends && bytes > sizeof(uint64_t))
		((volatile unsigned char *)p)[bytes - 1] = (unsigned char)~bytes;
}

/* Do all objects of this run have both ends written?  Set before lanes start. */
extern bool lane_checks;

/* Ends the process if @p is not as object_write() left it. */
void object_check(const void *p);

static __inline_always void *object_new(size_t bytes, bool checked)
{
	void *p = malloc(bytes);

	if (!p)
		die("malloc(%zu) failed", bytes);
	object_write(p, bytes, checked);
	return p;
}

static __inline_always void object_end(void *p, bool checked)
{
	if (checked && p)
		object_check(p);
	free(p);
}

/* Sizes of small objects in most allocators' own tests. */
#define SMALL_MIN	16
#define SMALL_MAX	512

static __inline_always uint32_t small_size(struct rng *rng)
{
	return SMALL_MIN + rng_below(rng, SMALL_MAX - SMALL_MIN + 1);
}

/* Both forms of a row's work, of one body. */
#define ROW_WORK(name)						\
	static void name##_plain(struct lane *lane)		\
	{							\
		name##_body(lane, false);			\
	}							\
	static void name##_checked(struct lane *lane)		\
	{							\
		name##_body(lane, true);			\
	}

#define WORK_OF(name)	{ name##_plain, name##_checked }

#endif
