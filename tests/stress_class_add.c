// SPDX-License-Identifier: MIT
/*
 * Size classes are added while other threads allocate: each publishes a new class
 * table that running threads must take over without losing an object, and objects
 * of the sizes in question are alive from before, during and after.
 */
#include "stress.h"

#include <time.h>

#define NR_CHURNERS 4
#define NR_CLASSES 32		/* as many as there is room for */
#define FIRST_SIZE 1040		/* not built in: there they are multiples of 64 */
#define SIZE_STEP 96		/* a multiple of 16, coprime enough with 64 and 128 */
#define MAX_TRIES 1000		/* more objects than a magazine holds */
#define MAX_SHIFT 14

static struct churn churns[NR_CHURNERS];
static atomic_bool is_over;
static size_t added[NR_CLASSES];
static unsigned int nr_added;

/* A new class is seen at the next refill, which this brings about. */
static void check_exact_fit(size_t size)
{
	void *objects[MAX_TRIES];
	unsigned int nr = 0;
	size_t usable;

	do {
		require(nr < MAX_TRIES, "class of %zu bytes is not used", size);
		objects[nr] = numarena_malloc(size);
		object_check_start(objects[nr], size);
		usable = numarena_malloc_usable_size(objects[nr++]);
	} while (usable != size);
	while (nr)
		numarena_free(objects[--nr]);
}

static void *churn_run(void *arg)
{
	struct churn *churn = arg;

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	while (!atomic_load(&is_over))
		churn_step(churn);
	for (unsigned int i = 0; i < nr_added && has_arenas(); i++)
		check_exact_fit(added[i]);
	churn_end(churn);
	return NULL;
}

static void add_classes(void)
{
	struct timespec pause = { .tv_nsec = (long)stress_scaled(50000000) };
	size_t size = FIRST_SIZE;
	int id;

	while (nr_added < NR_CLASSES) {
		id = numarena_class_add(size);
		require(id >= 0 || errno == EEXIST, "class of %zu bytes: %s", size, strerror(errno));
		if (id >= 0)
			added[nr_added++] = size;
		size += SIZE_STEP;
		nanosleep(&pause, NULL);
	}
	require(numarena_class_add(FIRST_SIZE + 16) < 0 && errno == ENOSPC, "a class too many");
}

int main(void)
{
	pthread_t churners[NR_CHURNERS];

	stress_begin();
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		churners[i] = thread_start(churn_run, &churns[i]);
	add_classes();
	atomic_store(&is_over, true);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		thread_join(churners[i]);
	return EXIT_SUCCESS;
}
