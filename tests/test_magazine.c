// SPDX-License-Identifier: MIT
/*
 * Magazines, and how much they hold.
 *
 *	start      top        end         start + room
 *	| objects  | ........ | ......... |
 */
#include "arena/magazine.h"
#include "arena/start.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 1u
#define PLENTY MIB(64)

static struct nar_mags mags;
static void **slot;
static unsigned int small, large;	/* classes of 64 bytes and of 4 KiB */
static char memory[NAR_MAG_MAX][16];

static void mags_new(void)
{
	ck_assert(nar_start_early());
	slot = nar_meta_alloc(NODE, nar_mags_nr_slots() * sizeof(*slot));
	ck_assert_ptr_nonnull(slot);
	nar_mags_init(&mags, slot);
	small = nar_class_builtin(64);
	large = nar_class_builtin(KIB(4));
}

static unsigned int cap(unsigned int class)
{
	return (unsigned int)(mags.end[class] - mags.start[class]);
}

static void fill(unsigned int class)
{
	unsigned int i;

	for (i = 0; mags.top[class] < mags.end[class]; i++)
		*mags.top[class]++ = memory[i % NAR_MAG_MAX];
}

static bool swing(unsigned int class, size_t budget)
{
	mags.ran_dry[class] = true;
	return nar_mags_wants_more(&mags, class) && nar_mags_try_grow(&mags, class, NODE, budget);
}

/*
 *	| NULL NULL | 0 | 1 | ... | 63 |
 *
 * Expect: the newest first, and NULL below the oldest, again and again.
 */
START_TEST(pops_the_newest)
{
	unsigned int i;

	fill(small);
	ck_assert_uint_eq(nar_mag_nr(&mags, small), NAR_MAG_MAX);
	for (i = NAR_MAG_MAX; i--;)
		ck_assert_ptr_eq(nar_mag_try_pop(&mags, small), memory[i]);
	ck_assert_ptr_null(nar_mag_try_pop(&mags, small));
	ck_assert_ptr_null(nar_mag_try_pop(&mags, small));
	ck_assert_uint_eq(nar_mag_nr(&mags, small), 0);
}
END_TEST

/*
 *	full, full, ...		never dry in between
 *
 * Expect: a thread that only frees is given no more.
 */
START_TEST(only_a_swing_asks_for_more)
{
	ck_assert(!nar_mags_wants_more(&mags, small));
	ck_assert(swing(small, PLENTY));
	ck_assert(!nar_mags_wants_more(&mags, small));
}
END_TEST

/*
 *	| 0 .. 63 |  ->  | 0 .. 63 | .................. |
 *
 * Expect: what was in it is in it, in the same order, with guards below; the room is the
 * node's.
 */
START_TEST(growth_keeps_what_is_there)
{
	unsigned int i;

	fill(small);
	ck_assert(swing(small, PLENTY));
	ck_assert_uint_eq(nar_mag_nr(&mags, small), NAR_MAG_MAX);
	ck_assert_uint_gt(cap(small), NAR_MAG_MAX);
	ck_assert_uint_eq(fake_bound_node(mags.start[small]), NODE);
	for (i = NAR_MAG_MAX; i--;)
		ck_assert_ptr_eq(nar_mag_try_pop(&mags, small), memory[i]);
	ck_assert_ptr_null(nar_mag_try_pop(&mags, small));
	ck_assert_ptr_null(mags.top[small][-2]);
}
END_TEST

/*
 *	64 B: 64 -> 256 -> 1024		4 KiB: 8 -> 32 -> 64
 *
 * Expect: it ends, by number for small objects and by bytes for larger ones.
 */
START_TEST(growth_ends)
{
	while (swing(small, PLENTY))
		ck_assert_uint_le(cap(small), 1024);
	while (swing(large, PLENTY))
		ck_assert_uint_le(cap(large), 64);
	ck_assert_uint_eq(cap(small), 1024);
	ck_assert_uint_eq(cap(large) * KIB(4), KIB(256));
	mags.ran_dry[small] = true;
	ck_assert(!nar_mags_wants_more(&mags, small));
}
END_TEST

/*
 *	budget | 64 B grown ....... | 4 KiB ?
 *
 * Expect: all that was added fits the budget.  What does not is refused and asked for
 * again; once another has shrunk there is room.
 */
START_TEST(budget_is_kept)
{
	size_t budget = (256 - NAR_MAG_MAX) * 64;
	unsigned int first = cap(large);

	ck_assert(swing(small, budget));
	ck_assert_uint_eq(mags.grown_bytes, budget);
	ck_assert(!swing(large, budget));
	ck_assert_uint_eq(cap(large), first);
	ck_assert(nar_mags_wants_more(&mags, large));
	ck_assert_uint_eq(nar_mags_shrink_next(&mags, large), small);
	ck_assert_uint_eq(mags.grown_bytes, 0);
	ck_assert_uint_eq(cap(small), NAR_MAG_MAX);
	ck_assert(!nar_mags_wants_more(&mags, small));
	ck_assert(swing(large, PLENTY));
	/* Nobody else has any. */
	ck_assert_uint_eq(nar_mags_shrink_next(&mags, large), NAR_MAX_CLASSES);
}
END_TEST

