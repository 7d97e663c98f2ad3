/* SPDX-License-Identifier: MIT */
/*
 * What is told of all memory, a class, a heap and a thread: by reports, on the stats page, and by who
 * reads that.
 */
#ifndef NAR_LEDGER_LINE_H
#define NAR_LEDGER_LINE_H

#include "internal/compiler.h"

/* What only a walk over all slabs would tell: on the page nobody knows it. */
#define NAR_LEDGER_UNKNOWN UINT64_MAX

struct nar_total_line {
	u64 live_bytes;
	u64 cached_bytes;
	u64 resident_bytes;
	u64 huge_bytes;
	u64 huge_coverage;		/* of the resident bytes, in parts of 10000 */
	u64 fragmentation;		/* the same */
};

struct nar_class_line {
	u64 size;			/* bytes an object; 0: no line */
	u64 slabs;
	u64 slab_bytes;
	u64 objects;			/* that fit */
	u64 live_objects;
	u64 cached_objects;		/* in magazines */
	u64 live_bytes;
	u64 cached_bytes;
	u64 resident_bytes;
	u64 fragmentation;
};

#define NAR_HEAP_LINE_NAME 32

struct nar_heap_line {
	u32 heap;			/* its number */
	u32 is_there;			/* else no line */
	char name[NAR_HEAP_LINE_NAME];	/* ends with 0; as it was given, but for what was cut off */
	u64 slabs;
	u64 slab_bytes;
	u64 large_bytes;
	u64 live_bytes;
	u64 cached_bytes;
	u64 resident_bytes;
	u64 fragmentation;
	u64 charged_bytes;		/* of heaps that the program has made, from here on */
	u64 peak_bytes;
	u64 limit_bytes;		/* 0 is none */
	u64 nr_limit_hit;
};

/* Of a thread in a heap: it has an arena in each that it uses. */
struct nar_thread_line {
	u32 arena;			/* 0: no line */
	u32 tid;			/* in the process's own namespace; 0: it has ended */
	u64 heap;
	u64 slab_bytes;
	u64 live_bytes;
	u64 cached_bytes;
	u64 resident_bytes;
	u64 fragmentation;
	u64 queued_bytes;
	u64 nr_refills;
	u64 nr_flushes;
	u64 nr_remote_frees;
	u64 nr_remote_batches;
	u64 lock_contended;
};

#endif /* NAR_LEDGER_LINE_H */
