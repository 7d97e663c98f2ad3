// SPDX-License-Identifier: MIT
/*
 * The best-fit tree by itself, against a list that is searched from end to end.
 *
 * Only the descriptors' sizes and links are read, so the extents here need not tile
 * anything: page p is free with whatever size the test gives it.
 */
#include <string.h>

#include "arena/tree.h"

#include "rng.h"
#include "tap.h"

#define NR_PAGES 1024u
#define NR_STEPS 8000

/* A unit and more share one tree. */
#define UNIT_PAGES ((u32)PAGES_PER_UNIT)

static struct nar_extent table[NR_PAGES];
static struct nar_tree tree = { .table = table };

/* The model: pages of the extent at each page, 0 if none is free there. */
static u32 size_at[NR_PAGES];

static void insert(u32 page, u32 nr_pages)
{
	size_at[page] = table[page].nr_pages = nr_pages;
	nar_tree_insert(&tree, page);
}

static void remove_at(u32 page)
{
	nar_tree_remove(&tree, page);
	size_at[page] = 0;
}

static bool is_before(u32 nr_a, u32 page_a, u32 nr_b, u32 page_b)
{
	return nr_a != nr_b ? nr_a < nr_b : page_a < page_b;
}

static u32 model_at_least(u32 nr_pages, u32 from)
{
	u32 page, best = 0;

	for (page = 1; page < NR_PAGES; page++)
		if (size_at[page] && !is_before(size_at[page], page, nr_pages, from) &&
		    (!best || is_before(size_at[page], page, size_at[best], best)))
			best = page;
	return best;
}

static u32 model_below(u32 nr_pages, u32 from)
{
	u32 page, best = 0;

	for (page = 1; page < NR_PAGES; page++)
		if (size_at[page] >= UNIT_PAGES && is_before(size_at[page], page, nr_pages, from) &&
		    (!best || is_before(size_at[best], best, size_at[page], page)))
			best = page;
	return best;
}

static struct rng rng = { 88172645463325252ull };

/*
 *	(nothing)
 *
 * Expect: neither search finds anything, of any size.
 */
START_TEST(empty_tree_has_nothing)
{
	ck_assert_uint_eq(nar_tree_at_least(&tree, 1, 0), 0);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES - 1, 7), 0);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES, 0), 0);
	ck_assert_uint_eq(nar_tree_below(&tree, UINT32_MAX, 0), 0);
}
END_TEST

/*
 *	page	10	20	30	40
 *	size	 4	 8	 4	 9
 *
 * Expect: the least size that will do, of equals the lowest address; a search that
 * goes on from an address skips equals before it.
 */
START_TEST(least_size_then_lowest_address)
{
	insert(30, 4);
	insert(20, 8);
	insert(10, 4);
	insert(40, 9);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 1, 0), 10);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 4, 11), 30);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 4, 31), 20);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 9, 0), 40);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 10, 0), 0);
	remove_at(10);
	ck_assert_uint_eq(nar_tree_at_least(&tree, 1, 0), 30);
	remove_at(30);		/* the last of its size */
	ck_assert_uint_eq(nar_tree_at_least(&tree, 1, 0), 20);
}
END_TEST

/*
 *	size	| 1 ... 511: a tree each | 512 ...: one tree |
 *			       511 |       | 512
 *
 * Expect: a search passes from one kind to the other; below() sees the large alone.
 */
START_TEST(exact_sizes_and_large_are_one_order)
{
	insert(5, UNIT_PAGES - 1);
	insert(3, UNIT_PAGES);
	insert(9, UNIT_PAGES);
	insert(7, 3 * UNIT_PAGES);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES - 1, 0), 5);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES - 1, 6), 3);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES, 4), 9);
	ck_assert_uint_eq(nar_tree_at_least(&tree, UNIT_PAGES + 1, 0), 7);
	ck_assert_uint_eq(nar_tree_below(&tree, UINT32_MAX, 0), 7);
	ck_assert_uint_eq(nar_tree_below(&tree, 3 * UNIT_PAGES, 7), 9);
	ck_assert_uint_eq(nar_tree_below(&tree, UNIT_PAGES, 9), 3);
	ck_assert_uint_eq(nar_tree_below(&tree, UNIT_PAGES, 3), 0);
}
END_TEST

static void check_searches(u32 nr_pages, u32 page)
{
	u32 found = nar_tree_at_least(&tree, nr_pages, page);

	if (found != model_at_least(nr_pages, page))
		ck_abort_msg("at_least(%u, %u) is %u, not %u", nr_pages, page, found,
			     model_at_least(nr_pages, page));
	found = nar_tree_below(&tree, nr_pages, page);
	if (found != model_below(nr_pages, page))
		ck_abort_msg("below(%u, %u) is %u, not %u", nr_pages, page, found,
			     model_below(nr_pages, page));
}

/*
 *	| tree |  ==  | list searched from end to end |
 *
 * Expect: the same answer after each of thousands of random insertions and removals,
 * with many extents of one size, and once all are gone an empty tree.
 */
START_TEST(same_as_a_list)
{
	/* Few sizes, so that equals meet; on both sides of a unit. */
	static const u32 sizes[] = { 1, 2, 9, 64, 65, 511, 512, 513, 2048, 100000 };
	u32 page;
	int i;

	for (i = 0; i < NR_STEPS; i++) {
		page = 1 + rng_below(&rng, NR_PAGES - 1);
		if (size_at[page])
			remove_at(page);
		else
			insert(page, sizes[rng_below(&rng, ARRAY_SIZE(sizes))]);
		check_searches(sizes[rng_below(&rng, ARRAY_SIZE(sizes))] + rng_below(&rng, 2),
			       rng_below(&rng, NR_PAGES));
	}
	for (page = 1; page < NR_PAGES; page++)
		if (size_at[page])
			remove_at(page);
	check_searches(1, 0);
	check_searches(UINT32_MAX, 0);
}
END_TEST

/*
 *	1 2 3 4 5 ... inserted in order, all of one size
 *
 * Expect: they come out from the lowest address up.  A tree without balance would
 * make a list of them; nothing here measures that, the order is what counts.
 */
START_TEST(equals_come_out_by_address)
{
	u32 page, found;

	for (page = NR_PAGES - 1; page; page--)
		insert(page, 17);
	for (page = 1; page < NR_PAGES; page++) {
		found = nar_tree_at_least(&tree, 17, 0);
		ck_assert_uint_eq(found, page);
		remove_at(found);
	}
	ck_assert_uint_eq(nar_tree_at_least(&tree, 1, 0), 0);
}
END_TEST

static void tree_empty(void)
{
	memset(table, 0, sizeof(table));
	memset(size_at, 0, sizeof(size_at));
	tree = (struct nar_tree){ .table = table };
}

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tc = tcase_create("order");

	/* Each starts anew even where Check does not fork (CK_FORK=no). */
	tcase_add_checked_fixture(tc, tree_empty, NULL);
	tcase_add_test(tc, empty_tree_has_nothing);
	tcase_add_test(tc, least_size_then_lowest_address);
	tcase_add_test(tc, exact_sizes_and_large_are_one_order);
	tcase_add_test(tc, same_as_a_list);
	tcase_add_test(tc, equals_come_out_by_address);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
