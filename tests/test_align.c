// SPDX-License-Identifier: MIT
/*
 * The contract of aligned_alloc, posix_memalign and memalign.
 */
#include "contract.h"

#define MAX_ALIGNMENT MIB(64)

/* A pointer no function here may leave behind when it refuses. */
static void *untouched = &untouched;

static void *by_aligned_alloc(size_t alignment, size_t size)
{
	return numarena_aligned_alloc(alignment, size);
}

static void *by_memalign(size_t alignment, size_t size)
{
	return numarena_memalign(alignment, size);
}

static void *by_posix_memalign(size_t alignment, size_t size)
{
	void *p = untouched;
	int err = numarena_posix_memalign(&p, alignment, size);

	expect(!err && p != untouched, "posix_memalign(%zu, %zu): %d", alignment, size, err);
	return p;
}

/*
 *	|..A.......A.......A.......A|	A: a multiple of the alignment
 *	   | one   | two   | three |
 *
 * Expect: each starts at a multiple, has its whole size, and overlaps no other.
 */
static void live_aligned(void *(*allocate)(size_t, size_t), size_t alignment, size_t size)
{
	struct object objects[12];
	size_t nr = alignment + size > MIB(8) ? 3 : ARRAY_SIZE(objects);

	for (size_t i = 0; i < nr; i++) {
		void *p = must_give(allocate(alignment, size));

		expect(is_aligned(p, alignment) && is_aligned(p, 16), "%p at %zu", p, alignment);
		expect(numarena_malloc_usable_size(p) >= size, "%zu bytes at %zu", size, alignment);
		stamp(p, size, i);
		objects[i] = (struct object){ p, size, i };
	}
	for (size_t i = 0; i < nr; i++)
		object_delete(&objects[i]);
}

static void all_alignments(void *(*allocate)(size_t, size_t), size_t low)
{
	static const size_t sizes[] = {
		0, 1, 16, 24, 64, 65, 100, 513, 1000, 4096, 5000, KIB(32), KIB(33), MIB(1) + 1,
		MIB(3),
	};

	for (size_t alignment = low; alignment <= MAX_ALIGNMENT; alignment *= 2)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			live_aligned(allocate, alignment, sizes[i]);
}

START_TEST(aligned_alloc_aligns)
{
	all_alignments(by_aligned_alloc, 1);
}
END_TEST

START_TEST(posix_memalign_aligns)
{
	all_alignments(by_posix_memalign, sizeof(void *));
}
END_TEST

START_TEST(memalign_aligns)
{
	all_alignments(by_memalign, 1);
}
END_TEST

/* Expect: the usual case of vector code, at every size: 64 of them live together. */
START_TEST(every_size_at_64)
{
	struct object objects[64];

	for (size_t size = 0; size <= KIB(34); size += ARRAY_SIZE(objects)) {
		for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
			objects[i] = (struct object){ numarena_aligned_alloc(64, size + i), size + i, i };
			expect(objects[i].p && is_aligned(objects[i].p, 64), "%p of %zu",
			       objects[i].p, size + i);
			stamp(objects[i].p, size + i, i);
		}
		for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
			object_delete(&objects[i]);
	}
}
END_TEST

static const size_t not_powers[] = {
	0, 3, 5, 24, 48, 96, KIB(4) + 1, KIB(4) - 16, MIB(3), SIZE_MAX, SIZE_MAX - 15,
	((size_t)1 << 63) + 64, ((size_t)1 << 63) - 64,
};

/* Expect: NULL and EINVAL, also where the size could not be had anyway. */
START_TEST(aligned_alloc_refuses_bad_alignments)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_powers); i++) {
		must_refuse(numarena_aligned_alloc(not_powers[i], 64), EINVAL);
		must_refuse(numarena_aligned_alloc(not_powers[i], 0), EINVAL);
		must_refuse(numarena_aligned_alloc(not_powers[i], SIZE_MAX), EINVAL);
	}
}
END_TEST

static void memalign_must_fail(size_t alignment, size_t size, int code)
{
	void *p = untouched;
	int err = 0;

	must_keep_errno(err = numarena_posix_memalign(&p, alignment, size));
	ck_assert_msg(err == code, "posix_memalign(%zu, %zu): %d", alignment, size, err);
	ck_assert_ptr_eq(p, untouched);
}

