// SPDX-License-Identifier: MIT
/*
 * The contract of realloc and reallocarray.
 */
#include "contract.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* Where something changes: classes' steps, the largest class, grains, huge pages. */
static const size_t boundaries[] = {
	1, 15, 16, 17, 32, 33, 500, 512, 513, 576, 577, 1024, 1025, 1088, 2048, 4096, 4097,
	KIB(32) - 1, KIB(32), KIB(32) + 1, KIB(33), KIB(36), KIB(36) + 1, KIB(64), KIB(200),
	MIB(1) - 1, MIB(1), MIB(1) + 1, MIB(2) - 1, MIB(2), MIB(2) + 1, MIB(5), MIB(20),
};

/* Expect: as malloc, size 0 included. */
START_TEST(null_allocates)
{
	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++)
		numarena_free(must_give(numarena_realloc(NULL, boundaries[i])));
	numarena_free(must_give(numarena_realloc(NULL, 0)));
	numarena_free(must_give(numarena_reallocarray(NULL, 0, 8)));
	numarena_free(must_give(numarena_reallocarray(NULL, 8, 8)));
}
END_TEST

static uint64_t live_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.slab_bytes + stats.large_bytes;
}

/* Expect: NULL, errno alone, and the memory comes back: it is not lost by thousands. */
START_TEST(size_zero_frees)
{
	static const size_t sizes[] = { 1, 64, 4096, KIB(32), KIB(33), MIB(3) };
	uint64_t before = live_bytes();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int turn = 0; turn < 2000; turn++) {
			void *p = numarena_malloc(sizes[i]);

			expect(p, "malloc(%zu), turn %u", sizes[i], turn);
			errno = ERRNO_MARK;
			expect(!numarena_realloc(p, 0), "realloc(p, 0) of %zu bytes", sizes[i]);
			expect(errno == ERRNO_MARK, "realloc(p, 0) set errno to %d", errno);
		}
	}
	ck_assert_uint_le(live_bytes(), before + MIB(16));
}
END_TEST

START_TEST(array_of_size_zero_frees)
{
	void *p = must_give(numarena_malloc(100)), *q = must_give(numarena_malloc(100));

	must_keep_errno(p = numarena_reallocarray(p, 0, 8));
	must_keep_errno(q = numarena_reallocarray(q, SIZE_MAX, 0));
	ck_assert_ptr_null(p);
	ck_assert_ptr_null(q);
}
END_TEST

/*
 *	|neighbour|  old  |neighbour|	to	|   new   |
 *
 * Expect: the common part is kept, all of the new size is the object's own.
 */
static void resize_once(size_t from, size_t to)
{
	struct object before = object_new(from, 1), object = object_new(from, 2);
	struct object after = object_new(from, 3);

	errno = ERRNO_MARK;
	object_resize(&object, to);
	expect(errno == ERRNO_MARK, "realloc of %zu to %zu set errno to %d", from, to, errno);
	expect(numarena_malloc_usable_size(object.p) >= to, "usable after %zu to %zu", from, to);
	object_delete(&before);
	object_delete(&object);
	object_delete(&after);
}

START_TEST(every_boundary_to_every_other)
{
	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++)
		for (size_t j = 0; j < ARRAY_SIZE(boundaries); j++)
			resize_once(boundaries[i], boundaries[j]);
}
END_TEST

/* Expect: a buffer that grows a little at a time, and shrinks again, keeps its content. */
START_TEST(grow_and_shrink_step_by_step)
{
	struct object object = object_new(1, 7), beside = object_new(1, 8);

	for (size_t size = 1; size < MIB(4); size += 1 + size / 9) {
		object_resize(&object, size);
		object_resize(&beside, size + size / 3);
	}
	for (size_t size = MIB(4); size; size -= 1 + size / 9) {
		object_resize(&object, size);
		object_resize(&beside, size + size / 3);
	}
	object_delete(&object);
	object_delete(&beside);
}
END_TEST

/* Expect: room to grow is used where it is, or the content comes along; never both. */
START_TEST(grow_beside_a_free_neighbour)
{
	for (size_t size = KIB(36); size <= MIB(16); size *= 2) {
		struct object low = object_new(size, 1), high = object_new(size, 2);
		struct object top = object_new(size, 3);

		object_delete(&high);
		object_resize(&low, size * 2 - KIB(8));
		object_resize(&low, size * 2);
		object_resize(&low, size * 2 + KIB(4));
		object_resize(&low, size / 2);
		object_delete(&top);
		object_delete(&low);
	}
}
END_TEST

/* Expect: realloc takes what any of the other functions gave. */
START_TEST(of_aligned_and_zeroed_memory)
{
	for (size_t alignment = 32; alignment <= MIB(4); alignment *= 2) {
		struct object object = object_new_aligned(alignment, 3 * alignment / 2, alignment);
		struct object zeroed = object_new_zeroed(alignment, alignment + 1);

		object_resize(&object, 4 * alignment);
		object_resize(&object, alignment / 2);
		object_resize(&zeroed, 2 * alignment);
		object_delete(&object);
		object_delete(&zeroed);
	}
}
END_TEST

