// SPDX-License-Identifier: MIT
/*
 * The contract of malloc, calloc, free and their kin, by the explicit names.
 */
#include "contract.h"

#define NR_TOGETHER 500

/* Lives and overlaps with its neighbours in size if anything is wrong. */
static void live_together(size_t first_size, size_t size_step)
{
	struct object objects[NR_TOGETHER];

	for (size_t i = 0; i < NR_TOGETHER; i++) {
		size_t size = first_size + i * size_step;

		objects[i] = (struct object){ numarena_malloc(size), size, i };
		expect(objects[i].p, "malloc(%zu) gave NULL", size);
		expect(is_aligned(objects[i].p, 16), "malloc(%zu) gave %p", size, objects[i].p);
		expect(numarena_malloc_usable_size(objects[i].p) >= size, "usable of %zu", size);
		stamp(objects[i].p, size, i);
	}
	for (size_t i = 0; i < NR_TOGETHER; i++) {
		expect(stamp_is_whole(objects[i].p, objects[i].size, i),
		       "an object of %zu bytes was overwritten", objects[i].size);
		numarena_free(objects[i].p);
	}
}

/*
 *	| 0 | 1 | 2 |  3  |  4  | ... |   499   |	500 objects of neighbouring sizes
 *
 * Expect: each starts at a multiple of 16 and none reaches into another.
 */
START_TEST(every_size_up_to_40000)
{
	for (size_t size = 0; size <= 40000; size += NR_TOGETHER)
		live_together(size, 1);
}
END_TEST

/* Expect: the same at and around every power of two up to 1 GiB. */
START_TEST(large_sizes)
{
	for (size_t power = KIB(32); power <= GIB(1); power *= 2) {
		for (size_t size = power - 1; size <= power + 1; size++) {
			char *p = must_give(numarena_malloc(size));

			ck_assert_msg(is_aligned(p, 16), "malloc(%zu) gave %p", size, (void *)p);
			p[0] = 1;
			p[size - 1] = 1;
			must_keep_errno(numarena_free(p));
		}
	}
	live_together(MAX_CLASS_BYTES - 100, 1);
	live_together(KIB(40), 777);
}
END_TEST

static int compare_pointers(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* Expect: a pointer, each time another one, that free takes back. */
START_TEST(size_zero_is_unique)
{
	static void *objects[3000];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(objects); i += 3) {
		objects[i] = must_give(numarena_malloc(0));
		objects[i + 1] = must_give(numarena_calloc(0, 8));
		objects[i + 2] = must_give(numarena_calloc(8, 0));
	}
	qsort(objects, ARRAY_SIZE(objects), sizeof(objects[0]), compare_pointers);
	for (i = 1; i < ARRAY_SIZE(objects); i++)
		ck_assert_ptr_ne(objects[i - 1], objects[i]);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		must_keep_errno(numarena_free(objects[i]));
}
END_TEST

