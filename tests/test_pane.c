// SPDX-License-Identifier: MIT
/*
 * Panes of one window of the pretend machine: 256, 32, 32 ... MiB, and as many of them in use
 * as it says that the node has CPUs, two.
 *
 *	window of node 3
 *	| pane 0: guard | spans ->		| pane 1: guard | spans ->	...
 *	                ^ first(0)		                ^ first(1)
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "arena/extent.h"
#include "arena/home.h"
#include "arena/pane.h"
#include "arena/span.h"
#include "arena/start.h"
#include "arena/survey.h"
#include "arena/unit.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 3u
#define NEXT_NODE 2u
#define PLACE ((struct nar_place){ .node = NODE })

#define UNIT ((size_t)PAGES_PER_UNIT)
#define SPAN (2 * UNIT)
#define PANE_1 (MIB(32) / PAGE_BYTES - UNIT)	/* pages, less the guard */

static char *first(unsigned int pane)
{
	return nar_page_at(NODE, nar_pane_first(pane) + (u32)UNIT);
}

static char *take_as(size_t nr_pages, enum nar_backing backing)
{
	struct nar_want want = { .nr_pages = nr_pages, .align_pages = 1, .backing = backing,
				 .state = EXTENT_LARGE };
	bool is_zero;

	return nar_extent_alloc(PLACE, &want, &is_zero);
}

static char *take(size_t nr_pages)
{
	char *p = take_as(nr_pages, BACKING_SMALL);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void give(void *p)
{
	ck_assert_int_eq(nar_extent_free(p, EXTENT_LARGE), 0);
}

static int resize(void *p, size_t nr_pages)
{
	struct nar_want want = { .nr_pages = nr_pages, .backing = BACKING_SMALL };

	return nar_extent_resize(p, &want);
}

static struct nar_survey_usage usage(void)
{
	struct nar_survey_usage u;

	nar_survey_usage(NODE, &u);
	return u;
}

static unsigned int pane_of(const void *p)
{
	return nar_pane_at(p)->number;
}

/* ---- Others ---- */

static pthread_barrier_t is_locked;
static u32 is_taken;	/* relaxed */

static void *be_in_the_way(void *arg)
{
	struct nar_lock *lock = arg;
	u32 before;

	nar_lock(lock);
	before = READ_ONCE(lock->nr_contended);
	pthread_barrier_wait(&is_locked);
	while (READ_ONCE(lock->nr_contended) == before && !READ_ONCE(is_taken))
		sched_yield();
	nar_unlock(lock);
	return NULL;
}

/* Another has the lock of pane 0 until somebody waits for it, or the end. */
static pthread_t meeting_begin(void)
{
	pthread_t thread;

	WRITE_ONCE(is_taken, 0);
	pthread_barrier_init(&is_locked, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, be_in_the_way, &nar_pane_of(NODE)->lock), 0);
	pthread_barrier_wait(&is_locked);
	return thread;
}

static void meeting_end(pthread_t thread)
{
	WRITE_ONCE(is_taken, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&is_locked);
}

/* Return: the pane that the caller has got then. */
static unsigned int meet(void) __no_lock_analysis
{
	pthread_t thread = meeting_begin();
	struct nar_pane *x = nar_pane_lock_own(PLACE);

	nar_unlock(&x->lock);
	meeting_end(thread);
	return x->number;
}

static char *take_meeting(size_t nr_pages)
{
	pthread_t thread = meeting_begin();
	char *p = take(nr_pages);

	meeting_end(thread);
	return p;
}

static u32 nr_waits(void)
{
	return READ_ONCE(nar_pane_of(NODE)->lock.nr_contended);
}

/* Having met others too often it takes from pane 1 from then on. */
static char *take_parted(size_t nr_pages)
{
	unsigned int i;

	for (i = 0; i < NAR_PANE_MEETINGS; i++)
		meet();
	return take(nr_pages);
}

static void *take_thread(void *nr_pages)
{
	return take((size_t)nr_pages);
}

/* A thread that has met nobody begins with pane 0. */
static char *take_anew(size_t nr_pages)
{
	pthread_t thread;
	void *p;

	ck_assert_int_eq(pthread_create(&thread, NULL, take_thread, (void *)nr_pages), 0);
	ck_assert_int_eq(pthread_join(thread, &p), 0);
	return p;
}

