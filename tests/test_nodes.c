// SPDX-License-Identifier: MIT
/*
 * Threads and nodes, on the pretend machine of fake_numa.h.
 *
 *	base
 *	| window of node 0 | window of node 1 | window of node 2 | window of node 3 |
 *	  near: 1 <-> 0		                near: 3 <-> 2
 *
 * The main thread runs on node 0; what a test is about happens in threads of its own,
 * one after the other.  No time passes unless a test says so.  Each test wants a
 * process of its own, which Check gives it: windows are empty at first.
 */
#include <numarena.h>
#include <pthread.h>
#include <string.h>

#include "arena/extent.h"
#include "arena/thread.h"

#include "fake_numa.h"
#include "tap.h"

/* What tests are about, and what is allocated only to empty magazines: two classes. */
#define SIZE 448
#define OTHER_SIZE 320

#define LARGE MIB(1)

/* More than what is left of any first span. */
#define LARGER MIB(16)

/* thread.c's patience: so many refills, and so long. */
#define AWAY_REFILLS 2
#define AWAY_MS 10

static struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats;
}

struct visit {
	unsigned int node;
	void (*fn)(void *arg);
	void *arg;
};

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	fake_node = v->node;
	v->fn(v->arg);
	return NULL;
}

/* A thread that starts on @node, does @fn and is gone. */
static void on_node(unsigned int node, void (*fn)(void *arg), void *arg)
{
	struct visit v = { node, fn, arg };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, visit_thread, &v), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *alloc_written(size_t size)
{
	void *p = numarena_malloc(size);

	ck_assert_ptr_nonnull(p);
	memset(p, 0x5a, size);
	return p;
}

static struct nar_shard *shelf(unsigned int node)
{
	return nar_heap_shard(&nar_heap_default, node, nar_class_builtin(SIZE));
}

static u32 owner_of(const void *p)
{
	return nar_entry_owner(nar_entry_of(p));
}

/* ---- Where memory lies ---- */

static void check_lies_on(const void *p, unsigned int node)
{
	ck_assert_uint_eq(nar_node_of(p), node);
	ck_assert_uint_eq(fake_bound_node(p), node);
}

static void alloc_and_check_node(void *arg)
{
	void *small = alloc_written(SIZE), *large = alloc_written(LARGE);

	(void)arg;
	check_lies_on(small, fake_node);
	check_lies_on(large, fake_node);
	numarena_free(small);
	numarena_free(large);
}

/*
 *	thread on n:	small, large -> | window of n, bound to n |
 *
 * Expect: on each node an object and a large block lie in the node's window, in a
 * span bound to that node.
 */
START_TEST(memory_lies_on_the_threads_node)
{
	unsigned int node;

	for (node = 0; node < FAKE_NODES; node++)
		on_node(node, alloc_and_check_node, NULL);
	ck_assert_uint_eq(stats_now().nr_nodes, FAKE_NODES);
	ck_assert_uint_eq(stats_now().node_fallback, 0);
}
END_TEST

static void check_tables(void *arg)
{
	void *p = alloc_written(SIZE);

	(void)arg;
	ck_assert_uint_eq(fake_bound_node(nar_arena_own), fake_node);
	ck_assert_uint_eq(fake_bound_node(&nar_mem.slab[nar_slab_around(p)]), fake_node);
	ck_assert_uint_eq(fake_bound_node(&nar_mem.map[nar_slab_around(p)]), fake_node);
	ck_assert_uint_eq(fake_bound_node(&nar_mem.bits[nar_slab_around(p)]), fake_node);
	numarena_free(p);
}

/*
 *	thread on n:	arena, slab descriptor, map, bitmap -> | tables of n |
 *
 * Expect: what describes a node's memory is on that node too.
 */
START_TEST(tables_lie_with_what_they_describe)
{
	unsigned int node;

	for (node = 0; node < FAKE_NODES; node++)
		on_node(node, check_tables, NULL);
}
END_TEST

static void alloc_keep(void *arg)
{
	void **keep = arg;

	*keep = alloc_written(SIZE);
}

static void try_alloc_larger(void *arg)
{
	void **keep = arg;

	*keep = numarena_malloc(LARGER);
}

static void alloc_nothing(void *arg)
{
	(void)arg;
	ck_assert_ptr_null(numarena_malloc(SIZE));
	ck_assert_ptr_null(numarena_malloc(LARGE));
}

/*
 *	node 2 full:		2 -> 3
 *	nodes 2 and 3 full:	2 -> 0
 *	all full:		2 -> NULL
 *	none full:		2 -> 2
 *
 * Expect: memory of the nearest node that has some, each time counted; NULL when none
 * has; and the own node again as soon as it can.
 */
