/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for tests: a generator a thread, seeded by its index, so that every
 * run makes the same steps.
 */
#ifndef NAR_TESTS_RNG_H
#define NAR_TESTS_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline struct rng rng_seeded(uint64_t seed)
{
	return (struct rng){ (seed + 1) * 0x9e3779b97f4a7c15ULL };
}

/* xorshift64* */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* Uniform in [0, bound). */
static inline size_t rng_below(struct rng *rng, size_t bound)
{
	return (rng_next(rng) >> 11) % bound;
}

/* Uniform in [low, high]. */
static inline size_t rng_between(struct rng *rng, size_t low, size_t high)
{
	return low + rng_below(rng, high - low + 1);
}

/* Log-uniform in [2^low_shift, 2^high_shift]: as many small sizes as large ones. */
static inline size_t rng_log_size(struct rng *rng, unsigned int low_shift, unsigned int high_shift)
{
	size_t bound = (size_t)1 << rng_between(rng, low_shift + 1, high_shift);

	return rng_between(rng, bound / 2, bound);
}

#endif
