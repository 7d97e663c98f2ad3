// SPDX-License-Identifier: MIT
/*
 * What a scope captures: the thread's allocations between begin and end.
 *
 *	malloc | begin(CAPTURE) | malloc free realloc ... | end | malloc
 *	heap			  scope			    heap
 */
#include "arena/scope.h"
#include "arena/thread.h"
#include "internal/option.h"

#include "contract.h"

#define SIZE 100
#define ROUNDED 112		/* what SIZE bytes take in a scope */
#define LARGE MIB(3)

static struct numarena_scope *begin(unsigned int flags)
{
	return must_give((void *)numarena_scope_begin("capture", flags));
}

static bool is_captured(const void *p)
{
	return nar_entry_is_scope(nar_entry_of(p));
}

static bool is_hardened(void)
{
	return nar_opt.harden;
}

/* Expect: all names that allocate land in the scope, none before it or after it. */
START_TEST(every_name_is_captured)
{
	struct numarena_scope *s;
	void *p[12], *heap = must_give(numarena_malloc(SIZE));
	size_t nr = 0;

	ck_assert(!is_captured(heap));
	s = begin(NUMARENA_SCOPE_CAPTURE);
	p[nr++] = must_give(numarena_malloc(SIZE));
	p[nr++] = must_give(numarena_malloc(0));
	p[nr++] = must_give(numarena_malloc(MAX_CLASS_BYTES + 1));
	p[nr++] = must_give(numarena_malloc(LARGE));
	p[nr++] = must_give(numarena_calloc(10, 10));
	p[nr++] = must_give(numarena_calloc(10, MIB(1)));
	p[nr++] = must_give(numarena_realloc(NULL, SIZE));
	p[nr++] = must_give(numarena_aligned_alloc(64, SIZE));
	p[nr++] = must_give(numarena_memalign(KIB(4), SIZE));
	p[nr++] = must_give(numarena_aligned_alloc(MIB(2), SIZE));
	ck_assert_int_eq(numarena_posix_memalign(&p[nr++], 32, SIZE), 0);
	p[nr++] = must_give(numarena_scope_alloc(s, SIZE));
	for (size_t i = 0; i < nr; i++)
		expect(is_captured(p[i]), "name %zu is not captured", i);
	ck_assert(is_aligned(p[7], 64) && is_aligned(p[8], KIB(4)) && is_aligned(p[9], MIB(2)) &&
		  is_aligned(p[10], 32));
	ck_assert(is_zero(p[4], 100) && is_zero(p[5], MIB(10)));
	/* What was had before is still freed to the heap. */
	must_keep_errno(numarena_free(heap));
	numarena_scope_end(s);
	heap = must_give(numarena_malloc(SIZE));
	ck_assert(!is_captured(heap));
	numarena_free(heap);
}
END_TEST

/* Expect: objects know their sizes, whoever asks, and wherever they lie. */
START_TEST(sizes_are_known)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	static void *object[3000];

	for (size_t i = 1; i < ARRAY_SIZE(object); i++) {
		object[i] = must_give(i % 3 ? numarena_malloc(i) : numarena_aligned_alloc(64, i));
		stamp(object[i], i, i);
	}
	for (size_t i = 1; i < ARRAY_SIZE(object); i++) {
		size_t usable = numarena_malloc_usable_size(object[i]);

		expect(stamp_is_whole(object[i], i, i), "%zu bytes were overwritten", i);
		expect(usable >= i && usable <= i + i / 8 + 64, "%zu of %zu bytes", usable, i);
	}
	ck_assert_uint_ge(numarena_malloc_usable_size(numarena_malloc(LARGE)), LARGE);
	numarena_scope_end(s);
}
END_TEST

/*
 *	| a | b | c |	free c, b, a	free a, c, b
 *
 * Expect: in the order of a stack memory is had again; in another order as far as the last
 * are freed, and the rest at the end.
 */
START_TEST(last_freed_makes_room)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *a = must_give(numarena_malloc(SIZE)), *b = must_give(numarena_malloc(SIZE));
	char *c = must_give(numarena_malloc(SIZE));

	must_keep_errno(numarena_free(c));
	numarena_free(b);
	numarena_free(a);
	ck_assert_ptr_eq(numarena_malloc(SIZE), a);
	ck_assert_ptr_eq(numarena_malloc(SIZE), b);
	ck_assert_ptr_eq(numarena_malloc(SIZE), c);
	numarena_free(a);
	numarena_free(c);
	ck_assert_ptr_eq(numarena_malloc(2 * SIZE), c);
	numarena_free(b);
	numarena_scope_end(s);
}
END_TEST