START_TEST(full_node_falls_over_to_the_nearest)
{
	void *near, *far, *none, *own;

	fake.refuse_commit = 1u << 2;
	on_node(2, alloc_keep, &near);
	check_lies_on(near, 3);
	ck_assert_uint_eq(stats_now().node_fallback, 1);

	fake.refuse_commit = 1u << 2 | 1u << 3;
	on_node(2, try_alloc_larger, &far);
	check_lies_on(far, 0);
	ck_assert_uint_eq(stats_now().node_fallback, 2);

	fake.refuse_commit = FAKE_ALL_NODES;
	on_node(2, try_alloc_larger, &none);
	ck_assert_ptr_null(none);
	ck_assert_uint_eq(stats_now().node_fallback, 2);

	fake.refuse_commit = 0;
	on_node(2, try_alloc_larger, &own);
	check_lies_on(own, 2);
	ck_assert_uint_eq(stats_now().node_fallback, 2);
	numarena_free(near);
	numarena_free(far);
	numarena_free(own);
}
END_TEST

/*
 *	nodes 0 to 3 have nothing yet, and all refuse
 *
 * Expect: NULL for small and large, refusals counted, and memory once there is some.
 */
START_TEST(no_node_has_memory)
{
	struct numarena_stats before = stats_now();
	void *p;

	ck_assert_uint_eq(before.committed_bytes, 0);
	fake.refuse_commit = FAKE_ALL_NODES;
	on_node(2, alloc_nothing, NULL);
	ck_assert_uint_ge(stats_now().commit_failed, before.commit_failed + FAKE_NODES);
	fake.refuse_commit = 0;
	on_node(2, alloc_keep, &p);
	check_lies_on(p, 2);
	numarena_free(p);
}
END_TEST

/* ---- Threads that move ---- */

/*
 * Allocate until a magazine was filled once more, or the arena has changed.  The
 * objects are left to the end of the process.
 */
static void refill_once(void)
{
	struct nar_arena *a = nar_arena_own;
	u64 before = a->count.nr_refills;

	while (nar_arena_own == a && a->count.nr_refills == before)
		alloc_written(OTHER_SIZE);
}

static void refill_times(unsigned int nr)
{
	while (nr--)
		refill_once();
}

static void move_and_stay(void *arg)
{
	void *old = alloc_written(SIZE), *fresh;
	struct nar_arena *a = nar_arena_own;

	(void)arg;
	fake_node = 3;
	refill_times(5 * AWAY_REFILLS);
	ck_assert_ptr_eq(nar_arena_own, a);	/* often enough, not long enough */
	fake.clock_ms += AWAY_MS;
	refill_once();
	ck_assert_ptr_ne(nar_arena_own, a);
	ck_assert_uint_eq(nar_arena_own->member.node, 3);
	fresh = alloc_written(SIZE);
	check_lies_on(fresh, 3);
	ck_assert_uint_ne(owner_of(old), nar_arena_own->member.id);
	ck_assert_uint_eq(owner_of(fresh), nar_arena_own->member.id);
	numarena_free(old);
	numarena_free(fresh);
}

/*
 *	node 1			node 3
 *	arena A, `old`   -----> arena B, `fresh`
 *		after > 2 refills and 10 ms
 *
 * Expect: one switch, not before both; new memory is of the new node, what is old
 * belongs to somebody else.
 */
START_TEST(thread_that_moved_gets_an_arena_there)
{
	u64 before = stats_now().node_switches;

	on_node(1, move_and_stay, NULL);
	ck_assert_uint_eq(stats_now().node_switches, before + 1);
}
END_TEST

static void move_and_return(void *arg)
{
	struct nar_arena *a;
	int i;

	(void)arg;
	alloc_written(SIZE);
	a = nar_arena_own;
	for (i = 0; i < 10; i++) {
		fake_node = 3;
		refill_once();
		fake.clock_ms += 10 * AWAY_MS;
		refill_times(AWAY_REFILLS - 1);
		fake_node = 1;
		refill_once();
	}
	ck_assert_ptr_eq(nar_arena_own, a);
}

/*
 *	node 1 -> 3 -> 1 -> 3 -> 1 ...	two refills a visit, however long
 *
 * Expect: who comes back in time stays with its arena.
 */
START_TEST(short_visits_change_nothing)
{
	u64 before = stats_now().node_switches;

	on_node(1, move_and_return, NULL);
	ck_assert_uint_eq(stats_now().node_switches, before);
}
END_TEST

struct handover {
	pthread_barrier_t barrier;
	void *object;
	u32 owner;
};

/* On node 1: adopts what the mover leaves on the shelf there, and stays. */
static void *adopter_thread(void *arg)
{
	struct handover *h = arg;
	void *p;

	fake_node = 1;
	pthread_barrier_wait(&h->barrier);	/* the mover has left */
	p = alloc_written(SIZE);
	h->owner = nar_arena_own->member.id;
	pthread_barrier_wait(&h->barrier);	/* adopted */
	pthread_barrier_wait(&h->barrier);	/* the mover has freed */
	numarena_free(p);
	return NULL;
}

