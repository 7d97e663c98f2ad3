/* SPDX-License-Identifier: MIT */
/*
 * What each thread of a replay does: its operations, one behind the other, and when it lives.
 * Operations of different threads are bound by the objects they share and by nothing else.
 */
#ifndef TOOL_PLAN_H
#define TOOL_PLAN_H

#include "timeline.h"

struct op {
	uint64_t size : 47;		/* of @object */
	uint64_t kind : 3;		/* MOMENT_MALLOC to MOMENT_REALLOC */
	uint64_t align_shift : 6;
	uint64_t waits : 1;		/* the object that ends was begun by another thread */
	uint64_t is_shared : 1;		/* the object that begins is ended by another thread */
	uint64_t old_is_marked : 1;	/* REALLOC: the old object had room for a mark */
	uint64_t keeps_mark : 1;	/* ... and the new one has */
	uint32_t object, old;
};

/* A mark: an object's number, at its start. */
#define MARK_BYTES sizeof(uint32_t)

struct plan_thread {
	struct op *ops;
	size_t nr;
	size_t first, last;		/* places in the timeline */
};

struct plan {
	struct plan_thread *thread;	/* those that do anything, by first */
	uint32_t nr_threads;
	struct op *ops;
	size_t nr_ops;
	uint32_t nr_objects;
	uint64_t *size_at_end;		/* by object: 1 more than its size if it is live; else 0 */
	size_t nr_live;
	uint64_t live_bytes;
};

/* Its pages are there: a replay has no faults for it. */
void plan_make(struct plan *plan, const struct timeline *line);

#endif /* TOOL_PLAN_H */
