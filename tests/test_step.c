// SPDX-License-Identifier: MIT
/*
 * A step's boundary, on the pretend machine of fake_numa.h, where time passes only when work is
 * done: so a budget is a number of pieces.
 *
 *	free units:	| due | due | due | young |	step(0): one, step(2 pieces): two more
 *
 * Each test wants a process of its own, which Check gives it.
 */
#include <errno.h>
#include <limits.h>
#include <numarena.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/chunk.h"
#include "arena/thread.h"
#include "arena/unit.h"
#include "internal/option.h"
#include "internal/stat.h"

#include "contract.h"
#include "fake_numa.h"

#define WORK_US 100
#define NR_UNITS 10u
#define OTHER_NODE 2

/* No end to it. */
#define ALL UINT_MAX

/* More than anything here takes. */
#define NR_POLLS 200

static void set_option(const char *name, const char *value)
{
	ck_assert_int_eq(numarena_option_set(name, value), 0);
}

static u32 nr_purges(void)
{
	u32 sum = 0;
	unsigned int node;

	for (node = 0; node < FAKE_NODES; node++)
		sum += fake_calls.purge[node];
	return sum;
}

static u64 purged_units(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.purged_bytes / HUGE_BYTES;
}

static unsigned long step(unsigned int budget_us)
{
	unsigned long left;

	must_keep_errno(left = numarena_step(budget_us));
	return left;
}

/* @nr units on @node that are free and were touched, each by itself: purged one at a time or not. */
static void free_units(int node, unsigned int nr)
{
	char *p = must_give(numarena_alloc_on(node, nr * HUGE_BYTES, HUGE_BYTES));

	memset(p, 0x5a, nr * HUGE_BYTES);
	numarena_free(p);
}

/* Before numarena's own constructor, which has no priority: room for many units. */
__attribute__((constructor(101))) static void before_start(void)
{
	fake.bytes = GIB(2);
}

/* What other tests find irrelevant is done first. */
static void begin(void)
{
	fake.work_us = WORK_US;
	set_option("purge", "step");
	numarena_free(must_give(numarena_malloc(100)));
	while (step(ALL))
		;
}

/* Slow paths: each refills or flushes, or goes to the tree. */
static void poll_often(void)
{
	unsigned int i;

	for (i = 0; i < NR_POLLS; i++) {
		fake.clock_ms += 20;
		numarena_free(must_give(numarena_malloc(MIB(1) + 1)));
	}
}

/* ---- When ---- */

/*
 *	purge:step	10 units free for long, 200 slow paths	-> nothing
 *	purge:auto	likewise				-> purged
 */
START_TEST(nothing_happens_between_steps)
{
	u64 before;

	begin();
	free_units(OTHER_NODE, NR_UNITS);
	before = purged_units();
	fake.clock_ms += 5000;
	poll_often();
	ck_assert_uint_eq(purged_units(), before);
	set_option("purge", "auto");
	poll_often();
	ck_assert_uint_ge(purged_units(), before + NR_UNITS);
}
END_TEST

/* Expect: malloc_trim does it all under purge:step too, whatever its age. */
START_TEST(trim_is_not_a_step)
{
	u64 before;

	begin();
	free_units(OTHER_NODE, NR_UNITS);
	before = purged_units();
	ck_assert_int_eq(numarena_malloc_trim(0), 1);
	ck_assert_uint_ge(purged_units(), before + NR_UNITS);
	ck_assert_uint_eq(step(ALL), 0);
}
END_TEST

/* decay_ms holds: what was freed just now is not due. */
START_TEST(what_is_young_stays)
{
	u64 before;

	begin();
	free_units(OTHER_NODE, NR_UNITS);
	before = purged_units();
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units(), before);
	fake.clock_ms += 999;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units(), before);
	fake.clock_ms += 1;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units(), before + NR_UNITS);
}
END_TEST

/* ---- How long ---- */

/*
 *	10 due	budget 0: 1, again: 1, 100 us: 1, 101 us: 2, 250 us: 3, all: 2
 *
 * Expect: the piece under way at the end of the budget is the last, whatever the kind.
 */
