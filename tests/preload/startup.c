/* SPDX-License-Identifier: MIT */
/*
 * A program that allocates at every time at which a program can.
 *
 *	startup [rounds of threads]
 *
 *	constructors | main, threads ... each ends in TSD destructors | atexit | destructors
 *
 * What is allocated at one time is freed at a later one, often by another thread.
 * Expect: every object keeps what was written into it, and nothing dies.
 *
 * Prints a line at its very end, so that a script sees that it came that far.
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define NR_KEPT 64
#define NR_THREADS 4
#define MAX_ROUNDS 100

/* From small objects to large blocks. */
static const size_t sizes[] = { 1, 24, 100, 513, 4096, 20000, 70000, 600000 };

struct kept {
	unsigned char *p;
	size_t size;
};

static struct kept from_constructor[NR_KEPT];
static struct kept from_main[NR_KEPT];

static pthread_key_t key_of_constructor, key_of_main;

/* What the last destructor round of a thread leaves for main to free. */
static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept left[NR_THREADS * MAX_ROUNDS];
static size_t nr_left;

/* stdio may be closed already. */
static void fail(const char *what)
{
	if (write(STDERR_FILENO, what, strlen(what)) < 0)
		_exit(EXIT_FAILURE + 1);
	_exit(EXIT_FAILURE);
}

static struct kept keep(size_t i)
{
	size_t size = sizes[i % ARRAY_SIZE(sizes)];
	struct kept kept = { malloc(size), size };

	if (!kept.p)
		fail("startup: malloc refused\n");
	memset(kept.p, (int)size, size);
	return kept;
}

static void check(const struct kept *kept)
{
	unsigned char expected = (unsigned char)kept->size;

	if (kept->p[0] != expected || memcmp(kept->p, kept->p + 1, kept->size - 1))
		fail("startup: an object was overwritten\n");
}

static void release(struct kept *kept)
{
	check(kept);
	free(kept->p);
	kept->p = NULL;
}

/* ---- Before main: ahead of every constructor without a priority ---- */

static void *allocate_and_free(void *unused)
{
	for (size_t i = 0; i < NR_KEPT; i++) {
		struct kept kept = keep(i);

		release(&kept);
	}
	return unused;
}

static void run_thread(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL) || pthread_join(thread, NULL))
		fail("startup: no thread\n");
}

static void on_thread_end(void *value);

__attribute__((constructor(101)))
static void construct(void)
{
	for (size_t i = 0; i < NR_KEPT; i++)
		from_constructor[i] = keep(i);
	run_thread(allocate_and_free);
	if (pthread_key_create(&key_of_constructor, on_thread_end))
		fail("startup: no key\n");
}

/* ---- The end of a thread ---- */

static void leave(struct kept kept)
{
	pthread_mutex_lock(&left_lock);
	left[nr_left++] = kept;
	pthread_mutex_unlock(&left_lock);
}

static void set_value(pthread_key_t key, size_t i)
{
	struct kept *mine = malloc(sizeof(*mine));

	if (!mine)
		fail("startup: malloc refused\n");
	*mine = keep(i);
	pthread_setspecific(key, mine);
}

/*
 * Called again and again for a thread, PTHREAD_DESTRUCTOR_ITERATIONS times at most,
 * as long as it sets its key anew; so also after the library's own destructor.
 */
static void on_thread_end(void *value)
{
	static __thread unsigned int nr_calls;
	struct kept *mine = value;

	release(mine);
	free(mine);
	allocate_and_free(NULL);
	if (++nr_calls == PTHREAD_DESTRUCTOR_ITERATIONS) {
		leave(keep(nr_calls));
		return;
	}
	set_value(nr_calls % 2 ? key_of_main : key_of_constructor, nr_calls);
}

/* Its first allocation is the one that its destructor will free. */
static void *end_at_once(void *unused)
{
	set_value(key_of_main, 0);
	return unused;
}

static void *end_after_work(void *unused)
{
	allocate_and_free(NULL);
	set_value(key_of_constructor, 0);
	return unused;
}

static void run_threads(void)
{
	pthread_t threads[NR_THREADS];

	for (size_t i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL,
				   i % 2 ? end_after_work : end_at_once, NULL))
			fail("startup: no thread\n");
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- The end of the process ---- */

static void at_exit(void)
{
	allocate_and_free(NULL);
	run_thread(allocate_and_free);
	for (size_t i = 0; i < NR_KEPT; i++)
		release(&from_main[i]);
}

__attribute__((destructor(101)))
static void destruct(void)
{
	static const char done[] = "came to the end\n";

	allocate_and_free(NULL);
	for (size_t i = 0; i < NR_KEPT; i++)
		release(&from_constructor[i]);
	if (write(STDOUT_FILENO, done, sizeof(done) - 1) < 0)
		_exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	int nr_rounds = argc > 1 ? atoi(argv[1]) : 20;

	if (nr_rounds > MAX_ROUNDS)
		fail("startup: too many rounds\n");
	for (size_t i = 0; i < NR_KEPT; i++) {
		check(&from_constructor[i]);
		from_main[i] = keep(i);
	}
	if (pthread_key_create(&key_of_main, on_thread_end) || atexit(at_exit))
		fail("startup: no key or handler\n");
	for (int i = 0; i < nr_rounds; i++)
		run_threads();
	for (size_t i = 0; i < nr_left; i++)
		release(&left[i]);
	return EXIT_SUCCESS;
}
