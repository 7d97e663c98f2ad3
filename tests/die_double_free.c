// SPDX-License-Identifier: MIT
/*
 * Objects freed twice.
 *
 * By default free() compares with the newest entries of the magazine, so that the
 * common mistakes die at once; any other dies when the magazine with the second
 * copy is flushed, unless both copies were handed out again before.
 */
#include "die.h"

static struct others others, more_others;

static void *object_of(size_t size)
{
	void *p = numarena_malloc(size);

	object_check_start(p, size);
	return p;
}

static void free_again(void *p)
{
	numarena_free(p);
	bad_call_returned();
}

static void twice_of(size_t size)
{
	void *p = object_of(size);

	expect_double_free(p);
	numarena_free(p);
	free_again(p);
}

static void twice(void)
{
	twice_of(64);
}

static void twice_smallest(void)
{
	twice_of(1);
}

static void twice_medium(void)
{
	twice_of(4096);
}

static void twice_largest_class(void)
{
	twice_of(32768);
}

/* A, B, A: the copy lies below the newest entry. */
static void a_b_a(void)
{
	void *a = object_of(64), *b = object_of(64);

	expect_double_free(a);
	numarena_free(a);
	numarena_free(b);
	free_again(a);
}

/* The mistake that hands one object to two owners: it ends before it can. */
static void free_free_malloc_malloc(void)
{
	void *p = object_of(64);

	expect_double_free(p);
	numarena_free(p);
	free_again(p);
	if (numarena_malloc(64) == numarena_malloc(64))
		fputs("one object was handed out twice\n", stderr);
}

static void by_realloc_to_zero(void)
{
	void *p = object_of(64);

	expect_double_free(p);
	if (!numarena_realloc(p, 0))
		free_again(p);
}

static void by_sized_free(void)
{
	void *p = object_of(64);

	expect_double_free(p);
	numarena_free(p);
	numarena_free_sized(p, 64);
	bad_call_returned();
}

/* Everything that was freed goes through a flush, and so does the second copy. */
static void finish_with(size_t size)
{
	others_free(&more_others);
	others_make(&others, size);
	others_free(&others);
	numarena_malloc_trim(0);
}

/* The first copy is back in its slab when the second one comes. */
static void after_flush_and_refill(void)
{
	void *p = object_of(64);

	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_double_free(p);
	numarena_free(p);
	others_free(&others);
	free_again(p);
	finish_with(64);
}

/* Both copies lie in one magazine, some entries apart. */
static void ten_entries_apart(void)
{
	void *p = object_of(64);

	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_double_free(p);
	numarena_free(p);
	for (unsigned int i = 0; i < 10; i++) {
		numarena_free(others.objects[i]);
		others.objects[i] = NULL;
	}
	free_again(p);
	others_free(&others);
	finish_with(64);
}

static void after_flush_in_a_short_magazine(void)
{
	void *p = object_of(32768);

	others_make(&others, 32768);
	others_make(&more_others, 32768);
	expect_double_free(p);
	numarena_free(p);
	others_free(&others);
	free_again(p);
	finish_with(32768);
}

/* ---- With another thread ---- */

static void *free_once(void *p)
{
	numarena_free(p);
	return NULL;
}

static void *free_twice(void *p)
{
	numarena_free(p);
	free_again(p);
	return NULL;
}

/* A, B, A in one batch. */
static void *free_a_b_a(void *p)
{
	numarena_free(p);
	numarena_free(others.objects[0]);
	others.objects[0] = NULL;
	free_again(p);
	others_free(&others);
	return NULL;
}

static void *free_twice_apart(void *p)
{
	numarena_free(p);
	others_free(&others);
	free_again(p);
	return NULL;
}

static void another_thread_frees(void *(*run)(void *))
{
	void *p = object_of(64);

	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_double_free(p);
	thread_join(thread_start(run, p));
	finish_with(64);
}

/* The batch that is sent has the object twice: chained through itself, it has no end. */
static void remote_twice(void)
{
	another_thread_frees(free_twice);
}

static void remote_a_b_a(void)
{
	another_thread_frees(free_a_b_a);
}

static void remote_twice_in_two_batches(void)
{
	another_thread_frees(free_twice_apart);
}

static void local_then_remote(void)
{
	void *p = object_of(64);

	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_double_free(p);
	numarena_free(p);
	thread_join(thread_start(free_once, p));
	bad_call_returned();
	others_free(&others);
	finish_with(64);
}

static void remote_then_local(void)
{
	void *p = object_of(64);

	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_double_free(p);
	thread_join(thread_start(free_once, p));
	free_again(p);
	others_free(&others);
	finish_with(64);
}

