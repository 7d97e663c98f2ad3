// SPDX-License-Identifier: MIT
/*
 * What NUMARENA_CONF and numarena_thread_bind() say of where memory lies, and what happens
 * when a node is full.
 *
 *	test_policies		the suite: each test is this program again, with its setting
 *	test_policies NAME	one of them
 *	test_policies hog ...	another process, see hog_start()
 *
 *	node n: | other programs | a hog, another process ....................... | rest |
 *
 * A hog takes small pages until so much is left, or none that would be its node's.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "guest.h"

#define BLOCK MIB(4)
#define SMALL 1024

/* There is a step each 10 ms, but what is emulated is slow. */
#define COME_HOME_MS 30000

/* What is allocated before one gives up waiting for NULL. */
#define MAX_BLOCKS 256
#define MAX_SMALL 65536

/* ---- Hogs ---- */

#define HOG_STEP MIB(2)
#define HOG_SMALL_STEP KIB(256)

/*
 * numarena leaves a node alone of which less than a sixteenth is free, so that what it has
 * committed there still fits: half of that.
 */
#define ROOM_PART 32

#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
#define MIN_FREE_KIB "4096"

struct hog {
	pid_t pid;
};

static size_t room(int id)
{
	unsigned int node = (unsigned int)id;

	return machine_meminfo(node, "MemFree") + machine_meminfo(node, "Active(file)") +
	       machine_meminfo(node, "Inactive(file)");
}

/* Return: false, and nothing is kept, if a page would lie elsewhere. */
static bool try_hog(size_t bytes, int advice, int id)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(p != MAP_FAILED, "the hog gets no memory");
	madvise(p, bytes, advice);
	memset(p, 1, bytes);
	if (!look_at(p, bytes, id).misplaced)
		return true;
	munmap(p, bytes);
	return false;
}

static int hog_run(int id, size_t leave, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_policy(MPOL_PREFERRED, 1ull << id);
	while (room(id) > leave + HOG_STEP && try_hog(HOG_STEP, MADV_HUGEPAGE, id))
		;
	while (room(id) > leave && try_hog(HOG_SMALL_STEP, MADV_NOHUGEPAGE, id))
		;
	require(write(ready, "", 1) == 1, "pipe");
	for (;;)
		pause();
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), nr = (int)strlen(text);

	require(fd >= 0 && write(fd, text, (size_t)nr) == nr, "%s: %s", path, strerror(errno));
	return close(fd);
}

/*
 * With huge pages the kernel keeps some 35 MiB of a node to itself, more than what a hog
 * is to leave on a small machine's.
 */
static void set_min_free(const char *kib, char *old, size_t size)
{
	FILE *file = fopen(MIN_FREE, "re");

	require(!old || (file && fgets(old, (int)size, file)), MIN_FREE);
	if (file)
		fclose(file);
	write_file(MIN_FREE, kib);
}

/*
 * @leave: bytes; 0: all that can be had.  Spawned, since a fork would have the pages that
 * are looked at copied at the next write, to wherever there is room.
 */
static struct hog hog_start(int id, size_t leave)
{
	char args[4][32] = { "hog" }, *argv[] = { args[0], args[0], args[1], args[2], args[3], NULL };
	struct hog hog;
	int fds[2];
	char byte;

	write_file("/proc/sys/vm/drop_caches", "3");
	require(!pipe(fds), "pipe");
	snprintf(args[1], sizeof(args[1]), "%d", id);
	snprintf(args[2], sizeof(args[2]), "%zu", leave);
	snprintf(args[3], sizeof(args[3]), "%d", fds[1]);
	require(!posix_spawn(&hog.pid, "/proc/self/exe", NULL, NULL, argv, environ), "posix_spawn");
	close(fds[1]);
	require(read(fds[0], &byte, 1) == 1, "the hog of node %d is gone", id);
	close(fds[0]);
	printf("# a hog leaves %zu MiB on node %d\n", room(id) >> 20, id);
	return hog;
}

static void hog_end(struct hog *hog)
{
	kill(hog->pid, SIGKILL);
	require(waitpid(hog->pid, NULL, 0) == hog->pid, "waitpid");
}

/* ---- strict ---- */

static uint64_t strict_failed(int id)
{
	return node_stats_now(id).strict_failed;
}