/* ---- Cases ---- */

/*
 *	pane 0: [ a, its lock held ]	pane 1: [ b ]
 *
 * Expect: who finds the lock busy again and again takes from another pane from then on; what is freed goes
 * where it came from; sums are of both.
 */
START_TEST(busy_pane_is_left)
{
	char *a = take(SPAN), *b = take_parted(10), *c = take(10);

	ck_assert_ptr_eq(a, first(0));
	ck_assert_ptr_eq(b, first(1));
	ck_assert_ptr_eq(c, b + 10 * PAGE_BYTES);
	ck_assert_uint_eq(nar_node_of(b), NODE);
	ck_assert_uint_eq(nar_pane_count(), 2);
	ck_assert_uint_eq(usage().large_bytes, (SPAN + 20) * PAGE_BYTES);
	ck_assert_uint_eq(usage().free_bytes, (SPAN - 20) * PAGE_BYTES);
	ck_assert_uint_eq(nar_window_committed(NODE), 2 * SPAN * PAGE_BYTES);
	ck_assert_uint_eq(nar_window_committed_all(), 2 * SPAN * PAGE_BYTES);
	ck_assert_uint_eq(fake_bound_node(b), NODE);
	give(b);
	give(c);
	ck_assert_ptr_eq(take(SPAN), b);
	give(a);
	ck_assert_uint_eq(nar_pane_of(NODE)->free_pages, SPAN);
}
END_TEST

/* Expect: who meets another now and then stays where it is. */
START_TEST(meetings_are_forgotten)
{
	unsigned int i, k;

	give(take(SPAN));
	for (i = 0; i < 2 * NAR_PANE_MEETINGS; i++) {
		ck_assert_uint_eq(meet(), 0);
		for (k = 0; k < 10; k++)
			give(take(1));
	}
	for (i = 1; i < NAR_PANE_MEETINGS; i++)
		ck_assert_uint_eq(meet(), 0);
	ck_assert_uint_eq(meet(), 1);
}
END_TEST

/*
 *	pane 0: [ free ], its lock held		pane 1: [ full ]
 *
 * Expect: a thread whose pane has less than its share gets more for it and does not wait;
 * unless no more is to be had, or it was reserved for all.
 */
START_TEST(who_has_little_does_not_wait)
{
	u32 before;
	char *a;

	a = take(3 * SPAN);
	take_parted(SPAN);
	give(a);
	before = nr_waits();
	ck_assert_uint_eq(pane_of(take_meeting(SPAN)), 1);
	ck_assert_uint_eq(nr_waits(), before);
	fake.refuse_commit = 1u << NODE;
	ck_assert_ptr_eq(take_meeting(SPAN), a);
	ck_assert_uint_eq(nr_waits(), before + 1);
	fake.refuse_commit = 0;
	fake.is_full = 1u << NODE;
	ck_assert_ptr_eq(take_meeting(SPAN), a + SPAN * PAGE_BYTES);
	ck_assert_uint_eq(nr_waits(), before + 2);
}
END_TEST

START_TEST(reserve_is_waited_for)
{
	void *p;
	u32 before;

	take_parted(SPAN);
	p = nar_span_hold(PLACE, MIB(16), BACKING_SMALL, HUGE_SHIFT);
	nar_span_release(p);
	before = nr_waits();
	ck_assert_ptr_eq(take_meeting(SPAN), p);
	ck_assert_uint_eq(nr_waits(), before + 1);
}
END_TEST

/* Expect: where memory counts before it is touched, nobody maps more while there is some. */
START_TEST(what_counts_is_waited_for)
{
	u32 before;
	char *a;

	a = take(3 * SPAN);
	take_parted(SPAN);
	give(a);
	fake.pages_are_counted = true;
	before = nr_waits();
	ck_assert_ptr_eq(take_meeting(SPAN), a);
	ck_assert_uint_eq(nr_waits(), before + 1);
}
END_TEST

/* Expect: a reserve that came to nothing is not waited for. */
START_TEST(dropped_reserve_is_not_waited_for)
{
	void *p, *q;
	u32 before;

	take_parted(SPAN);
	p = nar_span_hold(PLACE, MIB(16), BACKING_SMALL, HUGE_SHIFT);
	q = nar_span_hold(PLACE, MIB(16), BACKING_SMALL, HUGE_SHIFT);
	nar_span_drop(p);
	ck_assert(nar_pane_of(NODE)->has_reserve);
	nar_span_drop(q);
	ck_assert(!nar_pane_of(NODE)->has_reserve);
	before = nr_waits();
	ck_assert_uint_eq(pane_of(take_meeting(SPAN)), 1);
	ck_assert_uint_eq(nr_waits(), before);
}
END_TEST