/* Expect: the memory of a large object is had again as soon as it is freed. */
START_TEST(large_ones_go_at_once)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *a = must_give(numarena_malloc(LARGE)), *b = must_give(numarena_malloc(LARGE));

	stamp(b, LARGE, 1);
	numarena_free(a);
	ck_assert_ptr_eq(numarena_malloc(LARGE), a);
	ck_assert(stamp_is_whole(b, LARGE, 1));
	numarena_scope_end(s);
}
END_TEST

/*
 *	| a -> grows |		| a | b |  a moves
 *
 * Expect: the last grows where it is; another moves with its content, in the scope still; what
 * shrinks stays.
 */
START_TEST(realloc_works)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *a = must_give(numarena_malloc(SIZE)), *b, *moved;

	stamp(a, SIZE, 1);
	ck_assert_ptr_eq(numarena_realloc(a, 10 * SIZE), a);
	ck_assert_uint_eq(numarena_malloc_usable_size(a), 1008);
	stamp(a, 10 * SIZE, 2);
	b = must_give(numarena_malloc(SIZE));
	stamp(b, SIZE, 3);
	moved = must_give(numarena_realloc(a, 20 * SIZE));
	ck_assert_ptr_ne(moved, a);
	ck_assert(is_captured(moved) && stamp_is_whole(moved, 10 * SIZE, 2) && stamp_is_whole(b, SIZE, 3));
	ck_assert_ptr_eq(numarena_realloc(moved, 1), moved);
	for (size_t size = SIZE; size < LARGE; size *= 2) {
		moved = must_give(numarena_realloc(moved, size));
		stamp(moved, size, size);
		expect(numarena_malloc_usable_size(moved) >= size, "%zu bytes", size);
	}
	ck_assert(stamp_is_whole(b, SIZE, 3));
	numarena_scope_end(s);
}
END_TEST

/*
 *	heap: p | A [ q | B [ p, q grow ] q ] | p
 *
 * Expect: what grows stays where it was allocated, though it moves: it may have to last longer
 * than what captures now.
 */
START_TEST(what_grows_does_not_change_scopes)
{
	void *p = must_give(numarena_malloc(SIZE)), *large = must_give(numarena_malloc(MIB(10))), *q;
	struct numarena_scope *a, *b;

	stamp(p, SIZE, 1);
	stamp(large, MIB(10), 2);
	a = begin(NUMARENA_SCOPE_CAPTURE);
	q = must_give(numarena_malloc(SIZE));
	stamp(q, SIZE, 3);
	must_give(numarena_malloc(SIZE));
	b = begin(NUMARENA_SCOPE_CAPTURE);
	p = must_give(numarena_realloc(p, 10 * SIZE));
	large = must_give(numarena_realloc(large, MIB(100)));
	q = must_give(numarena_realloc(q, 10 * SIZE));
	ck_assert(!is_captured(p) && !is_captured(large));
	ck_assert_ptr_eq(nar_region_at(nar_region_around(q))->scope, a);
	ck_assert_ptr_eq(nar_region_at(nar_region_around(numarena_malloc(SIZE)))->scope, b);
	numarena_scope_end(b);
	ck_assert(stamp_is_whole(q, SIZE, 3));
	numarena_scope_end(a);
	ck_assert(stamp_is_whole(p, SIZE, 1) && stamp_is_whole(large, MIB(10), 2));
	numarena_free(p);
	numarena_free(large);
}
END_TEST

/*
 *	begin | p q r | keep q | end	q
 *
 * Expect: what is kept outlives the scope, aligned as it was, and is the heap's.
 */
