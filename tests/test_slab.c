// SPDX-License-Identifier: MIT
/*
 * Slabs, in lists of the test's own.
 *
 *	slab	| freed before, a bit each | in use | fresh, never handed out |
 *		^ base                                                        ^ nr_objects
 */
#include <signal.h>
#include <string.h>

#include "arena/account.h"
#include "arena/class.h"
#include "arena/limit.h"
#include "arena/start.h"
#include "internal/option.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 3u
#define OWNER (OWNER_FIRST_ARENA + 7)
#define HEAP 0
#define MAX_OBJECTS (SLICE_BYTES / 16)

static struct nar_bins bins;
static void *object[MAX_OBJECTS];

static u32 slab_new(unsigned int class)
{
	u32 slab = nar_slab_create((struct nar_place){ .node = NODE }, POOL_SMALL, &nar_class[class].shape, OWNER, HEAP);

	ck_assert_uint_ne(slab, 0);
	nar_slab_link(&bins, slab);
	return slab;
}

static void *object_at(u32 slab, size_t index)
{
	return nar_slab_base(slab) + index * nar_slab_at(slab)->size;
}

static u32 try_new(unsigned int class, u16 heap)
{
	return nar_slab_try_create((struct nar_place){ .node = NODE }, POOL_SMALL, &nar_class[class].shape, OWNER, heap);
}

/* All of a slab, in the order in which a magazine would hand it out. */
static unsigned int take_all(u32 slab)
{
	unsigned int nr = nar_slab_take(&bins, slab, object, nar_slab_at(slab)->nr_objects), i;

	for (i = 0; i < nr / 2; i++) {
		void *p = object[i];

		object[i] = object[nr - 1 - i];
		object[nr - 1 - i] = p;
	}
	return nr;
}

static void *take_one(u32 slab)
{
	void *p = NULL;

	ck_assert_uint_eq(nar_slab_take(&bins, slab, &p, 1), 1);
	return p;
}

/*
 *	to[]	| third | second | first |	a magazine pops from the end
 *
 * Expect: a batch of fresh objects pops in the order of addresses, and only as many
 * are no longer fresh; the rest, asked for too generously, moves to the front of to[].
 */
START_TEST(fresh_objects_in_order)
{
	u32 slab = slab_new(nar_class_builtin(4096));
	struct nar_slab *s = nar_slab_at(slab);
	unsigned int nr = s->nr_objects;

	ck_assert_uint_eq(nar_slab_take(&bins, slab, object, 3), 3);
	ck_assert_ptr_eq(object[2], object_at(slab, 0));
	ck_assert_ptr_eq(object[1], object_at(slab, 1));
	ck_assert_ptr_eq(object[0], object_at(slab, 2));
	ck_assert_uint_eq(s->nr_fresh, nr - 3);
	ck_assert_uint_eq(nar_slab_take(&bins, slab, object, nr), nr - 3);
	ck_assert_ptr_eq(object[0], object_at(slab, nr - 1));
	ck_assert_ptr_eq(object[nr - 4], object_at(slab, 3));
	ck_assert_uint_eq(nar_slab_take(&bins, slab, object, 1), 0);
}
END_TEST

/*
 *	| used | free | used | ... | free | used | fresh
 *	   0      1      2           130
 *
 * Expect: freed objects come before fresh ones, the lowest address first, whatever the
 * order in which they were freed.
 */
