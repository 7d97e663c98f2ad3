// SPDX-License-Identifier: MIT
/*
 * What is there is counted by node anyway, under the nodes' locks.  So a limit needs only to
 * know of what is under way: a claim is added to the pending sum before the count is looked
 * at, and leaves it when the memory is in the count.  Each of two threads that claim at once
 * sees the other's memory in one of the two or in both, so together they cannot pass the
 * limit; at its brink one may be refused that would have fitted.  Without a limit nothing is
 * added up.
 *
 * limit:cgroup.  What the process may have is what it has and what the cgroup has left.  The
 * files are read again when a limit is looked at that is older than LOOK_MS, and before a
 * claim is refused.
 */
#include "internal/option.h"
#include "numa/cgroup.h"
#include "numa/pages.h"

#include "chunk.h"
#include "survey.h"
#include "limit.h"

/* The kernel's files are sums over CPUs, and reading them takes 0.1 ms. */
#define LOOK_MS 100

/* Page tables, stacks, and what was charged on one CPU and is not in the files yet. */
#define SLACK_PART 64

u64 nar_limit_nr_hit;

static u64 pending;		/* sequentially consistent */
static u64 cgroup_bytes;	/* relaxed; what the process may have, by the last look */
static u64 looked_ms;		/* relaxed; 0: never */

static u64 counted(void)
{
	struct nar_survey_usage u;
	unsigned int node;
	u64 sum = 0;

	for (node = 0; node < nar_nodes.nr; node++) {
		nar_survey_usage(node, &u);
		sum += u.large_bytes + nar_chunk_slab_bytes(node);
	}
	return sum;
}

/* Of what it has, untouched pages are not in the cgroup's count. */
static void look_at_cgroup(u64 now_ms)
{
	u64 room = nar_cgroup_room(), limit = 0;

	if (room != SIZE_MAX) {
		limit = room + min_of(counted(), (u64)nar_cgroup_own_bytes());
		/* Not 0, which is no limit. */
		limit = max_of(limit - limit / SLACK_PART, (u64)PAGE_BYTES);
	}
	WRITE_ONCE(cgroup_bytes, limit);
	WRITE_ONCE(looked_ms, max_of(now_ms, (u64)1));
}

static u64 cgroup_limit(bool is_last_word)
{
	u64 now = nar_clock_ms(), last = READ_ONCE(looked_ms);

	if (is_last_word || !last || now - last >= LOOK_MS)
		look_at_cgroup(now);
	return READ_ONCE(cgroup_bytes);
}

static u64 limit_now(bool is_last_word)
{
	u64 limit = READ_ONCE(nar_opt.limit);

	return limit == NAR_LIMIT_CGROUP ? cgroup_limit(is_last_word) : limit;
}

bool nar_limit_is_set(void)
{
	return READ_ONCE(nar_opt.limit);
}

static bool fits(u64 limit, u64 bytes)
{
	return !limit || (bytes <= limit && counted() + bytes <= limit);
}

static bool may_have(u64 bytes)
{
	return fits(limit_now(false), bytes) ||
	       (READ_ONCE(nar_opt.limit) == NAR_LIMIT_CGROUP && fits(limit_now(true), bytes));
}

static bool try_pend(u64 bytes)
{
	if (may_have(__atomic_add_fetch(&pending, bytes, __ATOMIC_SEQ_CST)))
		return true;
	__atomic_sub_fetch(&pending, bytes, __ATOMIC_SEQ_CST);
	return false;
}

bool nar_limit_try_claim(struct nar_claim *claim, u64 bytes)
{
	claim->bytes = 0;
	if (likely(!nar_limit_is_set()))
		return true;
	/* What does not fit by itself is never pending: others' claims would fail of it. */
	if (may_have(bytes) && try_pend(bytes)) {
		claim->bytes = bytes;
		return true;
	}
	add_relaxed(&nar_limit_nr_hit, 1);
	return false;
}

void nar_limit_settle(const struct nar_claim *claim)
{
	if (unlikely(claim->bytes))
		__atomic_sub_fetch(&pending, claim->bytes, __ATOMIC_SEQ_CST);
}

void nar_limit_forget_threads(void)
{
	pending = 0;
}