/* Until NULL, which has to come.  Return: how many before it. */
static unsigned int alloc_all(size_t size, void **to, unsigned int max, int id)
{
	unsigned int nr = 0;
	void *p;

	errno = 0;
	while ((p = numarena_malloc(size))) {
		require(nr < max, "node %d is full and goes on giving", id);
		require_on(p, size, id, "strict memory");
		memset(p, 1, size);
		to[nr++] = p;
	}
	require(errno == ENOMEM, "%s", strerror(errno));
	return nr;
}

static void free_all(void **p, unsigned int nr)
{
	while (nr)
		numarena_free(p[--nr]);
}

static void *strict_thread(void *arg)
{
	static void *blocks[MAX_BLOCKS], *small[MAX_SMALL];
	int home = *(int *)arg, other = nearest_but(home, 1ull << home);
	unsigned int nr_blocks, nr_small;
	uint64_t failed;
	struct hog hog;

	numarena_free(alloc_on(BLOCK, home));
	numarena_free(alloc_on(SMALL, home));
	hog = hog_start(home, 0);
	failed = strict_failed(home);
	nr_blocks = alloc_all(BLOCK, blocks, MAX_BLOCKS, home);
	nr_small = alloc_all(SMALL, small, MAX_SMALL, home);
	printf("# %u blocks and %u small objects until NULL\n", nr_blocks, nr_small);
	require(strict_failed(home) >= failed + 2, "%" PRIu64 " refusals", strict_failed(home));
	require(!strict_failed(other), "node %d is not full", other);
	/* Tables are no part of the promise: nothing would be gained by failing for them. */
	require_no_user_page_elsewhere();

	/* The program goes on: with what it has, and on another node. */
	require(nr_small, "not even what was there");
	numarena_free(small[--nr_small]);
	numarena_free(alloc_on(SMALL, home));
	require(!numarena_thread_bind(other), "node %d", other);
	numarena_free(alloc_on(BLOCK, other));
	require(!numarena_thread_bind(NUMARENA_NODE_FOLLOW), "back");

	hog_end(&hog);
	numarena_free(alloc_on(4 * BLOCK, home));
	free_all(blocks, nr_blocks);
	free_all(small, nr_small);
	numarena_free(alloc_on(4 * BLOCK, home));
	require_right();
	return NULL;
}

static void strict(void)
{
	int cpu = next_cpu(0), home = home_of_cpu(cpu);

	run_on(cpu, strict_thread, &home);
}

/* ---- preferred ---- */

/* None of @nodes is the one that had to send for memory elsewhere. */
static void require_no_fallback_of_others(int id)
{
	int other;

	for (other = 0; other < (int)machine.nr_ids; other++)
		if (machine.has_memory[other] && other != id)
			require(!node_stats_now(other).node_fallback, "node %d", other);
}

/* Pages of units that are elsewhere, and known to be. */
static uint64_t counted_pages(int id)
{
	struct numarena_node_stats s = node_stats_now(id);

	return (s.huge_elsewhere - s.huge_brought_home) * (HUGE_BYTES / PAGE_BYTES);
}

/*
 * What numarena had of a node before the hog came and nobody had touched, the kernel may
 * serve with another node's huge page: it comes home, or is counted where there is no room.
 */
static void require_home_or_counted(const void *p, size_t bytes, int id)
{
	u64 start = nar_clock_ms();
	uint64_t away;

	while ((away = look_at(p, bytes, id).misplaced) && away > counted_pages(id)) {
		require(nar_clock_ms() - start < COME_HOME_MS, "%" PRIu64 " pages meant for node %d",
			away, id);
		refill();
	}
	if (away)
		printf("# %" PRIu64 " pages meant for node %d are counted elsewhere\n", away, id);
}

static void require_right_or_counted(void)
{
	const struct numarena_audit *audit = audit_now();
	uint64_t counted = 0;
	unsigned int dense;

	for (dense = 0; dense < nar_nodes.nr; dense++)
		counted += counted_pages(nar_nodes.id[dense]);
	printf("# %" PRIu64 " pages, %" PRIu64 " misplaced, %" PRIu64 " counted\n", audit->resident,
	       audit->misplaced, counted);
	require(audit->misplaced <= counted + audit->resident / 1000, "not all is counted");
}

