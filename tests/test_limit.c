// SPDX-License-Identifier: MIT
/*
 * Claims below the limits of the process and of a heap, from inside.
 *
 *	thread	claims 3/4 of the limit	|			| settles
 *	main				| fork	-> child: half	|
 */
#include <errno.h>
#include <numarena.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/heap.h"
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

/* ---- Of a heap ---- */

#define SMALL 448
#define NR_SMALL 1000

static struct numarena_heap *heap;
static void *block;

static struct numarena_heap_stats heap_now(void)
{
	struct numarena_heap_stats stats;

	ck_assert_int_eq(numarena_heap_stats_get(heap, &stats, sizeof(stats)), 0);
	return stats;
}

static void take_some(void)
{
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		ck_assert_ptr_nonnull(numarena_heap_alloc(heap, SMALL));
	block = numarena_heap_alloc(heap, MIB(1));
	ck_assert_ptr_nonnull(block);
}

static void *take_and_end(void *arg)
{
	take_some();
	return arg;
}

static void *take_and_charge(void *arg)
{
	u32 id = nar_heap_find(nar_heap_to_handle(heap))->id;

	take_some();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	ck_assert(nar_account_try_take(id, LIMIT / 4 * 3));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	nar_account_give(id, LIMIT / 4 * 3);
	return arg;
}

static bool is_had(u64 resident, u64 live)
{
	struct numarena_heap_stats stats = heap_now();

	return stats.charged_bytes == resident && stats.live_bytes == live;
}

/* What was charged for the block is its own again, too. */
static bool may_have_more(void)
{
	numarena_free(block);
	return numarena_heap_alloc(heap, LIMIT / 2);
}

/*
 *	the heap's:	| shelved slabs, block | a lost thread's | the forking one's |
 *	and charged:	3/4 of the limit, for what a lost thread is about to have
 *
 * Expect: the child's heap is charged for what it has and no more.
 */
START_TEST(childs_heap_is_charged_for_what_it_has)
{
	struct numarena_heap_attr attr = { .size = sizeof(attr), .limit_bytes = LIMIT };
	struct numarena_heap_stats before;
	pthread_t thread;
	int status;
	pid_t child;

	heap = numarena_heap_create(&attr);
	ck_assert_ptr_nonnull(heap);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_and_end, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_and_charge, NULL), 0);
	pthread_barrier_wait(&barrier);
	take_some();
	before = heap_now();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(!is_had(before.charged_bytes, before.live_bytes) ? 1 : may_have_more() ? 0 : 2);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_uint_ge(heap_now().charged_bytes, LIMIT / 4 * 3);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child ended with 0x%x", (unsigned int)status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limit");
	TCase *tc = tcase_create("claims");

	tcase_add_test(tc, child_is_free_of_lost_claims);
	tcase_add_test(tc, childs_heap_is_charged_for_what_it_has);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
