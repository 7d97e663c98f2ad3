// SPDX-License-Identifier: MIT
/*
 * A program whose allocations are known: it prints how many of each it has made, besides those
 * of the C library.
 *
 *	crew [kill|fork|exec] [THREADS]
 *
 * Each thread fills a ring with objects of all kinds, and the next one frees them.  Two rounds,
 * so that threads end and others begin.  kill: ends by SIGKILL; fork: children allocate too,
 * one of them a program; exec: becomes itself once more before it does anything.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_OBJECTS 4000
#define NR_ROUNDS 2
#define MAX_THREADS 64

struct ring {
	void *object[NR_OBJECTS];	/* release-stored by its thread, taken by the next one's */
};

static struct ring *ring;
static unsigned int nr_threads = 4;

static void *must(void *ptr)
{
	if (!ptr)
		abort();
	return ptr;
}

static void *make(unsigned int i)
{
	size_t size = 1 + i * 37 % 3000;
	void *ptr = NULL;

	switch (i % 4) {
	case 0:
		return must(malloc(size));
	case 1:
		return must(calloc(size, 1));
	case 2:
		if (posix_memalign(&ptr, 64, size))
			abort();
		return ptr;
	}
	return must(realloc(must(malloc(size)), size + 5000));
}

static void *take(void **place)
{
	void *ptr;

	while (!(ptr = __atomic_exchange_n(place, NULL, __ATOMIC_ACQUIRE)))
		usleep(1);
	return ptr;
}

/* Its own ring first: nobody waits for one that waits. */
static void *work(void *arg)
{
	unsigned int self = (unsigned int)(uintptr_t)arg, i;
	struct ring *other = &ring[(self + 1) % nr_threads];

	for (i = 0; i < NR_OBJECTS; i++)
		__atomic_store_n(&ring[self].object[i], make(i), __ATOMIC_RELEASE);
	for (i = 0; i < NR_OBJECTS; i++)
		free(take(&other->object[i]));
	return NULL;
}

static void run_round(void)
{
	pthread_t id[MAX_THREADS];
	unsigned int i;

	for (i = 0; i < nr_threads; i++)
		if (pthread_create(&id[i], NULL, work, (void *)(uintptr_t)i))
			abort();
	for (i = 0; i < nr_threads; i++)
		pthread_join(id[i], NULL);
}

/* In a child, or a child's program: of no interest to a record of the parent. */
static void run_child(char *program)
{
	char *argv[] = { program, NULL };
	pid_t child = fork();
	int i;

	if (!child) {
		for (i = 0; i < 1000; i++)
			free(must(malloc(100)));
		if (program)
			execv(program, argv);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int round;

	if (!strcmp(how, "exec")) {
		free(must(malloc(12345)));
		argv[1] = argv[0];
		execv(argv[0], argv + 1);
		return 1;
	}
	if (argc > 2)
		nr_threads = (unsigned int)atoi(argv[2]);
	if (nr_threads < 1 || nr_threads > MAX_THREADS)
		return 2;
	ring = must(calloc(nr_threads, sizeof(*ring)));
	for (round = 0; round < NR_ROUNDS; round++) {
		run_round();
		if (!strcmp(how, "fork"))
			run_child(round ? argv[0] : NULL);
	}
	/* What libc allocates for itself comes on top. */
	printf("%d\n", (int)nr_threads * NR_OBJECTS * NR_ROUNDS);
	fflush(stdout);
	if (!strcmp(how, "kill"))
		raise(SIGKILL);
	free(ring);
	return 0;
}
