/* SPDX-License-Identifier: MIT */
/*
 * malloc() and free() are no cancellation points, but open(), read(), write() and others are
 * that they come by on slow paths.  A thread that ended there would leave half done what it
 * was at, and what it holds to nobody.  So around those it cannot be cancelled.  What was asked
 * for meanwhile is answered at the program's own next point.  Also in a signal handler.
 */
#ifndef NAR_CANCEL_H
#define NAR_CANCEL_H

#include <pthread.h>

/* Return: what it was, for nar_cancel_restore(). */
static inline int nar_cancel_forbid(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void nar_cancel_restore(int before)
{
	pthread_setcancelstate(before, &(int){ 0 });
}

#endif /* NAR_CANCEL_H */
