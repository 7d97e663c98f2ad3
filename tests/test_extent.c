// SPDX-License-Identifier: MIT
/*
 * Extents of one window of the pretend machine, in which nobody else allocates.
 *
 *	window of node 3
 *	| guard, 2 MiB | first span, 4 MiB | next span ... -> end
 *	               ^ first page (FIRST), a unit's start
 *
 * Spans are of 1024 pages, two units, until a lot is committed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arena/survey.h"
#include "arena/start.h"
#include "arena/unit.h"
#include "internal/stat.h"

#include "fake_numa.h"
#include "rng.h"
#include "tap.h"

#define NODE 3u
#define PLACE ((struct nar_place){ .node = NODE })
#define NEXT_NODE 2u

#define UNIT ((size_t)PAGES_PER_UNIT)
#define SPAN (2 * UNIT)
#define FIRST ((char *)nar_at(nar_window_offset(NODE) + GUARD_BYTES))

static bool was_zero;		/* what the last take() was told */

static char *take_as(size_t nr_pages, size_t align_pages, enum nar_backing backing)
{
	was_zero = false;
	return nar_extent_alloc(PLACE, &(struct nar_want){ .nr_pages = nr_pages, .align_pages = align_pages,
				.backing = backing, .state = EXTENT_LARGE }, &was_zero);
}

static char *take(size_t nr_pages)
{
	char *p = take_as(nr_pages, 1, BACKING_SMALL);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void give(void *p)
{
	ck_assert_int_eq(nar_extent_free(p, EXTENT_LARGE), 0);
}

static char *first_page(size_t page)
{
	return FIRST + page * PAGE_BYTES;
}

static void check_extent(const char *p, size_t nr_pages, enum nar_extent_state state)
{
	enum nar_extent_state found = EXTENT_NONE;
	size_t found_pages = 0;
	void *start = NULL;

	ck_assert(nar_survey_around(p, &start, &found_pages, &found));
	ck_assert_ptr_eq(start, p);
	ck_assert_uint_eq(found_pages, nr_pages);
	ck_assert_uint_eq(found, state);
}

/* No lock: the test may have it. */
static void check_state(const char *p, enum nar_extent_state state)
{
	ck_assert_uint_eq(nar_pane_of(NODE)->table[nar_page_of(p)].state, state);
}

static struct nar_survey_usage usage(void)
{
	struct nar_survey_usage u;

	nar_survey_usage(NODE, &u);
	return u;
}

static u32 now(void)
{
	return (u32)nar_clock_ms();
}

static int resize(void *p, size_t nr_pages)
{
	struct nar_want want = { .nr_pages = nr_pages, .backing = BACKING_SMALL };

	return nar_extent_resize(p, &want);
}

/* ---- Room to grow ---- */

static char *take_roomy(size_t nr_pages)
{
	struct nar_want want = { .nr_pages = nr_pages, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	bool zero;
	char *p = nar_extent_try_alloc_roomy(PLACE, &want, &zero);

	ck_assert_ptr_nonnull(p);
	return p;
}

/*
 *	| a ...... 4 units free ..... |		a has grown often
 *	| a ...... | b ............. |
 *
 * Expect: the first at the start of what is largest, the second in the middle of the rest,
 * so that both grow in place.
 */
START_TEST(what_grows_has_room)
{
	char *a, *b;

	give(take(4 * UNIT));
	a = take_roomy(10);
	ck_assert_ptr_eq(a, FIRST);
	nar_extent_inherit_growth(a, NAR_GROWS);
	ck_assert_uint_eq(nar_extent_nr_grown(a), NAR_GROWS + 1);
	b = take_roomy(10);
	ck_assert_uint_ge((size_t)(b - a) / PAGE_BYTES, UNIT);
	ck_assert_int_eq(resize(a, UNIT), 0);
	ck_assert_int_eq(resize(b, UNIT), 0);
	ck_assert_uint_eq(nar_extent_nr_grown(b), 1);
	check_extent(a, UNIT, EXTENT_LARGE);
	check_extent(b, UNIT, EXTENT_LARGE);
}
END_TEST

/*
 *	b behind a, which has not grown before
 *
 * Expect: no gap is left for it.
 */
START_TEST(what_stays_needs_no_room)
{
	char *a;

	give(take(4 * UNIT));
	a = take_roomy(10);
	ck_assert_ptr_eq(take_roomy(10), a + 10 * PAGE_BYTES);
}
END_TEST

/*
 *	2 MiB wanted, nothing committed; then as much beside it
 *
 * Expect: memory is had for the sake of room, for both at once.
 */
START_TEST(room_is_made)
{
	char *a = take_roomy(UNIT), *b;
	size_t had = usage().committed_bytes[BACKING_SMALL];

	ck_assert_uint_ge(had, 8 * UNIT * PAGE_BYTES);
	nar_extent_inherit_growth(a, NAR_GROWS);
	b = take_roomy(UNIT);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], had);
	ck_assert_int_eq(resize(a, 3 * UNIT), 0);
	ck_assert_int_eq(resize(b, 3 * UNIT), 0);
}
END_TEST