static void alloc_meant_for(size_t size, int id)
{
	void *p = must_malloc(size);

	memset(p, 1, size);
	require(numarena_node_of(p) == id, "meant for node %d, not %d", numarena_node_of(p), id);
	require_home_or_counted(p, size, id);
}

/* Small ones fill up what their node's chunks still have. */
static void require_small_goes_to(int home, int id)
{
	int meant = home, i;

	for (i = 0; i < MAX_SMALL && meant == home; i++) {
		void *p = must_malloc(SMALL);

		memset(p, 1, SMALL);
		meant = numarena_node_of(p);
		require_home_or_counted(p, SMALL, meant);
	}
	require(meant == id, "meant for node %d, not %d", meant, id);
}

/* That a node is full may be believed for some milliseconds more. */
static void require_again_meant_for(size_t size, int id)
{
	u64 start = nar_clock_ms();
	void *p;

	while (numarena_node_of(p = must_malloc(size)) != id) {
		require(nar_clock_ms() - start < COME_HOME_MS, "meant for node %d, not %d",
			numarena_node_of(p), id);
		numarena_free(p);
	}
	memset(p, 1, size);
	require_home_or_counted(p, size, id);
}

/* Each node once, from the nearest on, until one is left. */
static void *preferred_thread(void *arg)
{
	int home = *(int *)arg, full = home, next;
	struct hog hogs[NAR_MAX_NODES];
	unsigned int nr = 0;
	uint64_t seen = 0;

	numarena_free(alloc_on(BLOCK, home));
	while ((next = nearest_but(home, seen | 1ull << full)) >= 0) {
		uint64_t before = node_stats_now(home).node_fallback;

		seen |= 1ull << full;
		hogs[nr++] = hog_start(full, machine_meminfo((unsigned int)full, "MemTotal") /
				       ROOM_PART);
		alloc_meant_for(4 * BLOCK, next);
		require_small_goes_to(full, next);
		require(node_stats_now(home).node_fallback >= before + 2, "not counted");
		require_no_fallback_of_others(home);
		require_right_or_counted();
		full = next;
	}
	while (nr)
		hog_end(&hogs[--nr]);
	require_again_meant_for(4 * BLOCK, home);
	require_right_or_counted();
	return NULL;
}

/* From the last CPU on: there, nearest is not lowest. */
static void preferred(void)
{
	int cpu, last = 0, home;

	for_each_cpu(cpu)
		last = cpu;
	home = home_of_cpu(last);
	run_on(last, preferred_thread, &home);
}

/* ---- interleave ---- */

static void *interleave_thread(void *arg)
{
	char *block = must_malloc(SPREAD_BYTES), *small = must_malloc(SMALL);
	const struct numarena_audit *audit;
	uint64_t unbound = 0;
	unsigned int dense;

	(void)arg;
	memset(block, 1, SPREAD_BYTES);
	memset(small, 1, SMALL);
	require_spread(block, SPREAD_BYTES);
	require_no_node(block);
	require_no_node(block + SPREAD_BYTES - 1);
	require_no_node(small);
	audit = audit_now();
	for (dense = 0; dense < audit->nr_nodes; dense++)
		unbound += audit->at[dense].unbound;
	require(!audit->misplaced && unbound >= SPREAD_BYTES / PAGE_BYTES, "%" PRIu64 " unbound", unbound);
	return NULL;
}

static void interleave(void)
{
	run_on(next_cpu(0), interleave_thread, NULL);
}

/* ---- inherit ---- */

static void *inherit_thread(void *arg)
{
	uint64_t done = stats_now().bind_done;
	int home = *(int *)arg;
	char *block = must_malloc(BLOCK), *small = must_malloc(SMALL);
	int mode = -1;

	memset(block, 1, BLOCK);
	memset(small, 1, SMALL);
	require_on(block, BLOCK, home, "a block");
	require_on(small, SMALL, home, "a small object");
	require_no_node(block);
	require_no_node(small);
	require(!get_mempolicy(&mode, NULL, 0, block, MPOL_F_ADDR) && mode == MPOL_DEFAULT,
		"mode %d", mode);
	require(stats_now().bind_done == done, "something was bound");
	return NULL;
}

static void inherit(void)
{
	int cpu, home;

	for_each_cpu(cpu) {
		home = home_of_cpu(cpu);
		run_on(cpu, inherit_thread, &home);
	}
}

