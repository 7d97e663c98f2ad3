/* SPDX-License-Identifier: MIT */
/*
 * What the stress programs share.
 *
 * Each one drives the allocator from many threads and looks at the memory it was
 * given rather than at the allocator's own opinion of it: an object is stamped
 * over its whole length with a pattern made from a tag, and the stamp is compared
 * before the object is released.  Two objects that overlap, an object handed out
 * twice, bookkeeping written inside an object and a wrong copy by realloc all
 * show as a broken stamp.
 *
 * A program exits 0, or says what it found and exits 1.  A deadlock is ended by
 * an alarm.  STRESS_SCALE multiplies the work (1 is a few
 * seconds; 0.1 suits a sanitizer).  Nothing here uses the heap but through the
 * functions under test.
 */
#ifndef NAR_TESTS_STRESS_H
#define NAR_TESTS_STRESS_H

#include <numarena.h>

#include "rng.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Sanitizers that keep shadow memory: there RSS and RLIMIT_AS say nothing about
 * the allocator.  Nor can the child of a multithreaded fork start a thread: TSan
 * refuses, and ASan's own allocator, which pthread_create() calls, may be locked for
 * ever by a thread that the child does not have.
 */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#elif __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif
#ifndef HAS_TSAN
#define HAS_TSAN 0
#endif
#define HAS_SHADOW_MEMORY (HAS_ASAN || HAS_TSAN)
#define HAS_CHILD_THREADS (!HAS_ASAN && !HAS_TSAN)

/*
 * An order that TSan cannot see, because liburcu makes it: what comes before
 * happens_before(x) is over when a later happens_after(x) returns.
 */
#if HAS_TSAN
#include <sanitizer/tsan_interface.h>
#define happens_before(x) __tsan_release((void *)(x))
#define happens_after(x) __tsan_acquire((void *)(x))
#else
#define happens_before(x) ((void)(x))
#define happens_after(x) ((void)(x))
#endif

/* What the build calls a skip. */
#define EXIT_SKIP 77

/* A pattern's step: odd and without short cycles, so no two words of a stamp agree. */
#define STAMP_STEP 0x9e3779b97f4a7c15ULL

/* Longest a stress program, or a child of its, may run before it counts as hung: seconds. */
#define STRESS_TIMEOUT 240
#define CHILD_TIMEOUT 60

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Not exit(): other threads are still running and hold objects. */
#define require(cond, ...)							\
	do {									\
		if (__builtin_expect(!(cond), 0)) {				\
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);				\
			fputc('\n', stderr);					\
			_exit(EXIT_FAILURE);					\
		}								\
	} while (0)

/* ---- Amount of work ---- */

static inline unsigned long stress_scaled(unsigned long amount)
{
	const char *scale = getenv("STRESS_SCALE");
	double scaled = (double)amount * (scale ? strtod(scale, NULL) : 1.0);

	return scaled < 1.0 ? 1 : (unsigned long)scaled;
}

static inline void stress_begin(void)
{
	alarm(STRESS_TIMEOUT);
}

static inline _Noreturn void stress_skip(const char *reason)
{
	puts(reason);
	exit(EXIT_SKIP);
}

/* ---- The allocator's mode ---- */

/*
 * Modes without arenas have no magazines and no remote queues, and their threads
 * use the built-in classes only.
 */
static inline bool has_arenas(void)
{
	char mode[16];

	require(numarena_option_get("mode", mode, sizeof(mode)) > 0, "option mode");
	return !strcmp(mode, "arena");
}

/* ---- Stamps ---- */

static inline void stamp(void *p, size_t size, uint64_t tag)
{
	uint64_t word = tag * STAMP_STEP;
	unsigned char *at = p;

	for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
		memcpy(at, &word, sizeof(word));
		word += STAMP_STEP;
	}
	memcpy(at, &word, size);
}

static inline bool stamp_is_whole(const void *p, size_t size, uint64_t tag)
{
	uint64_t word = tag * STAMP_STEP, differs = 0, seen;
	const unsigned char *at = p;

	for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
		memcpy(&seen, at, sizeof(seen));
		differs |= seen ^ word;
		word += STAMP_STEP;
	}
	seen = word;
	memcpy(&seen, at, size);
	return !(differs | (seen ^ word));
}

