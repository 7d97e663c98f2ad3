// SPDX-License-Identifier: MIT
#include "player.h"
#include "text.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096

/* ---- Objects ---- */

/*
 * What is in an object's place.  Its begin and its end pair: who begins an object stores it with
 * release, or exchanges it if another thread ends it, which loads with acquire.
 */
static void **slots;

#define SLOT_NONE NULL			/* not begun, or ended */
#define SLOT_WAITED ((void *)1)		/* not begun, and somebody sleeps until it is */
#define SLOT_LOST ((void *)2)		/* begun, but there was no memory */

/* The low half, on the little-endian machines there are: of pointers never 1. */
static void slot_futex(void **slot, int op, uint32_t value)
{
	syscall(SYS_futex, (uint32_t *)(void *)slot, op, value, NULL, NULL, 0);
}

static void slot_begin(void **slot, void *ptr, bool is_shared)
{
	ptr = ptr ? ptr : SLOT_LOST;
	if (!is_shared)
		__atomic_store_n(slot, ptr, __ATOMIC_RELAXED);
	else if (__atomic_exchange_n(slot, ptr, __ATOMIC_ACQ_REL) == SLOT_WAITED)
		slot_futex(slot, FUTEX_WAKE_PRIVATE, INT_MAX);
}

/* Most are there already, and most of the others will be in a moment. */
#define SPINS 256

static void *slot_wait(void **slot)
{
	unsigned int spins = 0;
	void *ptr;

	while ((uintptr_t)(ptr = __atomic_load_n(slot, __ATOMIC_ACQUIRE)) <= (uintptr_t)SLOT_WAITED) {
		void *none = SLOT_NONE;

		if (spins++ < SPINS)
			continue;
		if (ptr == SLOT_WAITED ||
		    __atomic_compare_exchange_n(slot, &none, SLOT_WAITED, false, __ATOMIC_ACQUIRE,
						__ATOMIC_ACQUIRE))
			slot_futex(slot, FUTEX_WAIT_PRIVATE, (uint32_t)(uintptr_t)SLOT_WAITED);
	}
	return ptr;
}

/* Nobody else looks at it any more.  Return: NULL if it was lost. */
static void *slot_end(void **slot, bool waits)
{
	void *ptr = waits ? slot_wait(slot) : __atomic_load_n(slot, __ATOMIC_RELAXED);

	__atomic_store_n(slot, SLOT_NONE, __ATOMIC_RELAXED);
	return ptr == SLOT_LOST ? NULL : ptr;
}

/* ---- What is in them ---- */

static void mark_write(char *ptr, uint64_t size, uint32_t object)
{
	volatile char *p = ptr;
	uint64_t i;

	for (i = 0; i < size; i += PAGE_BYTES)
		p[i] = 1;
	if (size)
		p[size - 1] = 1;
	if (size >= MARK_BYTES)
		memcpy(ptr, &object, sizeof(object));
}

static bool mark_is_there(const char *ptr, uint32_t object)
{
	return !memcmp(ptr, &object, sizeof(object));
}

static bool is_zero(const char *ptr, uint64_t size)
{
	uint64_t i;

	for (i = 0; i < size; i += PAGE_BYTES)
		if (ptr[i])
			return false;
	return !size || !ptr[size - 1];
}

/* ---- Operations ---- */

struct lane {
	const struct plan_thread *plan;
	pthread_t id;
	struct play play;	/* its own part */
};

static void *op_align(struct lane *l, const struct op *op)
{
	size_t alignment = (size_t)1 << op->align_shift;
	void *ptr = memalign(alignment, op->size);

	l->play.nr_misaligned += (uintptr_t)ptr & (alignment - 1) ? 1 : 0;
	return ptr;
}

static void *op_calloc(struct lane *l, const struct op *op)
{
	char *ptr = calloc(1, op->size);

	l->play.nr_not_zero += ptr && !is_zero(ptr, op->size);
	return ptr;
}

static void *op_realloc(struct lane *l, const struct op *op)
{
	char *old = slot_end(&slots[op->old], op->waits), *ptr;

	if (old && op->old_is_marked && !mark_is_there(old, op->old))
		l->play.nr_overwritten++;
	/* 0 would be a free to some; the recorded one has answered with an object. */
	ptr = realloc(old, op->size ? op->size : 1);
	if (!ptr)
		free(old);
	else if (old && op->keeps_mark && !mark_is_there(ptr, op->old))
		l->play.nr_overwritten++;
	return ptr;
}

static void op_free(struct lane *l, const struct op *op)
{
	char *ptr = slot_end(&slots[op->object], op->waits);

	if (ptr && op->size >= MARK_BYTES && !mark_is_there(ptr, op->object))
		l->play.nr_overwritten++;
	free(ptr);
}

static void *op_allocate(struct lane *l, const struct op *op)
{
	switch (op->kind) {
	case MOMENT_CALLOC:
		return op_calloc(l, op);
	case MOMENT_ALIGNED:
		return op_align(l, op);
	case MOMENT_REALLOC:
		return op_realloc(l, op);
	default:
		return malloc(op->size);
	}
}

static void op_run(struct lane *l, const struct op *op)
{
	void *ptr;

	if (op->kind == MOMENT_FREE) {
		op_free(l, op);
		return;
	}
	ptr = op_allocate(l, op);
	if (ptr)
		mark_write(ptr, op->size, op->object);
	else
		l->play.nr_failed++;
	slot_begin(&slots[op->object], ptr, op->is_shared);
}

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	size_t i;

	for (i = 0; i < l->plan->nr; i++)
		op_run(l, &l->plan->ops[i]);
	l->play.nr_ops = l->plan->nr;
	return NULL;
}

