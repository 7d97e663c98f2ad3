// SPDX-License-Identifier: MIT
/*
 * The ledger: what it counts is what a census finds by going through all slabs, whoever has
 * them; turns that are made in parts; more threads and heaps than lines; what comes, goes and
 * changes meanwhile.
 *
 *	thread 7, heap 0	slabs | slabs |		its arena
 *	thread 7, heap "odd"	slabs |			another
 *	shelves			slabs |			of threads that have ended
 */
#include "arena/census.h"
#include "arena/ledger.h"
#include "arena/stats.h"

#include "contract.h"

#define ONE_STEP 0		/* a time that is over */

static struct nar_ledger ledger;
static struct nar_census census;

static u64 large_bytes(void)
{
	struct numarena_stats s;

	nar_stats_read(&s);
	return s.large_bytes;
}

/* Check allocates for its assertions: looks come first. */
static void take_whole(void)
{
	nar_ledger_begin(&ledger);
	nar_ledger_go_on(&ledger, UINT64_MAX);
	nar_ledger_close(&ledger, large_bytes());
}

/* Slabs of heaps that were destroyed may be on their way: a census has them, without objects. */
static void take_settled(void)
{
	numarena_malloc_trim(0);
	take_whole();
	nar_census_take(&census);
}

static unsigned int take_in_parts(void)
{
	unsigned int nr = 0;

	nar_ledger_begin(&ledger);
	while (!nar_ledger_go_on(&ledger, ONE_STEP))
		nr++;
	nar_ledger_close(&ledger, large_bytes());
	return nr;
}

static const struct nar_heap_line *heap_line(const char *name)
{
	for (unsigned int i = 0; i < ledger.heaps.nr; i++)
		if (!strcmp(ledger.heap[i].name, name))
			return &ledger.heap[i];
	return NULL;
}

static struct numarena_heap *heap_new(const char *name, uint64_t limit_bytes)
{
	const struct numarena_heap_attr attr = { .size = sizeof(attr), .name = name, .limit_bytes = limit_bytes };

	return must_give((void *)numarena_heap_create(&attr));
}

/* ---- As a census has it ---- */

static void classes_must_agree(void)
{
	for (unsigned int i = 0; i < nar_class_count(); i++) {
		const struct nar_class_line *c = &ledger.class[i];
		const struct nar_tally *t = &census.class[i];

		expect(c->size == nar_class[i].shape.size, "class %u: size %" PRIu64, i, c->size);
		expect(c->slabs == t->nr_slabs && c->slab_bytes == t->slab_bytes && c->objects == t->nr_objects,
		       "class %u: %" PRIu64 " slabs, not %" PRIu64, i, c->slabs, t->nr_slabs);
		expect(c->live_objects == t->nr_live && c->live_bytes == t->live_bytes,
		       "class %u: %" PRIu64 " live, not %" PRIu64, i, c->live_objects, t->nr_live);
		expect(c->cached_objects == t->nr_cached && c->cached_bytes == t->cached_bytes,
		       "class %u: %" PRIu64 " cached, not %" PRIu64, i, c->cached_objects, t->nr_cached);
	}
}

static void heaps_must_agree(void)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < ledger.heaps.nr; i++) {
		const struct nar_heap_line *h = &ledger.heap[i];
		const struct nar_tally *t = &census.heap[h->heap];

		expect(census.has_heap[h->heap], "there is no heap %u", h->heap);
		expect(h->slabs == t->nr_slabs && h->slab_bytes == t->slab_bytes, "slabs of %s", h->name);
		expect(h->large_bytes == t->large_bytes, "%s: %" PRIu64 " large, not %" PRIu64, h->name,
		       h->large_bytes, t->large_bytes);
		expect(h->live_bytes == t->live_bytes, "%s: %" PRIu64 " live, not %" PRIu64, h->name,
		       h->live_bytes, t->live_bytes);
		expect(h->cached_bytes == t->cached_bytes, "%s: %" PRIu64 " cached, not %" PRIu64, h->name,
		       h->cached_bytes, t->cached_bytes);
		expect(h->heap < NAR_FIRST_HEAP || h->charged_bytes == h->slab_bytes + h->large_bytes,
		       "charged to %s", h->name);
	}
	for (unsigned int i = 0; i < NAR_MAX_HEAPS; i++)
		nr += census.has_heap[i];
	ck_assert_uint_eq(ledger.heaps.nr + ledger.heaps.nr_left_off, nr);
}

