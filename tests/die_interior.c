// SPDX-License-Identifier: MIT
/*
 * Pointers into an object instead of to its start, and to objects that were never
 * handed out.
 *
 *	object	|----------------|
 *	        ^ may be freed   ^ may not, nor anything between
 *
 * A large block's start is known, so these die at once.  Whether a small pointer
 * is an object's start takes a division that free() does not pay: flush does.
 */
#include "die.h"

static struct others others;

static void free_inside_small(size_t size, size_t offset)
{
	char *object = numarena_malloc(size), *p = object + offset;

	object_check_start(object, size);
	others_make(&others, size);
	expect_line("free of %p, which is inside an object \\(class %zu bytes, owner [^,]+, "
		    "object at %p\\)", (void *)p, numarena_malloc_usable_size(object),
		    (void *)object);
	numarena_free(p);
	bad_call_returned();
	others_free(&others);
	numarena_malloc_trim(0);
}

static void small_odd(void)
{
	free_inside_small(64, 1);
}

static void small_word(void)
{
	free_inside_small(64, 8);
}

static void small_aligned(void)
{
	free_inside_small(64, 16);
}

static void small_last_byte(void)
{
	free_inside_small(64, 63);
}

static void medium(void)
{
	free_inside_small(4096, 64);
}

static void largest_class(void)
{
	free_inside_small(32768, 4096);
}

static void *free_inside(void *p)
{
	numarena_free(p);
	bad_call_returned();
	others_free(&others);
	return NULL;
}

/* The pointer reaches the owner by its remote queue, which must not follow it. */
static void by_another_thread(void)
{
	char *object = numarena_malloc(64);

	object_check_start(object, 64);
	others_make(&others, 64);
	expect_line("free of %p, which is inside an object \\(class 64 bytes, owner [^,]+, "
		    "object at %p\\)", (void *)(object + 16), (void *)object);
	thread_join(thread_start(free_inside, object + 16));
	others_make(&others, 64);
	numarena_malloc_trim(0);
}

static void free_inside_large(size_t size, size_t offset)
{
	char *object = numarena_malloc(size), *p = object + offset;

	object_check_start(object, size);
	expect_line("free of %p, which is inside .*(large|%zu bytes)", (void *)p, size);
	numarena_free(p);
	bad_call_returned();
}

static void large_odd(void)
{
	free_inside_large(100000, 1);
}

static void large_aligned(void)
{
	free_inside_large(100000, 16);
}

static void large_page(void)
{
	free_inside_large(100000, 4096);
}

static void large_slice(void)
{
	free_inside_large(1000000, 65536);
}

static void large_huge_page(void)
{
	free_inside_large(8 << 20, 2 << 20);
}

static void large_last_byte(void)
{
	free_inside_large(8 << 20, (8 << 20) - 1);
}

static void realloc_inside_large(void)
{
	char *object = numarena_malloc(100000);

	object_check_start(object, 100000);
	expect_line("realloc of %p, which is inside .*(large|100000 bytes)",
		    (void *)(object + 4096));
	numarena_free(numarena_realloc(object + 4096, 10));
	bad_call_returned();
}

/*
 * An object that never was: of a class nobody uses, some places after the only
 * one that was handed out, in its magazine or still uncut in its slab.
 */
static void free_never_allocated(size_t places)
{
	size_t size = 3584;
	char *p = (char *)numarena_malloc(size) + places * size;

	expect_line("(double )?free of %p\\b.*\\(class %zu bytes, owner [^)]+\\)", (void *)p, size);
	numarena_free(p);
	bad_call_returned();
	others_make(&others, size);
	others_free(&others);
	numarena_malloc_trim(0);
}

static void never_allocated_next(void)
{
	free_never_allocated(1);
}

static void never_allocated_later(void)
{
	free_never_allocated(9);
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "small_odd", "late", small_odd },
		{ "small_word", "late", small_word },
		{ "small_aligned", "late", small_aligned },
		{ "small_last_byte", "late", small_last_byte },
		{ "medium", "late", medium },
		{ "largest_class", "late", largest_class },
		{ "by_another_thread", "late", by_another_thread },
		{ "large_odd", "at-once", large_odd },
		{ "large_aligned", "at-once", large_aligned },
		{ "large_page", "at-once", large_page },
		{ "large_slice", "at-once", large_slice },
		{ "large_huge_page", "at-once", large_huge_page },
		{ "large_last_byte", "at-once", large_last_byte },
		{ "realloc_inside_large", "at-once", realloc_inside_large },
		{ "never_allocated_next", "late", never_allocated_next },
		{ "never_allocated_later", "late", never_allocated_later },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses));
}
