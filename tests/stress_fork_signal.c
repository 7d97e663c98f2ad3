// SPDX-License-Identifier: MIT
/*
 * fork() in a signal handler that interrupted malloc.  The thread may hold the
 * allocator's locks, and fork must not wait for what its own thread holds.  The
 * parent goes on as if nothing had been; the child is promised _exit and exec
 * only, and does one or the other.
 */
#include "stress.h"

#include <signal.h>
#include <time.h>

#define NR_SIGNALS 600
#define NR_CHURNERS 2
#define MAX_SHIFT 17
#define LUCK 20
#define PAUSE_NS 200000

static struct numarena_heap *heap;	/* what a child would make of it may be half done */
static struct churn churns[NR_CHURNERS + 1];
static pthread_barrier_t has_begun;	/* before that a thread is the runtime's, not ours */
static atomic_bool is_over;
static atomic_ulong nr_forks;
static volatile sig_atomic_t is_allocating;
static volatile sig_atomic_t nr_inside;	/* handlers that interrupted the allocator */

static _Noreturn void child_run(unsigned long nr)
{
	char *const argv[] = { (char *)"true", NULL };
	char *const envp[] = { NULL };

	if (nr % 2)
		execve("/bin/true", argv, envp);
	_exit(EXIT_SUCCESS);
}

static void fork_in_handler(int sig)
{
	int saved_errno = errno;
	unsigned long nr = atomic_load(&nr_forks);
	pid_t pid;

	(void)sig;
	nr_inside += is_allocating;
	pid = fork_or_fail();
	if (!pid)
		child_run(nr);
	child_join(pid);
	atomic_store(&nr_forks, nr + 1);
	errno = saved_errno;
}

static void *churn_run(void *arg)
{
	struct churn *churn = arg;

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed))
		churn_step(churn);
	churn_end(churn);
	return NULL;
}

/* Nearly always inside the allocator: a burst up, a burst down, across refills. */
static void *interrupted_run(void *arg)
{
	void *objects[200];
	struct rng rng = rng_seeded(NR_CHURNERS + 1);

	(void)arg;
	pthread_barrier_wait(&has_begun);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		size_t size = rng_log_size(&rng, 3, 16);

		is_allocating = 1;
		for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
			objects[i] = i % 2 ? numarena_heap_alloc(heap, size) : numarena_malloc(size);
		is_allocating = 0;
		for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
			stamp(objects[i], 8, i);
		for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
			require(stamp_is_whole(objects[i], 8, i), "%p overwritten", objects[i]);
		is_allocating = 1;
		for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
			numarena_free(objects[i]);
		is_allocating = 0;
	}
	return NULL;
}

/* One signal at a time: a second would only wait in the kernel. */
static void send_signals(pthread_t target)
{
	unsigned long nr_signals = stress_scaled(NR_SIGNALS);
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	/* More, should none of them have come at the right time. */
	for (unsigned long i = 0; i < nr_signals || (!nr_inside && i < LUCK * nr_signals); i++) {
		pthread_kill(target, SIGUSR1);
		while (atomic_load(&nr_forks) <= i)
			nanosleep(&pause, NULL);
	}
}

int main(void)
{
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	pthread_t churners[NR_CHURNERS], target;

	stress_begin();
	heap = numarena_heap_create(NULL);
	require(heap, "%s", strerror(errno));
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		churners[i] = thread_start(churn_run, &churns[i]);
	pthread_barrier_init(&has_begun, NULL, 2);
	target = thread_start(interrupted_run, NULL);
	pthread_barrier_wait(&has_begun);
	send_signals(target);
	atomic_store(&is_over, true);
	thread_join(target);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		thread_join(churners[i]);
	require(nr_inside || HAS_TSAN, "no signal found the allocator at work");
	return EXIT_SUCCESS;
}
