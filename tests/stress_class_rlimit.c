// SPDX-License-Identifier: MIT
/*
 * A class is added, then address space is spent, then many threads refill.
 *
 * Each reads the new class table, and most do so as readers of RCU that liburcu does
 * not know yet.  Its registry has to grow for them, and it aborts if that fails.
 * Expect: they get objects or NULL, and the process goes on.
 */
#include "stress.h"

#include <sys/resource.h>

#define NR_THREADS 60		/* liburcu's registry has room for 32 at first */
#define NR_OBJECTS 300		/* several refills */
#define SIZE 64
#define NEW_CLASS_BYTES 560
#define LIMIT_BYTES ((rlim_t)1 << 20)	/* far less than is mapped already */

static pthread_barrier_t step;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void allocate_many(void)
{
	void *objects[NR_OBJECTS];
	unsigned int nr = 0;

	while (nr < NR_OBJECTS && (objects[nr] = numarena_malloc(SIZE)))
		nr++;
	require(nr == NR_OBJECTS || errno == ENOMEM, "refused with %s", strerror(errno));
	while (nr)
		numarena_free(objects[--nr]);
}

static void *refill_run(void *unused)
{
	numarena_free(numarena_malloc(SIZE));	/* an arena, with the table as it is now */
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	pthread_mutex_lock(&turn);
	allocate_many();
	pthread_mutex_unlock(&turn);
	/* The registry reuses the place of a thread that has ended. */
	pthread_barrier_wait(&step);
	return unused;
}

static void spend_address_space(void)
{
	struct rlimit limit = { LIMIT_BYTES, LIMIT_BYTES };

	require(!setrlimit(RLIMIT_AS, &limit), "setrlimit: %s", strerror(errno));
}

int main(void)
{
	pthread_t threads[NR_THREADS];

	stress_begin();
	if (HAS_SHADOW_MEMORY)
		stress_skip("the sanitizer needs address space without limit");
	pthread_barrier_init(&step, NULL, NR_THREADS + 1);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		threads[i] = thread_start(refill_run, NULL);
	pthread_barrier_wait(&step);
	require(numarena_class_add(NEW_CLASS_BYTES) >= 0, "class_add: %s", strerror(errno));
	spend_address_space();
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	return EXIT_SUCCESS;
}
