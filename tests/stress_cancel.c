// SPDX-License-Identifier: MIT
/*
 * Threads that somebody has cancelled, and that go on to their next cancellation point.
 *
 *	pthread_cancel | SIGUSR1, malloc free malloc free ... SIGUSR1 | pthread_testcancel
 *
 * Expect: none ends before that, in malloc(), free() or where a report is printed that a
 * signal has asked for; and after them others can print.
 */
#include "stress.h"

#include <time.h>

#define NR_THREADS 8
#define NR_MS 150	/* limit:cgroup looks at the kernel's files every 100 */

/* Which are read on slow paths; and what is printed is written there, or in the handler. */
extern const char *numarena_conf;
const char *numarena_conf = "limit:cgroup,stats:SIGUSR1,stats_file:/dev/null";

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *run(void *arg)
{
	atomic_bool *is_done = arg;
	uint64_t end = now_ms() + NR_MS;

	pthread_cancel(pthread_self());
	raise(SIGUSR1);
	while (now_ms() < end)
		for (size_t size = 40000; size < 4000000; size += 40000)
			numarena_free(numarena_malloc(size));
	raise(SIGUSR1);
	atomic_store(is_done, true);
	pthread_testcancel();
	return NULL;
}

int main(void)
{
	static atomic_bool is_done[NR_THREADS];
	pthread_t threads[NR_THREADS];

	/* One finds its own marks on the stack of a cancelled thread, the other dies with its lock. */
	if (HAS_ASAN || HAS_TSAN)
		stress_skip("AddressSanitizer and ThreadSanitizer do not survive cancelled threads");
	stress_begin();
	for (unsigned int i = 0; i < NR_THREADS; i++)
		threads[i] = thread_start(run, &is_done[i]);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		void *end;

		require(!pthread_join(threads[i], &end), "join");
		require(end == PTHREAD_CANCELED, "thread %u was not cancelled", i);
		require(atomic_load(&is_done[i]), "thread %u was cancelled where it must not be", i);
	}
	require(!numarena_stats_print(open("/dev/null", O_WRONLY), NUMARENA_STATS_JSON), "print: %s",
		strerror(errno));
	return EXIT_SUCCESS;
}