static void move_and_free_old(void *arg)
{
	struct handover *h = arg;
	u64 before;

	h->object = alloc_written(SIZE);
	fake_node = 3;
	refill_times(AWAY_REFILLS + 1);
	fake.clock_ms += AWAY_MS;
	refill_once();
	ck_assert_uint_eq(nar_arena_own->member.node, 3);
	ck_assert_uint_eq(owner_of(h->object), OWNER_SHARD);
	pthread_barrier_wait(&h->barrier);
	pthread_barrier_wait(&h->barrier);
	before = stats_now().nr_remote_frees;
	ck_assert_uint_eq(owner_of(h->object), h->owner);
	numarena_free(h->object);
	ck_assert_uint_eq(stats_now().nr_remote_frees, before + 1);
	pthread_barrier_wait(&h->barrier);
}

/*
 *	node 1			node 3
 *	mover's `object`  ----> mover
 *	shelf -> adopter  <---- free(object)
 *
 * Expect: what a thread left behind goes to the shelf of the node where it lies; once
 * another thread there has taken it, the mover's free is a remote one.
 */
START_TEST(objects_left_behind_are_freed_remotely)
{
	struct handover h = { 0 };
	pthread_t adopter;

	ck_assert_int_eq(pthread_barrier_init(&h.barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&adopter, NULL, adopter_thread, &h), 0);
	on_node(1, move_and_free_old, &h);
	ck_assert_int_eq(pthread_join(adopter, NULL), 0);
	pthread_barrier_destroy(&h.barrier);
}
END_TEST

/* ---- Threads that end ---- */

/*
 *	thread on 2, node 2 full:	slab in window 3
 *	its end:			slab -> shelf of 3, not of 2
 *
 * Expect: a slab is shelved where its memory lies, whatever node its thread was on.
 */
START_TEST(exit_shelves_on_the_slabs_node)
{
	void *p;

	fake.refuse_commit = 1u << 2;
	on_node(2, alloc_keep, &p);
	numarena_malloc_trim(0);
	ck_assert_uint_eq(nar_node_of(p), 3);
	ck_assert_uint_eq(owner_of(p), OWNER_SHARD);
	ck_assert_uint_eq(shelf(3)->nr_slabs, 1);
	ck_assert_uint_eq(shelf(2)->nr_slabs, 0);
	numarena_free(p);
}
END_TEST

/*
 *	shelf of 1:	[ p . . . . ]	left by a thread that ended
 *	thread on 0:	a slab of its own
 *	thread on 1:	[ p q . . . ]
 *
 * Expect: a shelf serves the threads of its node alone, and they take what it has
 * before they cut a new slab.
 */
START_TEST(adoption_is_of_the_same_node)
{
	void *p, *far, *q;

	on_node(1, alloc_keep, &p);
	numarena_malloc_trim(0);
	ck_assert_uint_eq(shelf(1)->nr_slabs, 1);
	on_node(0, alloc_keep, &far);
	ck_assert_uint_eq(nar_node_of(far), 0);
	ck_assert_uint_eq(shelf(1)->nr_adopted, 0);
	on_node(1, alloc_keep, &q);
	ck_assert_uint_eq(shelf(1)->nr_adopted, 1);
	ck_assert_uint_eq(nar_slab_around(p), nar_slab_around(q));
	numarena_free(p);
	numarena_free(far);
	numarena_free(q);
}
END_TEST

/* ---- What is refused is told ---- */

/*
 *	mbind, MADV_HUGEPAGE: no	-> first touch, small pages
 *
 * Expect: memory all the same, and statistics that say what it lacks.
 */
START_TEST(refusals_are_reported)
{
	struct numarena_stats before = stats_now(), after;
	void *p;

	/* More than a small program: huge pages are asked for. */
	fake.refuse_bind = fake.refuse_huge = FAKE_ALL_NODES;
	p = numarena_malloc(LARGER);
	ck_assert_ptr_nonnull(p);
	after = stats_now();
	ck_assert_uint_gt(after.bind_refused, before.bind_refused);
	ck_assert_uint_ge(after.huge_refused, before.huge_refused + LARGER / HUGE_BYTES);
	ck_assert_uint_eq(fake_bound_node(p), FAKE_NOT_BOUND);
	numarena_free(p);
}
END_TEST

static void rest(void)
{
	fake.refuse_commit = 0;
	fake.refuse_bind = 0;
	fake.refuse_huge = 0;
}

int main(void)
{
	Suite *suite = suite_create("nodes");
	TCase *tc = tcase_create("four nodes");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, memory_lies_on_the_threads_node);
	tcase_add_test(tc, tables_lie_with_what_they_describe);
	tcase_add_test(tc, full_node_falls_over_to_the_nearest);
	tcase_add_test(tc, no_node_has_memory);
	tcase_add_test(tc, thread_that_moved_gets_an_arena_there);
	tcase_add_test(tc, short_visits_change_nothing);
	tcase_add_test(tc, objects_left_behind_are_freed_remotely);
	tcase_add_test(tc, exit_shelves_on_the_slabs_node);
	tcase_add_test(tc, adoption_is_of_the_same_node);
	tcase_add_test(tc, refusals_are_reported);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
