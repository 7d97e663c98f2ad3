/* SPDX-License-Identifier: MIT */
/*
 * The workloads: which sizes, how many live objects, and what one operation does.
 *
 * An operation is an allocation and the free that makes room for it, so that the
 * live set stays as large as it was.  Every object's first and last byte is written
 * when it is allocated.  They are compared when it is freed during the warm-up, and
 * for all live objects between passes; not in the measured passes, where reading an
 * object before its free would hide what a free that touches the object costs.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "exchange.h"
#include "latency.h"
#include "rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_kind {
	LOAD_REPLACE,	/* nr_live objects; one at random makes room for its successor */
	LOAD_BUDGET,	/* live_bytes; as many at random as make room */
	LOAD_HANDOVER,	/* nr_live objects on the way from an even thread to the odd one */
};

struct workload {
	const char *name;
	const char *text;		/* the parameters below, for people */
	enum load_kind kind;
	uint32_t nr_live;		/* a thread; LOAD_BUDGET: at most */
	size_t live_bytes;		/* LOAD_BUDGET, a thread */
	uint32_t size_min, size_max;
	bool log_uniform;		/* size_min and size_max are then powers of two */
	unsigned int drift_octaves;	/* the window of sizes is narrower by so many and moves */
	unsigned int transient_in;	/* one operation in so many frees what it allocates */
	uint32_t alignment;		/* posix_memalign; 0 is malloc */
	bool write_all;
};

enum pass {
	PASS_WARM,	/* objects are checked before they are freed */
	PASS_PLAIN,	/* throughput */
	PASS_TIMED,	/* latency of each call */
};

struct worker {
	/* Read by the others, for the sum of live bytes. */
	_Alignas(CACHE_LINE) _Atomic int64_t published_bytes;

	_Alignas(CACHE_LINE) const struct workload *load;
	const struct worker *team;
	unsigned int index, nr_team;
	unsigned int node, cpu;
	struct rng rng;

	void **object;
	uint32_t *bytes;
	uint32_t nr_live;
	size_t held_bytes;		/* in object[] */
	uint32_t log_low;		/* lowest size now, log2 in 1/65536 */

	struct ring *out;		/* NULL: frees all its objects itself */
	const struct worker *reader;	/* of out; NULL if nobody is to be */
	uint32_t remote_below;		/* a free is remote if a random number is */
	struct ring **inbox;		/* the out of those whose reader this is */
	unsigned int nr_inboxes;

	int64_t live_bytes;		/* allocated less freed by this thread */
	int64_t peak_bytes;		/* of the team's sum, as seen here */
	uint64_t nr_frees, nr_remote_frees;
	struct histogram alloc, free;
};

const struct workload *workload_find(const char *name);
const struct workload *workload_at(unsigned int i);	/* NULL past the last */

/*
 * Main thread, before the workers start, with team, index, nr_team and reader set: all
 * are prepared, then all are linked.  @remote_share: 0 to 1.
 */
void worker_prepare(struct worker *worker, const struct workload *load, uint64_t seed,
		    double remote_share);
void worker_link(struct worker *worker);

/* The rest is called by the worker's own thread, each between two barriers. */
void worker_fill(struct worker *worker);
void worker_run(struct worker *worker, uint64_t nr_ops, enum pass pass);

/* Dies unless each live object is as it was written. */
void worker_check(struct worker *worker);
void worker_empty(struct worker *worker);

/* Calls @visit for each live object that @worker allocated.  All workers must rest. */
void worker_each(struct worker *worker,
		 void (*visit)(struct worker *worker, void *object, uint32_t bytes, void *arg),
		 void *arg);

#endif
