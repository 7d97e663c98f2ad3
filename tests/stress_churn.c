// SPDX-License-Identifier: MIT
/*
 * Many threads, each with objects of all sizes that come and go, by every way to
 * allocate.  Every sixteenth object changes hands, so that arenas meet remote
 * frees and remote reallocs while they refill and flush.
 */
#include "stress.h"

#define NR_THREADS 8
#define NR_STEPS 1500000
#define STEPS_PER_SWAP 16
#define MAX_SHIFT 17	/* four times the largest class */

static struct exchange exchange = EXCHANGE_INIT;
static struct churn churns[NR_THREADS];

static void *churn_run(void *arg)
{
	struct churn *churn = arg;
	unsigned long nr_steps = stress_scaled(NR_STEPS);

	churn_begin(churn, (unsigned int)(churn - churns), MAX_SHIFT);
	for (unsigned long i = 0; i < nr_steps; i++) {
		churn_step(churn);
		if (i % STEPS_PER_SWAP == 0)
			churn->slots[0] = exchange_swap(&exchange, &churn->rng, churn->slots[0]);
	}
	churn_end(churn);
	return NULL;
}

int main(void)
{
	stress_begin();
	threads_run(NR_THREADS, churn_run, churns, sizeof(churns[0]));
	exchange_end(&exchange);
	return EXIT_SUCCESS;
}
