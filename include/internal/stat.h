/* SPDX-License-Identifier: MIT */
/*
 * Counters of what did not go as asked.  They are bumped on slow paths only, by
 * any thread, so a relaxed atomic add is enough.
 */
#ifndef NAR_STAT_H
#define NAR_STAT_H

#include "internal/compiler.h"

struct nar_events {
	u64 bind_done;		/* spans bound to their node */
	u64 bind_refused;	/* mbind said no: first touch decides */
	u64 bind_skipped;	/* the program's own memory policy stands */
	u64 huge_refused;	/* units that should be huge and were refused advice */
	u64 huge_off;		/* units that should be huge, but THP is never */
	u64 collapse_done;	/* units made huge after they had filled */
	u64 collapse_failed;	/* ... and those the kernel would not */
	u64 purged_units;	/* free 2 MiB units given back */
	u64 moved_pages;	/* moved to another address without copying */
	u64 limit_hit;		/* commits refused by RLIMIT_AS */
	u64 commit_failed;	/* commits refused by the kernel */
	u64 node_switches;	/* threads that followed their CPU to another node */
	u64 fork_leaked;	/* arenas orphaned by fork, magazines unread */
	u64 node_fallback;	/* extents taken from a farther node */
};

extern struct nar_events nar_events;

#define nar_event(name, n) add_relaxed(&nar_events.name, (n))

#endif /* NAR_STAT_H */