/* Expect: NULL and ENOMEM; rounding a size up must not wrap it to a small one. */
START_TEST(sizes_beyond_ptrdiff_max)
{
	static const size_t sizes[] = {
		(size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 2, SIZE_MAX - KIB(4),
		SIZE_MAX - KIB(2048), SIZE_MAX - 64, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		must_refuse(numarena_malloc(sizes[i]), ENOMEM);
		must_refuse(numarena_calloc(1, sizes[i]), ENOMEM);
		must_refuse(numarena_calloc(sizes[i], 1), ENOMEM);
		must_refuse(numarena_realloc(NULL, sizes[i]), ENOMEM);
	}
}
END_TEST

/* Expect: legal sizes that no machine has are refused alike, and all goes on. */
START_TEST(sizes_beyond_memory)
{
	static const size_t sizes[] = { (size_t)1 << 46, (size_t)1 << 62, PTRDIFF_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		must_refuse(numarena_malloc(sizes[i]), ENOMEM);
		must_refuse(numarena_calloc(1, sizes[i]), ENOMEM);
		numarena_free(must_give(numarena_malloc(MIB(1))));
	}
}
END_TEST

/* Expect: ENOMEM where the product wraps, whatever it wraps to. */
START_TEST(calloc_product_overflows)
{
	static const size_t half = (size_t)1 << 32;

	must_refuse(numarena_calloc(half, half), ENOMEM);	/* to 0 */
	must_refuse(numarena_calloc(half, half + 1), ENOMEM);	/* to 2^32 */
	must_refuse(numarena_calloc(half + 1, half), ENOMEM);
	must_refuse(numarena_calloc(SIZE_MAX / 16 + 2, 16), ENOMEM);	/* to 16 */
	must_refuse(numarena_calloc(SIZE_MAX, SIZE_MAX), ENOMEM);	/* to 1 */
	must_refuse(numarena_calloc(2, (size_t)PTRDIFF_MAX), ENOMEM);
	numarena_free(must_give(numarena_calloc(0, SIZE_MAX)));
	numarena_free(must_give(numarena_calloc(SIZE_MAX, 0)));
}
END_TEST

/*
 *	malloc	|dirt|dirt|dirt|dirt|  free  |    |    |    |    |  calloc  | 0 | 0 | 0 | 0 |
 *
 * Expect: zero over the whole size, though the memory was written before.
 */
static void calloc_after_dirt(size_t size, unsigned int nr)
{
	void *objects[256];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		objects[i] = numarena_malloc(size);
		expect(objects[i], "malloc(%zu)", size);
		memset(objects[i], 0xa5, numarena_malloc_usable_size(objects[i]));
	}
	for (i = 0; i < nr; i++)
		numarena_free(objects[i]);
	for (i = 0; i < nr; i++) {
		objects[i] = numarena_calloc(1, size);
		expect(objects[i] && is_zero(objects[i], size), "calloc(1, %zu)", size);
		memset(objects[i], 0xa5, size);
	}
	for (i = 0; i < nr; i++)
		numarena_free(objects[i]);
}

START_TEST(calloc_is_zero_when_small)
{
	/* More than a magazine's 64, so that memory comes from slabs as well. */
	for (size_t size = 1; size <= MAX_CLASS_BYTES; size += size < 600 ? 7 : 331)
		calloc_after_dirt(size, size <= 4096 ? 150 : 20);
}
END_TEST

START_TEST(calloc_is_zero_when_large)
{
	for (size_t size = MAX_CLASS_BYTES + 1; size <= MIB(9); size = size * 3 / 2)
		calloc_after_dirt(size, 6);
}
END_TEST

/* Expect: zero where a freed block's memory is cut and merged into another size. */
START_TEST(calloc_is_zero_across_sizes)
{
	for (size_t size = KIB(36); size <= MIB(8); size *= 2) {
		void *dirty = must_give(numarena_malloc(MIB(9)));

		memset(dirty, 0xa5, MIB(9));
		numarena_free(dirty);
		calloc_after_dirt(size, 1);
	}
}
END_TEST

/* Expect: fresh memory after a purge is zero too, for whatever reason. */
START_TEST(calloc_is_zero_after_trim)
{
	for (unsigned int i = 0; i < 3; i++) {
		calloc_after_dirt(KIB(2), 200);
		calloc_after_dirt(MIB(4), 8);
		numarena_malloc_trim(0);
	}
}
END_TEST

/* Expect: at least the size, and every byte of it is the object's own. */
START_TEST(usable_size_is_writable)
{
	ck_assert_uint_eq(numarena_malloc_usable_size(NULL), 0);
	for (size_t size = 0; size <= MIB(3); size += 1 + size / 7) {
		struct object objects[20];

		for (uint64_t i = 0; i < ARRAY_SIZE(objects); i++) {
			void *p = numarena_malloc(size);
			size_t usable = numarena_malloc_usable_size(p);

			expect(p && usable >= size && usable >= 1, "usable %zu of %zu", usable, size);
			stamp(p, usable, i);
			objects[i] = (struct object){ p, usable, i };
		}
		for (uint64_t i = 0; i < ARRAY_SIZE(objects); i++) {
			expect(stamp_is_whole(objects[i].p, objects[i].size, i),
			       "%zu usable of %zu overlap", objects[i].size, size);
			numarena_free(objects[i].p);
		}
	}
}
END_TEST

