// SPDX-License-Identifier: MIT
/*
 * numarena_class_add(): a class of an exact size, while old objects live on.
 *
 * Each test is a process of its own (Check forks), so each starts with the
 * built-in classes only.
 */
#include "contract.h"

#include <urcu/urcu-bp.h>

#define ROOM 32			/* for so many classes */
#define BUILT_IN 96		/* their numbers come first */
#define NEW_SIZE 1040		/* lies between the built-in 1024 and 1088 */

static void must_not_add(size_t size, int code)
{
	int id, err;

	errno = ERRNO_MARK;
	id = numarena_class_add(size);
	err = errno;
	ck_assert_msg(id == -1 && err == code, "class_add(%zu): %d, errno %d", size, id, err);
}

static size_t usable_of(size_t size)
{
	void *p = must_give(numarena_malloc(size));
	size_t usable = numarena_malloc_usable_size(p);

	numarena_free(p);
	return usable;
}

static void must_fit_exactly(size_t size)
{
	size_t usable = usable_of(size);

	/* A class may be added in any mode, but is used by arenas only. */
	ck_assert_msg(usable == size || (!has_arenas() && usable > size), "%zu bytes for %zu",
		      usable, size);
}

START_TEST(bad_sizes_are_refused)
{
	static const size_t sizes[] = {
		0, 1, 8, 15, 17, 24, 1000, KIB(32) - 8, KIB(32) + 16, KIB(64), MIB(2),
		SIZE_MAX, SIZE_MAX - 15, (size_t)1 << 63,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		must_not_add(sizes[i], EINVAL);
}
END_TEST

START_TEST(sizes_that_are_classes_are_refused)
{
	static const size_t sizes[] = { 16, 64, 512, 1024, 1088, 4096, KIB(32) };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		must_not_add(sizes[i], EEXIST);
	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	must_not_add(NEW_SIZE, EEXIST);
}
END_TEST

/*
 *	... 1024 ........ 1088 ...	before
 *	... 1024 . 1040 . 1088 ...	after
 *
 * Expect: sizes up to the new class fit it exactly, others are where they were.
 */
START_TEST(new_size_fits_exactly)
{
	ck_assert_uint_eq(usable_of(NEW_SIZE), 1088);
	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	must_fit_exactly(NEW_SIZE);
	ck_assert_uint_eq(usable_of(1025), usable_of(NEW_SIZE));
	ck_assert_uint_eq(usable_of(1024), 1024);
	ck_assert_uint_eq(usable_of(NEW_SIZE + 1), 1088);
}
END_TEST

/* Expect: many objects of the new class are aligned to 16 and do not overlap. */
START_TEST(objects_of_the_new_class_are_sound)
{
	static struct object objects[3000];

	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = object_new(NEW_SIZE, i);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		object_delete(&objects[i]);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = object_new_zeroed(NEW_SIZE - i % 16, i);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		object_delete(&objects[i]);
}
END_TEST

/* Expect: an aligned request does not land in a class that is no multiple of it. */
START_TEST(aligned_requests_stay_aligned)
{
	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	for (size_t alignment = 32; alignment <= 1024; alignment *= 2) {
		for (unsigned int i = 0; i < 100; i++) {
			void *p = must_give(numarena_aligned_alloc(alignment, NEW_SIZE));

			ck_assert_msg(is_aligned(p, alignment), "%p at %zu", p, alignment);
		}
	}
}
END_TEST

/* Expect: what was allocated before keeps its content and size, and can be freed. */
START_TEST(old_objects_stay_valid)
{
	struct object objects[500];
	size_t usable[500];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = object_new(1025 + i % 60, i);
		usable[i] = numarena_malloc_usable_size(objects[i].p);
	}
	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		ck_assert_uint_eq(numarena_malloc_usable_size(objects[i].p), usable[i]);
		if (i % 2)
			object_resize(&objects[i], NEW_SIZE);
		object_delete(&objects[i]);
	}
}
END_TEST

/* Expect: 32 classes with numbers of their own, then no more; all are used. */
START_TEST(room_ends_after_32)
{
	bool is_taken[BUILT_IN + ROOM] = { false };
	struct numarena_stats stats;
	size_t i;

	for (i = 0; i < ROOM; i++) {
		int id = numarena_class_add(NEW_SIZE + 128 * i);

		ck_assert_msg(id >= BUILT_IN && id < BUILT_IN + ROOM && !is_taken[id],
			      "class %zu: number %d, errno %d", i, id, errno);
		is_taken[id] = true;
	}
	must_not_add(528, ENOSPC);
	for (i = 0; i < ROOM; i++)
		must_fit_exactly(NEW_SIZE + 128 * i);
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	ck_assert_uint_eq(stats.nr_classes, BUILT_IN + ROOM);
}
END_TEST

/* Expect: no wait for the caller's own read section to end. */
START_TEST(inside_a_read_section)
{
	urcu_bp_read_lock();
	ck_assert_int_ge(numarena_class_add(NEW_SIZE), BUILT_IN);
	must_fit_exactly(NEW_SIZE);
	urcu_bp_read_unlock();
	ck_assert_int_ge(numarena_class_add(NEW_SIZE + 128), BUILT_IN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("class_add");
	TCase *tc = tcase_create("contract");

	tcase_add_test(tc, bad_sizes_are_refused);
	tcase_add_test(tc, sizes_that_are_classes_are_refused);
	tcase_add_test(tc, new_size_fits_exactly);
	tcase_add_test(tc, objects_of_the_new_class_are_sound);
	tcase_add_test(tc, aligned_requests_stay_aligned);
	tcase_add_test(tc, old_objects_stay_valid);
	tcase_add_test(tc, room_ends_after_32);
	tcase_add_test(tc, inside_a_read_section);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