/*
 *	pane 0: [ a ][ free ]	pane 1: [ b ][ free ]
 *
 * Expect: before either grows, what is free in the other is used up.
 */
START_TEST(free_memory_serves_all)
{
	char *a = take(SPAN), *b = take_parted(UNIT);
	u32 commits = fake_calls.commit[NODE];

	ck_assert_uint_eq(pane_of(take_anew(UNIT)), 1);
	give(a);
	ck_assert_ptr_eq(take(SPAN), a);
	ck_assert_uint_eq(fake_calls.commit[NODE], commits);
	give(b);
	ck_assert_ptr_eq(take_anew(UNIT / 2), b);
	ck_assert_uint_eq(pane_of(take(UNIT)), 1);
	ck_assert_uint_eq(fake_calls.commit[NODE], commits + 1);
}
END_TEST

/*
 *	pane 1: [ all ]	-> pane 0	and a block that no pane but the first could hold
 *
 * Expect: where a pane ends the first goes on; a block does not grow over the end; when the
 * first is full, too, the next node has the rest.
 */
START_TEST(full_pane_falls_over)
{
	char *all, *more, *rest;

	take_parted(SPAN);
	more = take(PANE_1 + 1);
	ck_assert_uint_eq(pane_of(more), 0);
	all = take(PANE_1 - SPAN);
	ck_assert_uint_eq(pane_of(all), 1);
	ck_assert_int_eq(resize(all, PANE_1 - SPAN + 1), -ENOSPC);
	ck_assert_int_eq(resize(all, PANE_1 - SPAN - 1), 0);
	ck_assert_int_eq(resize(all, PANE_1 - SPAN), 0);
	ck_assert_uint_eq(pane_of(take(10)), 0);
	rest = take(nar_pane_bytes() / PAGE_BYTES - UNIT - ALIGN_UP(PANE_1 + 1, UNIT));
	ck_assert_uint_eq(pane_of(rest), 0);
	ck_assert_uint_eq(nar_node_of(rest), NODE);
	ck_assert_uint_eq(nar_node_of(take(SPAN)), NEXT_NODE);
}
END_TEST

struct search {
	const void *what;
	bool found;
};

static void look_for(void *arg, const void *start, size_t bytes)
{
	struct search *s = arg;

	s->found |= (uintptr_t)s->what - (uintptr_t)start < bytes;
}

/*
 *	pane 0: [ a: 10 ][ free ]	pane 1: [ b: 20 ][ free ]
 *
 * Expect: who walks the window meets all four in order, and past the last nothing; what lies
 * around an address is told in both; pane 1's tables are told as tables.
 */
START_TEST(whole_window_is_surveyed)
{
	char *all = take(SPAN), *b = take_parted(20), *a;
	enum nar_extent_state state;
	struct nar_run runs[8];
	unsigned int nr = 0, n;
	struct search s = { 0 };
	size_t nr_pages;
	void *start;
	u32 page = 0;

	give(all);
	a = take_anew(10);
	while ((n = nar_survey_walk(NODE, &page, &runs[nr], 1)))
		nr += n;
	ck_assert_uint_eq(nr, 4);
	ck_assert_ptr_eq(runs[0].start, a);
	ck_assert_ptr_eq(runs[1].start, a + 10 * PAGE_BYTES);
	ck_assert_ptr_eq(runs[2].start, b);
	ck_assert_uint_eq(runs[2].nr_pages, 20);
	ck_assert_ptr_eq(runs[3].start, b + 20 * PAGE_BYTES);
	page = 0;
	ck_assert_uint_eq(nar_survey_walk(NODE, &page, runs, 8), 2);
	ck_assert_uint_eq(nar_survey_walk(NODE, &page, runs, 8), 2);
	ck_assert_uint_eq(nar_survey_walk(NODE, &page, runs, 8), 0);
	ck_assert(nar_survey_around(b + PAGE_BYTES, &start, &nr_pages, &state));
	ck_assert_ptr_eq(start, b);
	ck_assert(!nar_survey_around(first(1) - PAGE_BYTES, &start, &nr_pages, &state));
	ck_assert(!nar_survey_around(first(2), &start, &nr_pages, &state));
	ck_assert_int_eq(nar_extent_free(first(2), EXTENT_LARGE), -EINVAL);
	ck_assert_uint_eq(nar_window_used(NODE), (size_t)(b - (char *)nar_at(nar_window_offset(NODE))) +
			  SPAN * PAGE_BYTES);
	s.what = nar_extent_at(b);
	nar_meta_each_range(NODE, look_for, &s);
	ck_assert(s.found);
}
END_TEST