/*
 *	2 MiB wanted, nothing committed, and what is not touched counts against a limit
 *
 * Expect: no memory for the sake of room.
 */
START_TEST(room_is_not_made_where_it_counts)
{
	struct nar_want want = { .nr_pages = UNIT, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	bool zero;

	fake.pages_are_counted = true;
	ck_assert_ptr_null(nar_extent_try_alloc_roomy(PLACE, &want, &zero));
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], 0);
}
END_TEST

/*
 *	[ a ][ b ... the window's end
 *
 * Expect: what lies last grows with the window and is not moved; what does not lie last
 * does not.
 */
START_TEST(the_last_grows_with_the_window)
{
	char *a = take(UNIT), *b = take(UNIT);

	ck_assert_int_eq(resize(a, 2 * SPAN), -ENOSPC);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], SPAN * PAGE_BYTES);
	ck_assert_int_eq(resize(b, 3 * SPAN), 0);
	check_extent(b, 3 * SPAN, EXTENT_LARGE);
	ck_assert_uint_ge(usage().committed_bytes[BACKING_SMALL], 3 * SPAN * PAGE_BYTES);
}
END_TEST

/*
 *	[ small ][ free, small ][ free, huge ]
 *
 * Expect: what has outgrown small pages takes both and counts as huge; what is huge takes
 * nothing small.
 */
START_TEST(small_grows_into_huge)
{
	struct nar_want want = { .nr_pages = SPAN + UNIT, .backing = BACKING_HUGE };
	char *a = take(UNIT);

	ck_assert_int_eq(nar_extent_resize(a, &want), 0);
	check_extent(a, SPAN + UNIT, EXTENT_LARGE);
	ck_assert_uint_eq(nar_kin_of(&nar_pane_of(NODE)->table[nar_page_of(a)]).backing, BACKING_HUGE);
	ck_assert_uint_gt(usage().committed_bytes[BACKING_HUGE], 0);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], SPAN * PAGE_BYTES);
}
END_TEST

/*
 *	a was freed, b is behind it; near: a
 *
 * Expect: the place that something has grown in is had again, from a free extent's start
 * or from the middle of the largest, and not if there is no room behind.
 */
