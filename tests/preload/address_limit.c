/* SPDX-License-Identifier: MIT */
/*
 * A program that meets its RLIMIT_AS.
 *
 *	address_limit			under the limit it was started with
 *	address_limit megabytes		under one it sets itself in main()
 *
 *	| in use | blocks of one size ...     limit
 *	                                      ^ malloc refuses
 *
 * Expect: NULL with ENOMEM, whatever the size; what is then freed can be had again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The list has room for the smallest blocks under the largest limit. */
#define SMALLEST_BYTES 256
#define LARGEST_LIMIT_BYTES (1UL << 30)
#define NR_BLOCKS (LARGEST_LIMIT_BYTES / SMALLEST_BYTES)

/* What must fit under a limit of several times that, whatever was freed before. */
#define LEAST_FILL_BYTES (64UL << 20)

static void *blocks[NR_BLOCKS];

static void fail(const char *what, size_t size, size_t nr)
{
	fprintf(stderr, "address_limit: %s (%zu bytes, after %zu blocks): %s\n",
		what, size, nr, strerror(errno));
	exit(EXIT_FAILURE);
}

static void limit_address_space(size_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	if (setrlimit(RLIMIT_AS, &limit))
		fail("setrlimit", bytes, 0);
}

/* Return: how many blocks there were before malloc refused. */
static size_t fill(size_t size)
{
	size_t nr;

	errno = 0;
	for (nr = 0; nr < NR_BLOCKS; nr++) {
		blocks[nr] = malloc(size);
		if (!blocks[nr])
			break;
		memset(blocks[nr], 0x5a, size);
	}
	if (nr == NR_BLOCKS)
		fail("the limit was never met", size, nr);
	if (errno != ENOMEM)
		fail("refused without ENOMEM", size, nr);
	return nr;
}

static void release(size_t first, size_t nr)
{
	for (size_t i = first; i < nr; i++)
		free(blocks[i]);
}

/*
 * The newest half is given back and taken again.
 * Return: how many blocks there are then.
 */
static size_t refill(size_t size, size_t nr)
{
	size_t half = nr / 2, i;

	release(half, nr);
	for (i = half; i < nr; i++) {
		blocks[i] = malloc(size);
		if (!blocks[i])
			break;
	}
	/* A malloc may have given the rest to the kernel, and not get it back. */
	if (i < half + half / 2)
		fail("freed memory was not found again", size, i);
	return i;
}

int main(int argc, char **argv)
{
	/* A small object, the last class, a large block, one of several huge pages. */
	static const size_t sizes[] = { SMALLEST_BYTES, 32768, 100000, 5UL << 20 };

	if (argc > 1)
		limit_address_space(strtoul(argv[1], NULL, 10) << 20);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t nr = fill(sizes[i]);

		if (nr * sizes[i] < LEAST_FILL_BYTES)
			fail("hardly anything fitted", sizes[i], nr);
		release(0, refill(sizes[i], nr));
	}
	return puts("went on") < 0;
}
