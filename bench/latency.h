/* SPDX-License-Identifier: MIT */
/*
 * The time of single calls.
 *
 * A call takes a few nanoseconds, so the clock is the processor's own counter where
 * it runs at a constant rate, fenced so that the call cannot slip out from between
 * two readings.  What two readings with nothing in between differ by is measured
 * once and subtracted from every figure.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* 32 steps an octave: a bucket is at most 3 % wide. */
#define HISTOGRAM_SUB_SHIFT	5
#define HISTOGRAM_SUB		(1U << HISTOGRAM_SUB_SHIFT)
#define HISTOGRAM_BUCKETS	((64 - HISTOGRAM_SUB_SHIFT + 1) * HISTOGRAM_SUB)

/* Counts of durations in ticks. */
struct histogram {
	uint64_t nr;
	uint32_t bucket[HISTOGRAM_BUCKETS];
};

extern bool ticks_by_counter;	/* set before threads start */

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t counter_read(void)
{
#if defined(__x86_64__)
	uint64_t now;

	__builtin_ia32_lfence();
	now = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return now;
#elif defined(__aarch64__)
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(now) :: "memory");
	return now;
#else
	return 0;
#endif
}

static inline uint64_t ticks_now(void)
{
	return ticks_by_counter ? counter_read() : clock_ns(CLOCK_MONOTONIC);
}

/* Small values have a bucket each; above, the octave and the bits below its top one. */
static inline unsigned int histogram_index(uint64_t ticks)
{
	unsigned int octave;

	if (ticks < HISTOGRAM_SUB)
		return (unsigned int)ticks;
	octave = 63 - (unsigned int)__builtin_clzll(ticks) - HISTOGRAM_SUB_SHIFT;
	return (octave << HISTOGRAM_SUB_SHIFT) + (unsigned int)(ticks >> octave);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ticks)
{
	histogram->bucket[histogram_index(ticks)]++;
	histogram->nr++;
}

/* Choose the clock, and measure its rate and its own cost. */
void ticks_calibrate(void);
const char *ticks_source(void);
double ticks_overhead_ns(void);
double ticks_step_ns(void);	/* the clock's resolution, as it was seen */

void histogram_merge(struct histogram *sum, const struct histogram *part);

/* The @quantile (0 to 1) in ns, overhead subtracted; NOT_MEASURED if nothing was counted. */
double histogram_quantile_ns(const struct histogram *histogram, double quantile);

#endif
