// SPDX-License-Identifier: MIT
/*
 * Threads that run from node to node and from policy to policy, on the pretend machine of
 * fake_numa.h, while nodes fill up, pools run dry, pages land elsewhere and time flies.
 *
 *	node 0 | node 1 | node 2 | node 3	under 3 policies, on pool pages while there are any
 *	  ^- 4 threads, 1 who forks, 1 who turns the machine
 *
 * Expect: no object is overwritten or lost, a large block is of the policy that its thread
 * was under, a child finds all locks free, no more comes home than was seen elsewhere, and in
 * the end nothing is in use.
 */
#include "stress.h"

#include "arena/thread.h"
#include "internal/option.h"

#include "fake_numa.h"

#define NR_WORKERS 4
#define STEPS 200000
#define MAX_SHIFT 22
#define NR_FORKS 20
#define TURN_MS 11	/* more than thread.c's and maint.c's patience */

#undef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const char *numarena_conf = "huge:hugetlb,decay_ms:0";

static atomic_uint nr_working = NR_WORKERS;
static struct churn churns[NR_WORKERS];

static void check_large(void)
{
	void *p = numarena_malloc(KIB(96));

	require(p, "96 KiB");
	require(nar_extent_policy_at(p) == fake_policy, "%p is of policy %u, not %u", p,
		nar_extent_policy_at(p), fake_policy);
	numarena_free(p);
}

static void wander(struct rng *rng)
{
	fake_node = (unsigned int)rng_between(rng, 0, FAKE_NODES - 1);
	fake_policy = (unsigned int)rng_between(rng, 0, 2);
	if (rng_between(rng, 0, 3) == 0)
		numarena_thread_bind((int)rng_between(rng, 0, FAKE_NODES) - 1);
	check_large();
}

static void *worker_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long i, steps = stress_scaled(STEPS);

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	for (i = 0; i < steps; i++) {
		if (i % 128 == 0)
			wander(&churn->rng);
		churn_step(churn);
	}
	churn_end(churn);
	atomic_fetch_sub(&nr_working, 1);
	return NULL;
}

/* What the machine says no to changes all the time. */
static void *turner_run(void *arg)
{
	struct rng rng = rng_seeded(99);

	(void)arg;
	while (atomic_load(&nr_working)) {
		WRITE_ONCE(fake.is_full, (u32)rng_between(&rng, 0, FAKE_ALL_NODES));
		WRITE_ONCE(fake.refuse_purge, (u32)rng_between(&rng, 0, FAKE_ALL_NODES));
		WRITE_ONCE(fake.away, (u32)rng_between(&rng, 0, FAKE_ALL_NODES));
		WRITE_ONCE(fake.absent, (u32)rng_between(&rng, 0, FAKE_ALL_NODES));
		add_relaxed(&fake.clock_ms, TURN_MS);
		if (rng_between(&rng, 0, 15) == 0)
			numarena_malloc_trim(0);
		sched_yield();
	}
	return NULL;
}

static void child_run(void)
{
	unsigned int i;

	for (i = 0; i < 3 * FAKE_NODES; i++) {
		fake_node = i % FAKE_NODES;
		fake_policy = i / FAKE_NODES;
		check_large();
		numarena_free(numarena_malloc(64 + i * 640));
	}
	numarena_malloc_trim(0);
	_exit(0);
}

static void *forker_run(void *arg)
{
	unsigned long i, forks = stress_scaled(NR_FORKS);

	(void)arg;
	for (i = 0; i < forks && atomic_load(&nr_working); i++) {
		pid_t pid = fork_or_fail();

		if (!pid)
			child_run();
		child_join(pid);
	}
	return NULL;
}

int main(void)
{
	pthread_t turner, forker;
	struct numarena_stats stats;

	stress_begin();
	fake.pool_units = 16;
	numarena_free(numarena_malloc(1));
	turner = thread_start(turner_run, NULL);
	forker = thread_start(forker_run, NULL);
	threads_run(NR_WORKERS, worker_run, churns, sizeof(churns[0]));
	thread_join(turner);
	thread_join(forker);
	fake.refuse_purge = 0;
	numarena_malloc_trim(0);
	numarena_stats_get(&stats, sizeof(stats));
	require(!stats.large_bytes, "%" PRIu64 " bytes of large blocks are lost", stats.large_bytes);
	require(stats.huge_brought_home <= stats.huge_elsewhere, "%" PRIu64 " of %" PRIu64,
		stats.huge_brought_home, stats.huge_elsewhere);
	printf("%" PRIu64 " of %" PRIu64 " brought home, ", stats.huge_brought_home, stats.huge_elsewhere);
	printf("%" PRIu64 " node, %" PRIu64 " policy switches, %" PRIu64 " fallbacks, %" PRIu64 " pool empty\n",
	       stats.node_switches, stats.policy_switches, stats.node_fallback, stats.huge_pool_empty);
	return 0;
}