START_TEST(a_budget_is_kept_to_a_piece)
{
	static const struct {
		unsigned int budget_us, nr;
	} steps[] = { { 0, 1 }, { 0, 1 }, { WORK_US, 1 }, { WORK_US + 1, 2 }, { 250, 3 } };
	u64 before;
	u32 calls;
	unsigned int nr = 0;
	size_t i;

	begin();
	free_units(OTHER_NODE, NR_UNITS);
	fake.clock_ms += 5000;
	before = purged_units();
	calls = nr_purges();
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		/* And two kinds of work that it did not come to. */
		ck_assert_uint_eq(step(steps[i].budget_us), NR_UNITS - nr - steps[i].nr + 2);
		nr += steps[i].nr;
		ck_assert_uint_eq(purged_units() - before, nr);
		ck_assert_uint_eq(nr_purges() - calls, nr);
	}
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units() - before, NR_UNITS);
	calls = nr_purges();
	ck_assert_uint_eq(step(0), 0);
	ck_assert_uint_eq(nr_purges(), calls);
}
END_TEST

/* Nothing due, nothing done; before start as well. */
START_TEST(nothing_to_do)
{
	ck_assert_uint_le(step(0), 4);
	begin();
	ck_assert_uint_eq(step(0), 0);
	ck_assert_uint_eq(step(ALL), 0);
}
END_TEST

/* Memory that is locked: it cannot be purged, and there is an end to trying. */
START_TEST(what_the_kernel_refuses_is_no_work)
{
	u64 before;

	begin();
	set_option("decay_ms", "0");
	free_units(OTHER_NODE, NR_UNITS);
	before = purged_units();
	fake.refuse_purge = 1u << OTHER_NODE;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units(), before);
	fake.refuse_purge = 0;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(purged_units(), before + NR_UNITS);
}
END_TEST

/* ---- What ---- */

#define NR_OBJECTS 2000u
/* So that all of them together do not make a queue that others help with. */
#define SIZE (NAR_QUEUE_BYTES / 2 / NR_OBJECTS / 16 * 16)

static void *objects[NR_OBJECTS];

static void *free_objects(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < NR_OBJECTS; i++)
		numarena_free(objects[i]);
	return NULL;
}

static void alloc_objects(void)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++)
		objects[i] = must_give(numarena_malloc(SIZE));
}

static u32 nr_queued(void)
{
	return nar_arena_own->queue.head != NULL;
}

/*
 *	another thread frees 2,000 of ours	-> queue of ours	step -> slabs
 *
 * Expect: some hundreds a piece; then all are in slabs again, and the empty ones are gone.
 */
START_TEST(remote_frees_come_home)
{
	struct numarena_node_stats before, after;
	unsigned int nr;

	begin();
	alloc_objects();
	ck_assert_int_eq(numarena_node_stats_get(0, &before, sizeof(before)), 0);
	thread_join(thread_start(free_objects, NULL));
	ck_assert(nr_queued());
	/* The queue is taken as a whole, and its messages one by one. */
	for (nr = 0; step(0); nr++)
		require(nr < NR_OBJECTS, "no end to it");
	ck_assert_uint_ge(nr, NR_OBJECTS / 256 / 2);
	ck_assert(!nr_queued());
	ck_assert_int_eq(numarena_node_stats_get(0, &after, sizeof(after)), 0);
	/* But for some that are kept. */
	ck_assert_uint_lt(after.slab_bytes + NR_OBJECTS * SIZE / 4, before.slab_bytes);
}
END_TEST

static pthread_barrier_t barrier;

static void *hold_arena(void *arg)
{
	void **p = arg;

	*p = numarena_malloc(SIZE);
	pthread_barrier_wait(&barrier);		/* to be freed */
	pthread_barrier_wait(&barrier);		/* was sent */
	return (void *)(uintptr_t)nr_queued();
}

/* One free waits in the outbox; a step sends it. */
START_TEST(outboxes_are_sent)
{
	pthread_t thread;
	void *p, *got;

	begin();
	pthread_barrier_init(&barrier, NULL, 2);
	thread = thread_start(hold_arena, &p);
	pthread_barrier_wait(&barrier);
	numarena_free(p);
	ck_assert_uint_ne(nar_arena_own->nr_posts, 0);
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(nar_arena_own->nr_posts, 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, &got), 0);
	ck_assert_ptr_nonnull(got);
}
END_TEST

static struct numarena_heap *heap;

static void *hold_in_heap(void *arg)
{
	void **p = arg;

	*p = numarena_heap_alloc(heap, SIZE);
	pthread_barrier_wait(&barrier);		/* to be freed */
	pthread_barrier_wait(&barrier);		/* was sent */
	return (void *)(uintptr_t)!nar_queue_is_empty(&nar_arena_of(nar_entry_owner(nar_entry_of(*p)))->queue);
}

