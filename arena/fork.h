/* SPDX-License-Identifier: MIT */
/*
 * fork() from a process with threads.
 */
#ifndef NAR_FORK_H
#define NAR_FORK_H

/* In our constructor. */
void nar_fork_init(void);

#endif /* NAR_FORK_H */
