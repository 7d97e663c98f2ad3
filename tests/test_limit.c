// SPDX-License-Identifier: MIT
/*
 * Claims below the limit of the process, from inside.
 *
 *	thread	claims 3/4 of the limit	|			| settles
 *	main				| fork	-> child: half	|
 */
#include <errno.h>
#include <numarena.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/limit.h"

#include "tap.h"

#define LIMIT MIB(64)

static pthread_barrier_t barrier;

static void *claim_run(void *arg)
{
	struct nar_claim claim;

	(void)arg;
	ck_assert(nar_limit_try_claim(&claim, LIMIT / 4 * 3));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	nar_limit_settle(&claim);
	return NULL;
}

static bool may_have_half(void)
{
	void *p = numarena_malloc(LIMIT / 2);

	numarena_free(p);
	return p;
}

/*
 * Expect: what another thread was about to have when the process forked is claimed for the
 * parent and not for the child, which has no such thread.
 */
START_TEST(child_is_free_of_lost_claims)
{
	pthread_t thread;
	int status;
	pid_t child;

	ck_assert_int_eq(numarena_heap_limit(NULL, LIMIT), 0);
	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, claim_run, NULL), 0);
	pthread_barrier_wait(&barrier);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(!may_have_half());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(!may_have_half());
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(may_have_half());
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child ended with 0x%x", (unsigned int)status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limit");
	TCase *tc = tcase_create("claims");

	tcase_add_test(tc, child_is_free_of_lost_claims);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