/*
 *	pane 0: [ unit, free ]	pane 1: [ unit, free ]
 *
 * Expect: units of either are purged, at most as many as asked for, and counted as due before.
 */
START_TEST(both_are_purged)
{
	char *a = take(SPAN), *b = take_parted(UNIT);

	give(a);
	give(b);
	fake.clock_ms += 100000;
	ck_assert_uint_eq(nar_unit_nr_due(NODE, (u32)nar_clock_ms()), 3);
	ck_assert_uint_eq(nar_unit_purge_due(NODE, (u32)nar_clock_ms(), 2), 2);
	ck_assert_uint_eq(nar_unit_purge_all(NODE), 1);
	ck_assert_uint_eq(nar_unit_purge_all(NODE), 0);
	ck_assert_uint_eq(nar_node_events[NODE].purged_units, 3);
}
END_TEST

/*
 *	pane 0: [ small, full ]	pane 1: [ small, full ]		then the process grows
 *
 * Expect: all that is small in either follows, unit by unit.
 */
START_TEST(both_grow_up)
{
	char *a = take(SPAN), *b = take_parted(SPAN);
	unsigned int i;

	ck_assert(!nar_unit_collapse(NODE));
	ck_assert_ptr_nonnull(take_as(MIB(32) / PAGE_BYTES, BACKING_HUGE));
	for (i = 0; i < 4; i++)
		ck_assert(nar_unit_collapse(NODE));
	ck_assert(!nar_unit_collapse(NODE));
	ck_assert_uint_eq(fake_calls.collapse[NODE], 4);
	ck_assert_uint_eq(nar_kin_of(nar_extent_at(a)).backing, BACKING_HUGE);
	ck_assert_uint_eq(nar_kin_of(nar_extent_at(b)).backing, BACKING_HUGE);
	/* After a fork, with what the large block has touched. */
	ck_assert_uint_eq(nar_unit_recover(NODE), 0);
	ck_assert_uint_eq(fake_calls.collapse[NODE], 4 + 4 + MIB(32) / HUGE_BYTES);
}
END_TEST

/*
 *	pane 0: [ away ]	pane 1: [ away ]
 *
 * Expect: units of either are found elsewhere, one tour looks at all, and brings them home.
 */
START_TEST(both_come_home)
{
	struct nar_home_tour t;
	unsigned int nr_looks = 0;

	ck_assert_ptr_nonnull(take_as(SPAN, BACKING_HUGE));
	take_parted(SPAN);
	ck_assert_ptr_nonnull(take_as(SPAN, BACKING_HUGE));
	fake.away = 1u << NODE;
	for (nar_home_begin(&t, NODE); !t.is_end;)
		nr_looks += nar_home_look_on(&t, (u32)nar_clock_ms());
	ck_assert_uint_ge(nr_looks, 2);
	ck_assert_uint_eq(nar_node_events[NODE].huge_elsewhere, 4);
	ck_assert_uint_eq(nar_node_events[NODE].huge_brought_home, nr_looks);
}
END_TEST

/*
 *	pane 1: [ some ]	reserved: 16 MiB, in pane 0
 *
 * Expect: whatever pane a thread takes from, what is reserved serves it before more is mapped.
 */
START_TEST(reserved_memory_serves_all)
{
	u32 commits;
	void *p;

	take(SPAN);
	take_parted(SPAN);
	p = nar_span_hold(PLACE, MIB(16), BACKING_SMALL, HUGE_SHIFT);
	ck_assert_uint_eq(pane_of(p), 0);
	nar_span_release(p);
	commits = fake_calls.commit[NODE];
	ck_assert_ptr_eq(take(MIB(16) / PAGE_BYTES), p);
	ck_assert_uint_eq(fake_calls.commit[NODE], commits);
}
END_TEST