START_TEST(kept_objects_outlive_the_scope)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *small = must_give(numarena_malloc(SIZE)), *large = must_give(numarena_malloc(LARGE));
	void *aligned = must_give(numarena_aligned_alloc(64, 256)), *heap;

	stamp(small, SIZE, 1);
	stamp(large, LARGE, 2);
	stamp(aligned, 256, 3);
	small = must_give(numarena_scope_keep(small));
	large = must_give(numarena_scope_keep(large));
	aligned = must_give(numarena_scope_keep(aligned));
	ck_assert_ptr_eq(numarena_scope_keep(small), small);
	must_keep_errno(ck_assert_ptr_null(numarena_scope_keep(NULL)));
	/* It captures still. */
	ck_assert(is_captured(numarena_malloc(SIZE)));
	numarena_scope_end(s);
	heap = must_give(numarena_malloc(SIZE));
	ck_assert_ptr_eq(numarena_scope_keep(heap), heap);
	ck_assert(stamp_is_whole(small, SIZE, 1) && stamp_is_whole(large, LARGE, 2) &&
		  stamp_is_whole(aligned, 256, 3) && is_aligned(aligned, 64));
	ck_assert(!is_captured(small) && !is_captured(large) && !is_captured(aligned));
	numarena_free(small);
	numarena_free(large);
	numarena_free(aligned);
	numarena_free(heap);
}
END_TEST

/*
 *	capture A [ plain B [ malloc ] capture C [ malloc ] malloc ]
 *
 * Expect: the innermost that captures does.
 */
START_TEST(the_innermost_captures)
{
	struct numarena_scope *a = begin(NUMARENA_SCOPE_CAPTURE), *b = begin(0), *c;
	const struct nar_region *r;

	r = nar_region_at(nar_region_around(must_give(numarena_malloc(SIZE))));
	ck_assert_ptr_eq(r->scope, a);
	c = begin(NUMARENA_SCOPE_CAPTURE);
	r = nar_region_at(nar_region_around(must_give(numarena_malloc(SIZE))));
	ck_assert_ptr_eq(r->scope, c);
	numarena_scope_end(c);
	r = nar_region_at(nar_region_around(must_give(numarena_malloc(SIZE))));
	ck_assert_ptr_eq(r->scope, a);
	numarena_scope_end(b);
	numarena_scope_end(a);
	ck_assert(!is_captured(numarena_malloc(SIZE)));
}
END_TEST

/* Expect: what came after the mark can be had again, and what came before keeps its size. */
START_TEST(release_forgets_sizes)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *a = must_give(numarena_malloc(SIZE)), *b;
	size_t mark = numarena_scope_mark(s);

	for (unsigned int round = 0; round < 3; round++) {
		b = must_give(numarena_malloc(10 * SIZE));
		for (unsigned int i = 0; i < 50000; i++)
			expect(numarena_malloc(SIZE), "object %u", i);
		ck_assert_uint_eq(numarena_malloc_usable_size(b), 1008);
		numarena_scope_release(s, mark);
	}
	ck_assert_uint_eq(numarena_malloc_usable_size(a), ROUNDED);
	ck_assert_ptr_eq(numarena_malloc(SIZE), b);
	ck_assert_uint_eq(numarena_malloc_usable_size(b), ROUNDED);
	numarena_scope_end(s);
}
END_TEST

#define NR_FULL 60000u		/* objects that fill some regions */

/* Each has the size that it was asked for, not that of one which was there before. */
static void fill_with(size_t size)
{
	static void *object[NR_FULL];

	for (unsigned int i = 0; i < NR_FULL; i++)
		object[i] = must_give(numarena_malloc(size));
	for (unsigned int i = 0; i < NR_FULL; i++)
		expect(numarena_malloc_usable_size(object[i]) == size, "object %u of %zu", i, size);
}

/*
 *	[ 48 48 48 ... | 48 ... | 48 ... ] reset [ 160 160 ... | 160 ... ] end	-> given back
 *
 * Expect: whole regions that were let go, and what their memory is used for after they have
 * been given back, know nothing of the objects that were there.
 */
START_TEST(let_go_regions_forget_sizes)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);

	fill_with(48);
	numarena_scope_reset(s);
	fill_with(160);
	numarena_scope_end(s);
	s = begin(NUMARENA_SCOPE_CAPTURE);
	fill_with(16);
	numarena_scope_end(s);
	numarena_malloc_trim(0);
	ck_assert_uint_eq(nar_region_bytes(0), 0);
	s = begin(NUMARENA_SCOPE_CAPTURE);
	fill_with(96);
	numarena_scope_end(s);
	numarena_malloc_trim(0);
	/* Slabs, with a bit for each object that is free. */
	for (unsigned int i = 0; i < NR_FULL; i++)
		memset(must_give(numarena_malloc(48)), 1, 48);
}
END_TEST

static void *free_in_thread(void *p)
{
	numarena_free(p);
	return NULL;
}

static void *grow_in_thread(void *p)
{
	return numarena_realloc(p, 10 * SIZE);
}

/*
 *	this thread [ p q r ]	another: free q, realloc r
 *
 * Expect: q is no worse for it; r moves to the other thread's own memory.
 */
