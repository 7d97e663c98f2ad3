/* SPDX-License-Identifier: MIT */
/*
 * Memory policy: tying a range of pages to a node.
 */
#ifndef NAR_BIND_H
#define NAR_BIND_H

#include "internal/compiler.h"

/*
 * Prefer @node (dense number) for the pages of a range not touched yet.  Does
 * nothing where the program chose a policy of its own or where the kernel has
 * refused before; both are counted, neither is an error.
 */
void nar_bind(void *addr, size_t bytes, unsigned int node);

#endif /* NAR_BIND_H */
