// SPDX-License-Identifier: MIT
/*
 * Open scopes in the statistics: what a line says of its scope, in each format; scopes of other
 * threads, seen while they change; the child of a fork.
 *
 *	thread 7   [ request  [ decode  [ scratch ] ] ]
 *	thread 9   [ request ]
 */
#include "arena/census.h"
#include "arena/region.h"
#include "arena/roster.h"

#include "printed.h"

#include <sys/time.h>

#define SIZE 64
#define LARGE MIB(5)		/* has a region of its own */
#define GRAIN 16

/*
 * Lines, as they were when this was last called.  Check allocates for its assertions, which
 * a scope would capture: looks come first.
 */
static struct nar_roster_line seen[64];
static unsigned int nr_seen;
static uint64_t nr_left_off;

static void look(void)
{
	nr_seen = nar_roster_take(seen, ARRAY_SIZE(seen), &nr_left_off);
}

static struct nar_roster_line only(void)
{
	look();
	ck_assert_uint_eq(nr_seen, 1);
	ck_assert_uint_eq(nr_left_off, 0);
	return seen[0];
}

static struct numarena_stats stats(void)
{
	struct numarena_stats s;

	ck_assert_int_eq(numarena_stats_get(&s, sizeof(s)), 0);
	return s;
}

static struct numarena_scope *begin(const char *name)
{
	return must_give((void *)numarena_scope_begin(name, 0));
}

/* ---- What a line says ---- */

/*
 *	outer [ 100 | inner [ 1000 ] ]
 *
 * Expect: a line each while it is open, of this thread, the outer one first; then none.
 */
START_TEST(open_ones_are_listed)
{
	struct numarena_scope *outer, *inner;

	look();
	ck_assert_uint_eq(nr_seen, 0);
	outer = begin("outer");
	inner = begin("inner");
	numarena_scope_alloc(outer, 100);
	numarena_scope_alloc(inner, 1000);
	look();
	ck_assert_uint_eq(nr_seen, 2);
	ck_assert_uint_eq(nr_left_off, 0);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_uint_eq(seen[i].tid, (unsigned int)gettid());
		ck_assert_uint_eq(seen[i].depth, i);
		ck_assert_str_eq(seen[i].name, i ? "inner" : "outer");
		ck_assert_uint_eq(seen[i].used_bytes, i ? 1008 : 112);
		ck_assert_uint_eq(seen[i].peak_bytes, seen[i].used_bytes);
		ck_assert_uint_eq(seen[i].held_bytes, NAR_REGION_FIRST_BYTES);
		ck_assert_uint_eq(seen[i].nr_captured, NAR_ROSTER_UNCOUNTED);
		ck_assert_uint_eq(seen[i].nr_resets, 0);
	}
	ck_assert_uint_eq(stats().nr_scopes_open, 2);
	ck_assert_uint_eq(stats().scope_open_bytes, 2 * NAR_REGION_FIRST_BYTES);
	numarena_scope_end(inner);
	ck_assert_str_eq(only().name, "outer");
	numarena_scope_end(outer);
	look();
	ck_assert_uint_eq(nr_seen, 0);
	ck_assert_uint_eq(stats().nr_scopes_open, 0);
	ck_assert_uint_eq(stats().scope_open_bytes, 0);
	ck_assert_uint_eq(stats().nr_scopes, 2);
}
END_TEST

/* Expect: to the grain, over regions of all sizes, on the way up and back by marks. */
START_TEST(used_bytes_are_exact)
{
	struct numarena_scope *s = begin("exact");
	uint64_t used[200], held[ARRAY_SIZE(used)];
	size_t mark[ARRAY_SIZE(used)], size;

	for (size_t i = 0; i < ARRAY_SIZE(used); i++) {
		struct nar_roster_line now = only();

		used[i] = now.used_bytes;
		held[i] = now.held_bytes;
		mark[i] = numarena_scope_mark(s);
		expect(now.used_bytes <= now.held_bytes, "%" PRIu64 " of %" PRIu64, now.used_bytes, now.held_bytes);
		if (i % 50 == 49) {
			numarena_scope_alloc(s, LARGE);
			expect(only().used_bytes == used[i] + LARGE + GRAIN, "a large one at %zu", i);
			continue;
		}
		size = KIB(i) + 1;
		numarena_scope_alloc(s, size);
		expect(only().used_bytes == used[i] + KIB(i) + GRAIN, "%zu bytes", size);
	}
	for (size_t i = ARRAY_SIZE(used); i-- > 0; ) {
		numarena_scope_release(s, mark[i]);
		expect(only().used_bytes == used[i], "back at %zu: %" PRIu64 ", not %" PRIu64, i,
		       only().used_bytes, used[i]);
		/* The region that was begun for what has gone may stay. */
		expect(only().held_bytes <= held[i] + NAR_REGION_BYTES, "held at %zu", i);
	}
	ck_assert_uint_eq(only().used_bytes, 0);
	numarena_scope_end(s);
}
END_TEST

