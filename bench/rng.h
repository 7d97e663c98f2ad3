/* SPDX-License-Identifier: MIT */
/* Random numbers, a generator a thread: the same seed asks for the same sizes. */
#ifndef BENCH_RNG_H
#define BENCH_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

/* The golden ratio's bits: neighbouring streams start far apart, and none at 0. */
static inline struct rng rng_seeded(uint64_t seed, unsigned int stream)
{
	return (struct rng){ (2 * seed + 1) * 0x9e3779b97f4a7c15ULL * (stream + 1) };
}

/* xorshift64*; its high half is the good one. */
static inline uint32_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dULL) >> 32);
}

/* Uniform in [0, bound). */
static inline uint32_t rng_below(struct rng *rng, uint32_t bound)
{
	return (uint32_t)((uint64_t)rng_next(rng) * bound >> 32);
}

#endif