START_TEST(the_same_place_again)
{
	struct nar_want want = { .nr_pages = 10, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	char *first = take(10), *a = take(100), *b = take(10);
	bool zero;

	want.near = a;
	ck_assert_ptr_null(nar_extent_try_alloc_near(PLACE, &want, &zero));
	give(a);
	ck_assert_ptr_eq(nar_extent_try_alloc_near(PLACE, &want, &zero), a);
	want.nr_pages = 50;
	want.near = a + 10 * PAGE_BYTES;
	ck_assert_ptr_null(nar_extent_try_alloc_near(PLACE, &want, &zero));
	give(a);
	give(b);
	give(first);
	want.near = a;
	ck_assert_ptr_eq(nar_extent_try_alloc_near(PLACE, &want, &zero), a);
}
END_TEST

/*
 *	128 MiB wanted, nothing committed
 *
 * Expect: for so much no memory is had for the sake of room.
 */
START_TEST(room_is_not_made_for_much)
{
	struct nar_want want = { .nr_pages = 64 * UNIT, .align_pages = 1, .backing = BACKING_SMALL,
				 .state = EXTENT_LARGE };
	bool zero;

	ck_assert_ptr_null(nar_extent_try_alloc_roomy(PLACE, &want, &zero));
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], 0);
}
END_TEST

/* ---- Given back while the lock is held ---- */

/*
 *	[ a ][ b ][ rest free ]		the window is locked: a, b freed; unlocked
 *
 * Expect: neither waits, a second free fails at once; the holder's unlock brings both home,
 * and so does whoever has the lock next.
 */
START_TEST(who_frees_does_not_wait)
{
	struct nar_pane *x = nar_pane_of(NODE);
	char *a = take(10), *b = take(10), *c = take(10);

	nar_lock(&x->lock);
	give(a);
	give(b);
	ck_assert_int_eq(nar_extent_free(a, EXTENT_LARGE), -EINVAL);
	check_state(a, EXTENT_GIVEN);
	check_state(b, EXTENT_GIVEN);
	nar_pane_unlock(x);
	check_extent(a, 20, EXTENT_FREE);
	nar_lock(&x->lock);
	give(c);
	nar_unlock(&x->lock);
	check_state(c, EXTENT_GIVEN);
	ck_assert_uint_eq(usage().large_bytes, 0);
	check_extent(a, SPAN, EXTENT_FREE);
}
END_TEST

/* ---- Best fit ---- */

/*
 *	pages	10   1   6   1   10   1   6   1
 *		free |  free |  free  |  free |  rest free
 *		 a       b        c       d
 *
 * Expect: the smallest hole that will do, of equals the lowest.
 */
START_TEST(smallest_hole_then_lowest)
{
	char *a = take(10), *b, *c, *d;

	take(1);
	b = take(6);
	take(1);
	c = take(10);
	take(1);
	d = take(6);
	take(1);
	ck_assert_ptr_eq(a, FIRST);
	give(d);
	give(c);
	give(b);
	give(a);
	ck_assert_ptr_eq(take(5), b);
	ck_assert_ptr_eq(take(6), d);
	ck_assert_ptr_eq(take(8), a);
	ck_assert_ptr_eq(take(9), c);
	ck_assert_ptr_eq(take(1), b + 5 * PAGE_BYTES);
}
END_TEST

/*
 *	[ a ][ b ][ c ][ d ][  rest free  ]
 *
 * Expect: freed extents join a free neighbour on the left, on the right and on both
 * sides; the last leaves one free extent, the span.
 */
START_TEST(free_neighbours_join)
{
	char *a = take(3), *b = take(4), *c = take(5), *d = take(6);

	give(b);
	check_extent(b, 4, EXTENT_FREE);
	give(a);			/* b is on its right */
	check_extent(a, 7, EXTENT_FREE);
	give(d);			/* the rest is on its right */
	check_extent(d, SPAN - 12, EXTENT_FREE);
	give(c);			/* both */
	check_extent(a, SPAN, EXTENT_FREE);
	ck_assert_uint_eq(usage().free_bytes, SPAN * PAGE_BYTES);
	ck_assert_uint_eq(usage().large_bytes, 0);
}
END_TEST

/*
 *	[ a: small pages, a span ][ b: huge pages, a span ]	both free
 *
 * Expect: they stay two, since a block of both kinds would be of neither; either serves
 * who wants the other before memory grows.
 */
