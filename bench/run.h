/* SPDX-License-Identifier: MIT */
/*
 * One run of a workload: threads on their processors, the passes, what they took.
 *
 * The threads pass through these steps together, a barrier between any two:
 *
 *	fill	the live set
 *	warm	a tenth of the operations; objects are checked when freed
 *	plain	the throughput pass: the clock runs from the barrier to the last thread
 *	check	every live object is as it was written
 *	timed	the latency pass: each call between two readings of the counter
 *	check	again; then the main thread looks at the memory, before all is freed
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "latency.h"
#include "workload.h"

#include <stdint.h>

#define MAX_THREADS	1024

enum placement {
	PLACE_PINNED,	/* all threads on node 0 */
	PLACE_SPREAD,	/* thread i on node i, round and round */
};

struct run_settings {
	const struct workload *load;
	unsigned int nr_threads;
	uint64_t nr_ops, nr_timed_ops;	/* of all threads together */
	uint64_t seed;
	enum placement placement;
	unsigned int remote_percent;	/* of frees, to be made by another thread */
};

/* Any double may be NOT_MEASURED. */
struct run_result {
	double seconds;			/* throughput pass */
	double cpu_seconds;		/* all threads in it */
	double remote_free_share;	/* in it: frees by another thread than allocated */
	double page_faults;		/* from the fill to the end of it */
	double others_cpu_share;	/* of our processors, from its start to the latency pass's end */
	double is_disturbed;		/* 1 if that is much */
	struct histogram alloc, free;
	double usable_ratio;		/* live objects: usable over requested bytes */
	double peak_live_bytes;
	double peak_rss_bytes;
	double huge_coverage;
	double local_page_share;
	double own_bytes;		/* of the resident ones, the benchmark's */
};

/* Once a process.  The machine has been read, the counter calibrated. */
void run(const struct run_settings *settings, struct run_result *result);

#endif
