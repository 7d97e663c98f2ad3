/* SPDX-License-Identifier: MIT */
/*
 * fork() from a process with threads.
 */
#ifndef NAR_FORK_H
#define NAR_FORK_H

#include "internal/compiler.h"

struct nar_lock;

/*
 * Register the handlers, as early as can be: of all that are registered, those of the
 * first run last before the fork and first after it, so that others may allocate.
 * @start: the lock of start-up, first in order.
 */
void nar_fork_init(struct nar_lock *start);

/*
 * Whether the calling thread holds any lock of ours: a signal handler of its has interrupted
 * it then.
 */
bool nar_fork_is_locked_by_me(void);

#endif /* NAR_FORK_H */