START_TEST(backings_do_not_mix)
{
	char *a = take(SPAN), *b = take_as(SPAN, 1, BACKING_HUGE);
	u32 commits = fake_calls.commit[NODE];

	ck_assert_ptr_eq(b, a + SPAN * PAGE_BYTES);
	ck_assert_uint_eq(fake_calls.huge[NODE], 1);
	give(a);
	give(b);
	check_extent(a, SPAN, EXTENT_FREE);
	check_extent(b, SPAN, EXTENT_FREE);
	ck_assert_ptr_eq(take_as(SPAN, 1, BACKING_HUGE), b);
	ck_assert_ptr_eq(take_as(SPAN, 1, BACKING_HUGE), a);
	ck_assert_uint_eq(fake_calls.commit[NODE], commits);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_SMALL], SPAN * PAGE_BYTES);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_HUGE], SPAN * PAGE_BYTES);
}
END_TEST

/*
 *	alignment	1, 2, 4, ... pages to two units
 *
 * Expect: each is kept, with pages taken between to make it matter; all of it comes
 * back as free runs.
 */
START_TEST(alignment_is_kept)
{
	char *block[16], *odd[16];
	size_t align, i, nr = 0;

	for (align = 1; align <= 2 * UNIT; align *= 2, nr++) {
		odd[nr] = take(1);
		block[nr] = take_as(3, align, BACKING_SMALL);
		ck_assert_ptr_nonnull(block[nr]);
		ck_assert_uint_eq((uintptr_t)block[nr] % (align * PAGE_BYTES), 0);
		ck_assert_uint_eq(nar_extent_pages(block[nr], EXTENT_LARGE), 3);
	}
	for (i = 0; i < nr; i++) {
		give(block[i]);
		give(odd[i]);
	}
	check_extent(FIRST, nar_window_committed(NODE) / PAGE_BYTES, EXTENT_FREE);
}
END_TEST

/*
 *	[ block ]	freed twice, from inside, in another state
 *
 * Expect: only its start, in the state it is in, is taken back; and once.
 */
START_TEST(only_what_was_given_is_taken_back)
{
	char *p = take(4);

	ck_assert_int_eq(nar_extent_free(p, EXTENT_CHUNK), -EINVAL);
	ck_assert_int_eq(nar_extent_free(p + PAGE_BYTES, EXTENT_LARGE), -EINVAL);
	ck_assert_int_eq(nar_extent_free(p + 16, EXTENT_LARGE), -EINVAL);
	ck_assert(!nar_extent_try_mark(p, EXTENT_RECENT, EXTENT_LARGE));
	ck_assert(nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_RECENT));
	ck_assert_int_eq(nar_extent_free(p, EXTENT_LARGE), -EINVAL);
	ck_assert_int_eq(nar_extent_free(p, EXTENT_RECENT), 0);
	ck_assert_int_eq(nar_extent_free(p, EXTENT_RECENT), -EINVAL);
	ck_assert_uint_eq(nar_extent_pages(p, EXTENT_LARGE), 0);
}
END_TEST

/* ---- Zeros ---- */

/*
 *	unit 0	[ 10 used, free ][ never touched ... ]	unit 1 [ never touched ]
 *
 * Expect: "zero" is said of what nobody had, not of what somebody had, and not of a
 * block that begins in the one and ends in the other.
 */
START_TEST(zeros_are_known)
{
	char *a = take(10), *b;

	ck_assert(was_zero);
	b = take(5);
	ck_assert(was_zero);
	memset(a, 1, 10 * PAGE_BYTES);
	give(a);
	ck_assert_ptr_eq(take(10), a);
	ck_assert(!was_zero);
	give(a);
	give(b);
	ck_assert_ptr_eq(take(20), a);
	ck_assert(!was_zero);
	ck_assert_ptr_eq(take_as(UNIT, UNIT, BACKING_SMALL), first_page(UNIT));
	ck_assert(was_zero);
}
END_TEST

