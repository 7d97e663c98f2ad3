// SPDX-License-Identifier: MIT
/*
 * Threads that move: each pins itself to one CPU after another while it holds
 * objects, so a refill finds it on another CPU and, on a machine with several
 * nodes, on another node, where it changes arenas and its objects become remote.
 */
#include "stress.h"

#include <sched.h>
#include <time.h>

#define NR_THREADS 4
#define NR_MOVES 1000
#define MIN_STAY_MS 12		/* longer than a stay that counts as a move */
#define MAX_LONG_STAYS 20	/* of the moves; the others are as short as they come */
#define NR_STEPS 1500		/* between two moves */
#define STEPS_PER_SWAP 16
#define MAX_SHIFT 16

static struct exchange exchange = EXCHANGE_INIT;
static struct churn churns[NR_THREADS];
static cpu_set_t allowed;

static void move_to_random_cpu(struct rng *rng)
{
	size_t nth = rng_between(rng, 1, (size_t)CPU_COUNT(&allowed));
	cpu_set_t one;
	int cpu = -1;

	while (nth)
		nth -= CPU_ISSET(++cpu, &allowed) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	require(!sched_setaffinity(0, sizeof(one), &one), "CPU %d: %s", cpu, strerror(errno));
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void churn_a_while(struct churn *churn)
{
	for (unsigned int i = 0; i < NR_STEPS; i++) {
		churn_step(churn);
		if (i % STEPS_PER_SWAP == 0)
			churn->slots[0] = exchange_swap(&exchange, &churn->rng, churn->slots[0]);
	}
}

static void *migrate_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long nr_moves = stress_scaled(NR_MOVES);

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	for (unsigned long i = 0; i < nr_moves; i++) {
		uint64_t arrived = now_ms();

		move_to_random_cpu(&churn->rng);
		do
			churn_a_while(churn);
		while (i < MAX_LONG_STAYS && now_ms() - arrived < MIN_STAY_MS);
	}
	churn_end(churn);
	return NULL;
}

int main(void)
{
	stress_begin();
	require(!sched_getaffinity(0, sizeof(allowed), &allowed), "%s", strerror(errno));
	if (CPU_COUNT(&allowed) < 2)
		stress_skip("one CPU: nowhere to move");
	threads_run(NR_THREADS, migrate_run, churns, sizeof(churns[0]));
	exchange_end(&exchange);
	return EXIT_SUCCESS;
}
