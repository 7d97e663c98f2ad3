/* SPDX-License-Identifier: MIT */
/*
 * Memory on a node that the program names, wherever the calling thread runs.
 */
#ifndef NAR_HAND_H
#define NAR_HAND_H

#include "large.h"

/* The place of memory of @node (dense) that was named by hand. */
struct nar_place nar_hand_place(unsigned int node);

/*
 * From @node (dense), or the nearest where that has none and the policy allows it.  Of @block
 * size and alignment count.  nar_start_early() was called.  Return: NULL if there is no memory.
 */
void *nar_hand_alloc(unsigned int node, const struct nar_block *block);

#endif /* NAR_HAND_H */