/*
 *	pane 1: [ some ]	reserved: 32 MiB, in pane 0
 *
 * Expect: so it does a block that wants room to grow.
 */
START_TEST(reserved_memory_is_room)
{
	struct nar_want want = { .nr_pages = UNIT, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	bool is_zero;
	size_t had;
	void *p;

	take_parted(SPAN);
	p = nar_span_hold(PLACE, MIB(32), BACKING_SMALL, HUGE_SHIFT);
	nar_span_release(p);
	had = nar_window_committed(NODE);
	ck_assert_ptr_eq(nar_extent_try_alloc_roomy(PLACE, &want, &is_zero), p);
	ck_assert_uint_eq(nar_window_committed(NODE), had);
}
END_TEST

/* Steps enough for a look at all, and to bring home one after the other. */
static void look_home(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		fake.clock_ms += 1000;
		nar_home_look(NODE, (u32)nar_clock_ms());
	}
}

/*
 *	pane 0: [ a, at home ]	pane 1: [ b, at home ]		b's pages move to a
 *
 * Expect: what is touched next in either is looked at again, in both panes.
 */
START_TEST(moved_pages_are_looked_for_in_both)
{
	char *a = take_as(SPAN, BACKING_HUGE), *b;

	take_parted(SPAN);
	b = take_as(SPAN, BACKING_HUGE);
	ck_assert_uint_eq(pane_of(a), 0);
	ck_assert_uint_eq(pane_of(b), 1);
	look_home();
	ck_assert_uint_eq(nar_pane_at(a)->nr_unseen, 0);
	ck_assert_uint_eq(nar_pane_at(b)->nr_unseen, 0);
	nar_extent_try_move(b, a, SPAN);
	fake.away = 1u << NODE;
	look_home();
	ck_assert_uint_eq(nar_node_events[NODE].huge_elsewhere, 4);
}
END_TEST

/*
 *	pane 1: [ full, to its end ]	and a block that wants room
 *
 * Expect: no memory is had for the sake of room where it would not be looked for.
 */
START_TEST(full_pane_makes_no_room)
{
	struct nar_want want = { .nr_pages = UNIT, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	size_t had;
	bool is_zero;

	take_parted(SPAN);
	ck_assert_uint_eq(pane_of(take(PANE_1 - SPAN)), 1);
	had = nar_window_committed(NODE);
	ck_assert_ptr_null(nar_extent_try_alloc_roomy(PLACE, &want, &is_zero));
	ck_assert_uint_eq(nar_window_committed(NODE), had);
}
END_TEST

/*
 *	node 3: no CPU; two threads meet at its pane 0
 *
 * Expect: it has as many panes as threads that run at once may need, wherever they run.
 */
START_TEST(node_without_cpus_has_panes)
{
	fake.no_cpus = 1u << NODE;
	take(SPAN);
	ck_assert_uint_eq(pane_of(take_parted(10)), 1);
	ck_assert_uint_eq(nar_pane_count(), 2);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
	ck_assert_uint_eq(nar_pane_bytes(), MIB(256));
	ck_assert_uint_eq(nar_pane_count(), 1);
}

int main(void)
{
	Suite *suite = suite_create("pane");
	TCase *tc = tcase_create("panes of a window");

	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, busy_pane_is_left);
	tcase_add_test(tc, meetings_are_forgotten);
	tcase_add_test(tc, who_has_little_does_not_wait);
	tcase_add_test(tc, reserve_is_waited_for);
	tcase_add_test(tc, what_counts_is_waited_for);
	tcase_add_test(tc, dropped_reserve_is_not_waited_for);
	tcase_add_test(tc, free_memory_serves_all);
	tcase_add_test(tc, full_pane_falls_over);
	tcase_add_test(tc, whole_window_is_surveyed);
	tcase_add_test(tc, both_are_purged);
	tcase_add_test(tc, both_grow_up);
	tcase_add_test(tc, both_come_home);
	tcase_add_test(tc, reserved_memory_serves_all);
	tcase_add_test(tc, reserved_memory_is_room);
	tcase_add_test(tc, moved_pages_are_looked_for_in_both);
	tcase_add_test(tc, full_pane_makes_no_room);
	tcase_add_test(tc, node_without_cpus_has_panes);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
