// SPDX-License-Identifier: MIT
#include "latency.h"
#include "process.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATION_NS	20000000	/* clock_gettime's error is then 1e-5 of it */
#define OVERHEAD_PAIRS	20001		/* the median of so many */

bool ticks_by_counter;
static double ns_per_tick = 1;
static double overhead_ticks;
static uint64_t step_ticks = UINT64_MAX;

/* Does the counter run at one rate, whatever the core's clock and sleep? */
static bool counter_is_steady(void)
{
#if defined(__x86_64__)
	unsigned int a, b, c, d;

	/* Invariant TSC, in both vendors' manuals. */
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1U << 8));
#elif defined(__aarch64__)
	return true;	/* the generic timer, by architecture */
#else
	return false;
#endif
}

static void rate_measure(void)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t start = counter_read();
	uint64_t now_ns, now;

	do {
		now_ns = clock_ns(CLOCK_MONOTONIC);
		now = counter_read();
	} while (now_ns - start_ns < CALIBRATION_NS);
	ns_per_tick = (double)(now_ns - start_ns) / (double)(now - start);
}

/* Lowest number of ticks that is counted in bucket @index. */
static double bucket_start(unsigned int index)
{
	unsigned int octave = index >> HISTOGRAM_SUB_SHIFT;

	if (octave < 2)
		return index;
	octave--;
	return ldexp(HISTOGRAM_SUB + (index & (HISTOGRAM_SUB - 1)), (int)octave);
}

/* The middle of the bucket in which the @quantile falls; its values are whole numbers. */
static double quantile_ticks(const struct histogram *histogram, double quantile)
{
	uint64_t rank = (uint64_t)ceil(quantile * (double)histogram->nr);
	uint64_t below = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		below += histogram->bucket[i];
		if (below >= rank && below)
			break;
	}
	return (bucket_start(i) + bucket_start(i + 1) - 1) / 2;
}

/* Durations are whole steps, so the least that two of them differ by is a step. */
static void step_observe(uint64_t duration, uint64_t previous)
{
	uint64_t apart = duration > previous ? duration - previous : previous - duration;

	if (apart && apart < step_ticks)
		step_ticks = apart;
}

static void overhead_measure(void)
{
	static struct histogram pairs;
	uint64_t start, duration, previous = 0;
	unsigned int i;

	for (i = 0; i < OVERHEAD_PAIRS; i++) {
		start = ticks_now();
		duration = ticks_now() - start;
		step_observe(duration, previous);
		histogram_add(&pairs, duration);
		previous = duration;
	}
	overhead_ticks = quantile_ticks(&pairs, 0.5);
}

void ticks_calibrate(void)
{
	ticks_by_counter = counter_is_steady();
	if (ticks_by_counter)
		rate_measure();
	overhead_measure();
}

const char *ticks_source(void)
{
	if (!ticks_by_counter)
		return "clock_gettime";
#if defined(__x86_64__)
	return "tsc";
#else
	return "cntvct";
#endif
}

double ticks_overhead_ns(void)
{
	return overhead_ticks * ns_per_tick;
}

double ticks_step_ns(void)
{
	return (double)step_ticks * ns_per_tick;
}

void histogram_merge(struct histogram *sum, const struct histogram *part)
{
	sum->nr += part->nr;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->bucket[i] += part->bucket[i];
}

double histogram_quantile_ns(const struct histogram *histogram, double quantile)
{
	double ticks;

	if (!histogram->nr)
		return NOT_MEASURED;
	ticks = quantile_ticks(histogram, quantile) - overhead_ticks;
	return ticks > 0 ? ticks * ns_per_tick : 0;
}
