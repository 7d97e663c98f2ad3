/* SPDX-License-Identifier: MIT */
/*
 * Start-up.  The first malloc of a process may come from libnuma's own constructor,
 * before ours and before anything could be asked of libnuma.  So there are two
 * stages: memory can be had from the first moment, without arenas; what needs
 * libraries waits for our constructor.
 */
#ifndef NAR_START_H
#define NAR_START_H

#include "internal/compiler.h"

/* Stage 2 is done: threads may have arenas. */
extern bool nar_is_started;

/* Stage 1, once: options and address space.  Return: whether there is any. */
bool nar_start_early(void);

#endif /* NAR_START_H */