/* So does one for a thread's arena in a heap of the program's. */
START_TEST(outboxes_of_heaps_are_sent)
{
	pthread_t thread;
	void *p, *got;

	begin();
	heap = must_give(numarena_heap_create(NULL));
	pthread_barrier_init(&barrier, NULL, 2);
	thread = thread_start(hold_in_heap, &p);
	pthread_barrier_wait(&barrier);
	numarena_free(p);
	ck_assert_uint_eq(step(ALL), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, &got), 0);
	ck_assert_ptr_nonnull(got);
	numarena_heap_destroy(heap);
}
END_TEST

/*
 *	node 2: | away | away | away |		node 3: | away |
 *
 * Expect: one a piece, all by the end; those at home are asked about and left.
 */
START_TEST(what_is_elsewhere_is_brought_home)
{
	void *p, *q;
	u32 moved;

	nar_opt.huge = HUGE_THP;
	begin();
	p = must_give(numarena_alloc_on(2, 3 * HUGE_BYTES, HUGE_BYTES));
	q = must_give(numarena_alloc_on(3, HUGE_BYTES, HUGE_BYTES));
	fake.away = 1u << 2 | 1u << 3;
	moved = fake_calls.enforce[2] + fake_calls.enforce[3];
	/* Bringing one home is a piece, and so is the making huge that it did not come to. */
	ck_assert_uint_ge(step(0), 2);
	ck_assert_uint_eq(fake_calls.enforce[2] + fake_calls.enforce[3], moved + 1);
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(fake_calls.enforce[2] + fake_calls.enforce[3], moved + 4);
	ck_assert_uint_eq(nar_node_events[2].huge_brought_home, 3);
	ck_assert_uint_eq(nar_node_events[3].huge_brought_home, 1);
	numarena_free(p);
	numarena_free(q);
}
END_TEST

/* A process that grows up: what was small is made huge, one a piece. */
START_TEST(what_has_filled_is_made_huge)
{
	struct numarena_stats stats;
	void *p;

	begin();
	/* A small program's, with what it has: on small pages. */
	p = must_give(numarena_malloc(MIB(4)));
	memset(p, 1, MIB(4));
	must_give(numarena_malloc(MIB(40)));
	ck_assert_uint_ge(step(0), 1);
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	ck_assert_uint_le(stats.collapse_done, 1);
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	ck_assert_uint_ge(stats.collapse_done, 2);
}
END_TEST

#define FAR_UNITS 600u		/* more than are looked at in a row */
#define NR_FAR 10u

/* As long as its arena is young, in slabs on small pages. */
static void *fill_mib(void *arg)
{
	char **last = arg;
	unsigned int i;

	for (i = 0; i < MIB(1) / KIB(1); i++)
		memset(*last = must_give(numarena_malloc(KIB(1))), 1, KIB(1));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* Of those far away, chunks that are half full and on small pages. */
static unsigned int nr_far_and_small(void)
{
	u32 unit, first = (u32)(nar_pane_of(0)->first / PAGES_PER_UNIT) + FAR_UNITS;
	unsigned int nr = 0;

	for (unit = first; unit < nar_pane_of(0)->small_end; unit++)
		nr += nar_mem.unit[unit].backing == BACKING_SMALL && nar_mem.unit[unit].used_bytes >= HUGE_BYTES / 2;
	return nr;
}

/*
 *	| 600 huge units | young threads' slabs, on small pages |
 *
 * Expect: a step that says all is done has made them huge, however far away they are.
 */
START_TEST(what_is_far_away_is_made_huge)
{
	pthread_t thread[NR_FAR];
	char *last[NR_FAR];
	unsigned int i;

	begin();
	must_give(numarena_malloc(FAR_UNITS * HUGE_BYTES));
	pthread_barrier_init(&barrier, NULL, NR_FAR + 1);
	for (i = 0; i < NR_FAR; i++)
		thread[i] = thread_start(fill_mib, &last[i]);
	pthread_barrier_wait(&barrier);
	ck_assert_uint_ge(nr_far_and_small(), 1);
	nar_pane_of(0)->next_collapse = 0;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(nr_far_and_small(), 0);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < NR_FAR; i++)
		thread_join(thread[i]);
}
END_TEST

/*
 *	a heap is destroyed	its slab -> tomb	a second later -> a step lets it go
 */
