/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LOCALITY_H
#define BENCH_LOCALITY_H

#include <stddef.h>

/*
 * Are objects on their owners' nodes?  Call begin, then add for each live object, then
 * share, which answers for the bytes added.
 */
void locality_begin(void);
void locality_add(const void *object, size_t bytes, unsigned int node);
double locality_share(void);

#endif