/* Expect: to the sums it is alive while its scope is open, on the scope's node. */
START_TEST(used_bytes_are_alive)
{
	static struct nar_census before, open, after;
	struct numarena_scope *s = begin("alive");
	unsigned int node;
	u64 alive = 0;

	nar_census_take(&before);
	memset(must_give(numarena_scope_alloc(s, LARGE)), 1, LARGE);
	nar_census_take(&open);
	numarena_scope_reset(s);
	nar_census_take(&after);
	numarena_scope_end(s);
	ck_assert_uint_eq(open.all.live_bytes - before.all.live_bytes, LARGE + GRAIN);
	ck_assert_uint_ge(open.all.resident_bytes, open.all.live_bytes);
	for (node = 0; node < nar_nodes.nr; node++)
		alive += open.node[node].live_bytes - before.node[node].live_bytes;
	ck_assert_uint_eq(alive, LARGE + GRAIN);
	ck_assert_uint_eq(after.all.live_bytes, before.all.live_bytes);
}
END_TEST

/* Expect: what was used most stays known over resets, and a new scope knows nothing of it. */
START_TEST(peaks_outlast_resets)
{
	struct numarena_scope *s = begin("peak");
	uint64_t peak;

	for (int i = 0; i < 1000; i++)
		numarena_scope_alloc(s, 1000);
	peak = only().used_bytes;
	ck_assert_uint_eq(peak, 1000 * 1008);
	numarena_scope_reset(s);
	ck_assert_uint_eq(only().used_bytes, 0);
	ck_assert_uint_eq(only().peak_bytes, peak);
	numarena_scope_alloc(s, 10);
	numarena_scope_reset(s);
	ck_assert_uint_eq(only().peak_bytes, peak);
	ck_assert_uint_eq(only().nr_resets, 2);
	numarena_scope_alloc(s, LARGE);
	ck_assert_uint_eq(only().peak_bytes, LARGE + GRAIN);
	numarena_scope_release(s, numarena_scope_mark(s));
	ck_assert_uint_eq(only().nr_resets, 2);
	numarena_scope_end(s);
	for (int i = 0; i < 100; i++) {
		s = begin("next");
		expect(!only().peak_bytes && !only().nr_resets && !only().used_bytes && !only().held_bytes,
		       "the last one's figures show");
		numarena_scope_end(s);
	}
}
END_TEST

/*
 *	| 64 | 64 | gap | aligned | large | ...
 *
 * Expect: objects, and no gaps; those that are freed stay counted, and what they used is the peak.
 */
START_TEST(captured_objects_are_counted)
{
	static void *object[1000];
	struct numarena_scope *s = numarena_scope_begin("capture", NUMARENA_SCOPE_CAPTURE);
	struct nar_roster_line full, freed;
	void *large;

	for (size_t i = 0; i < ARRAY_SIZE(object); i++)
		object[i] = i % 10 ? numarena_malloc(SIZE) : numarena_aligned_alloc(512, SIZE);
	large = numarena_malloc(LARGE);
	numarena_scope_alloc(s, SIZE);
	look();
	full = seen[0];
	numarena_free(large);
	look();
	freed = seen[0];
	numarena_scope_end(s);
	ck_assert_uint_eq(full.nr_captured, ARRAY_SIZE(object) + 2);
	ck_assert_uint_ge(full.used_bytes, ARRAY_SIZE(object) * SIZE + LARGE);
	ck_assert_uint_ge(full.held_bytes, full.used_bytes);
	ck_assert_uint_eq(freed.nr_captured, full.nr_captured);
	ck_assert_uint_eq(freed.used_bytes, full.used_bytes - LARGE);
	ck_assert_uint_eq(freed.held_bytes, full.held_bytes - LARGE);
	ck_assert_uint_eq(freed.peak_bytes, full.used_bytes);
	ck_assert_ptr_nonnull(object[0]);
}
END_TEST