/*
 *	grown, shrunk, grown
 *
 * Expect: the slots it had serve again.
 */
START_TEST(room_is_used_again)
{
	void **start;

	ck_assert(swing(small, PLENTY));
	start = mags.start[small];
	ck_assert_uint_eq(nar_mags_shrink_next(&mags, large), small);
	ck_assert(swing(small, PLENTY));
	ck_assert_ptr_eq(mags.start[small], start);
	ck_assert_uint_eq(cap(small), 256);
}
END_TEST

/*
 *	grown, emptied, another thread's
 *
 * Expect: as much room as at first, and a budget of its own.
 */
START_TEST(another_thread_begins_anew)
{
	ck_assert(swing(small, PLENTY));
	mags.ran_dry[large] = true;
	nar_mags_restart(&mags);
	ck_assert_uint_eq(cap(small), NAR_MAG_MAX);
	ck_assert_uint_eq(mags.grown_bytes, 0);
	ck_assert(!nar_mags_wants_more(&mags, large));
	ck_assert_ptr_eq(mags.end[NAR_NR_BUILTIN], mags.start[NAR_NR_BUILTIN]);
}
END_TEST

static void empty(unsigned int class)
{
	while (nar_mag_try_pop(&mags, class))
		;
}

/*
 *	64 B: 1024 slots, two pages and a bit	4 KiB: 32, a part of one
 *
 * Expect: whole pages of what was added read as zeros, what shares pages is as it was, and another
 * thread's magazines work.
 */
START_TEST(pages_of_what_was_added_go_back)
{
	while (swing(small, PLENTY))
		;
	ck_assert(swing(large, PLENTY));
	fill(small);
	fill(large);
	empty(small);
	empty(large);
	ck_assert_ptr_nonnull(mags.start[small][0]);
	nar_mags_give_back(&mags);
	ck_assert_ptr_null(mags.start[small][0]);
	ck_assert_ptr_null(mags.start[small][1000]);
	ck_assert_ptr_nonnull(mags.start[large][0]);
	nar_mags_restart(&mags);
	fill(small);
	ck_assert_uint_eq(nar_mag_nr(&mags, small), NAR_MAG_MAX);
	empty(small);
	ck_assert_uint_eq(nar_mag_nr(&mags, small), 0);
}
END_TEST

/*
 *	new slots, old end, half counted: a fork came between
 *
 * Expect: begun anew, nothing of it is left.
 */
START_TEST(whatever_state_it_is_in)
{
	void **end = mags.end[small];

	ck_assert(swing(small, PLENTY));
	mags.end[small] = end;
	mags.grown_bytes = 1;
	mags.ran_dry[large] = true;
	nar_mags_init(&mags, slot);
	ck_assert_uint_eq(cap(small), NAR_MAG_MAX);
	ck_assert_uint_eq(nar_mag_nr(&mags, small), 0);
	ck_assert_ptr_null(nar_mag_try_pop(&mags, small));
	ck_assert_uint_eq(mags.grown_bytes, 0);
	ck_assert(!nar_mags_wants_more(&mags, large));
	ck_assert(swing(small, PLENTY));
}
END_TEST

/*
 *	class 100, not there yet
 *
 * Expect: no room until it is opened.
 */
START_TEST(added_classes_open_later)
{
	int id;

	ck_assert_ptr_eq(mags.end[NAR_NR_BUILTIN], mags.top[NAR_NR_BUILTIN]);
	ck_assert_ptr_null(nar_mag_try_pop(&mags, NAR_NR_BUILTIN));
	id = nar_class_add(528);
	ck_assert_int_eq(id, NAR_NR_BUILTIN);
	nar_mags_open(&mags, nar_class_count());
	ck_assert_uint_eq(cap(NAR_NR_BUILTIN), nar_class[id].cap);
	ck_assert(swing((unsigned int)id, PLENTY));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("magazine");
	TCase *tc = tcase_create("magazine");

	tcase_add_checked_fixture(tc, mags_new, NULL);
	tcase_add_test(tc, pops_the_newest);
	tcase_add_test(tc, only_a_swing_asks_for_more);
	tcase_add_test(tc, growth_keeps_what_is_there);
	tcase_add_test(tc, growth_ends);
	tcase_add_test(tc, budget_is_kept);
	tcase_add_test(tc, room_is_used_again);
	tcase_add_test(tc, another_thread_begins_anew);
	tcase_add_test(tc, pages_of_what_was_added_go_back);
	tcase_add_test(tc, whatever_state_it_is_in);
	tcase_add_test(tc, added_classes_open_later);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
