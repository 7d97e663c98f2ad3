// SPDX-License-Identifier: MIT
/*
 * Threads that come and go by the thousand, a few alive at a time.  Each frees
 * what threads before it left and leaves objects of its own, so most objects
 * outlive the thread that made them, and the slabs under them are orphaned,
 * shelved and adopted.
 */
#include "stress.h"

#define NR_ALIVE 8
#define NR_WAVES 1500
#define NR_STEPS 200
#define NR_LEFT 32	/* objects a thread leaves behind */
#define MAX_SHIFT 16

static struct exchange exchange = EXCHANGE_INIT;
static struct churn churns[NR_ALIVE];

static void *short_life(void *arg)
{
	struct churn *churn = arg;

	for (unsigned int i = 0; i < NR_STEPS; i++)
		churn_step(churn);
	for (unsigned int i = 0; i < NR_LEFT; i++) {
		struct object inherited = exchange_swap(&exchange, &churn->rng, churn_object(churn));

		object_delete(&inherited);
	}
	churn_end(churn);
	return NULL;
}

int main(void)
{
	unsigned long nr_waves = stress_scaled(NR_WAVES);

	stress_begin();
	for (unsigned int i = 0; i < NR_ALIVE; i++)
		churn_begin(&churns[i], i, MAX_SHIFT);
	for (unsigned long wave = 0; wave < nr_waves; wave++)
		threads_run(NR_ALIVE, short_life, churns, sizeof(churns[0]));
	exchange_end(&exchange);
	return EXIT_SUCCESS;
}
