/* SPDX-License-Identifier: MIT */
/*
 * Signals that wait: no handler of this thread's begins until the mask is restored.
 */
#ifndef NAR_MASK_H
#define NAR_MASK_H

#include <signal.h>

static inline void nar_mask_all(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
}

static inline void nar_mask_restore(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

#endif /* NAR_MASK_H */
