// SPDX-License-Identifier: MIT
/*
 * Heaps after their end.
 */
#include "die.h"

static struct numarena_heap *create(const char *name)
{
	const struct numarena_heap_attr attr = { .size = sizeof(attr), .name = name };
	struct numarena_heap *heap = numarena_heap_create(&attr);

	require(heap, "no heap");
	return heap;
}

static struct numarena_heap *destroyed(void)
{
	struct numarena_heap *heap = create("cache");

	if (!numarena_heap_alloc(heap, 100))
		_exit(EXIT_FAILURE);
	numarena_heap_destroy(heap);
	return heap;
}

static void destroy_twice(void)
{
	struct numarena_heap *heap = destroyed();

	expect_line("destroy of heap %p \\(\"cache\"\\), which was destroyed already$", (void *)heap);
	numarena_heap_destroy(heap);
}

/* The number is another heap's by now and so is the name, and the handle is not. */
static void destroy_twice_late(void)
{
	struct numarena_heap *heap = destroyed();

	for (unsigned int i = 0; i < 3; i++)
		create("another");
	expect_line("destroy of heap %p, which was destroyed already or never made$", (void *)heap);
	numarena_heap_destroy(heap);
}

/* It was, and is no more. */
static void destroy_twice_after_another(void)
{
	struct numarena_heap *heap = destroyed(), *other = create("another");

	numarena_heap_destroy(other);
	expect_line("destroy of heap %p, which was destroyed already or never made$", (void *)heap);
	numarena_heap_destroy(heap);
}

/* A number that could be had is refused, and has the last one's name. */
static void destroy_twice_after_refusal(void)
{
	const struct numarena_heap_attr attr = { .size = sizeof(attr), .policy = 99, .name = "another" };
	struct numarena_heap *heap = destroyed();

	require(!numarena_heap_create(&attr), "there is no such policy");
	expect_line("destroy of heap %p \\(\"cache\"\\), which was destroyed already$", (void *)heap);
	numarena_heap_destroy(heap);
}

static void destroy_wild(void)
{
	int no_heap;

	expect_line("destroy of heap %p, which was destroyed already or never made$", (void *)&no_heap);
	numarena_heap_destroy((struct numarena_heap *)(void *)&no_heap);
}

static void expect_used(const struct numarena_heap *heap)
{
	expect_line("use of heap %p \\(\"cache\"\\), which was destroyed$", (const void *)heap);
}

static void alloc_late(void)
{
	struct numarena_heap *heap = destroyed();

	expect_used(heap);
	numarena_heap_alloc(heap, 100);
}

/* In a thread that has never seen it. */
static void *alloc_in_it(void *heap)
{
	numarena_heap_alloc(heap, 100);
	bad_call_returned();
	return NULL;
}

static void alloc_late_by_another(void)
{
	struct numarena_heap *heap = destroyed();

	expect_used(heap);
	thread_join(thread_start(alloc_in_it, heap));
}

static void alloc_after_anothers(void)
{
	struct numarena_heap *heap = destroyed();

	create("another");
	expect_line("use of heap %p, which was destroyed or never made$", (void *)heap);
	numarena_heap_alloc(heap, 100);
}

static void alloc_large_late(void)
{
	struct numarena_heap *heap = destroyed();

	expect_used(heap);
	numarena_heap_alloc(heap, 1000000);
}

static void limit_late(void)
{
	struct numarena_heap *heap = destroyed();

	expect_used(heap);
	numarena_heap_limit(heap, 1000000);
}

static void stats_late(void)
{
	struct numarena_heap *heap = destroyed();
	struct numarena_heap_stats stats;

	expect_used(heap);
	numarena_heap_stats_get(heap, &stats, sizeof(stats));
}

static void free_late_of(size_t size)
{
	struct numarena_heap *heap = create("cache");
	void *other = numarena_heap_alloc(create("another"), size), *p = numarena_heap_alloc(heap, size);

	require(other && p, "no memory");
	numarena_heap_destroy(heap);
	expect_line("free of %p \\([^)]+\\), whose heap \\(\"cache\"\\) was destroyed$", p);
	numarena_free(p);
	bad_call_returned();
}

static void free_late(void)
{
	free_late_of(100);
}

static void free_large_late(void)
{
	free_late_of(1000000);
}

static void realloc_late(void)
{
	struct numarena_heap *heap = create("cache");
	void *p = numarena_heap_alloc(heap, 100);

	numarena_heap_destroy(heap);
	expect_line("realloc of %p, whose heap \\(\"cache\"\\) was destroyed$", p);
	if (numarena_realloc(p, 5000))
		bad_call_returned();
}

/* Its heap's number is another's by now, which is not to have the object. */
static void realloc_after_another(void)
{
	struct numarena_heap *heap = create("cache");
	void *p = numarena_heap_alloc(heap, 100);

	numarena_heap_destroy(heap);
	create("another");
	expect_line("realloc of %p, whose heap was destroyed$", p);
	if (numarena_realloc(p, 5000))
		bad_call_returned();
}

static void free_in_another_heap(void)
{
	struct numarena_heap *heap = create("cache"), *other = create("a name of thirty-one characters, cut here");
	void *p = numarena_heap_alloc(heap, 100);

	expect_line("free of %p in heap %p \\(\"a name of thirty-one characters\"\\), which it is not in$", p,
		    (void *)other);
	numarena_heap_free(other, p);
	bad_call_returned();
}

static void double_free(void)
{
	struct numarena_heap *heap = numarena_heap_create(NULL);
	void *p = numarena_heap_alloc(heap, 100);

	expect_double_free(p);
	numarena_free(p);
	numarena_free(p);
	bad_call_returned();
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "destroy_twice", "at-once", destroy_twice },
		{ "destroy_twice_late", "at-once", destroy_twice_late },
		{ "destroy_twice_after_another", "at-once", destroy_twice_after_another },
		{ "destroy_twice_after_refusal", "at-once", destroy_twice_after_refusal },
		{ "destroy_wild", "at-once", destroy_wild },
		{ "alloc_late", "at-once", alloc_late },
		{ "alloc_late_by_another", "at-once", alloc_late_by_another },
		{ "alloc_after_anothers", "at-once", alloc_after_anothers },
		{ "alloc_large_late", "at-once", alloc_large_late },
		{ "limit_late", "at-once", limit_late },
		{ "stats_late", "at-once", stats_late },
		{ "free_late", "hardened", free_late },
		{ "free_large_late", "hardened", free_large_late },
		{ "realloc_late", "at-once", realloc_late },
		{ "realloc_after_another", "at-once", realloc_after_another },
		{ "free_in_another_heap", "hardened", free_in_another_heap },
		{ "double_free", "at-once", double_free },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses));
}
