/* SPDX-License-Identifier: MIT */
/*
 * The stats page of another process (option stats:page), read as a whole.
 */
#ifndef TOOL_PAGE_H
#define TOOL_PAGE_H

#include <numarena.h>

#include <sys/types.h>

#include "internal/lap.h"
#include "internal/statpage.h"

struct page {
	struct nar_statpage head;
	struct numarena_stats stats;
	unsigned int nr_nodes;
	struct nar_statpage_window window[NUMARENA_MAX_NODES];
	struct numarena_node_stats node[NUMARENA_MAX_NODES];
	uint64_t frees[NUMARENA_MAX_NODES * NUMARENA_MAX_NODES];	/* rows of nr_nodes */
	uint64_t bytes[NUMARENA_MAX_NODES * NUMARENA_MAX_NODES];
	struct nar_lap lap[NR_STEPS];
	struct nar_total_line total;
	unsigned int nr_classes, nr_heaps, nr_threads, nr_scopes;
	struct nar_class_line class[NAR_STATPAGE_CLASSES];	/* those that have slabs */
	struct nar_heap_line heap[NAR_STATPAGE_HEAPS];
	struct nar_thread_line thread[NAR_STATPAGE_THREADS];
	struct nar_roster_line scope[NAR_STATPAGE_SCOPES];
};

enum page_result {
	PAGE_OK,
	PAGE_NO_PROCESS,	/* there is none of that number, or it has ended */
	PAGE_NO_RIGHTS,		/* it is another user's */
	PAGE_NONE,		/* it publishes nothing, or has been replaced by exec */
	PAGE_STRANGE,		/* of another version, or not written by numarena */
};

/* Takes some of what is in the page as soon as it is of one moment. */
enum page_result page_read(struct page *p, pid_t pid);

/* Now, on the page's clock. */
uint64_t page_clock_ns(void);

#endif /* TOOL_PAGE_H */
