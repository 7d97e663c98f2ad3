// SPDX-License-Identifier: MIT
/*
 * Holds memory until its input ends, to be looked at from outside.
 *
 *	holder MIB [FROM TO]	half of it in small objects, half in one block; then all that lies
 *				on the first node is moved to the second
 *
 * Says "ready" when it does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SMALL 1000

static void *fill(size_t size)
{
	void *ptr = malloc(size);

	if (!ptr)
		abort();
	return memset(ptr, 1, size);
}

static void hold(size_t bytes)
{
	size_t i, nr = bytes / 2 / SMALL;
	void **objects = fill(nr * sizeof(*objects));

	for (i = 0; i < nr; i++)
		objects[i] = fill(SMALL);
	/* Alive for whoever looks. */
	__asm__ volatile("" :: "r"(objects), "r"(fill(bytes / 2)) : "memory");
}

static int move(const char *from, const char *to)
{
	unsigned long old = 1ul << atoi(from), new = 1ul << atoi(to);

	if (syscall(SYS_migrate_pages, 0, 8 * sizeof(old), &old, &new) >= 0)
		return 0;
	perror("migrate_pages");
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	hold((size_t)atoi(argv[1]) << 20);
	if (argc > 3 && move(argv[2], argv[3]))
		return 1;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
