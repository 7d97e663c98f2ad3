// SPDX-License-Identifier: MIT
/*
 * Heaps of the program's own: what is promised, and what is refused.
 */
#include "contract.h"

static struct numarena_heap_attr attr_named(const char *name)
{
	return (struct numarena_heap_attr){ .size = sizeof(struct numarena_heap_attr), .name = name };
}

static struct numarena_heap *heap_limited(uint64_t bytes)
{
	struct numarena_heap_attr attr = attr_named("limited");

	attr.limit_bytes = bytes;
	return must_give(numarena_heap_create(&attr));
}

static struct numarena_heap_stats stats_of(struct numarena_heap *heap)
{
	struct numarena_heap_stats stats;

	ck_assert_int_eq(numarena_heap_stats_get(heap, &stats, sizeof(stats)), 0);
	return stats;
}

static uint64_t process_bytes(void)
{
	struct numarena_stats stats;

	numarena_malloc_trim(0);
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.slab_bytes + stats.large_bytes;
}

/* ---- Objects ---- */

static const size_t sizes[] = { 0, 1, 16, 100, 1000, 5000, KIB(32), KIB(32) + 1, 100000, MIB(3) };

/* Expect: each is an object like any other, to every function. */
START_TEST(objects_are_like_others)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *p = must_give(numarena_heap_alloc(heap, sizes[i]));

		ck_assert_uint_ge(numarena_malloc_usable_size(p), sizes[i]);
		stamp(p, sizes[i], i);
		p = must_give(numarena_realloc(p, sizes[i] + 10));
		ck_assert(stamp_is_whole(p, sizes[i], i));
		must_keep_errno(numarena_free(p));
		p = must_give(numarena_heap_calloc(heap, 3, sizes[i]));
		ck_assert(is_zero(p, 3 * sizes[i]));
		must_keep_errno(numarena_heap_free(heap, p));
		p = must_give(numarena_heap_realloc(heap, NULL, sizes[i]));
		p = must_give(numarena_heap_realloc(heap, p, 2 * sizes[i] + 1));
		must_keep_errno(numarena_heap_free(NULL, p));
	}
	must_keep_errno(numarena_heap_free(heap, NULL));
	must_keep_errno(numarena_heap_destroy(heap));
}
END_TEST

START_TEST(aligned_as_asked)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));

	for (size_t alignment = 1; alignment <= MIB(4); alignment *= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			void *p = must_give(numarena_heap_aligned_alloc(heap, alignment, sizes[i]));

			ck_assert_uint_eq((uintptr_t)p % alignment, 0);
			stamp(p, sizes[i], i);
			if (i % 2)
				numarena_free(p);
		}
	}
	must_refuse(numarena_heap_aligned_alloc(heap, 0, 16), EINVAL);
	must_refuse(numarena_heap_aligned_alloc(heap, 48, 16), EINVAL);
	numarena_heap_destroy(heap);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));
	void *p = must_give(numarena_heap_alloc(heap, 100));

	must_refuse(numarena_heap_alloc(heap, SIZE_MAX), ENOMEM);
	must_refuse(numarena_heap_alloc(heap, PTRDIFF_MAX), ENOMEM);
	must_refuse(numarena_heap_calloc(heap, SIZE_MAX / 2, 3), ENOMEM);
	must_refuse(numarena_heap_realloc(heap, p, SIZE_MAX), ENOMEM);
	must_refuse(numarena_heap_aligned_alloc(heap, (size_t)1 << 62, 1), ENOMEM);
	ck_assert_ptr_null(numarena_heap_realloc(heap, p, 0));
	ck_assert_uint_eq(stats_of(heap).nr_limit_hit, 0);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: by whichever realloc, grown or shrunk, it counts where it was. */
START_TEST(realloc_stays_in_the_heap)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));
	struct numarena_heap *other = must_give(numarena_heap_create(NULL));
	void *p = must_give(numarena_heap_alloc(heap, 50000));

	p = must_give(numarena_realloc(p, MIB(5)));
	ck_assert_uint_ge(stats_of(heap).live_bytes, MIB(5));
	p = must_give(numarena_heap_realloc(other, p, MIB(50)));
	ck_assert_uint_ge(stats_of(heap).live_bytes, MIB(50));
	p = must_give(numarena_heap_realloc(other, p, KIB(40)));
	ck_assert_uint_lt(stats_of(heap).live_bytes, KIB(80));
	p = must_give(numarena_realloc(p, 500));
	ck_assert_uint_ge(stats_of(heap).live_bytes, 500);
	ck_assert_uint_eq(stats_of(other).charged_bytes, 0);
	numarena_free(p);
	numarena_heap_destroy(heap);
	numarena_heap_destroy(other);
}
END_TEST