/* Expect: the last that was captured goes when it is freed, and the peak remembers it. */
START_TEST(last_freed_leaves_a_peak)
{
	struct numarena_scope *s = numarena_scope_begin("last", NUMARENA_SCOPE_CAPTURE);
	struct nar_roster_line line;

	numarena_free(numarena_malloc(KIB(100)));
	look();
	line = seen[0];
	numarena_scope_end(s);
	ck_assert_uint_eq(line.used_bytes, 0);
	ck_assert_uint_eq(line.peak_bytes, KIB(100));
	ck_assert_uint_eq(line.nr_captured, 1);
}
END_TEST

/* ---- Names ---- */

static void must_be_named(const char *given, const char *name)
{
	struct numarena_scope *s = begin(given);

	ck_assert_str_eq(only().name, name);
	numarena_scope_end(s);
}

/* Expect: 23 bytes of it, and no part of a character. */
START_TEST(names_are_cut)
{
	must_be_named(NULL, "");
	must_be_named("", "");
	must_be_named("12345678901234567890123", "12345678901234567890123");
	must_be_named("123456789012345678901234", "12345678901234567890123");
	must_be_named("1234567890123456789012\303\251", "1234567890123456789012");
	must_be_named("123456789012345678901\303\251", "123456789012345678901\303\251");
	must_be_named("123456789012345678901\342\202\254", "123456789012345678901");
	must_be_named("12345678901234567890\342\202\254", "12345678901234567890\342\202\254");
	must_be_named("12345678901234567890\360\237\230\200", "12345678901234567890");
	must_be_named("1234567890123456789\360\237\230\200", "1234567890123456789\360\237\230\200");
	/* What is no UTF-8 is no character either. */
	must_be_named("\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200",
		      "\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200\200");
}
END_TEST

/* ---- Formats ---- */

static int print_to_memory(enum numarena_stats_format format)
{
	int fd = memfd_create("printed", 0);

	ck_assert_int_eq(numarena_stats_print(fd, format), 0);
	return fd;
}

/* Quotes, a line's end, a backslash, and a byte that is no UTF-8. */
#define ODD_NAME "de\"code\n\\\377"

/* Expect: each format is valid whatever the names are, and says the same. */
START_TEST(formats_agree)
{
	struct numarena_scope *s = begin("request");
	char name[80], tid[16];
	const char *flat;
	int i;

	begin(ODD_NAME);
	begin(NULL);
	numarena_scope_alloc(s, KIB(1));
	numarena_scope_reset(s);
	numarena_scope_alloc(s, SIZE);
	snprintf(tid, sizeof(tid), "%d", (int)gettid());
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	i = line_where(flat, "scopes", "name", "request");
	ck_assert_int_eq(i, 0);
	ck_assert_int_eq(line_where(flat, "scopes", "tid", tid), 0);
	ck_assert_uint_eq(line_figure(flat, "scopes", i, "depth"), 0);
	ck_assert_uint_eq(line_figure(flat, "scopes", i, "used_bytes"), SIZE);
	ck_assert_uint_eq(line_figure(flat, "scopes", i, "peak_bytes"), KIB(1));
	ck_assert_uint_eq(line_figure(flat, "scopes", i, "held_bytes"), NAR_REGION_FIRST_BYTES);
	ck_assert_uint_eq(line_figure(flat, "scopes", i, "nr_resets"), 1);
	ck_assert_int_eq(strncmp(figure_text(flat, "scopes.0.nr_captured"), "None\n", 5), 0);
	ck_assert_int_eq(strncmp(figure_text(flat, "scopes.1.name"), "de\"code\n\\\357\277\275\n", 12), 0);
	ck_assert_int_eq(strncmp(figure_text(flat, "scopes.2.name"), "None\n", 5), 0);
	ck_assert_uint_eq(line_figure(flat, "scopes", 2, "depth"), 2);
	ck_assert_uint_eq(figure(flat, "scopes_left_off"), 0);
	ck_assert_uint_eq(figure(flat, "stats.nr_scopes_open"), 3);
	flat = flatten(print_to_memory(NUMARENA_STATS_PROMETHEUS), "prometheus");
	snprintf(name, sizeof(name), "numarena_open_scope_used_bytes.%s.0.request", tid);
	ck_assert_uint_eq(figure(flat, name), SIZE);
	snprintf(name, sizeof(name), "numarena_open_scope_resets_total.%s.0.request", tid);
	ck_assert_uint_eq(figure(flat, name), 1);
	snprintf(name, sizeof(name), "numarena_open_scope_depth.%s", tid);
	ck_assert_ptr_null(strstr(flat, name));
	ck_assert_uint_eq(figure(flat, "numarena_scopes_open"), 3);
	ck_assert_uint_eq(figure(flat, "numarena_scopes_left_off"), 0);
	flat = text_of(print_to_memory(NUMARENA_STATS_TEXT));
	ck_assert_ptr_nonnull(strstr(flat, "\nscopes:\ntid "));
	ck_assert_ptr_nonnull(strstr(flat, " request "));
	ck_assert_ptr_nonnull(strstr(flat, " de\"code?\\"));
	numarena_scope_end(s);
	flat = text_of(print_to_memory(NUMARENA_STATS_TEXT));
	ck_assert_ptr_nonnull(strstr(flat, "\nscopes:\nnone\n"));
}
END_TEST