START_TEST(other_threads_may_free)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	void *p = must_give(numarena_malloc(SIZE)), *q = must_give(numarena_malloc(SIZE));
	void *r = must_give(numarena_malloc(SIZE)), *large = must_give(numarena_malloc(LARGE)), *moved;
	pthread_t thread;

	stamp(p, SIZE, 1);
	stamp(r, SIZE, 2);
	thread_join(thread_start(free_in_thread, q));
	thread_join(thread_start(free_in_thread, large));
	thread = thread_start(grow_in_thread, r);
	ck_assert_int_eq(pthread_join(thread, &moved), 0);
	ck_assert(!is_captured(moved) && stamp_is_whole(moved, SIZE, 2));
	ck_assert(stamp_is_whole(p, SIZE, 1));
	ck_assert_uint_eq(numarena_malloc_usable_size(p), ROUNDED);
	numarena_scope_end(s);
	ck_assert(stamp_is_whole(moved, SIZE, 2));
	numarena_free(moved);
}
END_TEST

/* Expect: another thread's allocations are its own. */
static void *allocate_in_thread(void *arg)
{
	void *p = numarena_malloc(SIZE);

	*(bool *)arg = is_captured(p);
	numarena_free(p);
	return NULL;
}

START_TEST(other_threads_are_not_captured)
{
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	bool was_captured = true;
	pthread_t thread;

	/* What libc allocates for a thread lasts: not in here. */
	numarena_scope_end(s);
	thread = thread_start(allocate_in_thread, &was_captured);
	thread_join(thread);
	ck_assert(!was_captured);
}
END_TEST

/*
 *	arena | aside | arena
 *
 * Expect: while a scope captures the thread keeps its arena: what it frees goes to its
 * magazines, what it has added is known, and a trim or bind finds it.
 */
START_TEST(the_arena_stands_aside)
{
	void *p = must_give(numarena_malloc(SIZE)), *q = must_give(numarena_malloc(SIZE));
	struct nar_arena *a = nar_arena_own;
	struct numarena_scope *s;

	s = begin(NUMARENA_SCOPE_CAPTURE);
	ck_assert_ptr_null(nar_arena_own);
	ck_assert_ptr_eq(nar_arena_mine(), a);
	numarena_free(p);
	numarena_free(q);
	numarena_malloc_trim(0);
	ck_assert_int_eq(numarena_thread_bind(NUMARENA_NODE_FOLLOW), 0);
	ck_assert_int_ge(numarena_class_add(528), 0);
	numarena_scope_end(s);
	ck_assert_ptr_eq(nar_arena_own, a);
	if (has_arenas())
		ck_assert_uint_eq(numarena_malloc_usable_size(numarena_malloc(520)), 528);
}
END_TEST

/* Expect: in a fork's child the arena is not taken for a lost thread's. */
START_TEST(a_forks_child_has_its_arena)
{
	void *p = must_give(numarena_malloc(SIZE));
	struct numarena_scope *s = begin(NUMARENA_SCOPE_CAPTURE);
	pid_t pid = fork_or_fail();

	if (!pid) {
		struct numarena_stats st;

		numarena_scope_end(s);
		numarena_free(p);
		require(numarena_malloc(SIZE) == p || is_hardened(), "another arena");
		require(!numarena_stats_get(&st, sizeof(st)) && !st.fork_leaked, "an arena was lost");
		_exit(0);
	}
	child_join(pid);
	numarena_scope_end(s);
	numarena_free(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scope_capture");
	TCase *tc = tcase_create("captured");

	tcase_add_test(tc, every_name_is_captured);
	tcase_add_test(tc, sizes_are_known);
	tcase_add_test(tc, last_freed_makes_room);
	tcase_add_test(tc, large_ones_go_at_once);
	tcase_add_test(tc, realloc_works);
	tcase_add_test(tc, what_grows_does_not_change_scopes);
	tcase_add_test(tc, kept_objects_outlive_the_scope);
	tcase_add_test(tc, the_innermost_captures);
	tcase_add_test(tc, release_forgets_sizes);
	tcase_add_test(tc, let_go_regions_forget_sizes);
	tcase_add_test(tc, other_threads_may_free);
	tcase_add_test(tc, other_threads_are_not_captured);
	tcase_add_test(tc, the_arena_stands_aside);
	tcase_add_test(tc, a_forks_child_has_its_arena);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