START_TEST(null_is_the_default_heap)
{
	void *p = must_give(numarena_heap_alloc(NULL, 100));

	p = must_give(numarena_heap_realloc(NULL, p, 1000));
	numarena_heap_free(NULL, p);
	numarena_free(must_give(numarena_heap_calloc(NULL, 10, 10)));
	numarena_free(must_give(numarena_heap_aligned_alloc(NULL, 64, 10)));
	must_refuse(numarena_heap_aligned_alloc(NULL, 3, 10), EINVAL);
	must_keep_errno(numarena_heap_destroy(NULL));
}
END_TEST

/* ---- The end ---- */

static void *fill_and_go(void *arg)
{
	for (unsigned int i = 0; i < 2000; i++)
		ck_assert_ptr_nonnull(numarena_heap_alloc(arg, 16 + i));
	ck_assert_ptr_nonnull(numarena_heap_alloc(arg, MIB(1)));
	return NULL;
}

/* Expect: whoever allocated it, and though its thread has ended, nothing is left of it. */
START_TEST(destroy_frees_all)
{
	uint64_t before = process_bytes();

	for (unsigned int turn = 0; turn < 50; turn++) {
		struct numarena_heap *heap = must_give(numarena_heap_create(NULL));

		threads_run(3, fill_and_go, heap, 0);
		fill_and_go(heap);
		ck_assert_uint_ge(stats_of(heap).live_bytes, MIB(4));
		ck_assert_uint_eq(stats_of(heap).nr_arenas, has_arenas());
		numarena_heap_destroy(heap);
	}
	ck_assert_uint_le(process_bytes(), before + MIB(1));
}
END_TEST

static void *free_all(void *arg)
{
	void **p = arg;

	for (; *p; p++)
		numarena_free(*p);
	return NULL;
}

/* Expect: what other threads free comes home, to the last object. */
START_TEST(others_may_free)
{
	static void *p[3001];
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));

	for (unsigned int i = 0; i < ARRAY_SIZE(p) - 1; i++)
		p[i] = must_give(numarena_heap_alloc(heap, i % 10 ? 16 + i : 40000));
	thread_join(thread_start(free_all, p));
	numarena_malloc_trim(0);
	ck_assert_uint_eq(stats_of(heap).live_bytes, 0);
	ck_assert_uint_eq(stats_of(heap).charged_bytes, 0);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: neither numbers nor tables nor memory run out; no handle comes again. */
START_TEST(a_million_heaps)
{
	unsigned int nr = HAS_SHADOW_MEMORY || !has_arenas() ? 20000 : 1000000;
	struct numarena_heap *before_last = NULL;
	struct numarena_stats before, after;

	for (unsigned int i = 0; i < nr; i++) {
		struct numarena_heap *heap = numarena_heap_create(NULL);

		expect(heap && heap != before_last, "heap %u: %s", i, strerror(errno));
		expect(numarena_heap_alloc(heap, 100), "heap %u: %s", i, strerror(errno));
		if (i % 16 == 0)
			expect(numarena_heap_alloc(heap, 100000), "heap %u: %s", i, strerror(errno));
		numarena_heap_destroy(heap);
		before_last = heap;
		if (i == 1000)
			numarena_stats_get(&before, sizeof(before));
	}
	numarena_stats_get(&after, sizeof(after));
	ck_assert_uint_eq(after.metadata_bytes, before.metadata_bytes);
	ck_assert_uint_eq(after.nr_arenas, before.nr_arenas);
	ck_assert_uint_le(after.committed_bytes, before.committed_bytes + MIB(8));
}
END_TEST

