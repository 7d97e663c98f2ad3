// SPDX-License-Identifier: MIT
/*
 * The end of memory.  RLIMIT_AS is lowered under running threads, which allocate
 * until they are refused.  Refused means NULL and ENOMEM, nothing lost and nothing
 * overwritten; after some frees, allocation goes on, and after the limit is raised
 * it is as before.
 *
 * The same again in a process that starts under a limit and so reserves less.
 */
#include "stress.h"

#include <sys/resource.h>

#define NR_THREADS 2
#define NR_ROUNDS 6
#define LIMIT_BYTES ((rlim_t)384 << 20)
#define START_LIMIT_BYTES ((rlim_t)1000000 << 10)	/* ulimit -v 1000000 */
#define MAX_OBJECTS 200000	/* of the smallest size, over LIMIT_BYTES */
#define LARGE_BYTES ((size_t)16 << 20)
#define NR_FREED 16		/* of the objects held: then one more of the size must fit */

struct worker {
	struct rng rng;
	struct object objects[MAX_OBJECTS];
	unsigned int nr;
};

static struct worker workers[NR_THREADS];
static pthread_barrier_t all_workers;
static pthread_barrier_t limit_moves;	/* before and after main moves it */

static bool try_object(struct worker *worker, size_t size)
{
	struct object object = { .size = size, .tag = rng_next(&worker->rng) };

	errno = 0;
	object.p = numarena_malloc(size);
	if (!object.p) {
		require(errno == ENOMEM, "refused %zu bytes with %s", size, strerror(errno));
		return false;
	}
	require(!errno, "%zu bytes granted with %s", size, strerror(errno));
	stamp(object.p, size, object.tag);
	worker->objects[worker->nr++] = object;
	return true;
}

static void release(struct worker *worker, unsigned int nr)
{
	while (nr-- && worker->nr)
		object_delete(&worker->objects[--worker->nr]);
}

/* Other ways to ask must be refused alike; what they are given is given back. */
static void refuse_all_ways(struct worker *worker, size_t size)
{
	struct object *last = &worker->objects[worker->nr - 1];
	void *untouched = &untouched, *p = untouched;
	int err;

	errno = 0;
	p = numarena_calloc(1, size);
	require(p || errno == ENOMEM, "calloc: %s", strerror(errno));
	numarena_free(p);
	p = untouched;
	errno = 0;
	err = numarena_posix_memalign(&p, 64, size);
	require(!errno, "posix_memalign set errno");
	require(err ? err == ENOMEM && p == untouched : p != untouched, "posix_memalign: %d", err);
	if (!err)
		numarena_free(p);
	errno = 0;
	p = numarena_realloc(last->p, last->size + (size_t)LIMIT_BYTES);
	require(!p && errno == ENOMEM, "realloc: %p, %s", p, strerror(errno));
	object_check(last);
}

static size_t round_size(struct worker *worker, unsigned int round)
{
	switch (round % 3) {
	case 0:
		return rng_between(&worker->rng, 3000, 4096);
	case 1:
		return rng_between(&worker->rng, 16384, 32768);
	default:
		return rng_between(&worker->rng, 40000, 2 << 20);
	}
}

static void exhaust(struct worker *worker, unsigned int round)
{
	size_t size = round_size(worker, round);

	/* Each has its share before anyone takes the rest. */
	while (worker->nr <= NR_FREED)
		require(try_object(worker, size), "%zu bytes refused from the start", size);
	pthread_barrier_wait(&all_workers);
	while (worker->nr < MAX_OBJECTS && try_object(worker, size))
		;
	require(worker->nr < MAX_OBJECTS, "no limit was met");
	/* All have met the limit: nobody lives now on what another one releases. */
	pthread_barrier_wait(&all_workers);
	refuse_all_ways(worker, size);
	release(worker, NR_FREED);
	require(try_object(worker, size), "%zu bytes refused after others were freed", size);
	pthread_barrier_wait(&all_workers);
	release(worker, worker->nr);
	pthread_barrier_wait(&all_workers);
}

static void *limit_run(void *arg)
{
	struct worker *worker = arg;
	unsigned int nr_rounds = (unsigned int)stress_scaled(NR_ROUNDS);

	worker->rng = rng_seeded((uint64_t)(worker - workers));
	pthread_barrier_wait(&limit_moves);
	pthread_barrier_wait(&limit_moves);
	for (unsigned int round = 0; round < nr_rounds; round++)
		exhaust(worker, round);
	pthread_barrier_wait(&limit_moves);
	pthread_barrier_wait(&limit_moves);
	require(try_object(worker, LARGE_BYTES), "refused though nearly all is free");
	release(worker, worker->nr);
	return NULL;
}

static void set_limit(rlim_t bytes)
{
	struct rlimit limit;

	require(!getrlimit(RLIMIT_AS, &limit), "getrlimit: %s", strerror(errno));
	limit.rlim_cur = bytes;
	require(!setrlimit(RLIMIT_AS, &limit), "setrlimit: %s", strerror(errno));
}

static void run_in_child(int (*run)(void))
{
	pid_t pid = fork_or_fail();

	if (!pid)
		_exit(run());
	child_join(pid);
}

static int start_under_limit(void)
{
	char *argv[] = { (char *)"stress_rlimit", (char *)"limited", NULL };

	set_limit(START_LIMIT_BYTES);
	execv("/proc/self/exe", argv);
	require(false, "exec: %s", strerror(errno));
	return EXIT_FAILURE;
}

/* Threads exist before the limit falls: it counts their stacks too. */
static void move_limit(rlim_t bytes)
{
	pthread_barrier_wait(&limit_moves);
	if (bytes)
		set_limit(bytes);
	pthread_barrier_wait(&limit_moves);
}

static void run_workers(rlim_t low, rlim_t high)
{
	pthread_t threads[NR_THREADS];

	pthread_barrier_init(&all_workers, NULL, NR_THREADS);
	pthread_barrier_init(&limit_moves, NULL, NR_THREADS + 1);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		threads[i] = thread_start(limit_run, &workers[i]);
	move_limit(low);
	move_limit(high);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
}

int main(int argc, char **argv)
{
	stress_begin();
	if (HAS_SHADOW_MEMORY)
		stress_skip("the sanitizer needs address space without limit");
	if (argc > 1 && !strcmp(argv[1], "limited")) {
		run_workers(0, 0);
		return EXIT_SUCCESS;
	}
	run_in_child(start_under_limit);
	run_workers(LIMIT_BYTES, RLIM_INFINITY);
	return EXIT_SUCCESS;
}
