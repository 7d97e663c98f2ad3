// SPDX-License-Identifier: MIT
/*
 * Units of one window of the pretend machine, of which the kernel says where they are.
 *
 *	window of node 3
 *	| guard | unit | unit | ...	absent, at home, away, or bound by the program itself
 */
#include "arena/extent.h"
#include "arena/home.h"
#include "arena/start.h"
#include "arena/unit.h"
#include "internal/option.h"
#include "internal/stat.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 3u
#define PLACE ((struct nar_place){ .node = NODE })
#define US (1u << NODE)
#define UNIT ((size_t)PAGES_PER_UNIT)

/* A look waits twice as long each time, 16 times from 10 ms on. */
#define LONGER_MS 400000
#define LOOKS 16

static char *block;

static char *take(size_t nr_units, u8 policy, enum nar_backing backing)
{
	struct nar_place place = { NODE, policy };
	struct nar_want want = { .nr_pages = nr_units * UNIT, .align_pages = UNIT, .backing = backing,
				 .state = EXTENT_LARGE };
	bool is_zero;
	char *p = nar_extent_alloc(place, &want, &is_zero);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void give(void *p)
{
	ck_assert_int_eq(nar_extent_free(p, EXTENT_LARGE), 0);
}

static bool step(void)
{
	fake.clock_ms += 10;
	return nar_home_look(NODE, (u32)nar_clock_ms());
}

static unsigned int nr_moved_in(unsigned int nr_steps)
{
	unsigned int sum = 0;

	while (nr_steps--)
		sum += step();
	return sum;
}

static void check_events(unsigned int elsewhere, unsigned int brought)
{
	ck_assert_uint_eq(nar_node_events[NODE].huge_elsewhere, elsewhere);
	ck_assert_uint_eq(nar_node_events[NODE].huge_brought_home, brought);
}

/*
 *	| home | home | home |
 *
 * Expect: one question for all of them, and none after it.
 */
START_TEST(home_is_asked_for_once)
{
	take(3, 0, BACKING_HUGE);
	ck_assert_uint_eq(nr_moved_in(10), 0);
	ck_assert_uint_eq(fake_calls.ask[NODE], 1);
	ck_assert_uint_eq(fake_calls.asked_pages[NODE], 3);
	ck_assert_uint_eq(nar_pane_of(NODE)->nr_unseen, 0);
	check_events(0, 0);
}
END_TEST

/*
 *	| away | away | away |
 *
 * Expect: a step brings one; all are counted, seen and brought.
 */
START_TEST(one_a_step_is_brought)
{
	take(3, 0, BACKING_HUGE);
	fake.away = US;
	ck_assert(step());
	check_events(3, 1);
	ck_assert_uint_eq(nr_moved_in(2), 2);
	check_events(3, 3);
	ck_assert_uint_eq(nr_moved_in(10), 0);
	ck_assert_uint_eq(fake_calls.enforce[NODE], 3);
}
END_TEST

/*
 *	| away, cannot move | away | away |
 *
 * Expect: the others come all the same, at once; it is tried again, ever more rarely.
 */
START_TEST(one_that_cannot_move)
{
	fake.pinned = take(3, 0, BACKING_HUGE);
	fake.away = US;
	nr_moved_in(4);
	check_events(3, 2);
	ck_assert_uint_le(fake_calls.enforce[NODE], 5);
	fake.pinned = NULL;
	fake.clock_ms += LONGER_MS;
	nr_moved_in(2);
	check_events(3, 3);
}
END_TEST

/*
 *	| away |	no room at home ... room
 *
 * Expect: counted once, not moved, looked at again now and then; once there is room it comes.
 */
START_TEST(full_node_waits_for_room)
{
	take(1, 0, BACKING_HUGE);
	fake.away = US;
	fake.is_full = US;
	ck_assert_uint_eq(nr_moved_in(50), 0);
	check_events(1, 0);
	ck_assert_uint_eq(fake_calls.enforce[NODE], 0);
	ck_assert_uint_le(fake_calls.ask[NODE], 7);	/* 10 + 20 + ... + 640 ms */
	fake.is_full = 0;
	fake.clock_ms += LONGER_MS;
	ck_assert_uint_eq(nr_moved_in(2), 1);
	check_events(1, 1);
}
END_TEST

/*
 *	| absent | ... touched | away |
 *
 * Expect: asked again, ever more rarely, until it is touched.
 */
START_TEST(untouched_is_asked_for_again)
{
	take(1, 0, BACKING_HUGE);
	fake.absent = US;
	ck_assert_uint_eq(nr_moved_in(100), 0);
	ck_assert_uint_ge(fake_calls.ask[NODE], 6);
	ck_assert_uint_le(fake_calls.ask[NODE], 8);
	fake.absent = 0;
	fake.away = US;
	fake.clock_ms += LONGER_MS;
	ck_assert_uint_eq(nr_moved_in(2), 1);
	check_events(1, 1);
}
END_TEST

/* Expect: there is an end to it, and to going through the table. */
START_TEST(untouched_is_given_up)
{
	unsigned int i;

	take(1, 0, BACKING_HUGE);
	fake.absent = US;
	for (i = 0; i < 2 * LOOKS; i++) {
		fake.clock_ms += LONGER_MS;
		step();
	}
	ck_assert_uint_eq(fake_calls.ask[NODE], LOOKS);
	ck_assert_uint_eq(nar_pane_of(NODE)->nr_unseen, 0);
	check_events(0, 0);
}
END_TEST

/*
 *	| the program's own |
 *
 * Expect: what the program has bound itself stays where it is, and is no loss.
 */
START_TEST(bound_by_program_stays)
{
	take(1, 0, BACKING_HUGE);
	fake.theirs = US;
	ck_assert_uint_eq(nr_moved_in(10), 0);
	ck_assert_uint_eq(fake_calls.ask[NODE], 1);
	ck_assert_uint_eq(fake_calls.enforce[NODE], 0);
	check_events(0, 0);
}
END_TEST

/*
 *	| small | another policy's |	strict, interleave, huge:off, node forbidden, refused
 *
 * Expect: nobody asks; where that is refused, once.
 */
START_TEST(others_are_not_asked_for)
{
	take(2, 0, BACKING_SMALL);	/* all there is of its span */
	take(1, 1, BACKING_HUGE);
	fake.away = US;
	step();
	ck_assert_uint_eq(fake_calls.ask[NODE], 0);
	take(1, 0, BACKING_HUGE);
	nar_opt.policy = BIND_STRICT;
	step();
	nar_opt.policy = BIND_INTERLEAVE;
	step();
	nar_opt.policy = BIND_PREFERRED;
	nar_opt.huge = HUGE_OFF;
	step();
	nar_opt.huge = HUGE_AUTO;
	fake.forbid = US;
	nar_nodes_look();
	step();
	fake.forbid = 0;
	nar_nodes_look();
	ck_assert_uint_eq(fake_calls.ask[NODE], 0);
	fake.refuse_ask = US;
	ck_assert_uint_eq(nr_moved_in(10), 0);
	ck_assert_uint_eq(fake_calls.ask[NODE], 1);
	ck_assert(nar_is_missing(MISSING_MOVE_PAGES));
	check_events(0, 0);
}
END_TEST

/*
 *	| home | -> purged -> handed out -> | away |
 *
 * Expect: pages are new and are looked at; without the purge they are the old ones.
 */
START_TEST(new_pages_are_asked_for)
{
	block = take(1, 0, BACKING_HUGE);
	step();
	give(block);
	ck_assert_ptr_eq(take(1, 0, BACKING_HUGE), block);
	fake.away = US;
	ck_assert_uint_eq(nr_moved_in(10), 0);
	give(block);
	ck_assert_uint_eq(nar_unit_purge(NODE, (u32)nar_clock_ms(), SIZE_MAX), 1);
	ck_assert_ptr_eq(take(1, 0, BACKING_HUGE), block);
	ck_assert_uint_eq(nr_moved_in(10), 1);
	check_events(1, 1);
}
END_TEST

static void change_hands(void)
{
	give(block);
	ck_assert_uint_eq(nar_unit_purge(NODE, (u32)nar_clock_ms(), SIZE_MAX), 1);
	ck_assert_ptr_eq(take(1, 0, BACKING_HUGE), block);
	fake.away = US;
}

/*
 *	question: | asked ............................. home |
 *	meanwhile:        | freed | purged | handed out |	then touched: away
 *
 * Expect: the answer is of the past, so the unit is looked at again and brought.
 */
START_TEST(answer_of_the_past)
{
	block = take(1, 0, BACKING_HUGE);
	fake.meanwhile = change_hands;
	ck_assert(!step());
	ck_assert_uint_eq(nr_moved_in(2), 1);
	check_events(1, 1);
}
END_TEST

static void purge_it(void)
{
	give(block);
	ck_assert_uint_eq(nar_unit_purge(NODE, (u32)nar_clock_ms(), SIZE_MAX), 1);
}

/* Expect: what was away and is gone is not counted. */
START_TEST(purged_meanwhile)
{
	block = take(1, 0, BACKING_HUGE);
	fake.away = US;
	fake.meanwhile = purge_it;
	step();
	check_events(0, 0);
	ck_assert_ptr_eq(take(1, 0, BACKING_HUGE), block);
	ck_assert_uint_eq(nr_moved_in(2), 1);
	check_events(1, 1);
}
END_TEST

/*
 *	| 100 units, absent |	64 a question
 *
 * Expect: all are asked for in two steps.
 */
START_TEST(steps_are_bounded)
{
	take(100, 0, BACKING_HUGE);
	fake.absent = US;
	step();
	ck_assert_uint_eq(fake_calls.asked_pages[NODE], 64);
	step();
	ck_assert_uint_eq(fake_calls.asked_pages[NODE], 100);
}
END_TEST

#define GIB_UNITS (GIB(1) / HUGE_BYTES)

/* The first GiB of the pane is at home, and was seen to be; behind it lies one that is absent. */
static char *fill_far(void)
{
	char *far;

	take(GIB_UNITS + 88, 0, BACKING_HUGE);
	nr_moved_in(20);
	ck_assert_uint_eq(fake_calls.asked_pages[NODE], GIB_UNITS + 88);
	far = take(1, 0, BACKING_HUGE);
	ck_assert_uint_ge(nar_page_of(far), (GIB_UNITS + 88) * UNIT);
	fake.absent = US;
	step();
	step();
	ck_assert_uint_eq(fake_calls.asked_pages[NODE], GIB_UNITS + 89);
	fake.absent = 0;
	fake.away = US;
	fake.clock_ms += LONGER_MS;
	return far;
}

/*
 *	| 600 units at home | absent ... then away |	512 units a step
 *
 * Expect: a round goes on where the first step of it found nothing to look at.
 */
START_TEST(round_goes_to_the_end)
{
	fill_far();
	ck_assert_uint_eq(nr_moved_in(2), 1);
	check_events(1, 1);
	ck_assert_uint_eq(nr_moved_in(10), 0);
}
END_TEST

/* Expect: so does a tour. */
START_TEST(tour_goes_to_the_end)
{
	struct nar_home_tour tour;

	fill_far();
	nar_home_begin(&tour, NODE);
	while (!tour.is_end)
		nar_home_look_on(&tour, (u32)nar_clock_ms());
	check_events(1, 1);
}
END_TEST

/*
 *	reserve: | away | away |	handed out later
 *
 * Expect: brought at once and counted; without room not counted before they are handed out.
 */
START_TEST(reserved_is_brought_at_once)
{
	char *p = nar_at(nar_window_offset(NODE) + GUARD_BYTES);

	fake.away = US;
	nar_home_bring(PLACE, p, 2 * HUGE_BYTES);
	check_events(2, 2);
	fake.is_full = US;
	nar_home_bring(PLACE, p, 2 * HUGE_BYTES);
	check_events(2, 2);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

static void start_large(void)
{
	fake.bytes = GIB(2);
	start();
}

int main(void)
{
	Suite *suite = suite_create("home");
	TCase *tc = tcase_create("looks");

	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, home_is_asked_for_once);
	tcase_add_test(tc, one_a_step_is_brought);
	tcase_add_test(tc, one_that_cannot_move);
	tcase_add_test(tc, full_node_waits_for_room);
	tcase_add_test(tc, untouched_is_asked_for_again);
	tcase_add_test(tc, untouched_is_given_up);
	tcase_add_test(tc, bound_by_program_stays);
	tcase_add_test(tc, others_are_not_asked_for);
	tcase_add_test(tc, new_pages_are_asked_for);
	tcase_add_test(tc, answer_of_the_past);
	tcase_add_test(tc, purged_meanwhile);
	tcase_add_test(tc, steps_are_bounded);
	tcase_add_test(tc, reserved_is_brought_at_once);
	suite_add_tcase(suite, tc);
	tc = tcase_create("large");
	tcase_add_checked_fixture(tc, start_large, NULL);
	tcase_add_test(tc, round_goes_to_the_end);
	tcase_add_test(tc, tour_goes_to_the_end);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
