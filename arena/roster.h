/* SPDX-License-Identifier: MIT */
/*
 * A roster: the scopes that are open, of all threads.  For who prints statistics.
 *
 *	thread 7	"request" 0	"decode" 1	"scratch" 2
 *	thread 9	"request" 0
 *
 * Nobody is stopped, and no lock is taken.  Structures of scopes never go, so one that ends
 * meanwhile is seen to have ended, or as it was.  Each line is right at some moment, and no
 * two are of one thread and depth.  A thread that ends scopes and begins others while it is
 * looked at may be missing with one.
 */
#ifndef NAR_ROSTER_H
#define NAR_ROSTER_H

#include "internal/roster.h"

/*
 * Into @to, a thread's together and the outer ones first.  @nr_left_off: open ones for which
 * there was no room, or that their thread was changing all the time.  Return: how many.
 */
unsigned int nar_roster_take(struct nar_roster_line *to, unsigned int max, u64 *nr_left_off);

/* All that are open, and what they hold. */
struct nar_roster_sum {
	u64 nr;
	u64 held_bytes;
};

struct nar_roster_sum nar_roster_sum(void);

/* Of each node, by dense number, add what open scopes have handed out. */
void nar_roster_add_used(u64 *used_bytes);

#endif /* NAR_ROSTER_H */