static inline bool is_zero(const void *p, size_t size)
{
	const unsigned char *bytes = p;

	return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

/* ---- Objects that carry their own tag and length ---- */

struct object {
	void *p;
	size_t size;
	uint64_t tag;
};

/* What every allocation must be, whatever its size. */
static inline void object_check_start(const void *p, size_t size)
{
	require(p, "%zu bytes refused", size);
	require((uintptr_t)p % alignof(max_align_t) == 0, "%p of %zu bytes", p, size);
}

static inline struct object object_new(size_t size, uint64_t tag)
{
	struct object object = { numarena_malloc(size), size, tag };

	object_check_start(object.p, size);
	stamp(object.p, size, tag);
	return object;
}

static inline void object_check(const struct object *object)
{
	require(stamp_is_whole(object->p, object->size, object->tag),
		"object %p of %zu bytes was overwritten", object->p, object->size);
}

static inline void object_delete(struct object *object)
{
	if (!object->p)
		return;
	object_check(object);
	numarena_free(object->p);
	object->p = NULL;
}

/* Overwritten or not is known by the part that a resize keeps. */
static inline void object_resize(struct object *object, size_t size)
{
	size_t kept = size < object->size ? size : object->size;
	void *p;

	object_check(object);
	p = numarena_realloc(object->p, size);
	object_check_start(p, size);
	require(stamp_is_whole(p, kept, object->tag), "realloc of %zu to %zu bytes lost content",
		object->size, size);
	stamp(p, size, object->tag);
	object->p = p;
	object->size = size;
}

static inline struct object object_new_zeroed(size_t size, uint64_t tag)
{
	struct object object = { numarena_calloc(1, size), size, tag };

	object_check_start(object.p, size);
	require(is_zero(object.p, size), "calloc of %zu bytes is not zero", size);
	stamp(object.p, size, tag);
	return object;
}

static inline struct object object_new_aligned(size_t alignment, size_t size, uint64_t tag)
{
	struct object object = { NULL, size, tag };
	int err = numarena_posix_memalign(&object.p, alignment, size);

	require(!err, "posix_memalign of %zu bytes at %zu: %s", size, alignment, strerror(err));
	require((uintptr_t)object.p % alignment == 0, "%p at %zu", object.p, alignment);
	stamp(object.p, size, tag);
	return object;
}

/* ---- Churn: one thread's objects of all sizes come and go ---- */

#define CHURN_SLOTS 512
#define SMALL_SHIFT 12

struct churn {
	struct rng rng;
	uint64_t next_tag;
	unsigned int max_shift;	/* one object in 64 is of up to 2^max_shift bytes */
	struct object slots[CHURN_SLOTS];
};

/* @index tells threads apart, so that no two objects of a program share a tag. */
static inline void churn_begin(struct churn *churn, unsigned int index, unsigned int max_shift)
{
	memset(churn, 0, sizeof(*churn));
	churn->rng = rng_seeded(index);
	churn->next_tag = (uint64_t)index << 40;
	churn->max_shift = max_shift;
}

static inline size_t churn_size(struct churn *churn)
{
	bool is_big = rng_next(&churn->rng) % 64 == 0;

	return rng_log_size(&churn->rng, 3, is_big ? churn->max_shift : SMALL_SHIFT);
}

static inline struct object churn_object(struct churn *churn)
{
	size_t size = churn_size(churn);
	uint64_t tag = churn->next_tag++;

	switch (rng_next(&churn->rng) >> 61) {
	case 0:
		return object_new_zeroed(size, tag);
	case 1:
		return object_new_aligned((size_t)8 << rng_between(&churn->rng, 0, 9), size, tag);
	default:
		return object_new(size, tag);
	}
}

static inline void churn_step(struct churn *churn)
{
	struct object *object = &churn->slots[rng_between(&churn->rng, 0, CHURN_SLOTS - 1)];

	if (!object->p)
		*object = churn_object(churn);
	else if (rng_next(&churn->rng) >> 61 == 0)
		object_resize(object, churn_size(churn));
	else
		object_delete(object);
}

static inline void churn_end(struct churn *churn)
{
	for (unsigned int i = 0; i < CHURN_SLOTS; i++)
		object_delete(&churn->slots[i]);
}

/* ---- Objects that change hands ---- */

#define EXCHANGE_SLOTS 256

struct exchange {
	pthread_mutex_t lock;
	struct object slots[EXCHANGE_SLOTS];
};

#define EXCHANGE_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/* Leave @object, which may be none, and take what lay at a random place. */
static inline struct object exchange_swap(struct exchange *exchange, struct rng *rng,
					  struct object object)
{
	struct object *slot = &exchange->slots[rng_between(rng, 0, EXCHANGE_SLOTS - 1)];
	struct object taken;

	pthread_mutex_lock(&exchange->lock);
	taken = *slot;
	*slot = object;
	pthread_mutex_unlock(&exchange->lock);
	return taken;
}

static inline void exchange_end(struct exchange *exchange)
{
	for (unsigned int i = 0; i < EXCHANGE_SLOTS; i++)
		object_delete(&exchange->slots[i]);
}

/* ---- Threads and processes ---- */

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, run, arg);

	require(!err, "pthread_create: %s", strerror(err));
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	int err = pthread_join(thread, NULL);

	require(!err, "pthread_join: %s", strerror(err));
}

/* Run @run in @nr threads, the i-th given args + i * arg_size, and wait for all. */
static inline void threads_run(unsigned int nr, void *(*run)(void *), void *args, size_t arg_size)
{
	pthread_t threads[64];

	require(nr <= ARRAY_SIZE(threads), "%u threads", nr);
	for (unsigned int i = 0; i < nr; i++)
		threads[i] = thread_start(run, (char *)args + i * arg_size);
	for (unsigned int i = 0; i < nr; i++)
		thread_join(threads[i]);
}

/*
 * A child does not inherit the alarm that ends a hung program, and one that hangs in
 * liburcu has all signals blocked: that goes with the thread that waits for it.
 */
static inline pid_t fork_or_fail(void)
{
	pid_t pid = fork();

	require(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		alarm(CHILD_TIMEOUT);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

/* Wait for a child that must exit with 0.  Async-signal-safe unless it fails. */
static inline void child_join(pid_t pid)
{
	int status;
	pid_t seen;

	do
		seen = waitpid(pid, &status, 0);
	while (seen < 0 && errno == EINTR);
	require(seen == pid, "waitpid: %s", strerror(errno));
	require(WIFEXITED(status) && !WEXITSTATUS(status), "child ended with status %#x", status);
}

/* ---- Resident memory, read without the allocator ---- */

/* A line of /proc/self/status in kB, as "VmRSS" or "VmHWM"; bytes. */
static inline size_t status_bytes(const char *field)
{
	char text[4096], label[32];
	const char *line;
	ssize_t len;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	require(fd >= 0, "/proc/self/status");
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	require(len > 0, "/proc/self/status");
	text[len] = '\0';
	snprintf(label, sizeof(label), "\n%s:", field);
	line = strstr(text, label);
	require(line, "%s in /proc/self/status", field);
	return strtoul(line + strlen(label), NULL, 10) * 1024;
}

#endif