/* ---- Threads ---- */

static void lane_start(struct lane *l)
{
	int err = pthread_create(&l->id, NULL, lane_run, l);

	if (err)
		tool_die(TOOL_FAILED, "a thread: %s", strerror(err));
}

static void lane_join(struct lane *l)
{
	int err = pthread_join(l->id, NULL);

	if (err)
		tool_die(TOOL_FAILED, "the end of a thread: %s", strerror(err));
}

/* A heap of lanes by their recorded end: the earliest is on top. */
struct ends {
	struct lane **at;
	uint32_t nr;
};

static bool ends_before(const struct lane *a, const struct lane *b)
{
	return a->plan->last < b->plan->last;
}

static void swap(struct lane **a, struct lane **b)
{
	struct lane *t = *a;

	*a = *b;
	*b = t;
}

static void ends_put(struct ends *e, struct lane *l)
{
	uint32_t i = e->nr++;

	e->at[i] = l;
	for (; i && ends_before(e->at[i], e->at[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&e->at[i], &e->at[(i - 1) / 2]);
}

static struct lane *ends_take(struct ends *e)
{
	struct lane *first = e->at[0];
	uint32_t i = 0, child;

	e->at[0] = e->at[--e->nr];
	while ((child = 2 * i + 1) < e->nr) {
		if (child + 1 < e->nr && ends_before(e->at[child + 1], e->at[child]))
			child++;
		if (!ends_before(e->at[child], e->at[i]))
			break;
		swap(&e->at[i], &e->at[child]);
		i = child;
	}
	return first;
}

/*
 * Nobody waits for ever: what a thread that is to end needs was allocated before that end, so
 * by threads that began before it, and those have been started.
 */
static void run_lanes(struct lane *lane, uint32_t nr, struct ends *ends)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		while (ends->nr && ends->at[0]->plan->last < lane[i].plan->first)
			lane_join(ends_take(ends));
		lane_start(&lane[i]);
		ends_put(ends, &lane[i]);
	}
	while (ends->nr)
		lane_join(ends_take(ends));
}

/* ---- Measuring ---- */

static double clock_seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double status_bytes(const char *label)
{
	char status[16384], value[64];

	text_read(status, sizeof(status), "/proc/self/status");
	if (!text_field(status, label, value, sizeof(value)))
		return -1;
	return strtod(value, NULL) * 1024;
}

/* Begin anew to note the highest resident size.  Return: what is resident, or negative. */
static double peak_reset(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool is_reset = fd >= 0 && write(fd, "5", 1) == 1;

	if (fd >= 0)
		close(fd);
	return is_reset ? status_bytes("VmRSS:") : -1;
}

/* ---- The end ---- */

static void add_lane(struct play *sum, const struct play *one)
{
	sum->nr_ops += one->nr_ops;
	sum->nr_failed += one->nr_failed;
	sum->nr_overwritten += one->nr_overwritten;
	sum->nr_not_zero += one->nr_not_zero;
	sum->nr_misaligned += one->nr_misaligned;
}

/* An object for which there was no memory counts as live: it is in nr_failed. */
static void count_live(const struct plan *plan, struct play *play)
{
	uint32_t i;

	for (i = 0; i < plan->nr_objects; i++) {
		const char *ptr = slots[i];
		uint64_t size = plan->size_at_end[i];

		play->nr_wrong_live += !ptr != !size;
		if (!ptr || !size)
			continue;
		play->nr_live++;
		play->live_bytes += size - 1;
		if (ptr != SLOT_LOST && size - 1 >= MARK_BYTES && !mark_is_there(ptr, i))
			play->nr_overwritten++;
	}
}

/* What lives at the end is no part of the next round. */
static void free_live(const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->nr_objects; i++) {
		if (slots[i] != SLOT_LOST)
			free(slots[i]);
		slots[i] = SLOT_NONE;
	}
}

static void play_round(const struct plan *plan, struct lane *lane, struct ends *ends, struct play *play)
{
	double start, cpu_start;
	uint32_t i;

	for (i = 0; i < plan->nr_threads; i++)
		lane[i] = (struct lane){ .plan = &plan->thread[i] };
	start = clock_seconds(CLOCK_MONOTONIC);
	cpu_start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	run_lanes(lane, plan->nr_threads, ends);
	play->seconds = clock_seconds(CLOCK_MONOTONIC) - start;
	play->cpu_seconds = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
	for (i = 0; i < plan->nr_threads; i++)
		add_lane(play, &lane[i].play);
	count_live(plan, play);
}

void player_run(const struct plan *plan, struct play *play, unsigned int nr)
{
	struct lane *lane = own_map(plan->nr_threads * sizeof(*lane));
	struct ends ends = { own_map(plan->nr_threads * sizeof(*ends.at)), 0 };
	double resident, peak;
	unsigned int i;

	slots = own_map(plan->nr_objects * sizeof(*slots));
	own_populate(slots, plan->nr_objects * sizeof(*slots));
	own_populate(lane, plan->nr_threads * sizeof(*lane));
	resident = peak_reset();
	for (i = 0; i < nr; i++) {
		play[i] = (struct play){ 0 };
		if (i)
			free_live(plan);
		play_round(plan, lane, &ends, &play[i]);
		peak = status_bytes("VmHWM:");
		play[i].peak_bytes = resident < 0 || peak < 0 ? -1 : peak - resident;
	}
}
