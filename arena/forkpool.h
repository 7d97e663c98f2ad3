/* SPDX-License-Identifier: MIT */
/*
 * A fork of a process that has memory from hugetlb pools.
 */
#ifndef NAR_FORKPOOL_H
#define NAR_FORKPOOL_H

/* With all our locks held: the last thing before the fork. */
void nar_forkpool_open(void);

/* The first thing after it; the parent waits for the child. */
void nar_forkpool_parent(void);
void nar_forkpool_child(void);

#endif /* NAR_FORKPOOL_H */
