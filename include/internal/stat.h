/* SPDX-License-Identifier: MIT */
/*
 * Counters of what did not go as asked.  They are bumped on slow paths only, by
 * any thread, so a relaxed atomic add is enough.
 */
#ifndef NAR_STAT_H
#define NAR_STAT_H

#include <errno.h>

#include "internal/compiler.h"

/* As many nodes as there may be; numa/node.h counts them. */
#define NAR_MAX_NODES 64

/* Of the process. */
struct nar_events {
	u64 moved_pages;	/* moved to another address without copying */
	u64 limit_hit;		/* commits refused by RLIMIT_AS */
	u64 commit_failed;	/* commits refused by the kernel */
	u64 node_switches;	/* threads that followed their CPU to another node */
	u64 policy_switches;	/* ... or a memory policy that the program has set */
	u64 policy_shared;	/* times that a policy had to share its number */
	u64 fork_leaked;	/* arenas orphaned by fork, magazines unread */
};

/* Of a node's memory. */
struct nar_node_events {
	u64 bind_done;		/* spans bound to their node */
	u64 bind_refused;	/* mbind said no: first touch decides */
	u64 bind_skipped;	/* the program's own memory policy stands */
	u64 node_fallback;	/* extents taken elsewhere, since the node was full */
	u64 strict_failed;	/* extents refused, since a page would have been elsewhere */
	u64 strict_unproven;	/* extents given out though nobody may ask where they are */
	u64 huge_refused;	/* units that should be huge and were refused advice */
	u64 huge_off;		/* ... but THP is off */
	u64 huge_pool_empty;	/* ... but the hugetlb pool had none left */
	u64 huge_forked;	/* ... and were when a fork shared them: the next write splits */
	u64 huge_parted;	/* ... and were, until a part was given back in need */
	u64 huge_elsewhere;	/* units advised huge that were seen on another node */
	u64 huge_brought_home;	/* ... and that have come from there */
	u64 collapse_done;	/* units made huge after they had filled */
	u64 collapse_failed;	/* ... and those the kernel would not */
	u64 purged_units;	/* free 2 MiB units given back */
};

extern struct nar_events nar_events;
extern struct nar_node_events nar_node_events[NAR_MAX_NODES];

#define nar_event(name, n) add_relaxed(&nar_events.name, (n))
#define nar_node_event(node, name, n) add_relaxed(&nar_node_events[node].name, (n))

/* What this machine or container does not give; each is found out once. */
enum nar_missing {
	MISSING_GET_MEMPOLICY,
	MISSING_MBIND,
	MISSING_MOVE_PAGES,
	MISSING_SYSFS,		/* /sys/devices/system/node */
	MISSING_LIBNUMA,	/* libnuma says that there is no NUMA here */
	MISSING_RSEQ,
	MISSING_THP,
	MISSING_POPULATE,	/* MADV_POPULATE_WRITE, Linux 5.14 */
	MISSING_COLLAPSE,	/* MADV_COLLAPSE, Linux 6.1 */
	NR_MISSING,
};

extern u32 nar_missing_mask;	/* relaxed */

static inline bool nar_is_missing(enum nar_missing what)
{
	return READ_ONCE(nar_missing_mask) >> what & 1;
}

static inline void nar_note_missing(enum nar_missing what)
{
	__atomic_fetch_or(&nar_missing_mask, 1u << what, __ATOMIC_RELAXED);
}

/* Return: -EPERM if @err says that the call is refused, which is noted then; else @err. */
static inline int nar_note_refused(int err, enum nar_missing what)
{
	if (err != -EPERM && err != -ENOSYS)
		return err;
	nar_note_missing(what);
	return -EPERM;
}

#endif /* NAR_STAT_H */