START_TEST(tombs_are_opened)
{
	u64 before;

	begin();
	heap = must_give(numarena_heap_create(NULL));
	before = nar_chunk_slab_bytes(0);
	must_give(numarena_heap_alloc(heap, SIZE));
	numarena_heap_destroy(heap);
	ck_assert_uint_gt(nar_chunk_slab_bytes(0), before);
	fake.clock_ms += 5000;
	ck_assert_uint_eq(step(ALL), 0);
	ck_assert_uint_eq(nar_chunk_slab_bytes(0), before);
}
END_TEST

/* ---- Who ---- */

static void *alloc_one(void *arg)
{
	void **p = arg;

	*p = numarena_malloc(SIZE);
	return NULL;
}

static u32 owner_of(const void *p)
{
	return nar_entry_owner(nar_entry_of(p));
}

static void *step_once(void *arg)
{
	unsigned long *left = arg;

	*left = numarena_step(ALL);
	return NULL;
}

/* Expect: who has no arena sees to those that wait for a thread, too. */
START_TEST(any_thread_turns_out)
{
	unsigned long left = 1;
	void *p;

	begin();
	thread_join(thread_start(alloc_one, &p));
	fake.clock_ms += 5000;
	thread_join(thread_start(step_once, &left));
	ck_assert_uint_eq(left, 0);
	ck_assert_uint_eq(owner_of(p), OWNER_SHARD);
}
END_TEST

static int child_steps(const void *p)
{
	unsigned long left = 1;

	thread_join(thread_start(step_once, &left));
	return !left && owner_of(p) == OWNER_SHARD ? 0 : 1;
}

/* ... and to those that lost theirs in a fork. */
START_TEST(any_thread_adopts)
{
	pthread_t thread;
	void *p, *got;
	int status;
	pid_t pid;

	begin();
	pthread_barrier_init(&barrier, NULL, 2);
	thread = thread_start(hold_arena, &p);
	pthread_barrier_wait(&barrier);
	pid = fork();
	if (!pid)
		_exit(child_steps(p));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(pthread_join(thread, &got), 0);
}
END_TEST

static void *step_in_thread(void *arg)
{
	unsigned long *left = arg;

	do
		*left = numarena_step(WORK_US);
	while (*left);
	return NULL;
}

/* Threads without an arena of their own, and several at once, share what there is. */
START_TEST(threads_share_the_work)
{
	unsigned long left[4];
	u64 before;

	begin();
	free_units(OTHER_NODE, 2 * NR_UNITS);
	fake.clock_ms += 5000;
	before = purged_units();
	threads_run(ARRAY_SIZE(left), step_in_thread, left, sizeof(left[0]));
	ck_assert_uint_eq(purged_units(), before + 2 * NR_UNITS);
}
END_TEST

START_TEST(the_option_is_read_and_set)
{
	char value[16];

	ck_assert_int_eq(numarena_option_get("purge", value, sizeof(value)), 4);
	ck_assert_str_eq(value, "auto");
	set_option("purge", "step");
	ck_assert_int_eq(numarena_option_get("purge", value, sizeof(value)), 4);
	ck_assert_str_eq(value, "step");
	ck_assert_int_eq(numarena_option_set("purge", "never"), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("step");
	TCase *tc = tcase_create("boundaries");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, nothing_happens_between_steps);
	tcase_add_test(tc, trim_is_not_a_step);
	tcase_add_test(tc, what_is_young_stays);
	tcase_add_test(tc, a_budget_is_kept_to_a_piece);
	tcase_add_test(tc, nothing_to_do);
	tcase_add_test(tc, what_the_kernel_refuses_is_no_work);
	tcase_add_test(tc, remote_frees_come_home);
	tcase_add_test(tc, outboxes_are_sent);
	tcase_add_test(tc, outboxes_of_heaps_are_sent);
	tcase_add_test(tc, what_is_elsewhere_is_brought_home);
	tcase_add_test(tc, what_has_filled_is_made_huge);
	tcase_add_test(tc, what_is_far_away_is_made_huge);
	tcase_add_test(tc, tombs_are_opened);
	tcase_add_test(tc, any_thread_turns_out);
	if (HAS_CHILD_THREADS)
		tcase_add_test(tc, any_thread_adopts);
	tcase_add_test(tc, threads_share_the_work);
	tcase_add_test(tc, the_option_is_read_and_set);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
