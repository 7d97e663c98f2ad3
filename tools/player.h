/* SPDX-License-Identifier: MIT */
/*
 * A plan, carried out: each recorded thread is a thread, does what it did, and waits only for
 * objects that others have not allocated yet.  A thread begins when those have ended that had
 * ended before it began then.
 *
 * A byte of each page of each object is written, as a program would write it all.  An object's
 * number is written at its start and looked for at its end, so that memory that was given to
 * two, lost by a realloc, or not zeroed, is seen.
 */
#ifndef TOOL_PLAYER_H
#define TOOL_PLAYER_H

#include "plan.h"

struct play {
	size_t nr_ops;
	size_t nr_failed;	/* allocations that were answered NULL */
	size_t nr_overwritten;	/* objects whose mark was not what was written */
	size_t nr_not_zero;	/* from calloc */
	size_t nr_misaligned;
	size_t nr_live;		/* at the end */
	size_t nr_wrong_live;	/* objects that are live and should not be, or the reverse */
	uint64_t live_bytes;
	double seconds, cpu_seconds;
	double peak_bytes;	/* resident above what was before the first; negative: not known */
};

/* @nr times, one after the other, each into its place in @play. */
void player_run(const struct plan *plan, struct play *play, unsigned int nr);

#endif /* TOOL_PLAYER_H */
