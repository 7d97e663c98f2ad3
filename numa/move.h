/* SPDX-License-Identifier: MIT */
/*
 * Moving a range of pages to a node that the program names, and forgetting that.
 */
#ifndef NAR_MOVE_H
#define NAR_MOVE_H

#include "bind.h"

/*
 * Bind the range to @node and move there what pages it has; what is touched for the first time
 * later comes from there too.  Huge pages that it shares at either end are parted.  Return: 0;
 * -ENOMEM without room there, -EBUSY if pages cannot move, -EPERM if nobody may ask; then some
 * may have moved, and bound it is.
 */
int nar_move_to(void *addr, size_t bytes, unsigned int node);

/* Bind it as nar_bind() did before.  Its pages stay where they are. */
void nar_move_forget(void *addr, size_t bytes, struct nar_place place);

#endif /* NAR_MOVE_H */
