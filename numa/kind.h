/* SPDX-License-Identifier: MIT */
/*
 * Kinds of memory: how it is bound, which pages it lies on, how long it waits when it is free.
 * Memory of one kind is never used for another, so its number goes with the node wherever
 * memory is kept.  The number is called the policy:
 *
 *	0			what the options say
 *	1 to 7			one each for memory policies that the program has set for itself:
 *				see bind.h
 *	8			memory whose node was named by hand, where policy: names none
 *	9 to NAR_MAX_POLICIES - 1	what a heap of the program's asks for
 */
#ifndef NAR_KIND_H
#define NAR_KIND_H

#include "internal/option.h"

/* Further policies of the program's share the last of theirs. */
#define NAR_NR_THEIRS 7
#define POLICY_OURS 0
#define POLICY_HAND (NAR_NR_THEIRS + 1)
#define NAR_SYSTEM_POLICIES (POLICY_HAND + 1)
#define NAR_MAX_POLICIES 33

/* What the option says, now or later. */
#define KIND_HUGE_AS_OPTION 0xff
#define KIND_DECAY_AS_OPTION ((u64)-1)
#define KIND_DECAY_NEVER ((u64)-2)

struct nar_kind {
	u8 binding;		/* enum nar_binding */
	u8 huge;		/* enum nar_huge, or KIND_HUGE_AS_OPTION */
	u64 nodes;		/* interleave: a bit a dense node; 0 is all that the cpuset allows */
	u64 decay_ms;		/* or KIND_DECAY_* */
};

/*
 * The policy that stands for @kind, the same for equal ones.  It is one for ever.  Return:
 * -ENOSPC if all are taken.
 */
int nar_kind_policy(const struct nar_kind *kind);

enum nar_binding nar_kind_binding(unsigned int policy);
enum nar_huge nar_kind_huge(unsigned int policy);
u64 nar_kind_nodes(unsigned int policy);
/* KIND_DECAY_NEVER, or milliseconds. */
u64 nar_kind_decay_ms(unsigned int policy);

static inline bool nar_kind_is_theirs(unsigned int policy)
{
	return policy != POLICY_OURS && policy <= NAR_NR_THEIRS;
}

/* Huge pages or small ones, for whoever is @is_young: it has less than a huge page's worth. */
static inline bool nar_wants_huge(unsigned int policy, bool is_young)
{
	enum nar_huge huge = nar_kind_huge(policy);

	return huge == HUGE_AUTO ? !is_young : huge != HUGE_OFF;
}

/* For fork. */
struct nar_lock;
void nar_kind_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_KIND_H */
