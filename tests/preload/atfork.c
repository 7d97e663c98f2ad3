/* SPDX-License-Identifier: MIT */
/*
 * A library with fork handlers that allocate, which its constructor registers before the
 * allocator's own constructor runs, since it is preloaded after it.  Handlers run in an
 * order that follows from that of registration: none may find the allocator locked.
 *
 * Parent and child each say so once their handler has allocated.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define NR_OBJECTS 2000	/* refills and flushes */

static void allocate(void)
{
	void *objects[NR_OBJECTS];

	for (int i = 0; i < NR_OBJECTS; i++)
		objects[i] = malloc((size_t)(100 + i % 700));
	for (int i = 0; i < NR_OBJECTS; i++)
		free(objects[i]);
}

static void say(const char *line, size_t len)
{
	if (write(STDOUT_FILENO, line, len) != (ssize_t)len)
		abort();
}

static void in_parent(void)
{
	allocate();
	say("parent\n", 7);
}

static void in_child(void)
{
	allocate();
	say("child\n", 6);
}

__attribute__((constructor))
static void construct(void)
{
	if (pthread_atfork(allocate, in_parent, in_child))
		abort();
}