/* Expect: NULL and ENOMEM, and the object is as it was. */
START_TEST(refusal_keeps_the_object)
{
	static const size_t too_much[] = {
		(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, (size_t)1 << 62, PTRDIFF_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++) {
		struct object object = object_new(boundaries[i], i);

		for (size_t j = 0; j < ARRAY_SIZE(too_much); j++)
			must_refuse(numarena_realloc(object.p, too_much[j]), ENOMEM);
		must_refuse(numarena_reallocarray(object.p, SIZE_MAX / 8 + 2, 8), ENOMEM);
		must_refuse(numarena_reallocarray(object.p, (size_t)1 << 32, (size_t)1 << 32),
			    ENOMEM);
		object_delete(&object);
	}
}
END_TEST

START_TEST(array_is_resized)
{
	unsigned int *numbers = must_give(numarena_reallocarray(NULL, 10, sizeof(*numbers)));

	for (unsigned int i = 0; i < 10; i++)
		numbers[i] = i;
	numbers = must_give(numarena_reallocarray(numbers, 100000, sizeof(*numbers)));
	ck_assert_uint_ge(numarena_malloc_usable_size(numbers), 100000 * sizeof(*numbers));
	for (unsigned int i = 0; i < 10; i++)
		ck_assert_uint_eq(numbers[i], i);
	numarena_free(numbers);
}
END_TEST

static void *resize_all(void *arg)
{
	struct object *objects = arg;

	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++)
		object_resize(&objects[i], boundaries[ARRAY_SIZE(boundaries) - 1 - i]);
	return NULL;
}

static uint64_t moved_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.moved_bytes;
}

/*
 *	| block 16 MiB | neighbour |        ->   | free | neighbour | block 32 MiB |
 *
 * Expect: the pages move, the content with them; what was the block before is free,
 * and zero if it is asked for with calloc.
 */
START_TEST(large_block_moves_its_pages)
{
	uint64_t before = moved_bytes();
	char *p = must_give(numarena_malloc(MIB(16))), *neighbour, *q;

	stamp(p, MIB(16), 1);
	neighbour = must_give(numarena_malloc(MIB(16)));
	q = must_give(numarena_realloc(p, MIB(32)));
	if (q == p) {
		/* The neighbour came to lie elsewhere: there was nothing to move. */
		numarena_free(neighbour);
		numarena_free(q);
		return;
	}
	if (moved_bytes() == before)
		printf("# the kernel does not move pages here\n");
	else
		ck_assert_uint_eq(moved_bytes() - before, MIB(16));
	ck_assert(stamp_is_whole(q, MIB(16), 1));
	memset(q, 2, MIB(32));
	p = must_give(numarena_calloc(1, MIB(16)));
	ck_assert(is_zero(p, MIB(16)));
	numarena_free(p);
	numarena_free(neighbour);
	numarena_free(q);
}
END_TEST

/*
 *	huge pages:  |        |        |        |        |
 *	                 | block 3 MiB | neighbour |
 *
 * Expect: a block that begins amid a huge page is copied, since its pages would be small ones
 * wherever they were moved; under huge:off they are that anyway.
 */
START_TEST(parts_of_huge_pages_do_not_move)
{
	char *outgrown = must_give(numarena_malloc(MIB(16))), *p, *q;
	uint64_t before = moved_bytes();
	char huge[16];

	do
		p = must_give(numarena_malloc(MIB(3)));
	while ((uintptr_t)p % MIB(2) == 0);
	must_give(numarena_malloc(MIB(3)));
	stamp(p, MIB(3), 1);
	q = must_give(numarena_realloc(p, MIB(16)));
	ck_assert(stamp_is_whole(q, MIB(3), 1));
	ck_assert_int_gt(numarena_option_get("huge", huge, sizeof(huge)), 0);
	if (strcmp(huge, "off"))
		ck_assert_uint_eq(moved_bytes(), before);
	ck_assert_uint_eq(numarena_malloc_usable_size(outgrown), MIB(16));
}
END_TEST

static size_t pages_of(size_t bytes)
{
	return bytes / (size_t)sysconf(_SC_PAGESIZE);
}

static size_t resident_pages(const void *p, size_t bytes)
{
	static unsigned char page[MIB(8) / 4096];
	size_t i, nr = 0;

	ck_assert_int_eq(mincore((void *)(uintptr_t)p, bytes, page), 0);
	for (i = 0; i < pages_of(bytes); i++)
		nr += page[i] & 1;
	return nr;
}

/*
 *	reserved: | block 4 MiB | neighbour |	->   | free | neighbour | block 8 MiB |
 *
 * Expect: the content is copied and no page moved, since memory that is reserved is there.
 */
