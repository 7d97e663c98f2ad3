// SPDX-License-Identifier: MIT
/*
 * Arenas that wait for the next thread, on the pretend machine of fake_numa.h.
 *
 *	thread 1:  p = malloc, ends	arena [ p . . ] -> lobby
 *	thread 2:  begins		lobby -> the same arena, slabs and magazines
 *
 * Threads come one after the other, and no time passes unless a test says so.
 */
#include <numarena.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/arena.h"
#include "arena/maint.h"
#include "arena/thread.h"

#include "fake_numa.h"
#include "stress.h"
#include "tap.h"

#define SIZE 448
#define NODE 1u
#define THEIRS 2u

/* lobby.c's: so many wait, with no more than so much. */
#define WAIT_MAX 16
#define WAIT_BYTES MIB(1)

/* The option's default. */
#define DECAY_MS 1000

struct visit {
	unsigned int node, policy;
	size_t nr;		/* objects to allocate; the last one is kept */
	void *kept;
	u32 arena;
	pthread_barrier_t *meet;
};

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	fake_node = v->node;
	fake_policy = v->policy;
	for (size_t i = 0; i < v->nr; i++)
		v->kept = numarena_malloc(SIZE);
	ck_assert_ptr_nonnull(v->kept);
	v->arena = nar_arena_own->member.id;
	if (v->meet)
		pthread_barrier_wait(v->meet);
	return NULL;
}

static void visit_run(struct visit *v)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, visit_thread, v), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* One object on @node. */
static struct visit visit_of(unsigned int node)
{
	struct visit v = { .node = node, .nr = 1 };

	visit_run(&v);
	return v;
}

static u32 owner_of(const void *p)
{
	return nar_entry_owner(nar_entry_of(p));
}

static void step(void)
{
	fake.clock_ms += 10;
	numarena_free(numarena_malloc(MIB(2)));	/* a slow path */
	for (unsigned int i = 0; i < 16; i++)
		nar_maint_poll();
}

/* Expect: the next thread of the node has the arena as it was left, and its next object. */
START_TEST(next_thread_goes_on)
{
	struct visit first = visit_of(NODE), second = visit_of(NODE);

	ck_assert_uint_eq(first.arena, second.arena);
	ck_assert_uint_eq(owner_of(first.kept), first.arena);
	ck_assert_uint_eq(nar_slab_around(first.kept), nar_slab_around(second.kept));
	ck_assert_ptr_ne(first.kept, second.kept);
	numarena_free(first.kept);
	numarena_free(second.kept);
}
END_TEST

static void *free_thread(void *p)
{
	fake_node = NODE;
	numarena_free(p);
	return NULL;
}

/*
 * Expect: what is freed while its arena waits is put back by who frees it, not posted to
 * nobody.
 */
START_TEST(frees_do_not_wait)
{
	struct visit v = visit_of(NODE);
	const struct nar_slab *slab = nar_slab_at(nar_slab_around(v.kept));
	unsigned int nr_free = slab->nr_free + slab->nr_fresh;
	struct nar_arena *a = nar_arena_of(v.arena);
	pthread_t other;

	/* On another node, so that it is not the arena's own. */
	fake_node = 0;
	numarena_free(v.kept);
	numarena_malloc_trim(0);
	ck_assert(nar_queue_is_empty(&a->queue));
	ck_assert_ptr_null(a->inbox);
	/* The trim has ended it, and with the object its last slab. */
	ck_assert_uint_eq(owner_of(v.kept), OWNER_NONE);
	ck_assert_uint_eq(a->slab_bytes, 0);

	v = visit_of(NODE);
	slab = nar_slab_at(nar_slab_around(v.kept));
	nr_free = slab->nr_free + slab->nr_fresh;
	ck_assert_int_eq(pthread_create(&other, NULL, free_thread, v.kept), 0);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	/* Its own by then: in the magazine, as before. */
	ck_assert_uint_eq(owner_of(v.kept), v.arena);
	ck_assert_uint_eq(slab->nr_free + slab->nr_fresh, nr_free);
}
END_TEST

/* Expect: memory stays with its node and its policy. */
START_TEST(others_begin_anew)
{
	struct visit first = visit_of(NODE), far = visit_of(NODE + 1), theirs = { NODE, THEIRS, .nr = 1 };

	visit_run(&theirs);
	ck_assert_uint_ne(far.arena, first.arena);
	ck_assert_uint_eq(nar_node_of(far.kept), NODE + 1);
	ck_assert_uint_ne(theirs.arena, first.arena);
	ck_assert_uint_eq(fake_bound_policy(theirs.kept), THEIRS);
	/* It is still there for one of its own. */
	ck_assert_uint_eq(visit_of(NODE).arena, first.arena);
}
END_TEST

/* Expect: what has much is not held back from others. */
START_TEST(large_ones_do_not_wait)
{
	struct visit v = { .node = NODE, .nr = 2 * WAIT_BYTES / SIZE };

	visit_run(&v);
	ck_assert_uint_eq(owner_of(v.kept), OWNER_SHARD);
	ck_assert_uint_eq(nar_arena_of(v.arena)->slab_bytes, 0);
}
END_TEST