START_TEST(freed_objects_first_and_lowest)
{
	u32 slab = slab_new(nar_class_builtin(16));
	unsigned int i;

	ck_assert_uint_eq(nar_slab_take(&bins, slab, object, 200), 200);
	nar_slab_give(&bins, slab, object_at(slab, 130));
	nar_slab_give(&bins, slab, object_at(slab, 1));
	nar_slab_give(&bins, slab, object_at(slab, 64));
	ck_assert_ptr_eq(take_one(slab), object_at(slab, 1));
	nar_slab_give(&bins, slab, object_at(slab, 0));
	ck_assert_ptr_eq(take_one(slab), object_at(slab, 0));
	ck_assert_uint_eq(nar_slab_take(&bins, slab, object, 4), 4);
	ck_assert_ptr_eq(object[3], object_at(slab, 64));
	ck_assert_ptr_eq(object[2], object_at(slab, 130));
	ck_assert_ptr_eq(object[1], object_at(slab, 200));
	ck_assert_ptr_eq(object[0], object_at(slab, 201));
	for (i = 0; i < BITS_WORDS; i++)
		ck_assert_uint_eq(nar_mem.bits[slab][i], 0);
}
END_TEST

/*
 *	full -> dense -> half full -> half empty -> sparse -> empty
 *
 * Expect: a slab's list follows how much it has left, both ways.
 */
START_TEST(lists_follow_fullness)
{
	u32 slab = slab_new(nar_class_builtin(16));
	unsigned int nr = nar_slab_at(slab)->nr_objects, i, bin = BIN_FULL;

	ck_assert_uint_eq(bins.head[BIN_EMPTY], slab);
	ck_assert_uint_eq(take_all(slab), nr);
	ck_assert_uint_eq(bins.head[BIN_FULL], slab);
	ck_assert_uint_eq(nar_slab_densest(&bins), 0);
	for (i = 0; i < nr; i++) {
		nar_slab_give(&bins, slab, object[i]);
		ck_assert_uint_ge(nar_slab_at(slab)->bin, bin);
		bin = nar_slab_at(slab)->bin;
		ck_assert_uint_eq(bins.head[bin], slab);
		ck_assert_uint_eq(nar_slab_densest(&bins), slab);
	}
	ck_assert(nar_slab_is_empty(slab));
	ck_assert_uint_eq(take_all(slab), nr);
	ck_assert_uint_eq(bins.head[BIN_FULL], slab);
}
END_TEST

/*
 *	a: half used	b: nearly full	c: nearly empty
 *
 * Expect: b, the fullest with something left; a once b is full; then c.
 */
START_TEST(densest_is_taken_first)
{
	unsigned int class = nar_class_builtin(64);
	u32 a = slab_new(class), b = slab_new(class), c = slab_new(class);
	unsigned int nr = nar_class[class].shape.nr_objects;

	nar_slab_take(&bins, a, object, nr / 2);
	nar_slab_take(&bins, b, object, nr - 1);
	nar_slab_take(&bins, c, object, 1);
	ck_assert_uint_eq(nar_slab_densest(&bins), b);
	take_one(b);
	ck_assert_uint_eq(nar_slab_densest(&bins), a);
	nar_slab_unlink(&bins, a);
	ck_assert_uint_eq(nar_slab_densest(&bins), c);
}
END_TEST

/*
 *	a: 3 of nr in use	b: full		c: another's, 5 in use
 *
 * Expect: as many slabs, slices and objects as there are in the lists, whatever moves between them.
 */
static void must_have(u32 nr_slabs, u64 nr_out, const struct nar_slab_shape *shape)
{
	ck_assert_uint_eq(bins.nr_slabs, nr_slabs);
	ck_assert_uint_eq(bins.nr_slices, nr_slabs * shape->nr_slices);
	ck_assert_uint_eq(bins.nr_objects, nr_slabs * shape->nr_objects);
	ck_assert_uint_eq(bins.nr_out, nr_out);
}

START_TEST(bins_count)
{
	unsigned int class = nar_class_builtin(64);
	const struct nar_slab_shape *shape = &nar_class[class].shape;
	u32 a = slab_new(class), b = slab_new(class), c = slab_new(class);
	struct nar_bins others = { .nr_slabs = 0 };
	size_t bytes = 0;

	must_have(3, 0, shape);
	nar_slab_take(&bins, a, object, 3);
	nar_slab_take(&bins, c, object, 5);
	must_have(3, take_all(b) + 8, shape);
	nar_slab_give_run(&bins, b, object, 4);
	must_have(3, shape->nr_objects + 4, shape);
	nar_slab_unlink(&bins, c);
	must_have(2, shape->nr_objects - 1, shape);
	nar_slab_link(&others, c);
	ck_assert_uint_eq(others.nr_out, 5);
	ck_assert_uint_eq(others.nr_slabs, 1);
	nar_slabs_bury(&bins, 0, &bytes);
	must_have(0, 0, shape);
}
END_TEST