START_TEST(reserved_memory_keeps_its_pages)
{
	uint64_t before;
	char *p, *q;

	ck_assert_int_eq(numarena_reserve(NUMARENA_NODE_FOLLOW, MIB(64), NUMARENA_RESERVE_SMALL), MIB(64));
	p = must_give(numarena_malloc(MIB(4)));
	must_give(numarena_malloc(MIB(4)));
	stamp(p, MIB(4), 1);
	before = moved_bytes();
	q = must_give(numarena_realloc(p, MIB(8)));
	ck_assert_ptr_ne(q, p);
	ck_assert(stamp_is_whole(q, MIB(4), 1));
	ck_assert_uint_eq(moved_bytes(), before);
	ck_assert_uint_eq(resident_pages(p, MIB(4)), pages_of(MIB(4)));
	ck_assert_uint_eq(resident_pages(q, MIB(8)), pages_of(MIB(8)));
}
END_TEST

/*
 *	two blocks, by turns a page more each, to 4 MiB
 *
 * Expect: neither is in the other's way for long: they move a few times, not each time;
 * and what was written is there.
 */
START_TEST(two_grow_side_by_side)
{
	char *p[2] = { NULL, NULL };
	unsigned int nr_moves = 0, which;

	for (size_t size = KIB(4); size <= MIB(4); size += KIB(4)) {
		for (which = 0; which < 2; which++) {
			char *q = must_give(numarena_realloc(p[which], size));

			nr_moves += size > KIB(64) && q != p[which];
			q[size - KIB(4)] = (char)(size / KIB(4));
			p[which] = q;
		}
	}
	ck_assert_uint_le(nr_moves, 64);
	for (size_t size = KIB(4); size <= MIB(4); size += KIB(4))
		for (which = 0; which < 2; which++)
			ck_assert_int_eq(p[which][size - KIB(4)], (char)(size / KIB(4)));
	numarena_free(p[0]);
	numarena_free(p[1]);
}
END_TEST

/* Committed, of all nodes. */
static uint64_t committed_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.committed_bytes;
}

/*
 *	2000 buffers: 20,000 bytes -> 40,000; 100,000 -> 200,000
 *
 * Expect: a buffer that has grown once costs what it holds, and no room beside it.
 */
START_TEST(many_that_grew_once)
{
	static char *p[2000];
	size_t i, from;

	for (from = 20000; from <= 100000; from *= 5) {
		uint64_t before = committed_bytes();

		for (i = 0; i < ARRAY_SIZE(p); i++) {
			p[i] = must_give(numarena_malloc(from));
			p[i] = must_give(numarena_realloc(p[i], 2 * from));
		}
		ck_assert_uint_le(committed_bytes() - before, 3 * from * ARRAY_SIZE(p));
		for (i = 0; i < ARRAY_SIZE(p); i++)
			numarena_free(p[i]);
	}
}
END_TEST

/*
 *	| free, 59 MiB | block |	RLIMIT_DATA 4 KiB: the window cannot grow
 *
 * Expect: a block that grows goes to what is free, content and all, until that is too small; and
 * that is no error.
 */
START_TEST(under_a_limit_of_data)
{
	char *room = must_give(numarena_malloc(MIB(60))), *p = must_give(numarena_malloc(MIB(5)));
	struct rlimit before;
	size_t size;

	numarena_free(room);
	stamp(p, MIB(5), 1);
	ck_assert_int_eq(getrlimit(RLIMIT_DATA, &before), 0);
	/* A sanitizer may need memory of its own any time. */
	if (!HAS_SHADOW_MEMORY)
		ck_assert_int_eq(setrlimit(RLIMIT_DATA, &(struct rlimit){ KIB(4), before.rlim_max }), 0);
	for (size = MIB(12); size <= MIB(24); size *= 2) {
		p = must_give(numarena_realloc(p, size));
		ck_assert(stamp_is_whole(p, MIB(5), 1));
	}
	if (!HAS_SHADOW_MEMORY)
		must_refuse(numarena_realloc(p, GIB(1)), ENOMEM);
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &before), 0);
	ck_assert(stamp_is_whole(p, MIB(5), 1));
	numarena_free(p);
}
END_TEST

/* Expect: another thread may resize what it does not own. */
START_TEST(by_another_thread)
{
	struct object objects[ARRAY_SIZE(boundaries)];

	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++)
		objects[i] = object_new(boundaries[i], i);
	thread_join(thread_start(resize_all, objects));
	for (size_t i = 0; i < ARRAY_SIZE(boundaries); i++)
		object_delete(&objects[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("realloc");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, null_allocates);
	tcase_add_test(tc, size_zero_frees);
	tcase_add_test(tc, array_of_size_zero_frees);
	tcase_add_test(tc, every_boundary_to_every_other);
	tcase_add_test(tc, grow_and_shrink_step_by_step);
	tcase_add_test(tc, grow_beside_a_free_neighbour);
	tcase_add_test(tc, of_aligned_and_zeroed_memory);
	tcase_add_test(tc, refusal_keeps_the_object);
	tcase_add_test(tc, array_is_resized);
	tcase_add_test(tc, large_block_moves_its_pages);
	tcase_add_test(tc, parts_of_huge_pages_do_not_move);
	tcase_add_test(tc, reserved_memory_keeps_its_pages);
	tcase_add_test(tc, two_grow_side_by_side);
	tcase_add_test(tc, many_that_grew_once);
	tcase_add_test(tc, under_a_limit_of_data);
	tcase_add_test(tc, by_another_thread);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