#define MANY 300		/* more than a report has room for */
#define ROOM 256

/* Expect: as many as there is room for, and how many more there are. */
START_TEST(what_is_left_off_is_told)
{
	struct numarena_scope *outermost = begin("deep");
	char last[64];
	const char *flat;

	for (int i = 1; i < MANY; i++)
		begin("deep");
	ck_assert_uint_eq(nar_roster_take(seen, 2, &nr_left_off), 2);
	ck_assert_uint_eq(nr_left_off, MANY - 2);
	ck_assert_uint_eq(nar_roster_take(seen, 0, &nr_left_off), 0);
	ck_assert_uint_eq(nr_left_off, MANY);
	if (has_python()) {
		flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
		ck_assert_uint_eq(figure(flat, "scopes_left_off"), MANY - ROOM);
		snprintf(last, sizeof(last), "\nscopes.%d.tid ", ROOM - 1);
		ck_assert_ptr_nonnull(strstr(flat, last));
		snprintf(last, sizeof(last), "\nscopes.%d.tid ", ROOM);
		ck_assert_ptr_null(strstr(flat, last));
		flat = flatten(print_to_memory(NUMARENA_STATS_PROMETHEUS), "prometheus");
		ck_assert_uint_eq(figure(flat, "numarena_scopes_left_off"), MANY - ROOM);
	}
	flat = text_of(print_to_memory(NUMARENA_STATS_TEXT));
	ck_assert_ptr_nonnull(strstr(flat, "\nand 44 more\n"));
	numarena_scope_end(outermost);
	ck_assert_uint_eq(stats().nr_scopes_open, 0);
}
END_TEST

/* ---- Other threads ---- */

struct visitor {
	pthread_barrier_t *barrier;
	unsigned int nr_scopes;
	unsigned int tid;
};

static void *visit(void *arg)
{
	struct visitor *v = arg;

	v->tid = (unsigned int)gettid();
	for (unsigned int i = 0; i < v->nr_scopes; i++)
		numarena_scope_alloc(numarena_scope_begin("visit", 0), 1000 * (i + 1));
	pthread_barrier_wait(v->barrier);
	pthread_barrier_wait(v->barrier);
	/* They end with the thread. */
	return NULL;
}

static void must_have(const struct visitor *v)
{
	unsigned int depth = 0;

	for (unsigned int i = 0; i < nr_seen; i++) {
		if (seen[i].tid != v->tid)
			continue;
		ck_assert_uint_eq(seen[i].depth, depth);
		depth++;
		ck_assert_uint_eq(seen[i].used_bytes, (1000 * depth + GRAIN - 1) / GRAIN * GRAIN);
		if (depth < v->nr_scopes)
			ck_assert_uint_eq(seen[i + 1].tid, v->tid);
	}
	ck_assert_uint_eq(depth, v->nr_scopes);
}