/*
 *	unit 0		unit 1		unit 2
 *	[ a, free at 0 ][ b, free at 50 ms ][ c in use | never used ]
 *
 * Expect: purge takes what is free, whole and old enough: a alone, then b, never the
 * unit c lies in; what was purged reads as zeros and is known to.
 */
START_TEST(whole_stale_units_are_purged)
{
	char *a = take(UNIT), *b = take(UNIT), *c = take(1);
	u32 start = now();

	memset(a, 1, UNIT * PAGE_BYTES);
	memset(b, 2, UNIT * PAGE_BYTES);
	*c = 3;
	give(a);
	fake.clock_ms += 50;
	give(b);
	ck_assert_uint_eq(nar_unit_purge(NODE, start - 1, SIZE_MAX), 0);
	ck_assert_uint_eq(nar_unit_purge(NODE, start + 49, SIZE_MAX), 1);
	ck_assert_int_eq(*a, 0);
	ck_assert_int_eq(*b, 2);
	ck_assert_uint_eq(nar_unit_purge(NODE, start + 50, SIZE_MAX), 1);
	ck_assert_int_eq(*b, 0);
	ck_assert_int_eq(*c, 3);
	ck_assert_uint_eq(nar_unit_purge(NODE, start + 1000, SIZE_MAX), 0);
	ck_assert_uint_eq(nar_node_events[NODE].purged_units, 2);
	ck_assert_ptr_eq(take(2 * UNIT), a);
	ck_assert(was_zero);
}
END_TEST

/*
 *	[ 4 units, free ]	at most 3 at a time
 *
 * Expect: the bound holds, and the rest is for the next time.
 */
START_TEST(purge_is_bounded)
{
	char *p = take(4 * UNIT);

	give(p);
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), 3), 3);
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), 3), 1);
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), 3), 0);
}
END_TEST

/*
 *	[ a, free, locked into memory by the program ]
 *
 * Expect: a refused purge says so by 0, leaves the bytes, and nobody takes them for
 * zeros; later it may succeed.
 */
START_TEST(refused_purge_changes_nothing)
{
	char *a = take(UNIT);

	memset(a, 1, UNIT * PAGE_BYTES);
	give(a);
	fake.refuse_purge = 1u << NODE;
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 0);
	ck_assert_uint_eq(fake_calls.purge[NODE], 1);
	ck_assert_uint_eq(nar_node_events[NODE].purged_units, 0);
	ck_assert_int_eq(*a, 1);
	ck_assert_ptr_eq(take(UNIT), a);
	ck_assert(!was_zero);
	give(a);
	fake.refuse_purge = 0;
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 1);
	ck_assert_int_eq(*a, 0);
}
END_TEST

/* ---- Refused memory ---- */

/*
 *	node 3 refuses:		-> node 2
 *	all refuse:		-> NULL
 *	none refuses:		-> node 3, the space refused before
 *
 * Expect: a refusal costs nothing that is not given back: the same addresses serve
 * once there is memory for them, and nothing counts as committed before.
 */
START_TEST(refused_commit_is_made_up_for)
{
	char *p;

	fake.refuse_commit = 1u << NODE;
	p = take(7);
	ck_assert_uint_eq(nar_node_of(p), NEXT_NODE);
	ck_assert_uint_eq(nar_node_events[NODE].node_fallback, 1);
	ck_assert_uint_eq(nar_window_committed(NODE), 0);
	ck_assert_uint_eq(usage().free_bytes, 0);

	fake.refuse_commit = FAKE_ALL_NODES;
	ck_assert_ptr_null(take_as(SPAN + 1, 1, BACKING_SMALL));
	ck_assert_uint_eq(nar_window_committed(NODE), 0);

	fake.refuse_commit = 0;
	ck_assert_ptr_eq(take(7), FIRST);
	ck_assert(was_zero);
	ck_assert_uint_eq(nar_node_events[NODE].node_fallback, 1);
	ck_assert_uint_eq(usage().committed_bytes[BACKING_NONE], 0);
}
END_TEST

