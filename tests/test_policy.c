// SPDX-License-Identifier: MIT
/*
 * Numbers of policies that programs set, with a get_mempolicy() of our own.
 *
 *	threads 1 and 2, at once:  set_mempolicy(X)	-> one number for X
 *	table:	| X | Y | Z | . . . . |			7 places, for ever
 *
 * Each try wants a table that is empty, so it has a process of its own.
 */
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal/stat.h"
#include "numa/bind.h"
#include "numa/node.h"

#include "tap.h"

#define NR_THREADS 2
#define NR_TRIES 200
#define NR_THEIRS NAR_NR_THEIRS

/* What the calling thread has set: nodes by bits. */
static __thread int set_mode;
static __thread unsigned long set_nodes;

/* Threads that are to be answered at the same moment: how many have come, in all. */
static u32 nr_come;
static __thread u32 to_come;

static void wait_for_all(void)
{
	add_relaxed(&nr_come, 1);
	while (READ_ONCE(nr_come) < to_come)
		sched_yield();
}

/* In libnuma's place.  All nodes are allowed. */
long get_mempolicy(int *mode, unsigned long *nodes, unsigned long max, void *addr, unsigned int flags)
{
	(void)addr;
	if (nodes)
		memset(nodes, 0, max / 8);
	if (flags) {
		nodes[0] = 3;
		return 0;
	}
	*mode = set_mode;
	if (nodes)
		nodes[0] = set_nodes;
	wait_for_all();
	return 0;
}

static void two_nodes(void)
{
	nar_nodes.nr = 2;
	nar_nodes.id[1] = 1;
}

/* Return: @bad if a policy has another number than the next. */
static void *ask_at_once(void *bad)
{
	unsigned int i;

	set_mode = MPOL_BIND;
	for (i = 1; i <= NR_THEIRS; i++) {
		set_nodes = i;
		to_come = i * NR_THREADS;
		if (nar_policy_current() != i)
			break;
	}
	/* The other need not wait for one who has left. */
	add_relaxed(&nr_come, NR_THEIRS * NR_THREADS);
	return i > NR_THEIRS ? NULL : bad;
}

static bool has_one_number_each(void)
{
	pthread_t thread;
	void *bad, *worse;

	if (pthread_create(&thread, NULL, ask_at_once, &nr_come))
		return false;
	bad = ask_at_once(&nr_come);
	pthread_join(thread, &worse);
	return !bad && !worse;
}

/*
 *	2 threads set one policy after the other and ask at once, 200 times from the start
 *
 * Expect: the same number for both, the next each time: or a table of seven would be full
 * of a few.
 */
START_TEST(policies_have_one_number_each)
{
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++) {
		int status;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (!pid)
			_exit(!has_one_number_each());
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}
END_TEST

/*
 *	policies: default | bind 1 | bind 2 | ... | the 8th
 *
 * Expect: 0 for the default one, a number each for seven, the last again for what comes
 * later, counted; and each its own number when it is asked again.
 */
START_TEST(later_policies_share_the_last)
{
	unsigned int i;

	set_mode = MPOL_DEFAULT;
	ck_assert_uint_eq(nar_policy_current(), POLICY_OURS);
	set_mode = MPOL_BIND;
	for (i = 1; i <= NR_THEIRS; i++) {
		set_nodes = i;
		ck_assert_uint_eq(nar_policy_current(), i);
	}
	ck_assert_uint_eq(nar_events.policy_shared, 0);
	set_mode = MPOL_INTERLEAVE;
	ck_assert_uint_eq(nar_policy_current(), NR_THEIRS);
	ck_assert_uint_eq(nar_events.policy_shared, 1);
	set_mode = MPOL_BIND;
	for (i = 1; i <= NR_THEIRS; i++) {
		set_nodes = i;
		ck_assert_uint_eq(nar_policy_current(), i);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("two nodes");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, two_nodes, NULL);
	tcase_add_test(tc, policies_have_one_number_each);
	tcase_add_test(tc, later_policies_share_the_last);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
