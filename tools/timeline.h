/* SPDX-License-Identifier: MIT */
/*
 * A trace in the order in which it happened, with objects instead of addresses: an address is
 * used again and again, an object's number once.  A realloc ends one object and begins another.
 *
 * Lies in memory of its own, never in malloc's, which may be under test.
 */
#ifndef TOOL_TIMELINE_H
#define TOOL_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

enum moment_kind {
	MOMENT_NONE,		/* nothing of interest */
	MOMENT_MALLOC,
	MOMENT_CALLOC,
	MOMENT_ALIGNED,
	MOMENT_FREE,
	MOMENT_REALLOC,
	MOMENT_THREAD_END,
	MOMENT_RESIZE,		/* for the making: where a realloc begins */
	NR_MOMENT_KINDS
};

struct moment {
	union {
		uint64_t address;		/* while it is made */
		struct {
			uint32_t object;	/* begins, or is freed */
			uint32_t old;		/* REALLOC: ends */
		};
	};
	uint64_t size;		/* that was asked for */
	uint64_t time_ns;
	uint32_t thread;
	uint8_t kind;		/* enum moment_kind */
	uint8_t align_shift;	/* ALIGNED */
};

struct timeline {
	struct moment *at;
	size_t nr;
	size_t nr_of[NR_MOMENT_KINDS];
	uint32_t nr_threads;		/* their numbers are below this */
	uint32_t nr_objects;
	size_t nr_failed;		/* allocations that were answered NULL */
	size_t nr_unknown;		/* frees of what was not seen to be allocated: left out */
	size_t nr_unfreed;		/* allocations at an address that was not seen to be freed */
	size_t nr_damaged;		/* blocks with a record that is none: their rest is left out */
};

/* Ends the process with one line if there is no sense in it. */
void timeline_make(struct timeline *line, const struct trace *t);
void timeline_free(struct timeline *line);

/* Zeroed memory that malloc knows nothing of; ends the process if there is none. */
void *own_map(size_t bytes);
void own_unmap(void *at, size_t bytes);

/* Make sure of all its pages, so that none is counted later. */
void own_populate(void *at, size_t bytes);

#endif /* TOOL_TIMELINE_H */