/* Expect: some 4,000 at a time, then ENOSPC; and each can be had again. */
START_TEST(heaps_are_many_but_finite)
{
	static struct numarena_heap *heaps[5000];
	unsigned int nr = 0;

	while (nr < ARRAY_SIZE(heaps) && (heaps[nr] = numarena_heap_create(NULL)))
		nr++;
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_uint_ge(nr, 4000);
	for (unsigned int i = 0; i < nr; i += 100)
		ck_assert_ptr_nonnull(numarena_heap_alloc(heaps[i], 100));
	for (unsigned int i = 0; i < nr; i++)
		numarena_heap_destroy(heaps[i]);
	for (unsigned int i = 0; i < nr; i++)
		heaps[i] = must_give(numarena_heap_create(NULL));
	for (unsigned int i = 0; i < nr; i++)
		numarena_heap_destroy(heaps[i]);
}
END_TEST

/* ---- Limits ---- */

/* Expect: refused only when one slab more would pass it; what is freed can be had again. */
START_TEST(limit_is_exact_to_a_slab)
{
	static void *p[100000];
	struct numarena_heap *heap = heap_limited(MIB(2));
	struct numarena_heap_stats stats;
	unsigned int nr = 0, again = 0;

	while (nr < ARRAY_SIZE(p) && (p[nr] = numarena_heap_alloc(heap, 64)))
		nr++;
	ck_assert_int_eq(errno, ENOMEM);
	stats = stats_of(heap);
	ck_assert_uint_le(stats.charged_bytes, MIB(2));
	ck_assert_uint_gt(stats.charged_bytes + KIB(32), MIB(2));
	ck_assert_uint_eq(nr, MIB(2) / 64);
	ck_assert_uint_gt(stats.nr_limit_hit, 0);
	ck_assert_uint_eq(stats.peak_bytes, stats.charged_bytes);
	ck_assert_uint_eq(stats.limit_bytes, MIB(2));
	must_refuse(numarena_heap_alloc(heap, 64), ENOMEM);
	must_refuse(numarena_heap_alloc(heap, 40000), ENOMEM);
	numarena_free(must_give(numarena_malloc(MIB(3))));
	for (unsigned int i = 0; i < nr; i++)
		numarena_free(p[i]);
	/* Empty slabs are given up for what does not fit into them. */
	numarena_heap_free(heap, must_give(numarena_heap_alloc(heap, MIB(2))));
	while (again < nr && (p[again] = numarena_heap_alloc(heap, 64)))
		again++;
	ck_assert_uint_eq(again, nr);
	numarena_heap_destroy(heap);
}
END_TEST

START_TEST(limit_holds_for_blocks)
{
	struct numarena_heap *heap = heap_limited(MIB(4));
	void *p = must_give(numarena_heap_alloc(heap, MIB(2))), *q;

	must_refuse(numarena_heap_alloc(heap, MIB(2) + 1), ENOMEM);
	q = must_give(numarena_heap_alloc(heap, MIB(2)));
	stamp(q, MIB(2), 5);
	must_refuse(numarena_realloc(q, MIB(2) + 1), ENOMEM);
	ck_assert(stamp_is_whole(q, MIB(2), 5));
	numarena_free(p);
	/* It may have to be copied: then there are both for a moment. */
	ck_assert_int_eq(numarena_heap_limit(heap, MIB(5)), 0);
	q = must_give(numarena_realloc(q, MIB(3)));
	ck_assert(stamp_is_whole(q, MIB(2), 5));
	ck_assert_uint_le(stats_of(heap).peak_bytes, MIB(5));
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: what shrinks is never refused, whether or not there is memory for less elsewhere. */
START_TEST(shrinking_needs_no_memory)
{
	static const size_t have[] = { 30000, KIB(64), MIB(4) };
	struct numarena_heap *heap;
	char *p, *q;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(have); i++) {
		heap = heap_limited(MIB(4));
		p = must_give(numarena_heap_alloc(heap, have[i]));
		stamp(p, have[i], 5);
		while (numarena_heap_alloc(heap, KIB(16)) || numarena_heap_alloc(heap, 100))
			;
		ck_assert_int_eq(numarena_heap_limit(heap, 1), 0);
		must_keep_errno(q = numarena_realloc(p, 100));
		ck_assert_ptr_eq(q, p);
		ck_assert(stamp_is_whole(q, 100, 5));
		ck_assert_uint_le(numarena_malloc_usable_size(q), KIB(32));
		numarena_heap_destroy(heap);
	}
}
END_TEST