/* Expect: EINVAL as result, with errno and the pointer as they were. */
START_TEST(posix_memalign_refuses_bad_alignments)
{
	for (size_t alignment = 0; alignment < sizeof(void *); alignment++)
		memalign_must_fail(alignment, 64, EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(not_powers); i++)
		memalign_must_fail(not_powers[i], 64, EINVAL);
}
END_TEST

START_TEST(posix_memalign_keeps_errno)
{
	void *p;

	for (size_t alignment = 8; alignment <= MIB(4); alignment *= 2) {
		must_keep_errno(ck_assert_int_eq(numarena_posix_memalign(&p, alignment, 100), 0));
		numarena_free(p);
	}
}
END_TEST

/* Expect: the next power of two. */
START_TEST(memalign_rounds_up)
{
	static const struct {
		size_t asked, given;
	} cases[] = {
		{ 0, 16 }, { 1, 16 }, { 3, 16 }, { 17, 32 }, { 24, 32 }, { 48, 64 }, { 65, 128 },
		{ 1000, 1024 }, { KIB(4) + 1, KIB(8) }, { MIB(3), MIB(4) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t size = 1; size < MIB(1); size = size * 5 + 3) {
			void *p = must_give(numarena_memalign(cases[i].asked, size));

			ck_assert_msg(is_aligned(p, cases[i].given), "memalign(%zu, %zu): %p",
				      cases[i].asked, size, p);
			numarena_free(p);
		}
	}
}
END_TEST

/* Expect: no power of two above 2^62 can be had: rounding must not wrap to 0. */
START_TEST(memalign_refuses_what_cannot_be_rounded)
{
	must_refuse(numarena_memalign(((size_t)1 << 62) + 1, 64), ENOMEM);
	must_refuse(numarena_memalign((size_t)1 << 63, 64), ENOMEM);
	must_refuse(numarena_memalign(((size_t)1 << 63) + 1, 64), EINVAL);
	must_refuse(numarena_memalign(SIZE_MAX, 64), EINVAL);
}
END_TEST

/* Expect: ENOMEM; size and alignment together must not wrap. */
START_TEST(too_much_is_refused)
{
	static const struct {
		size_t alignment, size;
	} cases[] = {
		{ (size_t)1 << 62, 1 }, { (size_t)1 << 62, (size_t)1 << 62 },
		{ (size_t)1 << 62, PTRDIFF_MAX }, { (size_t)1 << 46, 64 },
		{ 64, SIZE_MAX }, { 64, SIZE_MAX - 63 }, { 64, (size_t)PTRDIFF_MAX + 1 },
		{ 64, PTRDIFF_MAX }, { MIB(2), SIZE_MAX - MIB(2) + 1 }, { MIB(2), PTRDIFF_MAX },
		{ (size_t)1 << 32, SIZE_MAX - ((size_t)1 << 32) }, { KIB(4), (size_t)1 << 62 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		must_refuse(numarena_aligned_alloc(cases[i].alignment, cases[i].size), ENOMEM);
		must_refuse(numarena_memalign(cases[i].alignment, cases[i].size), ENOMEM);
		memalign_must_fail(cases[i].alignment, cases[i].size, ENOMEM);
	}
	/* A power of two, so not EINVAL for the two that take any power of two. */
	must_refuse(numarena_aligned_alloc((size_t)1 << 63, 1), ENOMEM);
	memalign_must_fail((size_t)1 << 63, 1, ENOMEM);
}
END_TEST

/* Expect: what alignment skipped over is not lost: 4 TiB pass through. */
START_TEST(alignment_loses_nothing)
{
	for (unsigned int i = 0; i < 32768; i++) {
		void *p = numarena_aligned_alloc(MAX_ALIGNMENT, MIB(64));

		expect(p, "turn %u: errno %d", i, errno);
		numarena_free(p);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("align");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, aligned_alloc_aligns);
	tcase_add_test(tc, posix_memalign_aligns);
	tcase_add_test(tc, memalign_aligns);
	tcase_add_test(tc, every_size_at_64);
	tcase_add_test(tc, aligned_alloc_refuses_bad_alignments);
	tcase_add_test(tc, posix_memalign_refuses_bad_alignments);
	tcase_add_test(tc, posix_memalign_keeps_errno);
	tcase_add_test(tc, memalign_rounds_up);
	tcase_add_test(tc, memalign_refuses_what_cannot_be_rounded);
	tcase_add_test(tc, too_much_is_refused);
	tcase_add_test(tc, alignment_loses_nothing);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