/* ---- numarena_thread_bind ---- */

static void require_bad_node(int id)
{
	errno = 0;
	require(numarena_thread_bind(id) == -1 && errno == EINVAL, "node %d: %s", id, strerror(errno));
}

static void *bind_thread(void *arg)
{
	int home = *(int *)arg, id;

	for (id = 0; id < (int)machine.nr_ids; id++) {
		if (!machine.has_memory[id]) {
			require_bad_node(id);
			continue;
		}
		require(!numarena_thread_bind(id), "node %d: %s", id, strerror(errno));
		alloc_on(SMALL, id);
		alloc_on(BLOCK, id);
		require_bad_node((int)machine.nr_ids);
		require_bad_node(-2);
		require_bad_node(INT32_MAX);
		alloc_on(SMALL, id);
	}
	require(!numarena_thread_bind(NUMARENA_NODE_FOLLOW), "%s", strerror(errno));
	alloc_on(SMALL, home);
	alloc_on(BLOCK, home);
	require_right();
	return NULL;
}

static void bind(void)
{
	int cpu, home;

	for_each_cpu(cpu) {
		home = home_of_cpu(cpu);
		run_on(cpu, bind_thread, &home);
	}
}

/* ---- The suite ---- */

static const struct scenario {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "strict", strict },
	{ "preferred", preferred },
	{ "interleave", interleave },
	{ "inherit", inherit },
	{ "bind", bind },
};

static int scenario_run(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(scenarios[i].name, name))
			continue;
		scenarios[i].run();
		fflush(stdout);
		return EXIT_SUCCESS;
	}
	return EXIT_FAILURE;
}

static void in_process(const char *conf, const char *name)
{
	setenv("NUMARENA_CONF", conf, 1);
	execl("/proc/self/exe", "test_policies", name, NULL);
	ck_abort_msg("exec: %s", strerror(errno));
}

/*
 *	node A: | hog ................. |	block of A -> NULL
 *
 * Expect: what is given lies on A to the last page; then NULL and ENOMEM, counted.  What the
 * program has is usable, other nodes too, and A again once the hog is gone.
 */
START_TEST(strict_never_leaves_its_node)
{
	in_process("policy:strict", "strict");
}
END_TEST

/*
 *	nearest:  A: | hog ... | -> B: | hog ... | -> C
 *
 * Expect: memory of the nearest node that is not full, counted where it was missed, and all of it
 * in place by the audit, or counted as huge pages that the kernel took elsewhere; A again once
 * the hogs are gone.
 */
START_TEST(preferred_falls_back_by_distance)
{
	in_process("policy:preferred", "preferred");
}
END_TEST

/*
 *	block: | A | B | C | A | B | C | ...	by huge page
 *
 * Expect: each node its share.  No node can be named for any of it.
 */
START_TEST(interleave_spreads)
{
	in_process("policy:interleave", "interleave");
}
END_TEST

/*
 *	thread on a CPU of n -> first touch -> n
 *
 * Expect: nothing is bound, and no node can be named.
 */
START_TEST(inherit_binds_nothing)
{
	in_process("policy:inherit", "inherit");
}
END_TEST

/*
 *	thread on a CPU of A:	bound to A, B, C, ...; no such node; where it runs
 *
 * Expect: what it allocates next lies there, small objects too.  A bad node changes nothing.
 */
START_TEST(thread_bind_names_the_node)
{
	in_process("policy:preferred", "bind");
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("policies");
	TCase *tc = guest_case(suite, "settings");
	char min_free[32];
	int status;

	guest_begin();
	if (argc == 5)
		return hog_run(atoi(argv[2]), strtoul(argv[3], NULL, 10), atoi(argv[4]));
	if (argc == 2)
		return scenario_run(argv[1]);
	if (nar_nodes.nr > 1) {
		tcase_add_test(tc, strict_never_leaves_its_node);
		tcase_add_test(tc, preferred_falls_back_by_distance);
	}
	tcase_add_test(tc, interleave_spreads);
	tcase_add_test(tc, inherit_binds_nothing);
	tcase_add_test(tc, thread_bind_names_the_node);
	set_min_free(MIN_FREE_KIB, min_free, sizeof(min_free));
	status = tap_run(suite);
	set_min_free(min_free, NULL, 0);
	return status;
}