static void threads_must_agree(void)
{
	struct nar_holding held;

	for (unsigned int i = 0; i < ledger.threads.nr; i++) {
		const struct nar_thread_line *t = &ledger.thread[i];
		const struct nar_arena *a = nar_arena_of(t->arena);
		u64 in_magazines;

		/* Only what nobody has changed since the turn: the others', and they wait. */
		if (t->tid == (u32)gettid())
			continue;
		in_magazines = nar_census_magazine_bytes(a);
		nar_census_arenas(t->arena, 1, &held);
		expect(t->slab_bytes == READ_ONCE(a->slab_bytes), "slabs of thread %u", t->tid);
		expect(t->live_bytes == held.out_bytes - in_magazines, "thread %u: %" PRIu64 " live", t->tid,
		       t->live_bytes);
		expect(t->cached_bytes == in_magazines + nar_census_waiting_bytes(a), "cached of thread %u", t->tid);
		expect(!i || ledger.thread[i - 1].slab_bytes >= t->slab_bytes, "line %u is not in order", i);
	}
}

static void must_agree(void)
{
	classes_must_agree();
	heaps_must_agree();
	threads_must_agree();
	ck_assert_uint_eq(ledger.total.live_bytes, census.all.live_bytes);
	ck_assert_uint_eq(ledger.total.cached_bytes, census.all.cached_bytes);
	ck_assert_uint_eq(ledger.total.resident_bytes, NAR_LEDGER_UNKNOWN);
}

/* ---- Threads that hold something, and wait ---- */

#define NR_HELD 3000

struct holder {
	pthread_barrier_t *barrier;
	struct numarena_heap *heap;
	unsigned int nr;
	unsigned int tid;
	void **held;			/* of another, to free a third of; or NULL */
	void *object[NR_HELD];
};

static void *hold(void *arg)
{
	struct holder *h = arg;

	h->tid = (unsigned int)gettid();
	for (unsigned int i = 0; i < h->nr; i++) {
		h->object[i] = numarena_heap_alloc(h->heap, i % 100 ? 1 + 7 * i % 9000 : KIB(100));
		require(h->object[i], "no memory");
	}
	for (unsigned int i = 0; i < h->nr; i += 2) {
		numarena_free(h->object[i]);
		h->object[i] = NULL;
	}
	for (unsigned int i = 1; h->held && i < h->nr; i += 6)
		numarena_free(h->held[i]);
	if (h->barrier)
		pthread_barrier_wait(h->barrier);
	if (h->barrier)
		pthread_barrier_wait(h->barrier);
	return NULL;
}

/*
 * Expect: the same as a census, of slabs of threads that are there and that have ended, of heaps,
 * with blocks that wait, objects on their way and an open scope; and the same in parts.
 */
START_TEST(a_census_agrees)
{
	static struct holder ended, other, mine;
	struct numarena_heap *heap = heap_new("odd", MIB(64));
	struct numarena_scope *scope;
	pthread_barrier_t barrier;
	pthread_t thread;
	unsigned int nr_parts;

	pthread_barrier_init(&barrier, NULL, 2);
	ended = (struct holder){ .nr = NR_HELD };
	thread_join(thread_start(hold, &ended));
	mine = (struct holder){ .nr = NR_HELD, .heap = heap };
	hold(&mine);
	mine.heap = NULL;
	hold(&mine);
	other = (struct holder){ .barrier = &barrier, .nr = NR_HELD, .held = mine.object };
	thread = thread_start(hold, &other);
	pthread_barrier_wait(&barrier);
	scope = must_give((void *)numarena_scope_begin("open", 0));
	numarena_scope_alloc(scope, KIB(100));
	take_whole();
	nar_census_take(&census);
	must_agree();
	ck_assert_ptr_nonnull(heap_line("odd"));
	ck_assert_uint_eq(heap_line("odd")->limit_bytes, MIB(64));
	ck_assert_uint_gt(ledger.total.live_bytes, NR_HELD * 4000);
	nr_parts = take_in_parts();
	nar_census_take(&census);
	must_agree();
	if (has_arenas())
		ck_assert_uint_ge(nr_parts, 3);
	numarena_scope_end(scope);
	pthread_barrier_wait(&barrier);
	thread_join(thread);
	numarena_heap_destroy(heap);
	take_settled();
	must_agree();
	ck_assert_ptr_null(heap_line("odd"));
}
END_TEST

/* ---- More than there are lines ---- */

#define NR_MANY (NAR_STATPAGE_THREADS + 10)

