/* SPDX-License-Identifier: MIT */
/*
 * The C library's list of streams.  Its fork() takes that list's lock after all handlers, while
 * who has it may wait for a reader of a stream who allocates: so whoever forks must have it
 * before any lock of ours.  It may be taken again by who has it.
 */
#ifndef NAR_STREAMS_H
#define NAR_STREAMS_H

#include <stdbool.h>
#include <sys/single_threaded.h>

void _IO_list_lock(void) __attribute__((__weak__));
void _IO_list_unlock(void) __attribute__((__weak__));
void _IO_list_resetlock(void) __attribute__((__weak__));

/* Return: whether it is held now; where there is one thread nobody needs it. */
static inline bool nar_streams_try_hold(void)
{
	if (__libc_single_threaded || !_IO_list_lock || !_IO_list_unlock || !_IO_list_resetlock)
		return false;
	_IO_list_lock();
	return true;
}

#endif /* NAR_STREAMS_H */
