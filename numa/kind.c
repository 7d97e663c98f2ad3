// SPDX-License-Identifier: MIT
#include <errno.h>

#include "internal/lock.h"

#include "kind.h"

static struct nar_lock lock = NAR_LOCK_INIT(RANK_META);
static struct nar_kind kinds[NAR_MAX_POLICIES - NAR_SYSTEM_POLICIES];
static u32 nr;			/* release-stored under the lock */

static bool is_same(const struct nar_kind *a, const struct nar_kind *b)
{
	return a->binding == b->binding && a->huge == b->huge && a->nodes == b->nodes &&
	       a->decay_ms == b->decay_ms;
}

static u32 find(const struct nar_kind *kind)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (is_same(&kinds[i], kind))
			break;
	return i;
}

int nar_kind_policy(const struct nar_kind *kind)
{
	u32 i;

	nar_lock(&lock);
	i = find(kind);
	if (i == nr && nr < ARRAY_SIZE(kinds)) {
		kinds[i] = *kind;
		store_release(&nr, nr + 1);
	}
	i = i < nr ? i + NAR_SYSTEM_POLICIES : 0;
	nar_unlock(&lock);
	return i ? (int)i : -ENOSPC;
}

/* Whoever has a policy's number has it from nar_kind_policy(), or from who has. */
static const struct nar_kind *kind_of(unsigned int policy)
{
	return likely(policy < NAR_SYSTEM_POLICIES) ? NULL : &kinds[policy - NAR_SYSTEM_POLICIES];
}

enum nar_binding nar_kind_binding(unsigned int policy)
{
	const struct nar_kind *kind = kind_of(policy);

	if (policy == POLICY_HAND)
		return BIND_PREFERRED;
	return (enum nar_binding)(kind ? kind->binding : nar_opt.policy);
}

enum nar_huge nar_kind_huge(unsigned int policy)
{
	const struct nar_kind *kind = kind_of(policy);

	return (enum nar_huge)(kind && kind->huge != KIND_HUGE_AS_OPTION ? kind->huge : nar_opt.huge);
}

u64 nar_kind_nodes(unsigned int policy)
{
	const struct nar_kind *kind = kind_of(policy);

	return kind ? kind->nodes : 0;
}

u64 nar_kind_decay_ms(unsigned int policy)
{
	const struct nar_kind *kind = kind_of(policy);

	return kind && kind->decay_ms != KIND_DECAY_AS_OPTION ? kind->decay_ms : READ_ONCE(nar_opt.decay_ms);
}

void nar_kind_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&lock);
}