/*
 *	| guard | window of node 3, all of it in one block | -> node 2
 *
 * Expect: where the window ends the next node begins; a request that no window could
 * hold gets NULL and asks the kernel for nothing.
 */
START_TEST(full_window_falls_over)
{
	size_t window = nar_pane_bytes() / PAGE_BYTES;
	char *all = take(window - GUARD_BYTES / PAGE_BYTES - UNIT), *p = take(UNIT + 1);
	u32 commits = fake_calls.commit[NODE];

	ck_assert_ptr_eq(all, FIRST);
	ck_assert_uint_eq(nar_node_of(p), NEXT_NODE);
	ck_assert_ptr_null(take_as(window, 1, BACKING_SMALL));
	ck_assert_ptr_null(take_as(SIZE_MAX / PAGE_BYTES, 1, BACKING_SMALL));
	ck_assert_ptr_null(take_as(1, window, BACKING_SMALL));
	ck_assert_uint_eq(fake_calls.commit[NODE], commits);
	give(all);
	ck_assert_ptr_eq(take(UNIT + 1), FIRST);
}
END_TEST

/* ---- In place ---- */

/*
 *	[ a: 10 ][ b: 10 ][ rest free ][ c: 10 ]
 *
 * Expect: a cannot grow over b; b grows into the rest, not beyond it, and gives back
 * what it shrinks by; sizes and sums follow.
 */
START_TEST(resize_in_place)
{
	char *a = take(10), *b = take(10), *rest = take(SPAN - 30), *c = take(10);

	give(rest);
	ck_assert_int_eq(resize(a, 11), -ENOSPC);
	ck_assert_int_eq(resize(b, 30), 0);
	ck_assert_uint_eq(nar_extent_pages(b, EXTENT_LARGE), 30);
	ck_assert_uint_eq(usage().large_bytes, 50 * PAGE_BYTES);
	check_extent(b + 30 * PAGE_BYTES, SPAN - 50, EXTENT_FREE);
	ck_assert_int_eq(resize(b, SPAN - 19), -ENOSPC);
	ck_assert_int_eq(resize(b, SPAN - 20), 0);
	ck_assert_uint_eq(usage().free_bytes, 0);
	ck_assert_int_eq(resize(b, 4), 0);
	ck_assert_uint_eq(usage().large_bytes, 24 * PAGE_BYTES);
	ck_assert_int_eq(resize(b, SIZE_MAX / PAGE_BYTES), -ENOSPC);
	give(c);
	ck_assert_ptr_eq(take_as(UNIT, UNIT, BACKING_SMALL), first_page(UNIT));
	ck_assert(!was_zero);	/* b had it for a while */
}
END_TEST

#define SLICE_PAGES (SLICE_BYTES / PAGE_BYTES)

/*
 *	slice	0 1 | 2 3 4 | 5 6 ... 62 | 63
 *		slab  slab    free         slab
 *
 * Expect: a parted chunk is four extents, each freed by itself, and one again when
 * all are.
 */