/* Expect: of many that end only so many wait; the rest shelve what they have. */
START_TEST(not_all_wait)
{
	struct visit v[WAIT_MAX + 4];
	pthread_t thread[WAIT_MAX + 4];
	unsigned int nr_waiting = 0, nr_shelved = 0;
	pthread_barrier_t meet;

	pthread_barrier_init(&meet, NULL, ARRAY_SIZE(v));
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		/* In a crowd the first few are the shard's. */
		v[i] = (struct visit){ .node = NODE, .nr = 64, .meet = &meet };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, visit_thread, &v[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		nr_waiting += owner_of(v[i].kept) == v[i].arena;
		nr_shelved += owner_of(v[i].kept) == OWNER_SHARD;
	}
	ck_assert_uint_eq(nr_waiting, WAIT_MAX);
	ck_assert_uint_eq(nr_shelved, 4);
	pthread_barrier_destroy(&meet);
}
END_TEST

/* Expect: nobody came for decay_ms: its slabs go to the shelf, one arena a step. */
START_TEST(waits_for_its_decay)
{
	struct visit one = visit_of(NODE), other = visit_of(NODE + 1);

	fake.clock_ms += DECAY_MS - 20;
	step();
	ck_assert_uint_eq(owner_of(one.kept), one.arena);
	fake.clock_ms += 20;
	step();
	ck_assert_uint_eq(owner_of(one.kept), OWNER_SHARD);
	ck_assert_uint_eq(owner_of(other.kept), other.arena);
	step();
	ck_assert_uint_eq(owner_of(other.kept), OWNER_SHARD);
}
END_TEST

/* Expect: under purge:step it is numarena_step() that does it, and nothing else. */
START_TEST(step_turns_out)
{
	struct visit v;

	numarena_free(numarena_malloc(SIZE));
	ck_assert_int_eq(numarena_option_set("purge", "step"), 0);
	v = visit_of(NODE);
	fake.clock_ms += 2 * DECAY_MS;
	step();
	ck_assert_uint_eq(owner_of(v.kept), v.arena);
	numarena_step(1000);
	ck_assert_uint_eq(owner_of(v.kept), OWNER_SHARD);
}
END_TEST

/* Expect: decay_ms:0 gives back at once, so nothing waits. */
START_TEST(no_decay_no_wait)
{
	struct visit v;

	ck_assert_int_eq(numarena_option_set("decay_ms", "0"), 0);
	v = visit_of(NODE);
	ck_assert_uint_eq(owner_of(v.kept), OWNER_SHARD);
}
END_TEST

/* Expect: malloc_trim() ends all that wait. */
START_TEST(trim_turns_out)
{
	struct visit one = visit_of(NODE), other = visit_of(NODE + 1);

	numarena_malloc_trim(0);
	ck_assert_uint_eq(owner_of(one.kept), OWNER_SHARD);
	ck_assert_uint_eq(owner_of(other.kept), OWNER_SHARD);
}
END_TEST

/* Expect: who comes while they are turned out is left for the next time, so that there is an end. */
START_TEST(who_comes_later_stays)
{
	struct visit first = visit_of(NODE), later;
	u64 now = fake.clock_ms;

	fake.clock_ms++;
	later = visit_of(NODE + 1);
	ck_assert(nar_arena_turn_out(now, true));
	ck_assert(!nar_arena_turn_out(now, true));
	ck_assert_uint_eq(owner_of(first.kept), OWNER_SHARD);
	ck_assert_uint_eq(owner_of(later.kept), later.arena);
	ck_assert(nar_arena_turn_out(now + 1, true));
	ck_assert_uint_eq(owner_of(later.kept), OWNER_SHARD);
}
END_TEST

static void *alloc_by_malloc(size_t size)
{
	return numarena_malloc(size);
}

static void *alloc_by_hand(size_t size)
{
	return numarena_alloc_on(NODE, size, 1);
}

static struct numarena_heap *heap;

static void *alloc_of_heap(size_t size)
{
	heap = heap ? heap : numarena_heap_create(NULL);
	ck_assert_ptr_nonnull(heap);
	return numarena_heap_alloc(heap, size);
}

static struct numarena_scope *scope;

static void *alloc_of_scope(size_t size)
{
	scope = scope ? scope : numarena_scope_begin("need", 0);
	ck_assert_ptr_nonnull(scope);
	return numarena_scope_alloc(scope, size);
}

static void *(*const ways[])(size_t size) = { alloc_by_malloc, alloc_by_hand, alloc_of_heap, alloc_of_scope };
static const size_t sizes[] = { 64, KIB(40) };

/*
 *	node 1: | one object, slices and objects that are free |	no memory from the kernel
 *
 * Expect: before somebody is told so, no arena waits with what he could have had.
 */
START_TEST(none_waits_in_need)
{
	void *(*alloc)(size_t size) = ways[(size_t)_i / ARRAY_SIZE(sizes)];
	size_t size = sizes[(size_t)_i % ARRAY_SIZE(sizes)];
	struct visit v = visit_of(NODE);

	ck_assert_ptr_nonnull(alloc(size));
	fake.refuse_commit = FAKE_ALL_NODES;
	while (alloc(size))
		;
	ck_assert_uint_eq(owner_of(v.kept), OWNER_SHARD);
}
END_TEST