/* Expect: each thread's together, by depth; none of a thread that has ended. */
START_TEST(threads_are_told_apart)
{
	pthread_barrier_t barrier;
	struct visitor v[2] = { { &barrier, 3, 0 }, { &barrier, 5, 0 } };
	struct numarena_scope *s = begin("mine");
	pthread_t thread[2];

	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 2; i++)
		thread[i] = thread_start(visit, &v[i]);
	pthread_barrier_wait(&barrier);
	look();
	ck_assert_uint_eq(nr_seen, 9);
	must_have(&v[0]);
	must_have(&v[1]);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 2; i++)
		thread_join(thread[i]);
	ck_assert_str_eq(only().name, "mine");
	numarena_scope_end(s);
}
END_TEST

/*
 * Scopes that come and go as fast as they can.  A name is one letter, as often as it is far in
 * the alphabet, and says how large the scope's objects are: a line of two scopes is seen to be.
 */
static atomic_bool is_over;

static void name_by(char name[NAR_ROSTER_NAME], unsigned int letter)
{
	memset(name, (int)('a' + letter), letter + 1);
	name[letter + 1] = '\0';
}

static void one_life(unsigned int letter)
{
	char name[NAR_ROSTER_NAME];
	struct numarena_scope *s;

	name_by(name, letter);
	s = numarena_scope_begin(name, letter % 2 ? NUMARENA_SCOPE_CAPTURE : 0);
	for (unsigned int i = 0; i < 40; i++)
		numarena_scope_alloc(s, KIB(letter + 1));
	if (letter % 2)
		numarena_free(numarena_malloc(KIB(letter + 1)));
	if (letter % 8 == 0)
		numarena_scope_alloc(s, MIB(1));
	if (letter % 5 == 0)
		one_life(letter / 2 + 1);
	numarena_scope_reset(s);
	numarena_scope_alloc(s, KIB(letter + 1));
	numarena_scope_end(s);
}

static void *live_fast(void *arg)
{
	for (unsigned int i = (unsigned int)(uintptr_t)arg; !atomic_load(&is_over); i++)
		one_life(i % 20);
	return NULL;
}

static void must_be_of_one_life(const struct nar_roster_line *line)
{
	unsigned int letter = (unsigned int)(line->name[0] - 'a');
	/* A large one, if it has come yet, takes a grain beside its own region, and first. */
	uint64_t used = line->used_bytes % MIB(1);
	char name[NAR_ROSTER_NAME];

	expect(letter < 20, "a name \"%s\"", line->name);
	name_by(name, letter);
	expect(!strcmp(name, line->name), "a name \"%s\", not \"%s\"", line->name, name);
	expect((line->nr_captured == NAR_ROSTER_UNCOUNTED) == (letter % 2 == 0), "%s captures", name);
	expect(line->used_bytes <= line->held_bytes, "%s uses %" PRIu64 " of %" PRIu64, name,
	       line->used_bytes, line->held_bytes);
	expect(line->used_bytes <= line->peak_bytes, "%s has no peak", name);
	expect(line->nr_resets <= 1, "%s: %" PRIu64 " resets", name, line->nr_resets);
	expect(used % KIB(letter + 1) <= (letter % 8 ? 0 : GRAIN), "%s uses %" PRIu64, name, used);
}

START_TEST(changing_ones_are_seen_whole)
{
	unsigned long nr_lines = 0, nr_open = 0, rounds = stress_scaled(HAS_SHADOW_MEMORY ? 2000 : 20000);
	pthread_t thread[2];

	atomic_store(&is_over, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(thread); i++)
		thread[i] = thread_start(live_fast, (void *)(i * 10));
	for (unsigned long round = 0; round < rounds || !nr_lines || !nr_open; round++) {
		look();
		nr_lines += nr_seen;
		for (unsigned int i = 0; i < nr_seen; i++) {
			must_be_of_one_life(&seen[i]);
			expect(!i || seen[i].tid != seen[i - 1].tid || seen[i].depth > seen[i - 1].depth,
			       "two of one thread and depth");
		}
		expect(nr_seen <= 4, "%u lines of two threads", nr_seen);
		/* They are counted one after the other: there may be more than at any one moment. */
		nr_open += stats().nr_scopes_open;
	}
	atomic_store(&is_over, true);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		thread_join(thread[i]);
	look();
	ck_assert_uint_eq(nr_seen, 0);
	ck_assert_uint_gt(nr_open, 0);
	ck_assert_uint_eq(stats().nr_scopes_open, 0);
}
END_TEST

