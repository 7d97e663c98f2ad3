// SPDX-License-Identifier: MIT
/*
 * Places: nodes under policies and backings, on the pretend machine of fake_numa.h.
 *
 *	window of node 0:	| ours, small | ours, huge | ours, pool | theirs | ...
 *
 * What is of one kind is never used for another, whatever was freed meanwhile.  Each
 * test wants a process of its own, which Check gives it: windows are empty at first.
 */
#include <errno.h>
#include <numarena.h>
#include <pthread.h>
#include <string.h>

#include "arena/thread.h"
#include "arena/unit.h"
#include "internal/option.h"

#include "fake_numa.h"
#include "tap.h"

#define SIZE 448
#define LARGE MIB(1)
#define UNIT_PAGES ((u32)PAGES_PER_UNIT)

/* A policy that the program has set, by the number it has. */
#define THEIRS 3u

/* What huge:auto takes for a small program's. */
#define GROWN_BYTES MIB(32)

static struct numarena_node_stats node_now(unsigned int node)
{
	struct numarena_node_stats stats;

	ck_assert_int_eq(numarena_node_stats_get(node, &stats, sizeof(stats)), 0);
	return stats;
}

static void *alloc_written(size_t size)
{
	void *p = numarena_malloc(size);

	ck_assert_ptr_nonnull(p);
	memset(p, 0x5a, size);
	return p;
}

struct visit {
	unsigned int node;
	void (*fn)(void);
};

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	fake_node = v->node;
	v->fn();
	return NULL;
}