/*
 *	slab of several slices	| entry | entry | ...	same owner and class
 *
 * Expect: each of its slices leads to it, and to its owner; nobody after it is gone.
 */
START_TEST(map_leads_to_the_slab)
{
	unsigned int class, i, largest = 0;
	u32 slab;

	for (class = 0; class < NAR_NR_BUILTIN; class++)
		if (nar_class[class].shape.nr_slices > nar_class[largest].shape.nr_slices)
			largest = class;
	ck_assert_uint_gt(nar_class[largest].shape.nr_slices, 1);
	slab = slab_new(largest);
	for (i = 0; i < nar_slab_at(slab)->nr_slices; i++) {
		const char *p = nar_slab_base(slab) + i * SLICE_BYTES + 100;

		ck_assert_uint_eq(nar_entry_of(p), nar_entry(OWNER, largest));
		ck_assert_uint_eq(nar_slab_around(p), slab);
	}
	nar_slab_set_owner(slab, OWNER_SHARD);
	ck_assert_uint_eq(nar_entry_of(nar_slab_base(slab)), nar_entry(OWNER_SHARD, largest));
	nar_slab_unlink(&bins, slab);
	nar_slab_destroy(slab);
	ck_assert_uint_eq(nar_entry_of(nar_slab_base(slab)), 0);
}
END_TEST

/*
 *	| 0 | 1 | ... | n - 1 | waste |		every class, every index
 *
 * Expect: multiplying by the reciprocal finds exactly the starts of objects, and not
 * the bytes before and after.
 */
START_TEST(starts_are_found_exactly)
{
	unsigned int class = (unsigned int)_i, i;
	u32 slab = slab_new(class);
	const struct nar_slab *s = nar_slab_at(slab);

	for (i = 0; i < s->nr_objects; i++) {
		const char *p = object_at(slab, i);

		if (!nar_slab_is_object(slab, p) || nar_slab_is_object(slab, p + 1) ||
		    nar_slab_is_object(slab, p + s->size - 1) ||
		    nar_slab_is_object(slab, p + s->size / 2))
			ck_abort_msg("class of %u bytes, object %u", s->size, i);
	}
	ck_assert(!nar_slab_is_object(slab, object_at(slab, s->nr_objects)));
	ck_assert_uint_le((size_t)s->nr_objects * s->size, nar_slab_bytes(slab));
	ck_assert_uint_eq(take_all(slab), s->nr_objects);
	for (i = 0; i < s->nr_objects; i++)
		ck_assert_ptr_eq(object[i], object_at(slab, i));
}
END_TEST

/*
 *	limit of	nobody | the process | the heap | nobody again
 *
 * Expect: a slab that is only tried for is none where a limit would count it, and nothing is
 * charged, nor counted as a limit that was hit.
 */
START_TEST(trying_is_for_the_unlimited)
{
	const u16 heap = NAR_FIRST_HEAP;
	unsigned int class = nar_class_builtin(64);
	u64 nr_hit = nar_limit_nr_hit;

	slab_new(class);
	nar_account_open(heap, 0);
	ck_assert_uint_ne(try_new(class, heap), 0);
	ck_assert_uint_eq(nar_accounts[heap].used_bytes, SLICE_BYTES);
	nar_opt.limit = GIB(1);
	ck_assert_uint_eq(try_new(class, heap), 0);
	nar_opt.limit = 0;
	nar_accounts[heap].limit_bytes = GIB(1);
	ck_assert_uint_eq(try_new(class, heap), 0);
	ck_assert_uint_eq(nar_accounts[heap].used_bytes, SLICE_BYTES);
	ck_assert_uint_eq(nar_accounts[heap].nr_hit, 0);
	ck_assert_uint_eq(nar_limit_nr_hit, nr_hit);
	nar_accounts[heap].limit_bytes = 0;
	ck_assert_uint_ne(try_new(class, heap), 0);
}
END_TEST

