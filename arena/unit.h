/* SPDX-License-Identifier: MIT */
/*
 * Units of 2 MiB: given back when free for long, made huge when full.
 */
#ifndef NAR_UNIT_H
#define NAR_UNIT_H

#include "pane.h"

/*
 * Give wholly free units of @node back that have been free since @before_ms or
 * longer, at most @max_units of them.  Return: how many.
 */
size_t nar_unit_purge(unsigned int node, u32 before_ms, size_t max_units);

/* All of them, whatever their age: freed this very millisecond counts too. */
size_t nar_unit_purge_all(unsigned int node);

/* As nar_unit_purge(), but of each kind of memory what has been free for its own decay. */
size_t nar_unit_purge_due(unsigned int node, u32 now_ms, size_t max_units);

/* How many that would be, as far as a look at some hundreds tells. */
size_t nar_unit_nr_due(unsigned int node, u32 now_ms);

/*
 * Make one huge and count how that went, but for one that has no memory or is being made
 * huge.  Hold no lock.  Return: 0 or -errno.
 */
int nar_unit_make_huge(u32 unit);

/* The same, and -EAGAIN is nothing to count: it is as it was and should be tried again later. */
int nar_unit_try_huge(u32 unit);

/* huge:auto: from some size of the process on all that is small counts as huge. */
void nar_unit_try_grow_up(unsigned int node);

/* Whether that has happened; racy. */
static inline bool nar_unit_is_grown(unsigned int node)
{
	return READ_ONCE(nar_pane_of(node)->is_grown);
}

/*
 * huge:auto: the next of those that @node had before it was large enough for huge pages, or of
 * chunks for which the kernel has put it off.  Return: whether there was one.
 */
bool nar_unit_collapse(unsigned int node);
/* The same, however far away the next is. */
bool nar_unit_collapse_any(unsigned int node);

/* After a fork: make huge again what was.  Return: units that the kernel would not. */
size_t nar_unit_recover(unsigned int node);

/* In a fork, all locks held: what is huge is shared from now on. */
void nar_unit_note_fork(void);

/* In its child, all locks held: nobody is making anything huge. */
void nar_unit_forget_threads(void);

#endif /* NAR_UNIT_H */