/* Expect: nothing happens to errno, for every kind of pointer that can be freed. */
START_TEST(free_keeps_errno)
{
	static const size_t sizes[] = { 0, 16, 4096, KIB(32), KIB(33), MIB(2), MIB(64) };
	void *objects[200];

	must_keep_errno(numarena_free(NULL));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		must_keep_errno(numarena_free(numarena_malloc(sizes[i])));
	/* Across flushes, whose slow path may make system calls. */
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = must_give(numarena_malloc(KIB(30)));
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		must_keep_errno(numarena_free(objects[i]));
}
END_TEST

static void *free_all(void *arg)
{
	void **objects = arg;
	intptr_t nr_errno_changes = 0;

	for (unsigned int i = 0; i < 200; i++) {
		errno = ERRNO_MARK;
		numarena_free(objects[i]);
		nr_errno_changes += errno != ERRNO_MARK;
	}
	return (void *)nr_errno_changes;
}

/* Expect: another thread may free, small and large, and its errno is left alone too. */
START_TEST(free_by_another_thread)
{
	void *objects[200], *nr_errno_changes;
	pthread_t thread;

	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = must_give(numarena_malloc(i % 8 ? 100 * i : KIB(100)));
	thread = thread_start(free_all, objects);
	pthread_join(thread, &nr_errno_changes);
	ck_assert_ptr_null(nr_errno_changes);
}
END_TEST

/* Expect: the size asked for is accepted, also where the object is larger. */
START_TEST(free_sized_takes_back)
{
	must_keep_errno(numarena_free_sized(NULL, 0));
	must_keep_errno(numarena_free_sized(NULL, 100));
	for (size_t size = 0; size <= MIB(2); size += 1 + size / 5) {
		must_keep_errno(numarena_free_sized(numarena_malloc(size), size));
		must_keep_errno(numarena_free_sized(numarena_calloc(size, 2), size * 2));
		must_keep_errno(numarena_free_sized(
			numarena_realloc(numarena_malloc(10), size + 1), size + 1));
	}
}
END_TEST

/* Expect: the same where a larger block, freed a moment ago, serves again as a whole. */
START_TEST(free_sized_takes_back_recent)
{
	for (size_t size = KIB(64); size <= KIB(1000); size += KIB(52)) {
		size_t less = size - size / 10;

		numarena_free(must_give(numarena_malloc(size)));
		must_keep_errno(numarena_free_sized(must_give(numarena_malloc(less)), less));
	}
}
END_TEST

START_TEST(free_aligned_sized_takes_back)
{
	must_keep_errno(numarena_free_aligned_sized(NULL, 64, 100));
	for (size_t alignment = 1; alignment <= MIB(4); alignment *= 2)
		for (size_t size = alignment; size <= MIB(8); size += alignment + size * 2)
			must_keep_errno(numarena_free_aligned_sized(
				numarena_aligned_alloc(alignment, size), alignment, size));
}
END_TEST

START_TEST(version_is_the_headers)
{
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", NUMARENA_VERSION_MAJOR,
		 NUMARENA_VERSION_MINOR, NUMARENA_VERSION_PATCH);
	ck_assert_str_eq(numarena_version(), version);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("malloc");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, every_size_up_to_40000);
	tcase_add_test(tc, large_sizes);
	tcase_add_test(tc, size_zero_is_unique);
	tcase_add_test(tc, sizes_beyond_ptrdiff_max);
	tcase_add_test(tc, sizes_beyond_memory);
	tcase_add_test(tc, calloc_product_overflows);
	tcase_add_test(tc, calloc_is_zero_when_small);
	tcase_add_test(tc, calloc_is_zero_when_large);
	tcase_add_test(tc, calloc_is_zero_across_sizes);
	tcase_add_test(tc, calloc_is_zero_after_trim);
	tcase_add_test(tc, usable_size_is_writable);
	tcase_add_test(tc, free_keeps_errno);
	tcase_add_test(tc, free_by_another_thread);
	tcase_add_test(tc, free_sized_takes_back);
	tcase_add_test(tc, free_sized_takes_back_recent);
	tcase_add_test(tc, free_aligned_sized_takes_back);
	tcase_add_test(tc, version_is_the_headers);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
