// SPDX-License-Identifier: MIT
/*
 * A storm of signals over threads that contend for the allocator: system calls it
 * waits in are interrupted, and nothing of that may reach errno or the objects.
 *
 * The handler itself allocates where it may: when it did not interrupt an
 * allocation, which its thread keeps note of.  Threads spend nearly all their time in
 * allocations, so each signals itself between two of them now and then.
 */
#include "stress.h"

#include <signal.h>
#include <time.h>

#define NR_CHURNERS 4
#define NR_BURSTS 10000	/* of one signal a thread */
#define PAUSE_NS 50000	/* between them, so that threads get on */
#define MAX_SHIFT 18
#define STEPS_PER_RAISE 256
#define ERRNO_MARK 4321		/* no error's number */

static struct churn churns[NR_CHURNERS];
static pthread_t threads[NR_CHURNERS];
static atomic_bool is_over;
static __thread volatile sig_atomic_t is_allocating;
static __thread volatile sig_atomic_t nr_outside;
static atomic_ulong nr_handled_outside;

static void allocate_in_handler(int sig)
{
	int saved_errno = errno;
	struct object object;

	(void)sig;
	if (is_allocating)
		return;
	nr_outside = nr_outside + 1;
	object = object_new((size_t)(nr_outside % 4096), (uint64_t)nr_outside);
	object_delete(&object);
	errno = saved_errno;
}

static void *churn_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long nr_steps = 0;

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	do {
		if (nr_steps++ % STEPS_PER_RAISE == 0)
			raise(SIGUSR1);
		is_allocating = 1;
		errno = ERRNO_MARK;
		churn_step(churn);
		require(errno == ERRNO_MARK, "errno became %d", errno);
		is_allocating = 0;
	} while (!atomic_load_explicit(&is_over, memory_order_relaxed));
	churn_end(churn);
	atomic_fetch_add(&nr_handled_outside, (unsigned long)nr_outside);
	return NULL;
}

int main(void)
{
	struct sigaction action = { .sa_handler = allocate_in_handler };	/* no SA_RESTART */
	unsigned long nr_bursts = stress_scaled(NR_BURSTS);
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	stress_begin();
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		threads[i] = thread_start(churn_run, &churns[i]);
	for (unsigned long burst = 0; burst < nr_bursts; burst++) {
		for (unsigned int i = 0; i < NR_CHURNERS; i++)
			pthread_kill(threads[i], SIGUSR1);
		nanosleep(&pause, NULL);
	}
	atomic_store(&is_over, true);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		thread_join(threads[i]);
	require(atomic_load(&nr_handled_outside), "no handler could allocate");
	return EXIT_SUCCESS;
}