static void on_node(unsigned int node, void (*fn)(void))
{
	struct visit v = { node, fn };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, visit_thread, &v), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static bool overlaps(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

static u64 slabs_made(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.nr_slabs_made;
}

/* ---- Policies of the program's ---- */

#define NR_BLOCKS 8

/*
 *	default policy:	| 8 blocks of 1 MiB |	freed
 *	then theirs:	8 blocks of 1 MiB	-> elsewhere
 *
 * Expect: no byte of what was freed under the one policy is handed out under the other,
 * nor the other way round, recently freed blocks included; each span is bound as its
 * policy.
 */
START_TEST(large_blocks_keep_their_policy)
{
	static void *ours[NR_BLOCKS], *theirs[NR_BLOCKS];
	unsigned int i, j;

	for (i = 0; i < NR_BLOCKS; i++)
		ours[i] = alloc_written(LARGE);
	for (i = 0; i < NR_BLOCKS; i++)
		numarena_free(ours[i]);
	fake_policy = THEIRS;
	for (i = 0; i < NR_BLOCKS; i++) {
		theirs[i] = alloc_written(LARGE);
		ck_assert_uint_eq(fake_bound_policy(theirs[i]), THEIRS);
		for (j = 0; j < NR_BLOCKS; j++)
			ck_assert(!overlaps(theirs[i], LARGE, ours[j], LARGE));
	}
	for (i = 0; i < NR_BLOCKS; i++)
		numarena_free(theirs[i]);
	fake_policy = POLICY_OURS;
	for (i = 0; i < NR_BLOCKS; i++) {
		ours[i] = alloc_written(LARGE);
		ck_assert_uint_eq(fake_bound_policy(ours[i]), POLICY_OURS);
	}
}
END_TEST

#define NR_OBJECTS 2000

static u32 slice_of(const void *p)
{
	return (u32)(nar_offset(p) >> SLICE_SHIFT);
}

/*
 *	default policy:	slabs of 2000 objects, all freed
 *	then theirs:	magazine	-> as before, it is full of objects
 *			a new slab	-> of a chunk apart, by an arena apart
 *
 * Expect: once a slab is needed the thread goes on with an arena of the policy's heap; what
 * it gets from then on lies in no chunk of the old policy; back under the default policy
 * it comes back to the default heap.  Each switch is counted.
 */
START_TEST(slabs_keep_their_policy)
{
	static void *objects[NR_OBJECTS];
	struct numarena_stats stats;
	unsigned int i;
	u32 unit;

	for (i = 0; i < NR_OBJECTS; i++)
		objects[i] = alloc_written(SIZE);
	unit = slice_of(objects[0]) / (u32)SLICES_PER_UNIT;
	ck_assert_uint_eq(nar_mem.unit[unit].policy, POLICY_OURS);
	for (i = 0; i < NR_OBJECTS; i++)
		numarena_free(objects[i]);
	numarena_malloc_trim(0);
	fake_policy = THEIRS;
	objects[0] = alloc_written(SIZE);
	ck_assert_uint_eq(nar_arena_own->heap->policy, THEIRS);
	ck_assert_uint_eq(nar_mem.unit[slice_of(objects[0]) / SLICES_PER_UNIT].policy, THEIRS);
	ck_assert_uint_eq(fake_bound_policy(objects[0]), THEIRS);
	ck_assert_int_eq(numarena_node_of(objects[0]), -1);
	ck_assert_int_eq(errno, ENODATA);
	numarena_free(objects[0]);
	fake_policy = POLICY_OURS;
	numarena_free(alloc_written(LARGE));
	ck_assert_uint_eq(nar_arena_own->heap->policy, POLICY_OURS);
	numarena_stats_get(&stats, sizeof(stats));
	ck_assert_uint_eq(stats.policy_switches, 2);
}
END_TEST

/*
 *	thread under theirs ends: its slab is shelved
 *	thread under the default policy of the same node wants that class
 *
 * Expect: shelves are apart too.
 */
static void *left_behind;

static void leave_one(void)
{
	fake_policy = THEIRS;
	left_behind = alloc_written(SIZE);
}

static void want_one(void)
{
	void *p = alloc_written(SIZE);

	ck_assert_uint_ne(slice_of(p), slice_of(left_behind));
	ck_assert_uint_eq(nar_mem.unit[slice_of(p) / SLICES_PER_UNIT].policy, POLICY_OURS);
	numarena_free(p);
}

START_TEST(shelves_keep_their_policy)
{
	on_node(2, leave_one);
	on_node(2, want_one);
	numarena_free(left_behind);
}
END_TEST

static void adopt_what_was_left(void)
{
	u64 before;
	void *p;

	numarena_free(alloc_written(SIZE));
	numarena_malloc_trim(0);
	fake_policy = THEIRS;
	before = slabs_made();
	p = alloc_written(SIZE);
	ck_assert_uint_eq(slice_of(p), slice_of(left_behind));
	ck_assert_uint_eq(slabs_made(), before);
	numarena_free(p);
}

/*
 *	thread under theirs ends: its slab is shelved
 *	thread that comes under theirs later wants that class
 *
 * Expect: it has what was left, and no slab is cut.
 */
START_TEST(switched_thread_looks_on_the_shelf)
{
	on_node(2, leave_one);
	on_node(2, adopt_what_was_left);
	numarena_free(left_behind);
}
END_TEST

/* ---- Rooms that are full ---- */

static void alloc_where_there_is_room(void)
{
	void *p = alloc_written(MIB(16));

	ck_assert_uint_eq(nar_node_of(p), 1);
	ck_assert_uint_eq(fake_bound_node(p), 1);
	numarena_free(p);
}

/*
 *	node 0: no room	node 1: room	(near)	node 2, 3: room (far)
 *
 * Expect: what node 0 has not committed yet comes from node 1, bound to it, and node 0
 * counts it.  Where nobody has room it is node 0's again: the kernel may still have some.
 */
START_TEST(no_room_falls_over_in_order)
{
	void *p;

	fake.is_full = 1;
	on_node(0, alloc_where_there_is_room);
	ck_assert_uint_ge(node_now(0).node_fallback, 1);
	ck_assert_uint_eq(node_now(1).node_fallback, 0);
	fake.is_full = FAKE_ALL_NODES;
	p = alloc_written(MIB(20));
	ck_assert_uint_eq(nar_node_of(p), 0);
	numarena_free(p);
	fake.is_full = 0;
}
END_TEST

/*
 *	policy:strict, node 0 full	-> NULL, ENOMEM, as often as it is asked
 *	node 0 has room again		-> memory of node 0
 *
 * Expect: never another node's, each refusal counted, and nothing lost by it: the same
 * pages serve the request that succeeds.
 */
START_TEST(strict_gives_no_other_node)
{
	size_t committed;
	unsigned int i;
	void *p;

	nar_opt.policy = BIND_STRICT;
	p = alloc_written(LARGE);
	ck_assert_int_eq(numarena_node_of(p), 0);
	fake.is_full = 1;
	ck_assert_ptr_null(numarena_malloc(MIB(8)));
	committed = node_now(0).committed_bytes;
	for (i = 0; i < 10; i++) {
		errno = 0;
		ck_assert_ptr_null(numarena_malloc(MIB(8)));
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert_uint_eq(node_now(0).committed_bytes, committed);
	ck_assert_uint_ge(node_now(0).strict_failed, 11);
	ck_assert_uint_eq(node_now(0).large_bytes, LARGE);
	for (i = 1; i < FAKE_NODES; i++)
		ck_assert_uint_eq(node_now(i).committed_bytes, 0);
	ck_assert_ptr_null(numarena_realloc(p, MIB(8)));
	fake.is_full = 0;
	p = numarena_realloc(p, MIB(8));
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(node_now(0).committed_bytes, committed);
	numarena_free(p);
	nar_opt.policy = BIND_PREFERRED;
}
END_TEST

/* Small objects under strict: the magazines run dry, then it is ENOMEM. */
START_TEST(strict_slabs_give_no_other_node)
{
	unsigned int i = 0;
	void *p;

	nar_opt.policy = BIND_STRICT;
	numarena_free(alloc_written(SIZE));
	fake.is_full = 1;
	while ((p = numarena_malloc(SIZE))) {
		ck_assert_uint_eq(nar_node_of(p), 0);
		ck_assert_uint_lt(++i, MIB(4) / SIZE);
	}
	ck_assert_int_eq(errno, ENOMEM);
	fake.is_full = 0;
	p = numarena_malloc(SIZE);
	ck_assert_ptr_nonnull(p);
	nar_opt.policy = BIND_PREFERRED;
}
END_TEST

/* ---- Pools ---- */

#define POOL_UNITS 6

/*
 *	pools of 6 units, huge:hugetlb
 *	blocks of 2 MiB: | 1 .. 6 pool | 7, 8 ordinary, advised huge |
 *
 * Expect: pages of the pool while it has some, then others, each counted; both kinds
 * freed side by side stay apart; what is purged goes back to the pool and is had from
 * there again.
 */
START_TEST(pool_runs_dry)
{
	void *block[8];
	unsigned int i;

	nar_opt.huge = HUGE_HUGETLB;
	fake.pool_units = POOL_UNITS;
	for (i = 0; i < 8; i++) {
		block[i] = alloc_written(HUGE_BYTES);
		ck_assert_uint_eq(nar_mem.unit[nar_offset(block[i]) >> HUGE_SHIFT].backing,
				  i < POOL_UNITS ? BACKING_HUGETLB : BACKING_HUGE);
	}
	ck_assert_uint_eq(fake.pool_units, 0);
	ck_assert_uint_eq(node_now(0).hugetlb_bytes, POOL_UNITS * HUGE_BYTES);
	ck_assert_uint_ge(node_now(0).huge_pool_empty, 1);
	for (i = 0; i < 8; i++)
		numarena_free(block[i]);
	ck_assert_int_eq(numarena_malloc_trim(0), 1);
	ck_assert_uint_eq(fake.pool_units, POOL_UNITS);
	ck_assert_uint_eq(node_now(0).hugetlb_bytes, 0);
	block[0] = alloc_written(HUGE_BYTES);
	ck_assert_uint_eq(nar_mem.unit[nar_offset(block[0]) >> HUGE_SHIFT].backing, BACKING_HUGE);
	block[1] = alloc_written(MIB(8));
	ck_assert_uint_eq(nar_mem.unit[nar_offset(block[1]) >> HUGE_SHIFT].backing, BACKING_HUGETLB);
	nar_opt.huge = HUGE_AUTO;
}
END_TEST

/* ---- Nodes that are not allowed ---- */

static void check_home_is_1(void)
{
	void *p = alloc_written(SIZE);

	ck_assert_int_eq(numarena_node_of(p), 1);
	ck_assert_int_eq(numarena_thread_bind(0), -1);
	ck_assert_int_eq(errno, EINVAL);
	numarena_free(p);
}

/*
 *	cpuset: nodes 1 to 3	thread on a CPU of node 0
 *
 * Expect: memory of node 1, the nearest that is allowed; node 0 cannot be bound to and
 * says that it is not allowed.
 */
START_TEST(forbidden_node_has_a_home_elsewhere)
{
	fake.forbid = 1;
	nar_nodes_look();
	on_node(0, check_home_is_1);
	ck_assert_int_eq(node_now(0).is_allowed, 0);
	ck_assert_int_eq(node_now(1).is_allowed, 1);
	fake.forbid = 0;
	nar_nodes_look();
}
END_TEST

static void *late;

static void take_late(void)
{
	late = alloc_written(MIB(8));
}

/*
 *	looked: all allowed | node 2 is left out	a block on node 2 that needs a span
 *
 * Expect: it comes from the nearest other node, since what cannot be bound now never would
 * be: nothing more is committed on node 2, until it is allowed again.
 */
START_TEST(node_left_out_since_the_last_look)
{
	u64 committed, refused;

	nar_nodes_look();
	committed = node_now(2).committed_bytes;
	refused = node_now(2).bind_refused;
	fake.forbid = 1u << 2;
	on_node(2, take_late);
	ck_assert_int_eq(numarena_node_of(late), 3);
	ck_assert_uint_eq(node_now(2).committed_bytes, committed);
	ck_assert_uint_gt(node_now(2).bind_refused, refused);
	fake.forbid = 0;
	nar_nodes_look();
	on_node(2, take_late);
	ck_assert_int_eq(numarena_node_of(late), 2);
	ck_assert_uint_ge(node_now(2).committed_bytes, committed + MIB(8));
}
END_TEST

/*
 *	huge:hugetlb	looked: all allowed | node 2 is left out	a block on node 2
 *
 * Expect: the same of pages of a pool.  The kernel would take them from any node's.
 */
START_TEST(pool_of_a_node_left_out)
{
	u64 committed, refused;

	nar_opt.huge = HUGE_HUGETLB;
	fake.pool_units = 3 * MIB(8) / HUGE_BYTES;
	nar_nodes_look();
	committed = node_now(2).committed_bytes;
	refused = node_now(2).bind_refused;
	fake.forbid = 1u << 2;
	on_node(2, take_late);
	ck_assert_int_eq(numarena_node_of(late), 3);
	ck_assert_uint_eq(node_now(2).committed_bytes, committed);
	ck_assert_uint_gt(node_now(2).bind_refused, refused);
	fake.forbid = 0;
	nar_nodes_look();
	on_node(2, take_late);
	ck_assert_int_eq(numarena_node_of(late), 2);
	ck_assert_uint_eq(node_now(2).hugetlb_bytes, MIB(8));
	nar_opt.huge = HUGE_AUTO;
}
END_TEST

/* ---- Bound threads ---- */

static void bind_and_look(void)
{
	void *p;

	ck_assert_int_eq(numarena_thread_bind(3), 0);
	p = alloc_written(SIZE);
	ck_assert_int_eq(numarena_node_of(p), 3);
	numarena_free(p);
	p = alloc_written(LARGE);
	ck_assert_int_eq(numarena_node_of(p), 3);
	numarena_free(p);
	ck_assert_int_eq(numarena_thread_bind(NUMARENA_NODE_FOLLOW), 0);
	p = alloc_written(SIZE);
	ck_assert_int_eq(numarena_node_of(p), 1);
	numarena_free(p);
}

/*
 *	thread on node 1: bound to 3	-> memory of 3
 *			  follows again	-> memory of 1
 *
 * Expect: at once, for small objects and large blocks; a node that is not there is EINVAL.
 */
START_TEST(bound_thread_stays_bound)
{
	on_node(1, bind_and_look);
	ck_assert_int_eq(numarena_thread_bind(FAKE_NODES), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(numarena_thread_bind(-2), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* ---- Who frees what ---- */

#define NR_GIVEN 100

static void *given[NR_GIVEN + 1];

static void free_given(void)
{
	unsigned int i;

	for (i = 0; i < NR_GIVEN + 1; i++)
		numarena_free(given[i]);
}

/*
 *	node 0 allocates 100 objects and a block of 1 MiB; node 2 frees them
 *
 * Expect: row 2, column 0 counts 101 frees and their bytes, and nothing else does.
 */
START_TEST(matrix_counts_frees_by_node)
{
	u64 frees[FAKE_NODES][FAKE_NODES], bytes[FAKE_NODES][FAKE_NODES];
	unsigned int i, j;

	for (i = 0; i < NR_GIVEN; i++)
		given[i] = alloc_written(SIZE);
	given[NR_GIVEN] = alloc_written(LARGE);
	on_node(2, free_given);
	ck_assert_int_eq(numarena_remote_matrix(&frees[0][0], &bytes[0][0], FAKE_NODES), 0);
	for (i = 0; i < FAKE_NODES; i++) {
		for (j = 0; j < FAKE_NODES; j++) {
			bool is_it = i == 2 && j == 0;

			ck_assert_uint_eq(frees[i][j], is_it ? NR_GIVEN + 1 : 0);
			ck_assert_uint_eq(bytes[i][j], is_it ? NR_GIVEN * SIZE + LARGE : 0);
		}
	}
	ck_assert_uint_eq(node_now(0).remote_frees_in, NR_GIVEN + 1);
	ck_assert_int_eq(numarena_remote_matrix(NULL, NULL, FAKE_NODES), 0);
	ck_assert_int_eq(numarena_remote_matrix(&frees[0][0], NULL, 1), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* ---- Growing up ---- */

/*
 *	huge:auto: | first blocks, 4 KiB pages | ... 32 MiB ... | huge |
 *
 * Expect: with 32 MiB a node is no small program's: each unit of its first blocks that is
 * in use is made huge, once, and what is free there serves as huge.
 */
START_TEST(small_start_becomes_huge)
{
	void *first = alloc_written(MIB(6) - PAGE_BYTES), *rest;
	u32 unit = (u32)(nar_offset(first) >> HUGE_SHIFT), calls;
	unsigned int node = 0;

	ck_assert_uint_eq(nar_mem.unit[unit].backing, BACKING_SMALL);
	ck_assert(!nar_unit_collapse(node));
	rest = alloc_written(GROWN_BYTES);
	while (nar_unit_collapse(node))
		;
	calls = fake_calls.collapse[node];
	ck_assert_uint_ge(calls, 2);
	ck_assert_uint_eq(nar_mem.unit[unit].backing, BACKING_HUGE);
	ck_assert_uint_eq(node_now(node).collapse_done, calls);
	ck_assert(!nar_unit_collapse(node));
	numarena_free(rest);
	numarena_free(first);
}
END_TEST

/*
 *	blocks: | small, made huge | huge |	fork, free, purge, fork
 *
 * Expect: a unit that became huge is one of those that a fork parts, and no longer is
 * once it has gone back.
 */
START_TEST(forks_count_what_is_huge)
{
	void *first = alloc_written(MIB(6) - PAGE_BYTES), *rest = alloc_written(GROWN_BYTES);
	u64 collapsed, before;

	while (nar_unit_collapse(0))
		;
	collapsed = node_now(0).collapse_done;
	ck_assert_uint_ge(collapsed, 2);
	before = node_now(0).huge_forked;
	nar_unit_note_fork();
	ck_assert_uint_ge(node_now(0).huge_forked - before, collapsed + GROWN_BYTES / HUGE_BYTES);
	ck_assert_uint_le(node_now(0).huge_forked - before, node_now(0).committed_bytes / HUGE_BYTES);
	numarena_free(rest);
	numarena_free(first);
	numarena_malloc_trim(0);
	before = node_now(0).huge_forked;
	nar_unit_note_fork();
	ck_assert_uint_le(node_now(0).huge_forked - before, 1);
}
END_TEST

/* ---- Reserving ---- */

/*
 *	reserve 8 MiB on node 1	-> a thread of node 1 is served from it
 *
 * Expect: all of it on the kind asked for; no commit is made for what fits; trim leaves
 * it; what cannot be had leaves nothing behind.
 */
static void use_reserved(void)
{
	u32 before = fake_calls.commit[1];
	void *p = alloc_written(MIB(4));

	ck_assert_int_eq(numarena_node_of(p), 1);
	ck_assert_uint_eq(fake_calls.commit[1], before);
	numarena_free(p);
}

/* Before anything is committed; page tables need some room too. */
static void refuse_beyond_cgroup(void)
{
	u32 before = fake_calls.commit[1];

	fake.cgroup_room = MIB(8);
	ck_assert_int_eq(numarena_reserve(1, MIB(8), 0), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(numarena_reserve(1, MIB(8), NUMARENA_RESERVE_SMALL), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(fake_calls.commit[1], before);
	ck_assert_int_eq(numarena_reserve(1, MIB(2), 0), (long long)MIB(2));
	fake.cgroup_room = SIZE_MAX;
}

START_TEST(reserved_memory_serves)
{
	u32 purges;

	ck_assert_int_eq(numarena_reserve(1, MIB(8), 0), (long long)MIB(8));
	on_node(1, use_reserved);
	purges = fake_calls.purge[1];
	numarena_malloc_trim(0);
	ck_assert_uint_eq(fake_calls.purge[1], purges);
	ck_assert_int_eq(numarena_reserve(FAKE_NODES, MIB(8), 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(numarena_reserve(1, MIB(8), 8), -1);
	ck_assert_int_eq(errno, EINVAL);
	fake.refuse_commit = 2;
	ck_assert_int_eq(numarena_reserve(1, MIB(32), 0), -1);
	ck_assert_int_eq(errno, ENOMEM);
	fake.refuse_commit = 0;
	refuse_beyond_cgroup();
	fake.pool_units = 2;
	ck_assert_int_eq(numarena_reserve(1, MIB(8), NUMARENA_RESERVE_HUGETLB), (long long)MIB(4));
	ck_assert_uint_eq(node_now(1).huge_pool_empty, 2);
}
END_TEST

static void reserve_where_bound(void)
{
	ck_assert_int_eq(numarena_thread_bind(3), 0);
	ck_assert_int_eq(numarena_reserve(-1, MIB(8), 0), (long long)MIB(8));
	ck_assert_uint_ge(node_now(3).committed_bytes, MIB(8));
	ck_assert_uint_eq(node_now(2).committed_bytes, 0);
}

static void reserve_under_theirs(void)
{
	u32 before;

	fake_policy = THEIRS;
	ck_assert_int_eq(numarena_reserve(-1, MIB(8), 0), (long long)MIB(8));
	before = fake_calls.commit[1];
	numarena_free(alloc_written(MIB(4)));
	ck_assert_uint_eq(fake_calls.commit[1], before);
}

/*
 *	thread on 2, bound to 3, reserves "here"	-> node 3
 *	thread on 1 under a policy of the program's	-> memory of that policy
 *
 * Expect: what is reserved is what the thread that asked for it gets.
 */
START_TEST(reserved_memory_serves_who_asked)
{
	on_node(2, reserve_where_bound);
	on_node(1, reserve_under_theirs);
}
END_TEST

/*
 *	reserve 8 MiB on pages of 4 KiB, use them, grow up
 *
 * Expect: they stay small.
 */
START_TEST(reserved_small_pages_stay_small)
{
	u32 calls;

	ck_assert_int_eq(numarena_reserve(0, MIB(8), NUMARENA_RESERVE_SMALL), (long long)MIB(8));
	alloc_written(MIB(8));
	calls = fake_calls.collapse[0];
	alloc_written(GROWN_BYTES);
	while (nar_unit_collapse(0))
		;
	ck_assert_uint_eq(fake_calls.collapse[0], calls);
}
END_TEST

static void rest(void)
{
	fake.refuse_commit = fake.is_full = fake.forbid = 0;
	fake.pool_units = 0;
	fake_policy = POLICY_OURS;
}

int main(void)
{
	Suite *suite = suite_create("places");
	TCase *tc = tcase_create("four nodes");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, large_blocks_keep_their_policy);
	tcase_add_test(tc, slabs_keep_their_policy);
	tcase_add_test(tc, shelves_keep_their_policy);
	tcase_add_test(tc, switched_thread_looks_on_the_shelf);
	tcase_add_test(tc, no_room_falls_over_in_order);
	tcase_add_test(tc, strict_gives_no_other_node);
	tcase_add_test(tc, strict_slabs_give_no_other_node);
	tcase_add_test(tc, pool_runs_dry);
	tcase_add_test(tc, forbidden_node_has_a_home_elsewhere);
	tcase_add_test(tc, node_left_out_since_the_last_look);
	tcase_add_test(tc, pool_of_a_node_left_out);
	tcase_add_test(tc, bound_thread_stays_bound);
	tcase_add_test(tc, matrix_counts_frees_by_node);
	tcase_add_test(tc, small_start_becomes_huge);
	tcase_add_test(tc, forks_count_what_is_huge);
	tcase_add_test(tc, reserved_memory_serves);
	tcase_add_test(tc, reserved_memory_serves_who_asked);
	tcase_add_test(tc, reserved_small_pages_stay_small);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
