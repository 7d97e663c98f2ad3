// SPDX-License-Identifier: MIT
/*
 * Pointers that numarena never gave out: all die at once, by arithmetic on the
 * pointer, so that not even looking at them may fault.
 */
#include "die.h"

#include <sys/mman.h>

static char in_data[64] __attribute__((__aligned__(64)));

static void free_foreign(void *p)
{
	expect_line("free of %p, which numarena never allocated", p);
	numarena_free(p);
	bad_call_returned();
}

static void stack(void)
{
	char on_stack[64] __attribute__((__aligned__(64)));

	free_foreign(on_stack);
}

static void *free_own_stack(void *unused)
{
	(void)unused;
	stack();
	return NULL;
}

static void thread_stack(void)
{
	thread_join(thread_start(free_own_stack, NULL));
}

static void static_data(void)
{
	free_foreign(in_data);
}

static void code(void)
{
	free_foreign((void *)(uintptr_t)code);
}

static void mapped(void)
{
	free_foreign(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void unmapped(void)
{
	void *p = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p, 4 << 20);
	free_foreign(p);
}

/* What a member of a structure at NULL would be. */
static void null_page(void)
{
	free_foreign((void *)(uintptr_t)16);
}

static void null_page_odd(void)
{
	free_foreign((void *)(uintptr_t)1);
}

static void null_page_end(void)
{
	free_foreign((void *)(uintptr_t)4095);
}

static void not_canonical(void)
{
	free_foreign((void *)((uintptr_t)1 << 60));
}

static void end_of_space(void)
{
	free_foreign((void *)(UINTPTR_MAX - 15));
}

static void realloc_stack(void)
{
	char on_stack[64] __attribute__((__aligned__(64)));

	expect_line("realloc of %p, which numarena never allocated", (void *)on_stack);
	numarena_free(numarena_realloc(on_stack, 100));
	bad_call_returned();
}

static void usable_size_of_stack(void)
{
	char on_stack[64] __attribute__((__aligned__(64)));

	expect_line("malloc_usable_size of %p, which numarena never allocated", (void *)on_stack);
	numarena_malloc_usable_size(on_stack);
	bad_call_returned();
}

/* Inside the reservation, but where nothing was ever committed or described. */
static void reserved_beyond(size_t distance)
{
	char *p = numarena_malloc(1 << 20);

	object_check_start(p, 1 << 20);
	free_foreign(p + distance);
}

static void reserved_1g_beyond(void)
{
	reserved_beyond((size_t)1 << 30);
}

static void reserved_odd_beyond(void)
{
	reserved_beyond(((size_t)1 << 30) + 1);
}

static void reserved_far_beyond(void)
{
	reserved_beyond((size_t)5 << 30);
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "stack", "at-once", stack },
		{ "thread_stack", "at-once", thread_stack },
		{ "static_data", "at-once", static_data },
		{ "code", "at-once", code },
		{ "mapped", "at-once", mapped },
		{ "unmapped", "at-once", unmapped },
		{ "null_page", "at-once", null_page },
		{ "null_page_odd", "at-once", null_page_odd },
		{ "null_page_end", "at-once", null_page_end },
		{ "not_canonical", "at-once", not_canonical },
		{ "end_of_space", "at-once", end_of_space },
		{ "realloc_stack", "at-once", realloc_stack },
		{ "usable_size_of_stack", "at-once", usable_size_of_stack },
		{ "reserved_1g_beyond", "at-once", reserved_1g_beyond },
		{ "reserved_odd_beyond", "at-once", reserved_odd_beyond },
		{ "reserved_far_beyond", "at-once", reserved_far_beyond },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses));
}
