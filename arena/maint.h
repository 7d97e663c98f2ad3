/* SPDX-License-Identifier: MIT */
/*
 * Maintenance: giving free memory back, bringing home what lies elsewhere and making filled
 * chunks huge, in small steps made by whatever thread comes by.
 */
#ifndef NAR_MAINT_H
#define NAR_MAINT_H

#include "meta.h"

/* On slow paths.  Mostly one look at the clock; at times 200 us.  Hold no lock. */
void nar_maint_poll(void);

/*
 * Have @fn called on slow paths too, no lock held, as often as a step may be due: it looks for
 * itself whether it has anything to do.  Hurry: at the next.
 */
void nar_maint_on_step(void (*fn)(void));
void nar_maint_hurry(void);

/* Purge all that is free now.  Return: whether anything was. */
bool nar_maint_trim(void);

/*
 * Before there is no memory: what waits to be used again as it was, arenas without a thread and
 * empty chunks, is anybody's.  Return: whether there was any.
 */
bool nar_maint_gather(void);

/* In need: purge what is free on @node, parts of huge pages too.  Return: whether anything was. */
bool nar_maint_reclaim(unsigned int node);

/* That of the two which @place asks for: a strict node must have what it gives.  Return: the same. */
bool nar_maint_in_need(struct nar_place place);

#endif /* NAR_MAINT_H */
