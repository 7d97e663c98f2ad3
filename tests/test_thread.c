// SPDX-License-Identifier: MIT
/*
 * When a thread gets its arena, on the pretend machine of fake_numa.h.
 *
 *	thread 1 .. 16	arena at the first malloc
 *	thread 17	shard shard shard ... shard arena
 */
#include <numarena.h>
#include <pthread.h>
#include <string.h>

#include "arena/thread.h"

#include "fake_numa.h"
#include "tap.h"

#define MANY 16
#define STEPS 16
#define SIZE 300
#define NODE 2u
#define THEIRS 2u

static pthread_barrier_t barrier;
static bool had_arena[MANY];

static void *crowd_thread(void *arg)
{
	bool *had = arg;

	numarena_free(numarena_malloc(SIZE));
	*had = nar_arena_own;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* Run @fn in a thread of its own while MANY others have arenas. */
static void in_a_crowd(void *(*fn)(void *), void *arg)
{
	pthread_t crowd[MANY], last;
	unsigned int i;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, MANY + 1), 0);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_create(&crowd[i], NULL, crowd_thread, &had_arena[i]), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_create(&last, NULL, fn, arg), 0);
	ck_assert_int_eq(pthread_join(last, NULL), 0);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_join(crowd[i], NULL), 0);
}

static unsigned int owner_of(const void *p)
{
	return nar_entry_owner(nar_entry_of(p));
}

static void *few_steps(void *arg)
{
	void *p[STEPS];
	unsigned int i;

	(void)arg;
	fake_node = NODE;
	for (i = 0; i < STEPS; i++) {
		p[i] = numarena_malloc(SIZE);
		memset(p[i], (int)i, SIZE);
		ck_assert_ptr_null(nar_arena_own);
		ck_assert_uint_eq(owner_of(p[i]), OWNER_SHARD);
		ck_assert_uint_eq(nar_node_of(p[i]), NODE);
	}
	numarena_free(numarena_malloc(SIZE));
	ck_assert_ptr_nonnull(nar_arena_own);
	ck_assert_uint_eq(nar_arena_own->member.node, NODE);
	for (i = 0; i < STEPS; i++) {
		ck_assert_int_eq(*(char *)p[i], (int)i);
		numarena_free(p[i]);
	}
	return NULL;
}

/*
 *	17th thread on node 2: 16 objects, one more
 *
 * Expect: the first come from the node's shard, at the next it has an arena there; what it
 * had before is whole and can be freed.
 */
START_TEST(in_a_crowd_arenas_are_earned)
{
	unsigned int i;

	in_a_crowd(few_steps, NULL);
	for (i = 0; i < MANY; i++)
		ck_assert(had_arena[i]);
}
END_TEST

static void *under_a_policy(void *arg)
{
	void *ours, *theirs;

	(void)arg;
	ours = numarena_malloc(SIZE);
	fake_policy = THEIRS;
	theirs = numarena_malloc(SIZE);
	ck_assert_ptr_null(nar_arena_own);
	ck_assert_uint_eq(nar_slab_at(nar_slab_around(ours))->heap, POLICY_OURS);
	ck_assert_uint_eq(nar_slab_at(nar_slab_around(theirs))->heap, THEIRS);
	numarena_free(ours);
	numarena_free(theirs);
	fake_policy = POLICY_OURS;
	return NULL;
}

/*
 *	17th thread: an object, set_mempolicy, an object
 *
 * Expect: without an arena too, memory of one policy is not used for another.
 */
START_TEST(early_objects_follow_the_policy)
{
	in_a_crowd(under_a_policy, NULL);
}
END_TEST

#define NR_BACK 30

static void *free_all(void *arg)
{
	void **p = arg;
	unsigned int i;

	for (i = 0; i < NR_BACK; i++)
		numarena_free(p[i]);
	return NULL;
}

static bool was_given(void *const *given, const void *p)
{
	unsigned int i;

	for (i = 0; i < NR_BACK && given[i] != p; i++)
		;
	return i < NR_BACK;
}

/*
 *	owner: | empty magazine |	other thread: free x 30, the end
 *	owner: malloc -> | 30 back |
 *
 * Expect: what comes home is what its owner has next, without a detour by the slab.
 */
START_TEST(what_comes_home_is_used_next)
{
	unsigned int class = nar_class_builtin(SIZE), i;
	void *given[NR_BACK], *again[NR_BACK];
	pthread_t other;
	u32 nr_free;

	for (i = 0; i < NR_BACK; i++)
		given[i] = numarena_malloc(SIZE);
	while (nar_mag_nr(&nar_arena_own->mag, class))
		ck_assert_ptr_nonnull(numarena_malloc(SIZE));
	nr_free = nar_slab_at(nar_slab_around(given[0]))->nr_free;
	ck_assert_int_eq(pthread_create(&other, NULL, free_all, given), 0);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	for (i = 0; i < NR_BACK; i++) {
		again[i] = numarena_malloc(SIZE);
		ck_assert(was_given(given, again[i]));
	}
	ck_assert_uint_eq(nar_slab_at(nar_slab_around(given[0]))->nr_free, nr_free);
	ck_assert_uint_eq(nar_mag_nr(&nar_arena_own->mag, class), 0);
}
END_TEST

#define RARE_SIZE 1000
#define RARE_TIMES 16

static void *one_of_the_rare(void *arg)
{
	*(void **)arg = numarena_malloc(RARE_SIZE);
	return NULL;
}

/*
 *	thread 1	rare x 15, and one more, and one more
 *	thread 2	rare x 1
 *
 * Expect: one slab serves both; at the seventeenth it is the first thread's own.
 */
START_TEST(rare_classes_share_slabs)
{
	void *p[RARE_TIMES + 1], *other;
	pthread_t thread;
	u32 slab;

	numarena_free(numarena_malloc(SIZE));
	for (unsigned int i = 0; i < RARE_TIMES; i++)
		p[i] = numarena_malloc(RARE_SIZE);
	ck_assert_int_eq(pthread_create(&thread, NULL, one_of_the_rare, &other), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	slab = nar_slab_around(p[RARE_TIMES - 1]);
	ck_assert_uint_eq(nar_slab_around(other), slab);
	ck_assert_uint_eq(owner_of(other), OWNER_SHARD);
	p[RARE_TIMES] = numarena_malloc(RARE_SIZE);
	ck_assert_uint_eq(nar_slab_around(p[RARE_TIMES]), slab);
	ck_assert_uint_eq(owner_of(other), nar_arena_own->member.id);
	for (unsigned int i = 0; i <= RARE_TIMES; i++)
		numarena_free(p[i]);
	numarena_free(other);
	ck_assert_uint_ge(nar_mag_nr(&nar_arena_own->mag, nar_class_builtin(RARE_SIZE)), RARE_TIMES / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thread");
	TCase *tc = tcase_create("four nodes");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, in_a_crowd_arenas_are_earned);
	tcase_add_test(tc, early_objects_follow_the_policy);
	tcase_add_test(tc, what_comes_home_is_used_next);
	tcase_add_test(tc, rare_classes_share_slabs);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