/* Expect: printing the same has no series twice. */
START_TEST(changing_ones_are_printed)
{
	pthread_t thread[2];

	atomic_store(&is_over, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(thread); i++)
		thread[i] = thread_start(live_fast, (void *)(i * 10));
	for (int i = 0; i < 5; i++) {
		flatten(print_to_memory(NUMARENA_STATS_PROMETHEUS), "prometheus");
		flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	}
	atomic_store(&is_over, true);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		thread_join(thread[i]);
}
END_TEST

static volatile sig_atomic_t nr_looks;

static void look_in_handler(int sig)
{
	static struct nar_roster_line line[8];
	uint64_t left_off;

	(void)sig;
	nar_roster_take(line, ARRAY_SIZE(line), &left_off);
	nr_looks++;
}

/* Expect: a handler that has interrupted a change of its own thread's does not wait for it. */
START_TEST(handlers_look_without_waiting)
{
	const struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = look_in_handler };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned int i = 0; nr_looks < 300; i++)
		one_life(i % 20);
	setitimer(ITIMER_REAL, &never, NULL);
	look();
	ck_assert_uint_eq(nr_seen, 0);
}
END_TEST

/* ---- The child of a fork ---- */

/* Expect: it has those of the thread that forked, as its own thread's, and goes on with them. */
static void be_child(struct numarena_scope *s)
{
	look();
	require(nr_seen == 1 && !nr_left_off, "%u lines", nr_seen);
	require(seen[0].tid == (unsigned int)getpid(), "thread %u of %d", seen[0].tid, (int)getpid());
	require(!strcmp(seen[0].name, "forks"), "%s", seen[0].name);
	require(seen[0].used_bytes == 1008, "%" PRIu64 " used", seen[0].used_bytes);
	numarena_scope_alloc(s, 1000);
	require(numarena_scope_begin("child", 0), "no scope");
	look();
	require(nr_seen == 2 && seen[0].used_bytes == 2016 && seen[1].depth == 1 &&
		seen[1].tid == seen[0].tid, "%u lines", nr_seen);
	require(stats().nr_scopes_open == 2, "%" PRIu64 " open", stats().nr_scopes_open);
	require(stats().scope_open_bytes == NAR_REGION_FIRST_BYTES, "%" PRIu64 " held", stats().scope_open_bytes);
	numarena_scope_end(s);
	look();
	require(!nr_seen, "%u lines", nr_seen);
	_exit(EXIT_SUCCESS);
}

START_TEST(child_has_its_own)
{
	pthread_barrier_t barrier;
	struct visitor v = { &barrier, 3, 0 };
	struct numarena_scope *s = begin("forks");
	pthread_t thread;
	pid_t pid;

	pthread_barrier_init(&barrier, NULL, 2);
	numarena_scope_alloc(s, 1000);
	thread = thread_start(visit, &v);
	pthread_barrier_wait(&barrier);
	pid = fork_or_fail();
	if (!pid)
		be_child(s);
	child_join(pid);
	look();
	ck_assert_uint_eq(nr_seen, 4);
	must_have(&v);
	pthread_barrier_wait(&barrier);
	thread_join(thread);
	ck_assert_uint_eq(only().used_bytes, 1008);
	numarena_scope_end(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scope_stats");
	TCase *tc = tcase_create("contract");

	/* Each look at what was printed starts a python. */
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, open_ones_are_listed);
	tcase_add_test(tc, used_bytes_are_exact);
	tcase_add_test(tc, used_bytes_are_alive);
	tcase_add_test(tc, peaks_outlast_resets);
	tcase_add_test(tc, captured_objects_are_counted);
	tcase_add_test(tc, last_freed_leaves_a_peak);
	tcase_add_test(tc, names_are_cut);
	tcase_add_test(tc, what_is_left_off_is_told);
	tcase_add_test(tc, threads_are_told_apart);
	tcase_add_test(tc, changing_ones_are_seen_whole);
	tcase_add_test(tc, handlers_look_without_waiting);
	tcase_add_test(tc, child_has_its_own);
	if (has_python()) {
		tcase_add_test(tc, formats_agree);
		tcase_add_test(tc, changing_ones_are_printed);
	}
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
