// SPDX-License-Identifier: MIT
/*
 * How much of a heap that is not small lies on huge pages under huge:auto, which begins on
 * small ones, once the program has been at it for a while; and after a fork.
 *
 *	begin	|s|s|s|s|s|s|h|h|h|h ...	s: 4 KiB pages, h: huge
 *	later	|h|h|h|h|h|s|h|h|h|h ...	72 MiB and more, on all nodes together
 *	fork	|s|s|s|s|s|s|s|s|s|s ...	both have written to all of it
 *	recover	|h|h|h|h|h|s|h|h|h|h ...
 */
#include "huge.h"

#define HEAP_BYTES MIB(72)
#define MAX_THREADS 4
#define MAX_OBJECTS (1u << 19)
#define STEADY_PERCENT 95
#define RECOVERED_PERCENT 90

/* Maintenance is made every 10 ms, a unit or so each time: operations are what it is made in. */
#define ROUND_BYTES MIB(4)
#define MAX_ROUNDS 2000

/* ---- A heap ---- */

struct slot {
	char *p;
	size_t size;
};

struct worker {
	struct rng rng;
	struct slot *slot;
	unsigned int nr_slots, node;
	size_t min, max;
};

static struct slot slots[MAX_OBJECTS];
static struct worker workers[MAX_THREADS];
static unsigned int nr_workers;
static pthread_barrier_t turn;
static bool is_over;

/* A byte a page makes it resident. */
static void slot_write(struct slot *s, char value)
{
	size_t at;

	for (at = 0; at < s->size; at += PAGE_BYTES)
		s->p[at] = value;
	s->p[s->size - 1] = value;
}

static void slot_fill(struct worker *w, struct slot *s)
{
	s->size = rng_between(&w->rng, w->min, w->max);
	s->p = numarena_malloc(s->size);
	require(s->p, "no memory");
	slot_write(s, 1);
}

static void churn_round(struct worker *w)
{
	size_t done = 0;

	while (done < ROUND_BYTES / nr_workers) {
		struct slot *s = &w->slot[rng_between(&w->rng, 0, w->nr_slots - 1)];

		numarena_free(s->p);
		slot_fill(w, s);
		done += s->size;
	}
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	bind_to(w->node);
	for (i = 0; i < w->nr_slots; i++)
		slot_fill(w, &w->slot[i]);
	for (;;) {
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
		if (is_over)
			return NULL;
		churn_round(w);
	}
}

static void heap_begin(pthread_t *threads, size_t min, size_t max)
{
	unsigned int i, first = 0;

	pthread_barrier_init(&turn, NULL, nr_workers + 1);
	for (i = 0; i < nr_workers; i++) {
		struct worker *w = &workers[i];

		*w = (struct worker){ .rng = rng_seeded(i), .slot = &slots[first], .min = min, .max = max };
		w->node = i % nar_nodes.nr;
		w->nr_slots = (unsigned int)(HEAP_BYTES / nr_workers / ((min + max) / 2));
		first += w->nr_slots;
		require(first <= MAX_OBJECTS, "%u objects", first);
		threads[i] = thread_start(worker_run, w);
	}
	pthread_barrier_wait(&turn);
}

/* ---- Coverage ---- */

static struct numarena_audit audit;

static unsigned int coverage_percent(void)
{
	uint64_t resident;
	unsigned int i;

	audit.size = sizeof(audit);
	require(!numarena_audit(&audit), "audit: %s", strerror(errno));
	resident = audit.resident;
	for (i = 0; i < audit.nr_nodes; i++)
		resident -= audit.at[i].resident[NUMARENA_KIND_META];
	require(resident * PAGE_BYTES >= HEAP_BYTES / 100 * 85, "%" PRIu64 " pages", resident);
	return (unsigned int)(audit.huge * 100 / resident);
}

static void churn(unsigned int nr_rounds)
{
	while (nr_rounds--) {
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
	}
}

/* Rounds between two looks; it is settled when two in a row are good. */
#define LOOK_ROUNDS 8