/* In the child: the arena is no lost thread's, and serves the child's. */
static int child_goes_on(const struct visit *first)
{
	struct numarena_stats stats;
	struct visit next = { .node = NODE, .nr = 1 };

	visit_run(&next);
	numarena_stats_get(&stats, sizeof(stats));
	return next.arena == first->arena && !stats.fork_leaked ? 0 : 1;
}

START_TEST(waits_through_a_fork)
{
	struct visit first = visit_of(NODE), second;
	int status;
	pid_t child = fork();

	if (!child)
		_exit(child_goes_on(&first));
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	second = visit_of(NODE);
	ck_assert_uint_eq(second.arena, first.arena);
}
END_TEST

/* A key made after numarena's: its destructors run after numarena's end of the thread. */
static pthread_key_t after_end;
static bool is_child;

static void fork_in_handler(void)
{
	int status;
	pid_t child = fork();

	is_child = !child;
	if (is_child)
		return;
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void *refill_thread(void *arg)
{
	struct visit *v = arg;

	v->nr = 4 * NAR_MAG_MAX;
	visit_thread(v);
	ck_assert_uint_eq(owner_of(v->kept), v->arena);
	if (v->meet)
		pthread_barrier_wait(v->meet);
	return NULL;
}

/* In the child: two threads at once that refill. */
static void look_after_end(void *unused)
{
	struct visit v[2];
	pthread_t thread[2];
	pthread_barrier_t meet;

	(void)unused;
	if (!is_child)
		return;
	pthread_barrier_init(&meet, NULL, ARRAY_SIZE(v));
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		v[i] = (struct visit){ .node = NODE, .meet = &meet };
		if (pthread_create(&thread[i], NULL, refill_thread, &v[i]))
			_exit(2);
	}
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		pthread_join(thread[i], NULL);
	_exit(v[0].arena != v[1].arena && !nar_arena_nr_live() ? 0 : 1);
}

static void *end_thread(void *arg)
{
	pthread_setspecific(after_end, arg);
	visit_thread(arg);
	fake.signal = fork_in_handler;
	return NULL;
}

/*
 *	thread ends	arena: closed | handler forks | -> lobby
 *
 * Expect: in the child the arena is its thread's still, and not a lost one's too, which would be
 * taken from whoever has it next.
 */
START_TEST(fork_on_the_way_to_the_lobby)
{
	struct visit v = { .node = NODE, .nr = 1 };
	pthread_t thread;

	ck_assert_int_eq(pthread_key_create(&after_end, look_after_end), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_thread, &v), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_ptr_null(fake.signal);
}
END_TEST

/* Expect: a heap that has met its own limit has nothing of arenas that wait, and leaves them alone. */
START_TEST(limit_of_a_heap_turns_none_out)
{
	static const size_t size[] = { SIZE, KIB(256) };
	const struct numarena_heap_attr attr = { .size = sizeof(attr), .limit_bytes = MIB(1) };
	struct numarena_heap *small = numarena_heap_create(&attr);
	struct visit v = visit_of(NODE);

	ck_assert_ptr_nonnull(small);
	while (numarena_heap_alloc(small, size[_i]))
		;
	ck_assert_uint_eq(owner_of(v.kept), v.arena);
	ck_assert_uint_eq(visit_of(NODE).arena, v.arena);
	numarena_heap_destroy(small);
}
END_TEST

/* Expect: what no address space could hold is refused, and nobody gives anything up for it. */
START_TEST(absurd_sizes_turn_none_out)
{
	struct visit v = visit_of(NODE);

	ck_assert_ptr_null(numarena_malloc(nar_pane_bytes()));
	ck_assert_ptr_null(numarena_aligned_alloc(nar_pane_bytes(), KIB(64)));
	ck_assert_uint_eq(owner_of(v.kept), v.arena);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lobby");
	TCase *tc = tcase_create("lobby");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, next_thread_goes_on);
	tcase_add_test(tc, frees_do_not_wait);
	tcase_add_test(tc, others_begin_anew);
	tcase_add_test(tc, large_ones_do_not_wait);
	tcase_add_test(tc, not_all_wait);
	tcase_add_test(tc, waits_for_its_decay);
	tcase_add_test(tc, step_turns_out);
	tcase_add_test(tc, no_decay_no_wait);
	tcase_add_test(tc, trim_turns_out);
	tcase_add_test(tc, who_comes_later_stays);
	tcase_add_loop_test(tc, none_waits_in_need, 0, ARRAY_SIZE(ways) * ARRAY_SIZE(sizes));
	tcase_add_test(tc, absurd_sizes_turn_none_out);
	tcase_add_loop_test(tc, limit_of_a_heap_turns_none_out, 0, 2);
	tcase_add_test(tc, waits_through_a_fork);
	if (HAS_CHILD_THREADS)
		tcase_add_test(tc, fork_on_the_way_to_the_lobby);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
