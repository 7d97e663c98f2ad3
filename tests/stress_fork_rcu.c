// SPDX-License-Identifier: MIT
/*
 * An application that is itself a user of liburcu-bp, as the allocator is: its
 * readers allocate inside read sections, its writers wait for grace periods and
 * free, and meanwhile a thread forks.  Wrong order of the locks that fork takes
 * (RCU's before the allocator's) ends here in a deadlock.
 *
 * Under fork_rcu:off the application calls liburcu's fork functions itself.
 */
#include "stress.h"

#include <signal.h>
#include <urcu/urcu-bp.h>

#define NR_READERS 2
#define NR_WRITERS 2
#define NR_FORKS 60
#define STEPS_PER_WRITE 2000	/* or grace periods leave fork no turn at RCU's lock */
#define NR_CHILD_STEPS 300

struct version {
	struct object object;
};

/* Published with release and read with acquire: TSan knows C11, not liburcu. */
static _Atomic(struct version *) current;
static atomic_bool is_over;
static int grace_period;	/* stands for liburcu's in happens_before() */

static struct version *version_new(struct rng *rng, uint64_t tag)
{
	struct version *version = numarena_malloc(sizeof(*version));

	object_check_start(version, sizeof(*version));
	version->object = object_new(rng_log_size(rng, 3, 13), tag);
	return version;
}

static void version_delete(struct version *version)
{
	object_delete(&version->object);
	numarena_free(version);
}

static void read_once(struct churn *churn)
{
	urcu_bp_read_lock();
	object_check(&atomic_load_explicit(&current, memory_order_acquire)->object);
	for (unsigned int i = 0; i < 16; i++)
		churn_step(churn);
	object_check(&atomic_load_explicit(&current, memory_order_acquire)->object);
	happens_before(&grace_period);
	urcu_bp_read_unlock();
}

static void write_once(struct rng *rng, uint64_t tag)
{
	struct version *old = atomic_exchange(&current, version_new(rng, tag));

	urcu_bp_synchronize_rcu();
	happens_after(&grace_period);
	version_delete(old);
}

static struct churn readers[NR_READERS];

static void *read_run(void *arg)
{
	struct churn *churn = arg;

	churn_begin(churn, (unsigned int)(churn - readers), SMALL_SHIFT + 3);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed))
		read_once(churn);
	churn_end(churn);
	return NULL;
}

static struct churn writers[NR_WRITERS];

static void *write_run(void *arg)
{
	struct churn *churn = arg;

	churn_begin(churn, NR_READERS + (unsigned int)(churn - writers), SMALL_SHIFT + 3);
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		for (unsigned int i = 0; i < STEPS_PER_WRITE; i++)
			churn_step(churn);
		write_once(&churn->rng, churn->next_tag++);
	}
	churn_end(churn);
	return NULL;
}

static bool app_forks_rcu(void)
{
	char value[16];

	if (numarena_option_get("fork_rcu", value, sizeof(value)) < 0)
		return false;
	return !strcmp(value, "off") || !strcmp(value, "false") || !strcmp(value, "0");
}

static pid_t fork_with_rcu(bool app_forks)
{
	pid_t pid;

	if (app_forks)
		urcu_bp_before_fork();
	pid = fork_or_fail();
	if (app_forks && pid)
		urcu_bp_after_fork_parent();
	else if (app_forks)
		urcu_bp_after_fork_child();
	return pid;
}

static _Noreturn void child_run(struct churn *churn)
{
	for (unsigned int i = 0; i < NR_CHILD_STEPS; i++)
		churn_step(churn);
	read_once(churn);
	write_once(&churn->rng, churn->next_tag++);
	churn_end(churn);
	_exit(EXIT_SUCCESS);
}

static void fork_run(void)
{
	static struct churn churn;
	unsigned long nr_forks = stress_scaled(NR_FORKS);
	bool app_forks = app_forks_rcu();

	churn_begin(&churn, NR_READERS + NR_WRITERS, SMALL_SHIFT + 3);
	for (unsigned long i = 0; i < nr_forks; i++) {
		pid_t pid;

		for (unsigned int step = 0; step < 64; step++)
			churn_step(&churn);
		pid = fork_with_rcu(app_forks);
		if (!pid)
			child_run(&churn);
		child_join(pid);
	}
	churn_end(&churn);
}

int main(void)
{
	pthread_t threads[NR_READERS + NR_WRITERS];
	struct rng rng = rng_seeded(0);

	stress_begin();
	atomic_store(&current, version_new(&rng, 0));
	for (unsigned int i = 0; i < NR_READERS; i++)
		threads[i] = thread_start(read_run, &readers[i]);
	for (unsigned int i = 0; i < NR_WRITERS; i++)
		threads[NR_READERS + i] = thread_start(write_run, &writers[i]);
	fork_run();
	atomic_store(&is_over, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		thread_join(threads[i]);
	version_delete(atomic_load(&current));
	return EXIT_SUCCESS;
}
