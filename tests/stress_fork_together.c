// SPDX-License-Identifier: MIT
/*
 * Threads that fork at the same time, where nothing but the allocator's own locks keeps
 * them apart: under fork_rcu:off the fork functions of liburcu, which have a lock of
 * their own, are not called.
 */
#include "stress.h"

#define NR_FORKERS 3
#define NR_FORKS 150	/* a thread */

/* NUMARENA_CONF may say otherwise. */
const char *numarena_conf = "fork_rcu:off";

static _Noreturn void child_run(struct churn *churn)
{
	churn_step(churn);
	churn_end(churn);
	_exit(EXIT_SUCCESS);
}

static void *fork_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long nr_forks = stress_scaled(NR_FORKS);

	for (unsigned long i = 0; i < nr_forks; i++) {
		pid_t pid;

		churn_step(churn);
		pid = fork_or_fail();
		if (!pid)
			child_run(churn);
		child_join(pid);
	}
	churn_end(churn);
	return NULL;
}

int main(void)
{
	static struct churn churns[NR_FORKERS];

	stress_begin();
	for (unsigned int i = 0; i < NR_FORKERS; i++)
		churn_begin(&churns[i], i, SMALL_SHIFT + 3);
	threads_run(NR_FORKERS, fork_run, churns, sizeof(churns[0]));
	return EXIT_SUCCESS;
}
