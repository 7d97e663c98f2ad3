// SPDX-License-Identifier: MIT
/*
 * Large blocks that wait for their thread.
 *
 *	place	| block | block | empty | ...	16 of them, 1 MiB together
 *	                          ^ next, the oldest's
 */
#include "arena/survey.h"
#include "arena/recent.h"
#include "arena/start.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 3u

static struct nar_recent recent;

static void *block_new(size_t nr_pages)
{
	bool is_zero;
	void *p = nar_extent_alloc((struct nar_place){ .node = NODE },
				   &(struct nar_want){ .nr_pages = nr_pages, .align_pages = 1,
							.backing = BACKING_SMALL, .state = EXTENT_LARGE }, &is_zero);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void *put_new(size_t nr_pages)
{
	void *p = block_new(nr_pages);

	ck_assert(nar_recent_try_put(&recent, p));
	return p;
}

static bool is_waiting(const void *p)
{
	return nar_extent_pages(p, EXTENT_RECENT);
}

static size_t large_bytes(void)
{
	struct nar_survey_usage u;

	nar_survey_usage(NODE, &u);
	return u.large_bytes;
}

/*
 *	[ 64 pages ]	asked for: 65, 56, 64
 *
 * Expect: a block serves what it holds and of which no more than an eighth is to
 * spare; once taken it is a large block again.
 */
START_TEST(near_fits_are_taken)
{
	void *p = put_new(64);

	ck_assert(is_waiting(p));
	ck_assert_ptr_null(nar_recent_take(&recent, 65));
	ck_assert_ptr_null(nar_recent_take(&recent, 56));	/* 56 + 7 is less than 64 */
	ck_assert_ptr_eq(nar_recent_take(&recent, 57), p);
	ck_assert_uint_eq(nar_extent_pages(p, EXTENT_LARGE), 64);
	ck_assert_uint_eq(recent.sum_pages, 0);
	ck_assert_ptr_null(nar_recent_take(&recent, 64));
}
END_TEST

/*
 *	| 0 | 1 | ... | 15 |  <- the 17th
 *
 * Expect: the oldest makes room and goes back to the extents, the rest stays.
 */
START_TEST(oldest_makes_room)
{
	void *p[NAR_RECENT_BLOCKS + 1];
	unsigned int i;

	for (i = 0; i <= NAR_RECENT_BLOCKS; i++)
		p[i] = block_new(1 + i);
	for (i = 0; i <= NAR_RECENT_BLOCKS; i++)
		ck_assert(nar_recent_try_put(&recent, p[i]));
	ck_assert(!is_waiting(p[0]));
	for (i = 1; i <= NAR_RECENT_BLOCKS; i++)
		ck_assert(is_waiting(p[i]));
	ck_assert_uint_eq(nar_extent_pages(p[0], EXTENT_FREE), 1);
}
END_TEST

/*
 *	| half | half |  <- a page more
 *
 * Expect: together they are never more than 1 MiB; a block of 1 MiB drives all out, a
 * larger one is declined and stays its owner's.
 */
START_TEST(together_at_most_a_mebibyte)
{
	void *a = put_new(NAR_RECENT_PAGES / 2), *b = put_new(NAR_RECENT_PAGES / 2), *c, *whole;

	ck_assert_uint_eq(recent.sum_pages, NAR_RECENT_PAGES);
	c = put_new(1);
	ck_assert(!is_waiting(a) && is_waiting(b) && is_waiting(c));
	whole = put_new(NAR_RECENT_PAGES);
	ck_assert(!is_waiting(b) && !is_waiting(c) && is_waiting(whole));
	ck_assert_uint_eq(recent.sum_pages, NAR_RECENT_PAGES);
	ck_assert(!nar_recent_try_put(&recent, block_new(NAR_RECENT_PAGES + 1)));
	ck_assert(is_waiting(whole));
}
END_TEST

/*
 *	free(p), free(p);	free(p + 1 page)
 *
 * Expect: what waits already, or is no block's start, is declined: who frees it dies of
 * it in the next layer.
 */
START_TEST(only_live_blocks)
{
	char *p = block_new(8);

	ck_assert(!nar_recent_try_put(&recent, p + PAGE_BYTES));
	ck_assert(!nar_recent_try_put(&recent, p + 1));
	ck_assert(nar_recent_try_put(&recent, p));
	ck_assert(!nar_recent_try_put(&recent, p));
	ck_assert_uint_eq(recent.sum_pages, 8);
}
END_TEST

/*
 *	| a | b | -> extents
 *
 * Expect: after a flush nothing waits, nothing is in use, and it may be used again.
 */
START_TEST(flush_gives_all_back)
{
	void *a = put_new(3), *b = put_new(100);

	ck_assert_uint_eq(large_bytes(), 103 * PAGE_BYTES);	/* waiting is not free */
	nar_recent_flush(&recent);
	ck_assert(!is_waiting(a) && !is_waiting(b));
	ck_assert_uint_eq(recent.sum_pages, 0);
	ck_assert_uint_eq(large_bytes(), 0);
	ck_assert_ptr_null(nar_recent_take(&recent, 3));
	put_new(5);
	nar_recent_flush(&recent);
	ck_assert_uint_eq(large_bytes(), 0);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("recent");
	TCase *tc = tcase_create("places");

	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, near_fits_are_taken);
	tcase_add_test(tc, oldest_makes_room);
	tcase_add_test(tc, together_at_most_a_mebibyte);
	tcase_add_test(tc, only_live_blocks);
	tcase_add_test(tc, flush_gives_all_back);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
