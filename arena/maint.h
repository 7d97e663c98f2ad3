/* SPDX-License-Identifier: MIT */
/*
 * Maintenance: giving free memory back, bringing home what lies elsewhere and making filled
 * chunks huge, in small steps made by whatever thread comes by.
 */
#ifndef NAR_MAINT_H
#define NAR_MAINT_H

#include "internal/compiler.h"

/* On slow paths.  Mostly one look at the clock; at times 200 us.  Hold no lock. */
void nar_maint_poll(void);

/* Purge all that is free now.  Return: whether anything was. */
bool nar_maint_trim(void);

/* In need: purge what is free on @node, parts of huge pages too.  Return: whether anything was. */
bool nar_maint_reclaim(unsigned int node);

#endif /* NAR_MAINT_H */
