/* SPDX-License-Identifier: MIT */
/*
 * Memory policy: tying a range of pages to a node.
 *
 * A policy is named by a small number: see kind.h.  Those of the program's own (numactl,
 * set_mempolicy) leave memory to the kernel.  Node and policy together are a place.
 */
#ifndef NAR_BIND_H
#define NAR_BIND_H

#include "kind.h"

/* Where memory is to lie. */
struct nar_place {
	u8 node;		/* dense number */
	u8 policy;
};

/*
 * The policy that the calling thread is under now, by one system call; none where there
 * is one node, since there policies agree.
 */
unsigned int nar_policy_current(void);

/* The policy of memory whose node the program names itself: it stands above any other. */
unsigned int nar_policy_by_hand(void);

/* Whether memory of @policy that is not on its node is as bad as none. */
bool nar_policy_is_strict(unsigned int policy);

/* Whether memory of @policy is meant for its place's node alone. */
bool nar_policy_names_node(unsigned int policy);

/*
 * Say where the pages of a range that are not touched yet are to lie.  Where the kernel
 * refuses, the first touch decides; that is counted and no error.  Return: false if it does
 * so because the cpuset has come to leave the node out: then another should be asked.
 */
bool nar_bind(void *addr, size_t bytes, struct nar_place place);

/*
 * The same for pages of a hugetlb pool: from the node's own or from none, since pages of
 * the pool of another node would look right.
 */
bool nar_bind_pool(void *addr, size_t bytes, struct nar_place place);

enum nar_whereabouts {
	WHERE_NONE,		/* not resident */
	WHERE_HOME,
	WHERE_AWAY,
	WHERE_THEIRS,		/* away, and the program has bound it since nar_bind() */
};

/* Where each of @nr pages is.  Return: 0; or -errno, -EPERM if nobody may ask. */
int nar_bind_ask(void **page, unsigned int nr, struct nar_place place, enum nar_whereabouts *where);

/*
 * Bring what lies elsewhere to its node.  Return: 0; -ENOMEM if the node has no room;
 * -EPERM if neither question nor answer is allowed, and nobody knows.
 */
int nar_bind_enforce(void *addr, size_t bytes, struct nar_place place);

/* For fork. */
struct nar_lock;
void nar_policy_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_BIND_H */