static void must_settle(void)
{
	unsigned int round, before = 0, percent = 0;

	for (round = 0; round < MAX_ROUNDS; round += LOOK_ROUNDS) {
		churn(LOOK_ROUNDS);
		before = percent;
		percent = coverage_percent();
		if (before >= STEADY_PERCENT && percent >= STEADY_PERCENT)
			break;
	}
	printf("# %u %%, then %u %% after %u rounds; %" PRIu64 " made huge, %" PRIu64 " not\n", before,
	       percent, round, all_stats().collapse_done, all_stats().collapse_failed);
	require(round < MAX_ROUNDS, "%u %% huge, then %u %%", before, percent);
}

/* ---- Fork ---- */

static void write_all(char value)
{
	unsigned int i, j;

	for (i = 0; i < nr_workers; i++)
		for (j = 0; j < workers[i].nr_slots; j++)
			slot_write(&workers[i].slot[j], value);
}

/* While it is shared each page that is written to is copied, and huge ones part for that. */
static void must_recover(void)
{
	unsigned int parted;
	int go[2], done[2];
	long nr_failed;
	pid_t child;
	char c;

	require(!pipe(go) && !pipe(done), "pipe");
	child = fork_or_fail();
	if (!child) {
		require(read(go[0], &c, 1) == 1, "pipe");
		write_all(2);
		_exit(EXIT_SUCCESS);
	}
	write_all(3);
	parted = coverage_percent();
	require(write(go[1], "", 1) == 1, "pipe");
	child_join(child);
	nr_failed = numarena_fork_recover();
	printf("# %u %% parted by fork, %u %% recovered, %ld failed\n", parted, coverage_percent(),
	       nr_failed);
	require(parted < RECOVERED_PERCENT, "%u %% huge: the fork parted nothing", parted);
	require(coverage_percent() >= RECOVERED_PERCENT, "%u %% huge, %ld failed", coverage_percent(),
		nr_failed);
}

static void heap_end(pthread_t *threads)
{
	unsigned int i;

	is_over = true;
	pthread_barrier_wait(&turn);
	for (i = 0; i < nr_workers; i++)
		thread_join(threads[i]);
}

static void cover(unsigned int nr, size_t min, size_t max)
{
	pthread_t threads[MAX_THREADS];

	start_library();
	nr_workers = nr;
	heap_begin(threads, min, max);
	must_settle();
	must_recover();
	heap_end(threads);
}

static void part_small_1(void)
{
	cover(1, 16, 512);
}

static void part_small_4(void)
{
	cover(4, 16, 512);
}

static void part_classes_1(void)
{
	cover(1, 16, KIB(32));
}

static void part_classes_4(void)
{
	cover(4, 16, KIB(32));
}

static void part_100k_1(void)
{
	cover(1, KIB(100), KIB(100));
}

static void part_100k_4(void)
{
	cover(4, KIB(100), KIB(100));
}

static void part_mebibyte_1(void)
{
	cover(1, MIB(1), MIB(1));
}

static void part_mebibyte_4(void)
{
	cover(4, MIB(1), MIB(1));
}

static void part_mixed_1(void)
{
	cover(1, 16, KIB(200));
}

static void part_mixed_4(void)
{
	cover(4, 16, KIB(200));
}

static const struct part parts[] = {
	{ "small_1", part_small_1 },
	{ "small_4", part_small_4 },
	{ "classes_1", part_classes_1 },
	{ "classes_4", part_classes_4 },
	{ "100k_1", part_100k_1 },
	{ "100k_4", part_100k_4 },
	{ "mebibyte_1", part_mebibyte_1 },
	{ "mebibyte_4", part_mebibyte_4 },
	{ "mixed_1", part_mixed_1 },
	{ "mixed_4", part_mixed_4 },
};

/* ---- The judge ---- */

START_TEST(heap_is_huge)
{
	part_must_pass(parts[_i].name, "huge:auto");
}
END_TEST

static const char *why_not(void)
{
	return has_thp() && has_arenas() ? NULL : "no transparent huge pages here";
}

static void add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, heap_is_huge, 0, ARRAY_SIZE(parts));
}

static const struct huge_suite suite = {
	.name = "coverage",
	.tests = "huge:auto",
	.seconds = 120,
	.parts = parts,
	.nr_parts = ARRAY_SIZE(parts),
	.why_not = why_not,
	.add = add_tests,
};

int main(int argc, char **argv)
{
	return huge_main(argc, argv, &suite);
}