/* Expect: room to grow further is had where the limit allows it, and no reason to refuse. */
START_TEST(growth_is_not_refused_for_its_slack)
{
	struct numarena_heap *heap = heap_limited(MIB(16));
	char *p = must_give(numarena_heap_alloc(heap, MIB(8))), *q;

	ck_assert_int_eq(numarena_heap_limit(heap, MIB(8) + KIB(64)), 0);
	q = numarena_realloc(p, MIB(8) + KIB(64));
	ck_assert_ptr_eq(q, p);
	ck_assert_uint_eq(stats_of(heap).charged_bytes, MIB(8) + KIB(64));
	numarena_heap_destroy(heap);
	p = must_give(numarena_malloc(MIB(8)));
	ck_assert_int_eq(numarena_heap_limit(NULL, process_bytes() + KIB(64)), 0);
	ck_assert_ptr_eq(numarena_realloc(p, MIB(8) + KIB(64)), p);
	ck_assert_int_eq(numarena_heap_limit(NULL, 0), 0);
	numarena_free(p);
}
END_TEST

START_TEST(limit_may_change)
{
	struct numarena_heap *heap = heap_limited(MIB(1));

	must_refuse(numarena_heap_alloc(heap, MIB(2)), ENOMEM);
	ck_assert_int_eq(numarena_heap_limit(heap, MIB(8)), 0);
	must_give(numarena_heap_alloc(heap, MIB(2)));
	/* Below what there is: nothing more, and what there is stays. */
	ck_assert_int_eq(numarena_heap_limit(heap, MIB(1)), 0);
	must_refuse(numarena_heap_alloc(heap, 16), ENOMEM);
	ck_assert_uint_eq(stats_of(heap).charged_bytes, MIB(2));
	ck_assert_int_eq(numarena_heap_limit(heap, 0), 0);
	must_give(numarena_heap_alloc(heap, MIB(20)));
	ck_assert_uint_eq(stats_of(heap).limit_bytes, 0);
	ck_assert_int_eq(numarena_heap_limit(heap, 1), 0);
	must_refuse(numarena_heap_alloc(heap, 40000), ENOMEM);
	numarena_heap_destroy(heap);
}
END_TEST

static void *alloc_to_the_limit(void *arg)
{
	unsigned int i;

	for (i = 0; i < 200000 && numarena_heap_alloc(arg, i % 100 ? 1000 : 50000); i++)
		;
	ck_assert_uint_lt(i, 200000);
	return NULL;
}

/* Expect: never passed, however many go for it at once. */
START_TEST(limit_holds_for_all_threads)
{
	struct numarena_heap *heap = heap_limited(MIB(16));

	threads_run(8, alloc_to_the_limit, heap, 0);
	ck_assert_uint_le(stats_of(heap).peak_bytes, MIB(16));
	ck_assert_uint_ge(stats_of(heap).peak_bytes, MIB(15));
	numarena_heap_destroy(heap);
}
END_TEST

struct spare {
	void *p;
	unsigned int nr_calls;
	size_t wanted;
};

static void free_spare(struct numarena_heap *heap, size_t wanted, void *arg)
{
	struct spare *spare = arg;

	spare->nr_calls++;
	spare->wanted = wanted;
	/* No second call for this one, which fails. */
	must_refuse(numarena_heap_alloc(heap, MIB(64)), ENOMEM);
	numarena_free(numarena_malloc(100));
	numarena_free(spare->p);
	spare->p = NULL;
}

