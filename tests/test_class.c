// SPDX-License-Identifier: MIT
/*
 * The size classes.
 *
 *	size	16 ... 512     640 ... 1024   ... 4096       ... 32768
 *	step	16             64             a 16th of      an 8th of
 *	                                      the power of two below
 */
#include <errno.h>

#include "arena/class.h"
#include "arena/start.h"

#include "fake_numa.h"
#include "tap.h"

static u32 size_of(unsigned int class)
{
	return nar_class[class].shape.size;
}

/*
 *	16, 32, ... 512 | 576 ... | ... 32768	96 of them
 *
 * Expect: sizes rise, the ends are 16 and 32 KiB, all are multiples of 16, and of 64
 * above 512.
 */
START_TEST(ninety_six_rising_sizes)
{
	unsigned int class;

	ck_assert_uint_eq(nar_class_count(), NAR_NR_BUILTIN);
	ck_assert_uint_eq(NAR_NR_BUILTIN, 96);
	ck_assert_uint_eq(size_of(0), 16);
	ck_assert_uint_eq(size_of(NAR_NR_BUILTIN - 1), NAR_SMALL_MAX);
	for (class = 1; class < NAR_NR_BUILTIN; class++) {
		ck_assert_uint_gt(size_of(class), size_of(class - 1));
		ck_assert_uint_eq(size_of(class) % (size_of(class) > 512 ? 64 : 16), 0);
	}
}
END_TEST

/*
 *	size n -> the class c with	size(c - 1) < n <= size(c)
 *
 * Expect: for every size up to 32 KiB the least class that holds it; 0 gets the least.
 */
START_TEST(least_class_that_holds_it)
{
	size_t size;

	ck_assert_uint_eq(nar_class_builtin(0), 0);
	for (size = 1; size <= NAR_SMALL_MAX; size++) {
		unsigned int class = nar_class_builtin(size);

		if (size_of(class) < size || (class && size_of(class - 1) >= size))
			ck_abort_msg("%zu bytes get class %u of %u", size, class, size_of(class));
	}
}
END_TEST

static double usable_over_requested(size_t from, size_t to)
{
	double usable = 0, requested = 0;
	size_t size;

	for (size = from; size <= to; size++) {
		usable += size_of(nar_class_builtin(size));
		requested += (double)size;
	}
	return usable / requested;
}

/*
 *	requested |-------------|
 *	usable    |---------------|	uniform sizes
 *
 * Expect: at most 1.04 for the sizes of rl_small and of rl_medium; above 512 bytes no
 * single size loses more than an eighth, below no more than 15 bytes.
 */
START_TEST(little_is_wasted)
{
	size_t size;

	ck_assert_double_le(usable_over_requested(16, 512), 1.04);
	ck_assert_double_le(usable_over_requested(128, 4096), 1.04);
	for (size = 1; size <= NAR_SMALL_MAX; size++) {
		size_t lost = size_of(nar_class_builtin(size)) - size;

		if (lost > (size > 512 ? size / 8 : 15))
			ck_abort_msg("%zu bytes lose %zu", size, lost);
	}
}
END_TEST

/*
 *	slab	| object | object | ... | end |
 *
 * Expect: objects and the bitmap fit, magazines are filled by batches of at least one,
 * and the end that no object fits into is small.
 */
START_TEST(slabs_are_well_cut)
{
	unsigned int class;

	for (class = 0; class < NAR_NR_BUILTIN; class++) {
		const struct nar_class *c = &nar_class[class];
		size_t bytes = c->shape.nr_slices * SLICE_BYTES;
		size_t used = (size_t)c->shape.nr_objects * c->shape.size;

		ck_assert_uint_eq(c->shape.class, class);
		ck_assert_uint_ge(c->shape.nr_slices, 1);
		ck_assert_uint_le(c->shape.nr_slices, 16);
		ck_assert_uint_le(used, bytes);
		ck_assert_uint_le(bytes - used, bytes / 8);
		ck_assert_uint_le(c->shape.nr_objects, BITS_WORDS * 64);
		ck_assert_uint_ge(c->cap, NAR_MAG_MIN);
		ck_assert_uint_le(c->cap, NAR_MAG_MAX);
		ck_assert_uint_ge(c->batch, 1);
		ck_assert_uint_le(c->batch, c->cap);
	}
}
END_TEST

static void check_aligned(size_t size, size_t alignment)
{
	unsigned int class = nar_class_aligned(size, alignment);

	if (class == NAR_MAX_CLASSES)
		return;
	if (size_of(class) < size || size_of(class) % alignment || class >= NAR_NR_BUILTIN)
		ck_abort_msg("%zu bytes aligned to %zu get %u bytes", size, alignment,
			     size_of(class));
}

/*
 *	slices that there are	0 .. few	... many	-> one slab more
 *
 * Expect: at first a slab is as ever; later at most an eighth of what there is, up to 32 objects
 * or 16 slices, never smaller than before, full of objects, and found by the same reciprocal.
 */