struct crowd {
	pthread_barrier_t *barrier;
	size_t bytes;
	unsigned int tid;
};

static void *be_one_of_many(void *arg)
{
	struct crowd *c = arg;

	c->tid = (unsigned int)gettid();
	for (size_t sum = 0; sum < c->bytes; sum += KIB(4))
		require(numarena_malloc(KIB(4)), "no memory");
	pthread_barrier_wait(c->barrier);
	pthread_barrier_wait(c->barrier);
	return NULL;
}

static bool has_thread(unsigned int tid)
{
	for (unsigned int i = 0; i < ledger.threads.nr; i++)
		if (ledger.thread[i].tid == tid)
			return true;
	return false;
}

/* Expect: those that have the most, in this order, and how many more there are. */
START_TEST(threads_without_a_line_are_told)
{
	static struct crowd crowd[NR_MANY];
	static pthread_t thread[NR_MANY];
	pthread_barrier_t barrier;

	if (!has_arenas())
		return;
	pthread_barrier_init(&barrier, NULL, NR_MANY + 1);
	for (unsigned int i = 0; i < NR_MANY; i++) {
		/* The last ones are large, so those that came first have to go. */
		crowd[i] = (struct crowd){ &barrier, i < 20 ? KIB(256) : MIB(1) + i * KIB(64), 0 };
		thread[i] = thread_start(be_one_of_many, &crowd[i]);
	}
	pthread_barrier_wait(&barrier);
	take_whole();
	threads_must_agree();
	ck_assert_uint_eq(ledger.threads.nr, NAR_STATPAGE_THREADS);
	ck_assert_uint_ge(ledger.threads.nr_left_off, 10);
	for (unsigned int i = 20; i < NR_MANY; i++)
		expect(has_thread(crowd[i].tid), "thread %u has no line", i);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < NR_MANY; i++)
		thread_join(thread[i]);
	take_whole();
	for (unsigned int i = 0; i < NR_MANY; i++)
		expect(!has_thread(crowd[i].tid), "thread %u has ended", i);
	/* What they have left is there: with nobody, or on the shelves. */
	nar_census_take(&census);
	must_agree();
}
END_TEST

/* Expect: the process's own first, then those that have the most; charged and limits are theirs. */
START_TEST(heaps_without_a_line_are_told)
{
	struct numarena_heap *heap[NAR_STATPAGE_HEAPS + 5];
	char name[16];

	for (unsigned int i = 0; i < ARRAY_SIZE(heap); i++) {
		snprintf(name, sizeof(name), "heap %u", i);
		heap[i] = heap_new(name, MIB(100) + i);
		must_give(numarena_heap_alloc(heap[i], KIB(64) * (i + 1)));
	}
	take_whole();
	nar_census_take(&census);
	must_agree();
	ck_assert_uint_eq(ledger.heaps.nr, NAR_STATPAGE_HEAPS);
	ck_assert_uint_eq(ledger.heaps.nr_left_off, 6);
	ck_assert_str_eq(ledger.heap[0].name, "default");
	ck_assert_str_eq(ledger.heap[1].name, "heap 68");
	ck_assert_uint_eq(ledger.heap[1].limit_bytes, MIB(100) + 68);
	ck_assert_ptr_null(heap_line("heap 0"));
	for (unsigned int i = 0; i < ARRAY_SIZE(heap); i++)
		numarena_heap_destroy(heap[i]);
}
END_TEST

/* Expect: with two default heaps, nobody says whose a block is; all of them together are known. */
START_TEST(policies_share_blocks)
{
	must_give(numarena_malloc(MIB(4)));
	ck_assert_ptr_nonnull(nar_heap_of_policy(POLICY_OURS + 1));
	take_whole();
	nar_census_take(&census);
	ck_assert_uint_eq(heap_line("default")->large_bytes, NAR_LEDGER_UNKNOWN);
	ck_assert_uint_eq(heap_line("default")->live_bytes, NAR_LEDGER_UNKNOWN);
	ck_assert_uint_eq(heap_line("default")->slab_bytes, census.heap[0].slab_bytes);
	ck_assert_uint_eq(heap_line("policy")->live_bytes, NAR_LEDGER_UNKNOWN);
	ck_assert_uint_eq(ledger.total.live_bytes, census.all.live_bytes);
}
END_TEST

/* ---- Amid a turn ---- */

/*
 *	turn:	| arenas, with one of "first" | destroyed; "second" has its number | heaps |
 *
 * Expect: "second" has nothing of what "first" had.
 */