START_TEST(low_memory_is_told)
{
	struct spare spare = { 0 };
	struct numarena_heap_attr attr = attr_named("told");
	struct numarena_heap *heap;

	attr.limit_bytes = MIB(4);
	attr.low_memory = free_spare;
	attr.low_memory_arg = &spare;
	heap = must_give(numarena_heap_create(&attr));
	spare.p = must_give(numarena_heap_alloc(heap, MIB(3)));
	must_give(numarena_heap_alloc(heap, MIB(2)));
	ck_assert_uint_eq(spare.nr_calls, 1);
	ck_assert_uint_eq(spare.wanted, MIB(2));
	must_refuse(numarena_heap_alloc(heap, MIB(3)), ENOMEM);
	ck_assert_uint_eq(spare.nr_calls, 2);
	ck_assert_uint_eq(stats_of(heap).nr_low_memory, 2);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: NULL and ENOMEM, the program goes on, and the option tells. */
START_TEST(limit_of_the_process)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));
	uint64_t used = process_bytes();
	char value[32];
	void *p;

	ck_assert_int_eq(numarena_heap_limit(NULL, used + MIB(8)), 0);
	must_refuse(numarena_malloc(MIB(9)), ENOMEM);
	must_refuse(numarena_heap_alloc(heap, MIB(9)), ENOMEM);
	p = must_give(numarena_malloc(MIB(6)));
	must_refuse(numarena_heap_alloc(heap, MIB(3)), ENOMEM);
	must_refuse(numarena_realloc(p, MIB(9)), ENOMEM);
	for (unsigned int i = 0; i < 10000; i++)
		numarena_free(must_give(numarena_malloc(i)));
	ck_assert_uint_le(process_bytes(), used + MIB(8));
	ck_assert_int_gt(numarena_option_get("limit", value, sizeof(value)), 0);
	ck_assert_uint_eq(strtoull(value, NULL, 10), used + MIB(8));
	numarena_free(p);
	ck_assert_int_eq(numarena_heap_limit(NULL, 0), 0);
	numarena_free(must_give(numarena_malloc(MIB(64))));
	numarena_heap_destroy(heap);
}
END_TEST

