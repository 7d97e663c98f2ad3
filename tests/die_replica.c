// SPDX-License-Identifier: MIT
/*
 * Copies of numarena_replicate() in the hands of free(), and what is none in those of
 * numarena_replica_free(): found out at once, before a write-protected page is anybody's.
 */
#include "die.h"

#define SIZE ((size_t)3 << 20)

static struct numarena_replicas *replicas_new(size_t size)
{
	void *weights = numarena_calloc(1, size);
	struct numarena_replicas *r = numarena_replicate(weights, size);

	require(r, "replicate: %s", strerror(errno));
	numarena_free(weights);
	return r;
}

static void free_ours(const void *p)
{
	expect_line("free of %p, which numarena_replicate\\(\\) made: ", p);
	numarena_free((void *)(uintptr_t)p);
	bad_call_returned();
}

static void copy(void)
{
	free_ours(numarena_replica(replicas_new(SIZE)));
}

static void small_copy(void)
{
	free_ours(numarena_replica(replicas_new(100)));
}

static void inside_a_copy(void)
{
	free_ours((const char *)numarena_replica(replicas_new(SIZE)) + 100);
}

static void all_copies(void)
{
	free_ours(replicas_new(SIZE));
}

static void realloc_copy(void)
{
	const void *p = numarena_replica(replicas_new(SIZE));

	expect_line("realloc of %p, which numarena_replicate\\(\\) made: ", p);
	numarena_free(numarena_realloc((void *)(uintptr_t)p, 2 * SIZE));
	bad_call_returned();
}

static void replica_free(const void *p)
{
	expect_line("numarena_replica_free of %p, which numarena_replicate\\(\\) never gave", p);
	numarena_replica_free((struct numarena_replicas *)(uintptr_t)p);
	bad_call_returned();
}

static void freed_twice(void)
{
	struct numarena_replicas *r = replicas_new(SIZE);

	numarena_replica_free(r);
	replica_free(r);
}

static void free_of_a_copy(void)
{
	replica_free(numarena_replica(replicas_new(SIZE)));
}

static void free_of_a_page_of_copies(void)
{
	replica_free(numarena_replica(replicas_new(4096)));
}

static void free_of_an_object(void)
{
	replica_free(numarena_malloc(100));
}

static void free_of_a_block(void)
{
	replica_free(numarena_malloc(SIZE));
}

static void free_of_the_stack(void)
{
	char on_stack[64];

	replica_free(on_stack);
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "copy", "at-once", copy },
		{ "small_copy", "at-once", small_copy },
		{ "inside_a_copy", "at-once", inside_a_copy },
		{ "all_copies", "at-once", all_copies },
		{ "realloc_copy", "at-once", realloc_copy },
		{ "freed_twice", "at-once", freed_twice },
		{ "free_of_a_copy", "at-once", free_of_a_copy },
		{ "free_of_a_page_of_copies", "at-once", free_of_a_page_of_copies },
		{ "free_of_an_object", "at-once", free_of_an_object },
		{ "free_of_a_block", "at-once", free_of_a_block },
		{ "free_of_the_stack", "at-once", free_of_the_stack },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses));
}