START_TEST(parted_chunk)
{
	u64 used = 0x1f | 1ull << 63, starts = 1 | 1 << 2 | 1ull << 63;
	bool zero;
	char *p = nar_extent_alloc(PLACE, &(struct nar_want){ .nr_pages = UNIT, .align_pages = UNIT,
					.backing = BACKING_SMALL, .state = EXTENT_CHUNK }, &zero);

	ck_assert_ptr_nonnull(p);
	nar_extent_part_chunk((u32)(nar_offset(p) >> HUGE_SHIFT), ~used, starts);
	check_extent(p, 2 * SLICE_PAGES, EXTENT_CHUNK);
	check_extent(p + 2 * SLICE_BYTES, 3 * SLICE_PAGES, EXTENT_CHUNK);
	check_extent(p + 5 * SLICE_BYTES, 58 * SLICE_PAGES, EXTENT_FREE);
	check_extent(p + 63 * SLICE_BYTES, SLICE_PAGES, EXTENT_CHUNK);
	ck_assert_int_eq(nar_extent_free(p + 2 * SLICE_BYTES, EXTENT_CHUNK), 0);
	check_extent(p + 2 * SLICE_BYTES, 61 * SLICE_PAGES, EXTENT_FREE);
	ck_assert_int_eq(nar_extent_free(p + 63 * SLICE_BYTES, EXTENT_CHUNK), 0);
	ck_assert_int_eq(nar_extent_free(p, EXTENT_CHUNK), 0);
	check_extent(p, SPAN, EXTENT_FREE);
	ck_assert_uint_eq(usage().large_bytes, 0);
}
END_TEST

/* ---- All of it at random ---- */

#define NR_BLOCKS 64
#define NR_STEPS 20000

static struct rng rng = { 88172645463325252ull };

struct block {
	char *p;
	size_t nr_pages;
};

/* First and last byte say whose it is: an overlap would change them. */
static void block_sign(const struct block *b, char sign)
{
	b->p[0] = b->p[b->nr_pages * PAGE_BYTES - 1] = sign;
}

static void block_toggle(struct block *b, char sign)
{
	static const enum nar_backing backings[] = { BACKING_SMALL, BACKING_HUGE };

	if (b->p) {
		ck_assert(b->p[0] == sign && b->p[b->nr_pages * PAGE_BYTES - 1] == sign);
		give(b->p);
		b->p = NULL;
		return;
	}
	b->nr_pages = 1 + rng_below(&rng, rng_below(&rng, 8) ? 40 : 1500);
	b->p = take_as(b->nr_pages, (size_t)1 << rng_below(&rng, 11), backings[rng_below(&rng, 2)]);
	ck_assert_ptr_nonnull(b->p);
	if (was_zero)
		ck_assert(!b->p[0] && !b->p[b->nr_pages * PAGE_BYTES - 1]);
	block_sign(b, sign);
}

/* ---- Purge and collapse at a time ---- */

static char *chosen;		/* one unit */

static u32 unit_of(const void *p)
{
	return (u32)(nar_offset(p) >> HUGE_SHIFT);
}

static void free_and_purge(void)
{
	give(chosen);
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 0);
}

/*
 *	collapse:	| chosen .......................... huge |
 *	meanwhile:	          | freed | purge |		   purge
 *
 * Expect: the purge leaves it alone, or it would be there and nobody know; the next one
 * finds it.
 */
START_TEST(purge_keeps_off_what_is_collapsed)
{
	chosen = take(UNIT);
	fake.meanwhile = free_and_purge;
	ck_assert_int_eq(nar_unit_make_huge(unit_of(chosen)), 0);
	ck_assert_uint_eq(fake_calls.collapse[NODE], 1);
	ck_assert_uint_eq(fake_calls.purge[NODE], 0);
	ck_assert_uint_eq(nar_pane_of(NODE)->nr_huge, 1);
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 1);
	ck_assert_uint_eq(nar_pane_of(NODE)->nr_huge, 0);
	ck_assert_ptr_eq(take(UNIT), chosen);
	ck_assert(was_zero);
}
END_TEST

static void collapse_chosen(void)
{
	ck_assert_int_eq(nar_unit_make_huge(unit_of(chosen)), 0);
}

/*
 *	purge:		| held ............... gone |
 *	meanwhile:	       | collapse |		      collapse
 *
 * Expect: the kernel is asked neither time; where it refused to purge, it may be asked again.
 */