START_TEST(heaps_change_amid_a_turn)
{
	struct numarena_heap *heap = heap_new("first", 0);

	for (unsigned int i = 0; i < 1000; i++)
		must_give(numarena_heap_alloc(heap, 1000));
	nar_ledger_begin(&ledger);
	while (ledger.next_arena < nar_registry_end())
		nar_ledger_go_on(&ledger, ONE_STEP);
	numarena_heap_destroy(heap);
	heap = heap_new("second", 0);
	nar_ledger_go_on(&ledger, UINT64_MAX);
	nar_ledger_close(&ledger, 0);
	ck_assert_ptr_null(heap_line("first"));
	ck_assert_ptr_nonnull(heap_line("second"));
	ck_assert_uint_eq(heap_line("second")->live_bytes, 0);
	ck_assert_uint_eq(heap_line("second")->slabs, 0);
	numarena_heap_destroy(heap);
}
END_TEST

static atomic_bool is_over;

/* Threads and heaps come, hold, free each other's and go. */
static void *live_fast(void *arg)
{
	static _Atomic(void *) shared[64];
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; !atomic_load(&is_over); i++) {
		struct numarena_heap *heap = i % 4 ? NULL : heap_new("fast", MIB(64));

		for (unsigned int k = 0; k < 200; k++) {
			void *p = numarena_heap_alloc(heap, 1 + (k * 37 + seed) % 5000);

			numarena_free(heap ? p : atomic_exchange(&shared[(k + seed) % ARRAY_SIZE(shared)], p));
		}
		if (heap)
			numarena_heap_destroy(heap);
	}
	return NULL;
}

static void *begin_many(void *arg)
{
	while (!atomic_load(&is_over))
		thread_join(thread_start(hold, &(struct holder){ .nr = 100 }));
	return arg;
}

/* Expect: no line says what cannot be. */
START_TEST(changing_ones_are_seen)
{
	unsigned long rounds = stress_scaled(HAS_SHADOW_MEMORY ? 2000 : 20000);
	pthread_t thread[3];

	atomic_store(&is_over, false);
	for (uintptr_t i = 0; i < 2; i++)
		thread[i] = thread_start(live_fast, (void *)(i * 1000));
	thread[2] = thread_start(begin_many, NULL);
	for (unsigned long round = 0; round < rounds; round++) {
		if (round % 2)
			take_whole();
		else
			take_in_parts();
		for (unsigned int i = 0; i < ledger.heaps.nr; i++)
			expect(!strcmp(ledger.heap[i].name, i ? "fast" : "default"), "a heap \"%s\"",
			       ledger.heap[i].name);
		for (unsigned int i = 0; i < ledger.threads.nr; i++)
			expect(ledger.thread[i].arena && ledger.thread[i].slab_bytes < GIB(1), "thread line %u", i);
		for (unsigned int i = 0; i < nar_class_count(); i++)
			expect(ledger.class[i].live_bytes < GIB(4), "class %u", i);
	}
	atomic_store(&is_over, true);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		thread_join(thread[i]);
	take_settled();
	must_agree();
}
END_TEST

/* ---- The child of a fork ---- */

/* Expect: what lost threads had is there, and they are not. */
START_TEST(child_has_its_own)
{
	static struct holder other;
	pthread_barrier_t barrier;
	pthread_t thread;
	pid_t pid;

	pthread_barrier_init(&barrier, NULL, 2);
	other = (struct holder){ .barrier = &barrier, .nr = NR_HELD };
	thread = thread_start(hold, &other);
	pthread_barrier_wait(&barrier);
	pid = fork_or_fail();
	if (!pid) {
		take_whole();
		nar_census_take(&census);
		require(!has_thread(other.tid), "a lost thread has a line");
		require(ledger.total.live_bytes == census.all.live_bytes, "%" PRIu64 " are live, not %" PRIu64,
			ledger.total.live_bytes, census.all.live_bytes);
		_exit(EXIT_SUCCESS);
	}
	child_join(pid);
	take_whole();
	ck_assert(!has_arenas() || has_thread(other.tid));
	pthread_barrier_wait(&barrier);
	thread_join(thread);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_census_agrees);
	tcase_add_test(tc, threads_without_a_line_are_told);
	tcase_add_test(tc, heaps_without_a_line_are_told);
	tcase_add_test(tc, policies_share_blocks);
	tcase_add_test(tc, heaps_change_amid_a_turn);
	tcase_add_test(tc, changing_ones_are_seen);
	tcase_add_test(tc, child_has_its_own);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