START_TEST(later_slabs_are_larger)
{
	unsigned int class;
	u32 nr;

	for (class = 0; class < NAR_NR_BUILTIN; class++) {
		const struct nar_slab_shape *plain = &nar_class[class].shape;
		struct nar_slab_shape last = nar_class_grown_shape(class, 0);

		ck_assert_uint_eq(last.nr_slices, plain->nr_slices);
		ck_assert_uint_eq(last.nr_objects, plain->nr_objects);
		for (nr = 0; nr < 1000; nr++) {
			struct nar_slab_shape shape = nar_class_grown_shape(class, nr);

			ck_assert_uint_ge(shape.nr_slices, last.nr_slices);
			ck_assert_uint_le(shape.nr_slices, max_of((u32)plain->nr_slices, nr / 8));
			ck_assert_uint_eq(shape.nr_objects, shape.nr_slices * SLICE_BYTES / shape.size);
			ck_assert_uint_eq(shape.size, plain->size);
			ck_assert_uint_eq(shape.recip, plain->recip);
			last = shape;
		}
		ck_assert_uint_le(last.nr_slices, 16);
		ck_assert(last.nr_objects >= 32 || last.nr_slices == 16);
	}
}
END_TEST

/*
 *	slab base, a slice's start | n x size | n x size | ...
 *
 * Expect: a class is given only if each of its objects is aligned; 64 is always served
 * by one, and what no class can do is declined.
 */
START_TEST(aligned_classes)
{
	size_t size, alignment;

	for (alignment = 1; alignment <= SLICE_BYTES; alignment *= 2)
		for (size = 1; size <= NAR_SMALL_MAX; size += 13)
			check_aligned(size, alignment);
	for (size = 1; size <= NAR_SMALL_MAX; size++)
		if (nar_class_aligned(size, 64) == NAR_MAX_CLASSES)
			ck_abort_msg("no class for %zu bytes aligned to 64", size);
	ck_assert_uint_eq(nar_class_aligned(16, 2 * SLICE_BYTES), NAR_MAX_CLASSES);
	ck_assert_uint_eq(nar_class_aligned(NAR_SMALL_MAX + 1, 16), NAR_MAX_CLASSES);
}
END_TEST

/*
 *	view, version n:	800 -> 832
 *	class_add(800)
 *	view, version n + 1:	769 ... 800 -> the new class
 *
 * Expect: a view that was taken is what it was until it is updated; then the sizes that
 * fit better go to the new class and no others; built-in answers stay.
 */
START_TEST(views_follow_when_they_are_updated)
{
	static struct nar_class_view before, view;
	unsigned int builtin = nar_class_builtin(800), step;
	int id;

	nar_class_first_view(&view);
	before = view;
	ck_assert_uint_eq(view.version, nar_class_version());
	id = nar_class_add(800);
	ck_assert_int_eq(id, NAR_NR_BUILTIN);
	ck_assert_uint_ne(view.version, nar_class_version());
	ck_assert_uint_eq(view.of_size[nar_size_step(800)], builtin);

	nar_class_update_view(&view);
	ck_assert_uint_eq(view.version, nar_class_version());
	ck_assert_uint_eq(view.nr_classes, NAR_NR_BUILTIN + 1);
	for (step = 0; step < NAR_SIZE_STEPS; step++) {
		size_t size = step * NAR_GRAIN;
		bool is_better = size > size_of(builtin - 1) && size <= 800;

		ck_assert_uint_eq(view.of_size[step], is_better ? (unsigned int)id : before.of_size[step]);
	}
	ck_assert_uint_eq(nar_class_builtin(800), builtin);
	ck_assert_uint_eq(size_of((unsigned int)id), 800);
}
END_TEST

/*
 *	| 96 built in | 32 spare |
 *
 * Expect: what cannot be a class is refused and changes nothing; the 33rd finds no room.
 */
START_TEST(classes_that_cannot_be)
{
	u32 version = nar_class_version();
	unsigned int class;
	size_t size = 1040;

	ck_assert_int_eq(nar_class_add(0), -EINVAL);
	ck_assert_int_eq(nar_class_add(100), -EINVAL);
	ck_assert_int_eq(nar_class_add(NAR_SMALL_MAX + NAR_GRAIN), -EINVAL);
	ck_assert_int_eq(nar_class_add(512), -EEXIST);
	ck_assert_uint_eq(nar_class_version(), version);
	for (class = NAR_NR_BUILTIN; class < NAR_MAX_CLASSES; class++, size += NAR_GRAIN) {
		while (size_of(nar_class_builtin(size)) == size)
			size += NAR_GRAIN;
		ck_assert_int_eq(nar_class_add(size), (int)class);
	}
	ck_assert_int_eq(nar_class_add(16400), -ENOSPC);
	ck_assert_uint_eq(nar_class_count(), NAR_MAX_CLASSES);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("class");
	TCase *tc = tcase_create("sizes");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, ninety_six_rising_sizes);
	tcase_add_test(tc, least_class_that_holds_it);
	tcase_add_test(tc, little_is_wasted);
	tcase_add_test(tc, slabs_are_well_cut);
	tcase_add_test(tc, later_slabs_are_larger);
	tcase_add_test(tc, aligned_classes);
	tcase_add_test(tc, views_follow_when_they_are_updated);
	tcase_add_test(tc, classes_that_cannot_be);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