static void *make_and_leave(void *unused)
{
	(void)unused;
	return object_of(64);
}

/* The slab has no owner when both frees come. */
static void of_an_ended_thread(void)
{
	pthread_t thread = thread_start(make_and_leave, NULL);
	void *p;

	pthread_join(thread, &p);
	others_make(&others, 64);
	others_make(&more_others, 64);
	expect_line("double free of %p \\(class 64 bytes, .+\\)", p);
	numarena_free(p);
	free_again(p);
	others_free(&others);
	finish_with(64);
}

/* ---- Large blocks: known by their extent, so always at once ---- */

static void large_twice_of(size_t size)
{
	void *p = object_of(size);

	expect_line("double free of %p \\(.*large.*node [0-9]+\\)", p);
	numarena_free(p);
	free_again(p);
}

static void large_twice(void)
{
	large_twice_of(100000);
}

static void large_twice_huge(void)
{
	large_twice_of(64 << 20);
}

static void large_a_b_a(void)
{
	void *a = object_of(100000), *b = object_of(100000);

	expect_line("double free of %p \\(.*large.*node [0-9]+\\)", a);
	numarena_free(a);
	numarena_free(b);
	free_again(a);
}

/* The block is part of a larger free extent by then: it is known that it is free. */
static void large_after_coalescing(void)
{
	char *blocks[16];

	for (unsigned int i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i] = object_of(300000);
	expect_line("(double )?free of %p\\b.*node [0-9]+", (void *)blocks[8]);
	for (unsigned int i = 0; i < ARRAY_SIZE(blocks); i++)
		numarena_free(blocks[i]);
	numarena_malloc_trim(0);
	free_again(blocks[8]);
}

static void large_by_another_thread(void)
{
	void *p = object_of(100000);

	expect_line("double free of %p \\(.*large.*node [0-9]+\\)", p);
	numarena_free(p);
	thread_join(thread_start(free_once, p));
	bad_call_returned();
}

/* What else a block that is gone is handed to. */
static void *large_gone(const char *call)
{
	void *p = object_of(100000);

	expect_line("%s of %p, which was freed before \\(.*large.*node [0-9]+\\)", call, p);
	numarena_free(p);
	return p;
}

static void realloc_of_freed_large(void)
{
	numarena_free(numarena_realloc(large_gone("realloc"), 200000));
	bad_call_returned();
}

static void usable_size_of_freed_large(void)
{
	numarena_malloc_usable_size(large_gone("malloc_usable_size"));
	bad_call_returned();
}

/* ---- A size that cannot be ---- */

static void wrong_size_of(size_t size, size_t claimed)
{
	void *p = object_of(size);

	expect_line("free.* of %p\\b.*%zu", p, claimed);
	numarena_free_sized(p, claimed);
	bad_call_returned();
}

static void wrong_size(void)
{
	wrong_size_of(64, 1000);
}

static void wrong_size_of_large(void)
{
	wrong_size_of(100000, 10);
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "twice", "at-once", twice },
		{ "twice_smallest", "at-once", twice_smallest },
		{ "twice_medium", "at-once", twice_medium },
		{ "twice_largest_class", "at-once", twice_largest_class },
		{ "a_b_a", "at-once", a_b_a },
		{ "free_free_malloc_malloc", "at-once", free_free_malloc_malloc },
		{ "by_realloc_to_zero", "at-once", by_realloc_to_zero },
		{ "by_sized_free", "at-once", by_sized_free },
		{ "after_flush_and_refill", "late", after_flush_and_refill },
		{ "ten_entries_apart", "late", ten_entries_apart },
		{ "after_flush_in_a_short_magazine", "late", after_flush_in_a_short_magazine },
		{ "remote_twice", "late", remote_twice },
		{ "remote_a_b_a", "late", remote_a_b_a },
		{ "remote_twice_in_two_batches", "late", remote_twice_in_two_batches },
		{ "local_then_remote", "late", local_then_remote },
		{ "remote_then_local", "late", remote_then_local },
		{ "of_an_ended_thread", "late", of_an_ended_thread },
		{ "large_twice", "at-once", large_twice },
		{ "large_twice_huge", "at-once", large_twice_huge },
		{ "large_a_b_a", "at-once", large_a_b_a },
		{ "large_after_coalescing", "at-once", large_after_coalescing },
		{ "large_by_another_thread", "at-once", large_by_another_thread },
		{ "realloc_of_freed_large", "at-once", realloc_of_freed_large },
		{ "usable_size_of_freed_large", "at-once", usable_size_of_freed_large },
		{ "wrong_size", "hardened", wrong_size },
		{ "wrong_size_of_large", "hardened", wrong_size_of_large },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses));
}