/*
 *	slab A [ all used, all freed ] gone;	slab B in the same slices
 *
 * Expect: B begins with no object freed before, whatever A was.
 */
START_TEST(next_slab_here_begins_clean)
{
	u32 a = slab_new(nar_class_builtin(16)), b;
	unsigned int i, nr = take_all(a);

	for (i = 0; i < nr; i++)
		nar_slab_give(&bins, a, object[i]);
	nar_slab_unlink(&bins, a);
	nar_slab_destroy(a);
	b = slab_new(nar_class_builtin(32));
	ck_assert_uint_eq(b, a);
	ck_assert_uint_eq(nar_slab_at(b)->nr_free, 0);
	ck_assert_ptr_eq(take_one(b), nar_slab_base(b));
	for (i = 0; i < BITS_WORDS; i++)
		ck_assert_uint_eq(nar_mem.bits[b][i], 0);
}
END_TEST

/* ---- What must die ---- */

/*
 *	| freed | ...			given again
 *
 * Expect: SIGABRT.
 */
START_TEST(double_free_dies)
{
	u32 slab = slab_new(nar_class_builtin(64));
	void *p = take_one(slab);

	take_one(slab);
	nar_slab_give(&bins, slab, p);
	nar_slab_give(&bins, slab, p);
}
END_TEST

/*
 *	| used | fresh | fresh |	the last given
 *
 * Expect: SIGABRT, since nobody ever had it.
 */
START_TEST(free_of_a_fresh_object_dies)
{
	u32 slab = slab_new(nar_class_builtin(64));

	take_one(slab);
	nar_slab_give(&bins, slab, object_at(slab, 2));
}
END_TEST

/*
 *	| us^ed | ...			given from the middle
 *
 * Expect: SIGABRT.
 */
START_TEST(free_of_the_inside_dies)
{
	u32 slab = slab_new(nar_class_builtin(64));
	char *p = take_one(slab);

	nar_slab_give(&bins, slab, p + 16);
}
END_TEST

/*
 *	| 0 | ... | n - 1 | waste^ |	given past the last object
 *
 * Expect: SIGABRT.
 */
START_TEST(free_past_the_last_object_dies)
{
	u32 slab = slab_new(nar_class_builtin(48));

	take_all(slab);
	nar_slab_give(&bins, slab, object_at(slab, nar_slab_at(slab)->nr_objects));
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("slab");
	TCase *tc = tcase_create("lists and bits"), *die = tcase_create("abuse");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, fresh_objects_in_order);
	tcase_add_test(tc, freed_objects_first_and_lowest);
	tcase_add_test(tc, lists_follow_fullness);
	tcase_add_test(tc, densest_is_taken_first);
	tcase_add_test(tc, bins_count);
	tcase_add_test(tc, map_leads_to_the_slab);
	tcase_add_loop_test(tc, starts_are_found_exactly, 0, NAR_NR_BUILTIN);
	tcase_add_test(tc, next_slab_here_begins_clean);
	tcase_add_test(tc, trying_is_for_the_unlimited);
	suite_add_tcase(suite, tc);

	tcase_set_timeout(die, 60);
	tcase_add_checked_fixture(die, start, NULL);
	tcase_add_test_raise_signal(die, double_free_dies, SIGABRT);
	tcase_add_test_raise_signal(die, free_of_a_fresh_object_dies, SIGABRT);
	tcase_add_test_raise_signal(die, free_of_the_inside_dies, SIGABRT);
	tcase_add_test_raise_signal(die, free_past_the_last_object_dies, SIGABRT);
	suite_add_tcase(suite, die);
	return tap_run(suite);
}
