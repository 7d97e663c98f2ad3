/* SPDX-License-Identifier: MIT */
/*
 * What is told of one open scope: by reports, on the stats page, and by who reads that.
 */
#ifndef NAR_ROSTER_LINE_H
#define NAR_ROSTER_LINE_H

#include "internal/compiler.h"

/* Of a scope that does not capture: how many objects it has, nobody counts. */
#define NAR_ROSTER_UNCOUNTED UINT64_MAX

#define NAR_ROSTER_NAME 24

struct nar_roster_line {
	u32 tid;			/* of its thread; 0: no line */
	u32 depth;			/* scopes around it */
	char name[NAR_ROSTER_NAME];	/* ends with 0; as it was given, but for what was cut off */
	u64 node;			/* the kernel's number: where its next region is to be */
	u64 used_bytes;
	u64 peak_bytes;			/* the most that was, since it began */
	u64 held_bytes;			/* its regions */
	u64 nr_captured;		/* objects, since it began; NAR_ROSTER_UNCOUNTED */
	u64 nr_resets;
};

#endif /* NAR_ROSTER_LINE_H */
