// SPDX-License-Identifier: MIT
#include "lane.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* So often in vain, and the other side is not about to run: sleep instead. */
#define IDLE_YIELDS	64
#define IDLE_NSEC	50000

_Atomic unsigned int lane_pass;
bool lane_checks;

void lane_idle(unsigned int *times)
{
	static const struct timespec nap = { .tv_nsec = IDLE_NSEC };

	if (++*times % IDLE_YIELDS)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

void lane_run_thread(void *(*work)(void *), void *arg)
{
	pthread_t id;
	int err = pthread_create(&id, NULL, work, arg);

	if (err)
		die("pthread_create: %s", strerror(err));
	pthread_join(id, NULL);
}

void object_check(const void *p)
{
	uint64_t bytes = *(const volatile uint64_t *)p ^ tag_of(p, 0);

	if (bytes < sizeof(bytes) || bytes > OBJECT_MAX)
		die("object %p was written to by someone else: its first bytes", p);
	if (lane_checks && bytes > sizeof(bytes) &&
	    ((const volatile unsigned char *)p)[bytes - 1] != (unsigned char)~bytes)
		die("object %p of %zu bytes was written to by someone else: its last byte", p,
		    (size_t)bytes);
}