START_TEST(limit_as_an_option)
{
	char value[32];

	ck_assert_int_eq(numarena_option_set("limit", "1G"), 0);
	numarena_option_get("limit", value, sizeof(value));
	ck_assert_str_eq(value, "1073741824");
	must_refuse(numarena_malloc(MIB(1025)), ENOMEM);
	ck_assert_int_eq(numarena_option_set("limit", "cgroup"), 0);
	numarena_option_get("limit", value, sizeof(value));
	ck_assert_str_eq(value, "cgroup");
	numarena_free(must_give(numarena_malloc(MIB(1))));
	ck_assert_int_eq(numarena_option_set("limit", "cgroups"), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(numarena_option_set("limit", "0"), 0);
	numarena_free(must_give(numarena_malloc(MIB(1025))));
}
END_TEST

/* ---- What is asked for ---- */

START_TEST(bad_wishes_are_refused)
{
	struct numarena_heap_attr attr = attr_named("bad");
	struct {
		struct numarena_heap_attr attr;
		uint64_t more;
	} longer = { attr_named("longer"), 1 };

#define REFUSED(field, value)							\
	do {									\
		attr = attr_named("bad");					\
		attr.field = (value);						\
		must_refuse(numarena_heap_create(&attr), EINVAL);		\
	} while (0)
	REFUSED(size, 0);
	REFUSED(size, 4);
	REFUSED(size, SIZE_MAX);
	REFUSED(policy, 5);
	REFUSED(huge, 6);
	REFUSED(huge, UINT32_MAX);
	REFUSED(decay_ms, -3);
	REFUSED(reserved, 1);
	REFUSED(nodes[15], 1ull << 63);
	longer.attr.size = sizeof(longer);
	must_refuse(numarena_heap_create(&longer.attr), EINVAL);
	longer.more = 0;
	numarena_heap_destroy(must_give(numarena_heap_create(&longer.attr)));
	/* One from before there were nodes. */
	attr.size = sizeof(attr.size);
	numarena_heap_destroy(must_give(numarena_heap_create(&attr)));
}
END_TEST

START_TEST(stats_of_old_and_new_callers)
{
	struct {
		struct numarena_heap_stats stats;
		uint64_t more;
	} longer = { .more = 1 };
	struct numarena_heap_attr attr = attr_named("a name of more than thirty-one bytes is cut");
	struct numarena_heap *heap = must_give(numarena_heap_create(&attr));

	must_give(numarena_heap_alloc(heap, 100));
	ck_assert_int_eq(numarena_heap_stats_get(heap, &longer.stats, sizeof(longer)), 0);
	ck_assert_uint_eq(longer.more, 0);
	ck_assert_str_eq(longer.stats.name, "a name of more than thirty-one ");
	longer.stats.charged_bytes = 7;
	ck_assert_int_eq(numarena_heap_stats_get(heap, &longer.stats, sizeof(uint64_t)), 0);
	ck_assert_uint_gt(longer.stats.live_bytes, 0);
	ck_assert_uint_eq(longer.stats.charged_bytes, 7);
	ck_assert_int_eq(numarena_heap_stats_get(heap, NULL, sizeof(longer.stats)), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(numarena_heap_stats_get(heap, &longer.stats, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(numarena_heap_stats_get(NULL, &longer.stats, 8), -1);
	ck_assert_int_eq(errno, EINVAL);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: all of them give memory; a heap like one there was is had however many there are. */
START_TEST(every_kind_works)
{
	for (uint32_t policy = 0; policy <= NUMARENA_HEAP_INHERIT; policy++) {
		for (uint32_t huge = 0; huge <= NUMARENA_HEAP_HUGE_OFF; huge++) {
			struct numarena_heap_attr attr = attr_named("kind");
			struct numarena_heap *heap;
			size_t size;

			attr.policy = policy;
			attr.huge = huge == NUMARENA_HEAP_HUGE_HUGETLB ? NUMARENA_HEAP_HUGE_OFF : huge;
			heap = must_give(numarena_heap_create(&attr));
			for (size = 10; size < MIB(4); size *= 3)
				stamp(must_give(numarena_heap_alloc(heap, size)), size, size);
			numarena_heap_destroy(heap);
		}
	}
}
END_TEST

START_TEST(kinds_are_finite)
{
	struct numarena_heap_attr attr = attr_named("decays");
	struct numarena_heap *heap;
	int nr = 0;

	do {
		attr.decay_ms = 1000 + ++nr;
		heap = numarena_heap_create(&attr);
		if (heap)
			numarena_heap_destroy(heap);
	} while (heap && nr < 100);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_gt(nr, 20);
	for (attr.decay_ms = 1001; attr.decay_ms < 1020; attr.decay_ms++)
		numarena_heap_destroy(must_give(numarena_heap_create(&attr)));
	numarena_heap_destroy(must_give(numarena_heap_create(NULL)));
}
END_TEST

/* Expect: what a heap had is given back to the kernel, not only freed. */
START_TEST(memory_goes_back)
{
	struct numarena_heap *heap = must_give(numarena_heap_create(NULL));
	size_t before = status_bytes("VmRSS"), full;

	for (unsigned int i = 0; i < 100000; i++) {
		void *p = must_give(numarena_heap_alloc(heap, 1000));

		memset(p, 1, 1000);
	}
	full = status_bytes("VmRSS");
	numarena_heap_destroy(heap);
	numarena_malloc_trim(0);
	if (!HAS_SHADOW_MEMORY) {
		ck_assert_uint_ge(full, before + MIB(90));
		ck_assert_uint_le(status_bytes("VmRSS"), before + MIB(16));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heaps");
	TCase *objects = tcase_create("objects"), *end = tcase_create("end");
	TCase *limits = tcase_create("limits"), *wishes = tcase_create("wishes");

	tcase_add_test(objects, objects_are_like_others);
	tcase_add_test(objects, aligned_as_asked);
	tcase_add_test(objects, absurd_sizes_are_refused);
	tcase_add_test(objects, realloc_stays_in_the_heap);
	tcase_add_test(objects, null_is_the_default_heap);
	tcase_add_test(end, destroy_frees_all);
	tcase_add_test(end, others_may_free);
	tcase_add_test(end, a_million_heaps);
	tcase_add_test(end, heaps_are_many_but_finite);
	tcase_add_test(end, memory_goes_back);
	tcase_set_timeout(end, 240);
	tcase_add_test(limits, limit_is_exact_to_a_slab);
	tcase_add_test(limits, limit_holds_for_blocks);
	tcase_add_test(limits, shrinking_needs_no_memory);
	tcase_add_test(limits, growth_is_not_refused_for_its_slack);
	tcase_add_test(limits, limit_may_change);
	tcase_add_test(limits, limit_holds_for_all_threads);
	tcase_add_test(limits, low_memory_is_told);
	tcase_add_test(limits, limit_of_the_process);
	tcase_add_test(limits, limit_as_an_option);
	tcase_set_timeout(limits, 60);
	tcase_add_test(wishes, bad_wishes_are_refused);
	tcase_add_test(wishes, stats_of_old_and_new_callers);
	tcase_add_test(wishes, every_kind_works);
	tcase_add_test(wishes, kinds_are_finite);
	suite_add_tcase(suite, objects);
	suite_add_tcase(suite, end);
	suite_add_tcase(suite, limits);
	suite_add_tcase(suite, wishes);
	return tap_run(suite);
}
