// SPDX-License-Identifier: MIT
/*
 * The actors' environment as a program that knows nothing of numarena, for it to be preloaded:
 *
 *	unchanged			the system's malloc
 *	LD_PRELOAD=libnumarena.so unchanged
 *
 * Prints microseconds an episode.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NR_EPISODES 300
#define NR_STEPS 500
#define NR_ENTITIES 4

static unsigned long sum;

static void episode(void)
{
	static char *entity[NR_STEPS * NR_ENTITIES];
	unsigned int i;

	for (i = 0; i < NR_STEPS * NR_ENTITIES; i++) {
		size_t bytes = 16 + i * 37 % 480;

		entity[i] = malloc(bytes);
		if (!entity[i])
			abort();
		memset(entity[i], (int)i, bytes);
	}
	/* They leave in no order: a step that has no common divisor with their number. */
	for (i = 0; i < NR_STEPS * NR_ENTITIES; i++) {
		unsigned int k = i * 777 % (NR_STEPS * NR_ENTITIES);

		sum += (unsigned char)entity[k][0];
		free(entity[k]);
	}
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(void)
{
	double start;
	int i;

	episode();
	start = now_us();
	for (i = 0; i < NR_EPISODES; i++)
		episode();
	printf("%.1f us an episode, sum %lu\n", (now_us() - start) / NR_EPISODES, sum);
	return 0;
}
