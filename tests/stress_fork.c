// SPDX-License-Identifier: MIT
/*
 * Fork storms: two threads fork without pause while others allocate, so a fork
 * finds the allocator's locks held and its lists half-way through a change.
 *
 * A child is a whole program that goes on: it frees what it inherited (its own
 * thread's objects and those of threads that do not exist in it), allocates,
 * starts a thread and forks a child of its own.
 */
#include "stress.h"

#define NR_CHURNERS 3
#define NR_FORKERS 2
#define NR_FORKS 100		/* a forker */
#define NR_CHILD_STEPS 2000
#define NR_GIFTS 64		/* objects each churner makes and never touches again */
#define MAX_SHIFT 17

static struct churn churns[NR_CHURNERS];
static struct churn forkers[NR_FORKERS];
static struct object gifts[NR_CHURNERS][NR_GIFTS];
static pthread_barrier_t gifts_are_made;
static atomic_bool is_over;

static void *churn_run(void *arg)
{
	struct churn *churn = arg;
	unsigned int index = (unsigned int)(churn - churns);

	churn_begin(churn, index, MAX_SHIFT);
	for (unsigned int i = 0; i < NR_GIFTS; i++)
		gifts[index][i] = churn_object(churn);
	pthread_barrier_wait(&gifts_are_made);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed))
		churn_step(churn);
	churn_end(churn);
	return NULL;
}

static void gifts_delete(void)
{
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		for (unsigned int j = 0; j < NR_GIFTS; j++)
			object_delete(&gifts[i][j]);
}

static void *child_thread(void *arg)
{
	struct churn *churn = arg;

	for (unsigned int i = 0; i < NR_CHILD_STEPS; i++)
		churn_step(churn);
	churn_end(churn);
	return NULL;
}

static void child_run(struct churn *churn)
{
	gifts_delete();
	for (unsigned int i = 0; i < NR_CHILD_STEPS; i++)
		churn_step(churn);
	if (HAS_CHILD_THREADS)
		thread_join(thread_start(child_thread, churn));
	else
		child_thread(churn);
}

/* @depth forks below this one: each child forks before and works after. */
static pid_t fork_child(struct churn *churn, unsigned int depth)
{
	pid_t pid = fork_or_fail(), grandchild;

	if (pid)
		return pid;
	grandchild = depth ? fork_child(churn, depth - 1) : 0;
	child_run(churn);
	if (grandchild)
		child_join(grandchild);
	_exit(EXIT_SUCCESS);
}

static void *fork_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long nr_forks = stress_scaled(NR_FORKS);

	churn_begin(churn, NR_CHURNERS + (unsigned int)(churn - forkers), MAX_SHIFT);
	for (unsigned long i = 0; i < nr_forks; i++) {
		pid_t child;

		for (unsigned int step = 0; step < CHURN_SLOTS; step++)
			churn_step(churn);
		child = fork_child(churn, i % 2);
		for (unsigned int step = 0; step < CHURN_SLOTS; step++)
			churn_step(churn);
		child_join(child);
	}
	churn_end(churn);
	return NULL;
}

int main(void)
{
	pthread_t churners[NR_CHURNERS];

	stress_begin();
	pthread_barrier_init(&gifts_are_made, NULL, NR_CHURNERS + 1);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		churners[i] = thread_start(churn_run, &churns[i]);
	pthread_barrier_wait(&gifts_are_made);
	threads_run(NR_FORKERS, fork_run, forkers, sizeof(forkers[0]));
	atomic_store(&is_over, true);
	for (unsigned int i = 0; i < NR_CHURNERS; i++)
		thread_join(churners[i]);
	gifts_delete();
	return EXIT_SUCCESS;
}