START_TEST(collapse_keeps_off_what_is_purged)
{
	chosen = take(UNIT);
	give(chosen);
	fake.meanwhile = collapse_chosen;
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 1);
	collapse_chosen();
	ck_assert_uint_eq(fake_calls.collapse[NODE], 0);
	ck_assert_uint_eq(nar_node_events[NODE].collapse_done, 0);

	give(take(UNIT));
	fake.refuse_purge = 1u << NODE;
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 0);
	collapse_chosen();
	ck_assert_uint_eq(fake_calls.collapse[NODE], 1);
}
END_TEST

static void fork_and_purge(void)
{
	give(chosen);
	nar_unit_forget_threads();
	ck_assert_uint_eq(nar_unit_purge(NODE, now(), SIZE_MAX), 1);
	_exit(0);
}

/*
 *	collapse:	| chosen ... fork	in the child: freed | purge |
 *
 * Expect: who collapsed is not there any more, so the unit can be purged.
 */
START_TEST(fork_forgets_who_collapsed)
{
	chosen = take(UNIT);
	fake.meanwhile = fork_and_purge;
	nar_unit_make_huge(unit_of(chosen));
	ck_abort_msg("no collapse");
}
END_TEST

/*
 *	[ ][    ][ ][  ][      ] ...	64 blocks that come and go, purges between
 *
 * Expect: none overlaps another, no "zero" is a lie, pages are conserved, and when all
 * are gone nothing is in use.
 */
START_TEST(random_blocks)
{
	static struct block block[NR_BLOCKS];
	struct nar_survey_usage u;
	u32 i, at;

	for (i = 0; i < NR_STEPS; i++) {
		at = rng_below(&rng, NR_BLOCKS);
		block_toggle(&block[at], (char)(at + 1));
		fake.clock_ms++;
		if (i % 97 == 0)
			nar_unit_purge(NODE, now() - 20, 4);
		u = usage();
		ck_assert_uint_eq(u.large_bytes + u.free_bytes, nar_window_committed(NODE));
	}
	for (at = 0; at < NR_BLOCKS; at++)
		if (block[at].p)
			block_toggle(&block[at], (char)(at + 1));
	ck_assert_uint_eq(usage().large_bytes, 0);
	ck_assert_uint_gt(nar_node_events[NODE].purged_units, 0);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("extent");
	TCase *tc = tcase_create("window of a node");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, what_grows_has_room);
	tcase_add_test(tc, what_stays_needs_no_room);
	tcase_add_test(tc, who_frees_does_not_wait);
	tcase_add_test(tc, room_is_made);
	tcase_add_test(tc, the_last_grows_with_the_window);
	tcase_add_test(tc, small_grows_into_huge);
	tcase_add_test(tc, the_same_place_again);
	tcase_add_test(tc, room_is_not_made_for_much);
	tcase_add_test(tc, room_is_not_made_where_it_counts);
	tcase_add_test(tc, smallest_hole_then_lowest);
	tcase_add_test(tc, free_neighbours_join);
	tcase_add_test(tc, backings_do_not_mix);
	tcase_add_test(tc, alignment_is_kept);
	tcase_add_test(tc, only_what_was_given_is_taken_back);
	tcase_add_test(tc, zeros_are_known);
	tcase_add_test(tc, whole_stale_units_are_purged);
	tcase_add_test(tc, purge_is_bounded);
	tcase_add_test(tc, refused_purge_changes_nothing);
	tcase_add_test(tc, purge_keeps_off_what_is_collapsed);
	tcase_add_test(tc, collapse_keeps_off_what_is_purged);
	tcase_add_test(tc, fork_forgets_who_collapsed);
	tcase_add_test(tc, refused_commit_is_made_up_for);
	tcase_add_test(tc, full_window_falls_over);
	tcase_add_test(tc, resize_in_place);
	tcase_add_test(tc, parted_chunk);
	tcase_add_test(tc, random_blocks);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
