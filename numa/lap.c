// SPDX-License-Identifier: MIT
/*
 * The CPU's counter runs at a rate that nobody tells us.  So it is compared with the
 * kernel's clock, from our constructor on: anew at each lap of the first moments, and for
 * good once both have run long enough.
 */
#if defined(__x86_64__) && !defined(__CHECKER__)	/* sparse does not like it */
#include <cpuid.h>
#endif

#include "internal/lap.h"

#include "process.h"

/* The kernel's clock is read within 50 ns: an error of 10 in a million. */
#define SETTLED_NS 5000000

/* CPUID 0x80000007, EDX: the counter runs at one rate, whatever the CPU does. */
#define INVARIANT_TSC (1u << 8)

__thread struct nar_laps *nar_laps_own;
struct nar_laps nar_laps_shared;
bool nar_has_ticks;

static struct {
	u64 ticks, ns;
} start;
static u64 rate;	/* ns << 32 a tick; relaxed; 0: not settled yet */

u64 nar_ticks_slow(void)
{
	return nar_process_clock_ns();
}

static bool has_invariant_ticks(void)
{
#if defined(__x86_64__) && !defined(__CHECKER__)
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && edx & INVARIANT_TSC;
#else
	return false;
#endif
}

void nar_lap_init(void)
{
	nar_has_ticks = has_invariant_ticks();
	start.ticks = nar_lap_begin();
	WRITE_ONCE(start.ns, nar_process_clock_ns());
}

u64 nar_lap_started_ns(void)
{
	return READ_ONCE(start.ns);
}

u64 nar_lap_uptime_ns(void)
{
	return READ_ONCE(start.ns) ? nar_process_clock_ns() - start.ns : 0;
}

static noinline u64 rate_slow(void)
{
	u64 ns = nar_process_clock_ns() - start.ns, ticks = nar_lap_begin() - start.ticks, found;

	if (!ticks)
		return 0;
	found = (u64)(((unsigned __int128)ns << 32) / ticks);
	if (ns >= SETTLED_NS)
		WRITE_ONCE(rate, found);
	return found;
}

static u64 to_ns(u64 ticks)
{
	u64 found = READ_ONCE(rate);

	if (unlikely(!found))
		found = rate_slow();
	return (u64)(((unsigned __int128)ticks * found) >> 32);
}

static unsigned int bucket_of(u64 ns)
{
	unsigned int log = ns ? log2_floor(ns) + 1 : 0;

	log = log > NAR_LAP_SHIFT ? log - NAR_LAP_SHIFT : 0;
	return min_of(log, NAR_LAP_BUCKETS - 1u);
}

void nar_lap_end(enum nar_step step, u64 begun)
{
	u64 ticks = nar_lap_begin() - begun, ns;
	struct nar_lap *lap;

	if (unlikely(!READ_ONCE(start.ns)))
		return;
	/* Where CPUs' counters differ, time may seem to run backwards. */
	ns = likely((int64_t)ticks > 0) ? to_ns(ticks) : 0;
	if (likely(nar_laps_own)) {
		lap = &nar_laps_own->of[step];
		count_own(lap->sum_ns, ns);
		count_own(lap->nr[bucket_of(ns)], 1);
	} else {
		lap = &nar_laps_shared.of[step];
		add_relaxed(&lap->sum_ns, ns);
		add_relaxed(&lap->nr[bucket_of(ns)], 1);
	}
}

void nar_laps_add(struct nar_laps *to, const struct nar_laps *from)
{
	unsigned int step, i;

	for (step = 0; step < NR_STEPS; step++) {
		const struct nar_lap *lap = &from->of[step];

		to->of[step].sum_ns += READ_ONCE(lap->sum_ns);
		for (i = 0; i < NAR_LAP_BUCKETS; i++)
			to->of[step].nr[i] += READ_ONCE(lap->nr[i]);
	}
}
