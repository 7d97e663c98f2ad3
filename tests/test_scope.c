// SPDX-License-Identifier: MIT
/*
 * Scopes, on the pretend machine of fake_numa.h.
 *
 *	begin | a b c ... | mark | d e f ... | release | ... | end
 */
#include "arena/extent.h"
#include "arena/scope.h"
#include "arena/start.h"

#include "contract.h"
#include "fake_numa.h"

#define SIZE 64
#define MANY 100000		/* objects of SIZE: more than one region holds */
#define LARGE MIB(5)		/* has a region of its own */
#define HOME 2u
#define ELSEWHERE 3u
#define THEIRS 2u

static struct numarena_scope *begin(void)
{
	return must_give((void *)numarena_scope_begin("test", 0));
}

static struct numarena_stats stats(void)
{
	struct numarena_stats s;

	ck_assert_int_eq(numarena_stats_get(&s, sizeof(s)), 0);
	return s;
}

/*
 *	1 | 2 | 3 | ... | 4000
 *
 * Expect: aligned to 16, apart, whole after all are written.
 */
START_TEST(objects_are_aligned_and_apart)
{
	static void *object[4000];
	struct numarena_scope *s = begin();

	for (size_t i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = must_give(numarena_scope_alloc(s, i));
		expect(is_aligned(object[i], 16), "%p of %zu bytes", object[i], i);
		stamp(object[i], i, i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(object); i++)
		expect(stamp_is_whole(object[i], i, i), "%zu bytes were overwritten", i);
	numarena_scope_end(s);
}
END_TEST

/*
 *	| a .......... slice | block | block | ...
 *
 * Expect: a small object with a region of its own, since it is aligned to much, has a slice to
 * itself: no block begins in what it leaves of that, since a free would take it for the scope's.
 */
START_TEST(aligned_objects_share_no_slice)
{
	struct numarena_scope *s = begin();
	char *a = must_give(numarena_scope_aligned_alloc(s, MIB(2), 1));
	static char *block[200];

	for (size_t i = 0; i < ARRAY_SIZE(block); i++) {
		block[i] = must_give(numarena_malloc(KIB(36) + i * KIB(4)));
		expect(block[i] < a || block[i] >= a + SLICE_BYTES, "%p is beside %p",
		       (void *)block[i], (void *)a);
	}
	for (size_t i = 0; i < ARRAY_SIZE(block); i++)
		numarena_free(block[i]);
	numarena_scope_end(s);
}
END_TEST

/* Expect: whatever the first object needs, as large as may share a region, too. */
START_TEST(first_objects_of_any_size)
{
	for (size_t size = 1; size <= MIB(2); size = size * 2 + 1) {
		struct numarena_scope *s = begin();

		numarena_malloc_trim(0);
		stamp(must_give(numarena_scope_aligned_alloc(s, KIB(64), size)), size, size);
		stamp(must_give(numarena_scope_alloc(s, size)), size, size);
		numarena_scope_end(s);
	}
}
END_TEST

/* Expect: an object of no bytes has an address of its own. */
START_TEST(no_bytes_are_one)
{
	struct numarena_scope *s = begin();
	void *a = must_give(numarena_scope_alloc(s, 0)), *b = must_give(numarena_scope_alloc(s, 0));

	ck_assert_ptr_ne(a, b);
	numarena_scope_end(s);
}
END_TEST

START_TEST(alignment_is_as_asked)
{
	struct numarena_scope *s = begin();

	for (size_t alignment = 1; alignment <= MIB(16); alignment *= 2) {
		for (size_t size = 1; size <= MIB(1); size = size * 3 + 1) {
			char *p = must_give(numarena_scope_aligned_alloc(s, alignment, size));

			expect(is_aligned(p, alignment), "%p at %zu", (void *)p, alignment);
			p[0] = p[size - 1] = 1;
		}
	}
	numarena_scope_end(s);
}
END_TEST

/* Expect: zeros where the last user has left something else. */
START_TEST(calloc_zeroes_what_was_used)
{
	struct numarena_scope *s = begin();

	memset(must_give(numarena_scope_alloc(s, KIB(100))), 0xff, KIB(100));
	numarena_scope_reset(s);
	ck_assert(is_zero(must_give(numarena_scope_calloc(s, 100, 1024)), KIB(100)));
	numarena_scope_end(s);
}
END_TEST

/*
 *	a | large | mark b large' c ... | release | b
 *
 * Expect: what came before the mark stays, what came after is had again at the same place;
 * a large object goes with its time, not with its size.
 */
START_TEST(release_goes_back_to_the_mark)
{
	struct numarena_scope *s = begin();
	void *a = must_give(numarena_scope_alloc(s, SIZE)), *large = must_give(numarena_scope_alloc(s, LARGE));
	size_t mark = numarena_scope_mark(s), before = stats().scope_bytes;
	void *b = must_give(numarena_scope_alloc(s, SIZE));

	stamp(a, SIZE, 1);
	stamp(large, LARGE, 2);
	for (unsigned int i = 0; i < MANY; i++)
		expect(numarena_scope_alloc(s, SIZE), "object %u", i);
	stamp(must_give(numarena_scope_alloc(s, LARGE)), LARGE, 3);
	ck_assert_uint_ge(stats().scope_bytes, before + LARGE + MANY * SIZE - NAR_REGION_FIRST_BYTES);
	numarena_scope_release(s, mark);
	ck_assert_uint_eq(numarena_scope_mark(s), mark);
	ck_assert(stamp_is_whole(a, SIZE, 1) && stamp_is_whole(large, LARGE, 2));
	ck_assert_ptr_eq(numarena_scope_alloc(s, SIZE), b);
	numarena_scope_end(s);
}
END_TEST

/* Expect: a mark at which there was nothing, before the first region, releases all. */
START_TEST(first_mark_is_a_reset)
{
	struct numarena_scope *s = begin();
	size_t mark = numarena_scope_mark(s);
	void *first = must_give(numarena_scope_alloc(s, SIZE));

	must_give(numarena_scope_alloc(s, LARGE));
	numarena_scope_release(s, mark);
	ck_assert_uint_eq(numarena_scope_mark(s), 0);
	ck_assert_ptr_eq(numarena_scope_alloc(s, SIZE), first);
	numarena_scope_end(s);
}
END_TEST

/*
 *	a | m1 b | m2 c	release m1, then m2
 *
 * Expect: a mark above what there is releases nothing, however far above.
 */
START_TEST(marks_above_release_nothing)
{
	struct numarena_scope *s = begin();
	size_t m1, m2;
	char *a;

	a = must_give(numarena_scope_alloc(s, SIZE));
	m1 = numarena_scope_mark(s);
	must_give(numarena_scope_alloc(s, SIZE));
	m2 = numarena_scope_mark(s);
	numarena_scope_release(s, m1);
	numarena_scope_release(s, m2);
	numarena_scope_release(s, SIZE_MAX - 15);
	ck_assert_uint_eq(numarena_scope_mark(s), m1);
	ck_assert_ptr_eq(numarena_scope_alloc(s, SIZE), a + SIZE);
	numarena_scope_end(s);
}
END_TEST

/*
 *	region 1 left early | region 2	<- mark in region 1
 *
 * Expect: regions have gaps at their ends where an object did not fit; marks know.
 */
START_TEST(marks_cross_regions)
{
	enum { NR = 64 };
	struct numarena_scope *s = begin();
	size_t marks[NR];
	void *object[NR];

	for (unsigned int i = 0; i < NR; i++) {
		marks[i] = numarena_scope_mark(s);
		object[i] = must_give(numarena_scope_alloc(s, 100000));
		stamp(object[i], 100000, i);
	}
	for (unsigned int i = NR; i--; ) {
		for (unsigned int k = 0; k <= i; k++)
			expect(stamp_is_whole(object[k], 100000, k), "%u after %u", k, i);
		numarena_scope_release(s, marks[i]);
		ck_assert_uint_eq(numarena_scope_mark(s), marks[i]);
	}
	numarena_scope_end(s);
}
END_TEST

/*
 *	outer [ a  inner [ x y ]  b ]
 *
 * Expect: each has memory of its own; an outer one can be used while an inner is open.
 */
START_TEST(scopes_nest)
{
	struct numarena_scope *outer = begin(), *inner;
	void *a = must_give(numarena_scope_alloc(outer, SIZE)), *b, *x;

	stamp(a, SIZE, 1);
	inner = begin();
	x = must_give(numarena_scope_alloc(inner, SIZE));
	stamp(x, SIZE, 2);
	b = must_give(numarena_scope_alloc(outer, SIZE));
	stamp(b, SIZE, 3);
	ck_assert(stamp_is_whole(x, SIZE, 2));
	numarena_scope_end(inner);
	ck_assert(stamp_is_whole(a, SIZE, 1) && stamp_is_whole(b, SIZE, 3));
	numarena_scope_end(outer);
}
END_TEST

/*
 *	1 [ 2 [ 3 [ ... 100 [
 *
 * Expect: more than a batch of structures; the end of the first is the end of all.
 */
START_TEST(outer_end_ends_inner)
{
	struct numarena_scope *first = begin();

	for (unsigned int i = 0; i < 100; i++)
		must_give(numarena_scope_alloc(begin(), SIZE));
	numarena_scope_end(first);
	ck_assert(!nar_scope_is_open());
	ck_assert_uint_eq(stats().nr_scopes, 101);
	numarena_malloc_trim(0);
	ck_assert_uint_eq(stats().scope_bytes, 0);
	ck_assert_uint_ge(stats().scope_peak_bytes, 100 * NAR_REGION_FIRST_BYTES);
}
END_TEST

/*
 *	[ 6 MB ] [ 6 MB ] [ 6 MB ] ...
 *
 * Expect: the same memory each time, none had from the kernel or the extents anew.
 */
START_TEST(ended_scopes_leave_warm_memory)
{
	u32 commits = 0;
	size_t bytes = 0;
	void *first = NULL;

	for (unsigned int round = 0; round < 10; round++) {
		struct numarena_scope *s = begin();
		void *p = must_give(numarena_scope_alloc(s, SIZE));

		for (unsigned int i = 0; i < MANY; i++)
			expect(numarena_scope_alloc(s, SIZE), "object %u", i);
		must_give(numarena_scope_alloc(s, LARGE));
		numarena_scope_end(s);
		if (!round) {
			commits = fake_calls.commit[HOME];
			bytes = stats().scope_bytes;
			first = p;
		}
		ck_assert_ptr_eq(p, first);
	}
	ck_assert_uint_eq(fake_calls.commit[HOME], commits);
	ck_assert_uint_eq(stats().scope_bytes, bytes);
	ck_assert_uint_eq(stats().scope_peak_bytes, bytes);
}
END_TEST

/*
 *	kept: | 256K | 2M | 2M | 2M |	the next scope needs the first
 *
 * Expect: what was not needed for decay_ms is given back by a later end; what is needed stays.
 */
START_TEST(what_is_not_needed_decays)
{
	struct numarena_scope *s = begin();

	for (unsigned int i = 0; i < MANY; i++)
		expect(numarena_scope_alloc(s, SIZE), "object %u", i);
	numarena_scope_end(s);
	ck_assert_uint_ge(stats().scope_bytes, MANY * SIZE);
	for (unsigned int i = 0; i < 100; i++) {
		fake.clock_ms += 100;
		s = begin();
		must_give(numarena_scope_alloc(s, SIZE));
		numarena_scope_end(s);
	}
	ck_assert_uint_eq(stats().scope_bytes, NAR_REGION_FIRST_BYTES);
}
END_TEST

/* Expect: no more is kept than scope_keep says, and none if it says so. */
START_TEST(no_more_is_kept_than_may_be)
{
	struct numarena_scope *s = begin();

	ck_assert_int_eq(numarena_option_set("scope_keep", "3M"), 0);
	for (unsigned int i = 0; i < MANY; i++)
		expect(numarena_scope_alloc(s, SIZE), "object %u", i);
	numarena_scope_end(s);
	ck_assert_uint_le(stats().scope_bytes, MIB(3));
	ck_assert_uint_ge(stats().scope_bytes, MIB(2));
	numarena_malloc_trim(0);
	ck_assert_int_eq(numarena_option_set("scope_keep", "0"), 0);
	s = begin();
	must_give(numarena_scope_alloc(s, SIZE));
	numarena_scope_end(s);
	ck_assert_uint_eq(stats().scope_bytes, 0);
}
END_TEST

/* Expect: what a thread has kept, and what it has open, goes when it ends. */
static void *thread_with_scopes(void *arg)
{
	(void)arg;
	must_give(numarena_scope_alloc(begin(), LARGE));
	numarena_scope_end(begin());
	must_give(numarena_scope_alloc(begin(), SIZE));
	return NULL;
}

START_TEST(a_threads_end_ends_its_scopes)
{
	thread_join(thread_start(thread_with_scopes, NULL));
	ck_assert_uint_eq(stats().nr_scopes, 3);
	ck_assert_uint_eq(stats().scope_bytes, 0);
	ck_assert_uint_eq(stats().large_bytes, 0);
	/* Their structures serve the next thread. */
	thread_join(thread_start(thread_with_scopes, NULL));
	ck_assert_uint_eq(stats().nr_scopes, 6);
}
END_TEST

/* ---- Places ---- */

/*
 *	node 2: scope | move to node 3: the same scope, then another one
 *
 * Expect: a scope stays on its node, the next begin looks where the thread runs; what was
 * kept of the other node is not used here, and is there again.
 */
START_TEST(begin_looks_where_the_thread_runs)
{
	struct numarena_scope *s = begin();
	void *first = must_give(numarena_scope_alloc(s, SIZE)), *p;

	ck_assert_int_eq(numarena_node_of(first), nar_nodes.id[HOME]);
	fake_node = ELSEWHERE;
	p = must_give(numarena_scope_alloc(s, LARGE));
	ck_assert_int_eq(numarena_node_of((char *)p + LARGE / 2), nar_nodes.id[HOME]);
	numarena_scope_end(s);

	s = begin();
	p = must_give(numarena_scope_alloc(s, SIZE));
	ck_assert_int_eq(numarena_node_of(p), nar_nodes.id[ELSEWHERE]);
	ck_assert_uint_eq(fake_bound_node(p), ELSEWHERE);
	numarena_scope_end(s);
	fake_node = HOME;
	s = begin();
	ck_assert_ptr_eq(numarena_scope_alloc(s, SIZE), first);
	numarena_scope_end(s);
}
END_TEST

/* Expect: a thread that is bound to a node has its scopes there. */
START_TEST(bound_threads_have_scopes_there)
{
	struct numarena_scope *s;

	ck_assert_int_eq(numarena_thread_bind(nar_nodes.id[ELSEWHERE]), 0);
	s = begin();
	ck_assert_int_eq(numarena_node_of(numarena_scope_alloc(s, SIZE)), nar_nodes.id[ELSEWHERE]);
	numarena_scope_end(s);
}
END_TEST

/* Expect: memory that was kept under one policy is not used under another. */
START_TEST(policies_are_kept_apart)
{
	struct numarena_scope *s = begin();
	void *ours = must_give(numarena_scope_alloc(s, SIZE)), *theirs;

	numarena_scope_end(s);
	fake_policy = THEIRS;
	s = begin();
	theirs = must_give(numarena_scope_alloc(s, SIZE));
	ck_assert_ptr_ne(theirs, ours);
	ck_assert_uint_eq(nar_extent_policy_at(theirs), THEIRS);
	numarena_scope_end(s);
	fake_policy = POLICY_OURS;
}
END_TEST

/* Expect: what a full node cannot give comes from another; where none can, NULL, and later again. */
START_TEST(full_nodes_and_none)
{
	struct numarena_scope *s = begin();
	size_t mark = numarena_scope_mark(s);
	void *p;

	fake.is_full = 1u << HOME;
	p = must_give(numarena_scope_alloc(s, MIB(40)));
	ck_assert_int_ne(numarena_node_of(p), nar_nodes.id[HOME]);
	fake.is_full = 0;
	fake.refuse_commit = FAKE_ALL_NODES;
	numarena_scope_release(s, mark);
	must_refuse(numarena_scope_alloc(s, MIB(100)), ENOMEM);
	fake.refuse_commit = 0;
	must_give(numarena_scope_alloc(s, MIB(100)));
	numarena_scope_end(s);
}
END_TEST

/* ---- Misuse that is answered ---- */

START_TEST(misuse_is_refused)
{
	struct numarena_scope *s = begin();

	must_refuse(numarena_scope_begin("flags", ~NUMARENA_SCOPE_CAPTURE), EINVAL);
	must_refuse(numarena_scope_alloc(NULL, 1), EINVAL);
	must_refuse(numarena_scope_calloc(NULL, 1, 1), EINVAL);
	must_refuse(numarena_scope_aligned_alloc(NULL, 16, 1), EINVAL);
	must_refuse(numarena_scope_aligned_alloc(s, 0, 1), EINVAL);
	must_refuse(numarena_scope_aligned_alloc(s, 24, 1), EINVAL);
	must_refuse(numarena_scope_aligned_alloc(s, (size_t)1 << 63, 1), ENOMEM);
	must_refuse(numarena_scope_alloc(s, SIZE_MAX), ENOMEM);
	must_refuse(numarena_scope_alloc(s, SIZE_MAX - 14), ENOMEM);
	must_refuse(numarena_scope_alloc(s, (size_t)PTRDIFF_MAX + 1), ENOMEM);
	must_refuse(numarena_scope_alloc(s, PTRDIFF_MAX), ENOMEM);
	must_refuse(numarena_scope_calloc(s, SIZE_MAX / 2, 3), ENOMEM);
	must_keep_errno(numarena_scope_end(NULL));
	must_keep_errno(numarena_scope_reset(NULL));
	must_keep_errno(numarena_scope_release(NULL, 100));
	ck_assert_uint_eq(numarena_scope_mark(NULL), 0);
	must_keep_errno(numarena_scope_end(s));
}
END_TEST

/* Expect: names of any length, and none. */
START_TEST(names_are_cut)
{
	struct numarena_scope *s = must_give((void *)numarena_scope_begin(
		"a name that is longer than the room for it", 0));

	ck_assert_str_eq(s->name, "a name that is longer t");
	numarena_scope_end(s);
	s = must_give((void *)numarena_scope_begin(NULL, 0));
	ck_assert_str_eq(s->name, "");
	numarena_scope_end(s);
}
END_TEST

/*
 *	parent [ a b   fork	child: c ] [ d ]	parent: c' ]
 *
 * Expect: the child goes on with its own copy, the parent with its own.
 */
START_TEST(a_forks_child_has_a_copy)
{
	struct numarena_scope *s = begin();
	char *a = must_give(numarena_scope_alloc(s, SIZE)), *c;
	pid_t pid;

	stamp(a, SIZE, 1);
	pid = fork_or_fail();
	c = numarena_scope_alloc(s, SIZE);
	if (!pid) {
		require(c == a + SIZE && stamp_is_whole(a, SIZE, 1), "the copy differs");
		memset(a, 0, SIZE);
		numarena_scope_end(s);
		s = numarena_scope_begin("child", 0);
		require(s && numarena_scope_alloc(s, SIZE) == a, "no scope in the child");
		numarena_scope_end(s);
		_exit(0);
	}
	child_join(pid);
	ck_assert_ptr_eq(c, a + SIZE);
	ck_assert(stamp_is_whole(a, SIZE, 1));
	numarena_scope_end(s);
}
END_TEST

static void start(void)
{
	fake_node = HOME;
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("scope");
	TCase *tc = tcase_create("scopes");

	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, objects_are_aligned_and_apart);
	tcase_add_test(tc, aligned_objects_share_no_slice);
	tcase_add_test(tc, first_objects_of_any_size);
	tcase_add_test(tc, no_bytes_are_one);
	tcase_add_test(tc, alignment_is_as_asked);
	tcase_add_test(tc, calloc_zeroes_what_was_used);
	tcase_add_test(tc, release_goes_back_to_the_mark);
	tcase_add_test(tc, first_mark_is_a_reset);
	tcase_add_test(tc, marks_above_release_nothing);
	tcase_add_test(tc, marks_cross_regions);
	tcase_add_test(tc, scopes_nest);
	tcase_add_test(tc, outer_end_ends_inner);
	tcase_add_test(tc, ended_scopes_leave_warm_memory);
	tcase_add_test(tc, what_is_not_needed_decays);
	tcase_add_test(tc, no_more_is_kept_than_may_be);
	tcase_add_test(tc, a_threads_end_ends_its_scopes);
	tcase_add_test(tc, begin_looks_where_the_thread_runs);
	tcase_add_test(tc, bound_threads_have_scopes_there);
	tcase_add_test(tc, policies_are_kept_apart);
	tcase_add_test(tc, full_nodes_and_none);
	tcase_add_test(tc, misuse_is_refused);
	tcase_add_test(tc, names_are_cut);
	tcase_add_test(tc, a_forks_child_has_a_copy);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
