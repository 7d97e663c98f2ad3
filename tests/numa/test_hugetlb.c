// SPDX-License-Identifier: MIT
/*
 * huge:hugetlb, where a page is had from the pool of its own node or not at all.
 *
 *	pool of node 0	| used | used | free | free |	4 of 2 MiB
 *	pool of node 1	|				none
 *	reservations	all pools together: a mapping may succeed and die at its touch
 *
 * Whatever becomes of a pool, memory stays whole and on its node; what had to do without
 * the pool is counted.
 */
#include <sys/resource.h>

#include "arena/survey.h"

#include "huge.h"

#define UNIT HUGE_BYTES
#define NR_SMALL 1000
#define SMALL_BYTES KIB(1)

/* ---- What a part allocates ---- */

struct load {
	struct object block[64];
	struct object small[NR_SMALL];
	unsigned int nr_blocks;
};

static struct load loads[NAR_MAX_NODES];

static void load_add(struct load *load, size_t bytes)
{
	unsigned int nr = load->nr_blocks++;

	require(nr < ARRAY_SIZE(load->block), "%u blocks", nr);
	load->block[nr] = object_new(bytes, (uintptr_t)&load->block[nr]);
}

static void load_add_small(struct load *load)
{
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		load->small[i] = object_new(SMALL_BYTES, i + 1);
}

static void load_check(const struct load *load)
{
	unsigned int i;

	for (i = 0; i < load->nr_blocks; i++)
		object_check(&load->block[i]);
	for (i = 0; i < NR_SMALL && load->small[i].p; i++)
		object_check(&load->small[i]);
}

/* As must_lie_on() for all of it, a page an object. */
static void load_must_lie_on(const struct load *load, unsigned int node)
{
	unsigned int i;

	for (i = 0; i < load->nr_blocks; i++)
		must_lie_on(load->block[i].p, load->block[i].size, node);
	for (i = 0; i < NR_SMALL && load->small[i].p; i++)
		must_lie_on(load->small[i].p, 1, node);
}

static void load_delete(struct load *load)
{
	unsigned int i;

	for (i = 0; i < load->nr_blocks; i++)
		object_delete(&load->block[i]);
	for (i = 0; i < NR_SMALL; i++)
		object_delete(&load->small[i]);
	load->nr_blocks = 0;
}

static void load_write(struct load *load, uint64_t tag)
{
	unsigned int i;

	for (i = 0; i < load->nr_blocks; i++) {
		load->block[i].tag += tag;
		stamp(load->block[i].p, load->block[i].size, load->block[i].tag);
	}
	for (i = 0; i < NR_SMALL && load->small[i].p; i++) {
		load->small[i].tag += tag;
		stamp(load->small[i].p, load->small[i].size, load->small[i].tag);
	}
}

/* ---- From the pool ---- */

/*
 *	node 0	| block 8 MiB on 4 pages | objects |	thread of node 0
 *	node 1	| block 8 MiB on 4 pages | objects |	thread of node 1
 *
 * Expect: each node's memory is from its own pool, and the audit says huge.
 */
static void part_full(void)
{
	unsigned long before[NAR_MAX_NODES], after[NAR_MAX_NODES];
	unsigned int node, other;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		struct load *load = &loads[node];

		bind_to(node);
		pool_pages_used(before);
		load_add(load, 4 * UNIT);
		load_add_small(load);
		pool_pages_used(after);
		for (other = 0; other < nar_nodes.nr; other++)
			if (other != node)
				require(after[other] == before[other], "pages of node %u for %u", other, node);
		require(after[node] >= before[node] + 4, "%lu pages, were %lu", after[node], before[node]);
		require(node_stats(node).hugetlb_bytes == after[node] * UNIT, "%" PRIu64 " bytes",
			node_stats(node).hugetlb_bytes);
		load_must_lie_on(load, node);
	}
	for (node = 0; node < nar_nodes.nr; node++) {
		require(!node_stats(node).huge_pool_empty, "node %u counts", node);
		load_check(&loads[node]);
	}
	must_be_at_home();
}

/*
 *	pool		| none |
 *	node 0		| THP |		counted
 *
 * Expect: all on THP or small pages, at home, counted for each node.
 */
static void part_empty(void)
{
	unsigned int node;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		uint64_t before = node_stats(node).huge_pool_empty;

		bind_to(node);
		load_add(&loads[node], 4 * UNIT);
		load_add_small(&loads[node]);
		require(node_stats(node).huge_pool_empty >= before + 4, "node %u counts %" PRIu64, node,
			node_stats(node).huge_pool_empty - before);
		require(!node_stats(node).hugetlb_bytes, "node %u has pages of a pool", node);
		load_must_lie_on(&loads[node], node);
		load_check(&loads[node]);
	}
	must_be_at_home();
}

/*
 *	pool		| used | used | used | used |	and no more
 *	node 0		| the same four		    | THP ...	counted
 *
 * Expect: the pool is used up, the rest is counted, nothing dies and all is at home.
 */
static void part_dry(void)
{
	unsigned int node, i;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		bind_to(node);
		for (i = 0; i < 12; i++)
			load_add(&loads[node], UNIT);
		load_add_small(&loads[node]);
		require(!pool_free(node), "%lu pages are left", pool_free(node));
		require(pool_pages_used_on(node) == 4, "%lu pages", pool_pages_used_on(node));
		require(node_stats(node).huge_pool_empty, "node %u counts nothing", node);
	}
	for (node = 0; node < nar_nodes.nr; node++) {
		load_must_lie_on(&loads[node], node);
		load_check(&loads[node]);
	}
	require(!pool_reserved(), "%lu pages reserved", pool_reserved());
	must_be_at_home();
}

/*
 *	pool of node 0	| none |	thread of node 0: a mapping would be granted
 *	pool of node 1	| free | free | ...
 *
 * Expect: node 0 has ordinary memory of its own and counts; node 1's pool is untouched.
 */
static void part_one_empty(void)
{
	unsigned int last = nar_nodes.nr - 1;
	unsigned long before;

	start_library();
	last = nar_nodes.nr - 1;
	/* The judge has left it without pages. */
	require(!pool_number(last, "nr_hugepages"), "node %u has a pool", last);
	bind_to(0);
	load_add(&loads[0], 2 * UNIT);
	before = pool_free(0);
	bind_to(last);
	load_add(&loads[last], 4 * UNIT);
	load_add_small(&loads[last]);
	require(node_stats(last).huge_pool_empty >= 4, "node %u counts %" PRIu64, last,
		node_stats(last).huge_pool_empty);
	require(!node_stats(0).huge_pool_empty, "node 0 counts");
	require(pool_free(0) == before, "%lu pages of node 0, were %lu", pool_free(0), before);
	require(!pool_reserved(), "%lu pages reserved", pool_reserved());
	load_must_lie_on(&loads[last], last);
	load_check(&loads[last]);
	load_check(&loads[0]);
	must_be_at_home();
}

/*
 *	node	| pool, nearly all there is | a little |	MemFree: no room
 *
 * Expect: the pool is this node's room, and no other node has to serve.
 */
static void part_all_in_pool(void)
{
	unsigned int last;

	start_library();
	last = nar_nodes.nr - 1;
	bind_to(last);
	load_add(&loads[last], 4 * UNIT);
	load_add_small(&loads[last]);
	require(pool_pages_used_on(last) >= 4, "%lu pages", pool_pages_used_on(last));
	require(!node_stats(last).node_fallback, "another node served");
	load_must_lie_on(&loads[last], last);
	load_check(&loads[last]);
}

/* ---- Pools that change ---- */

/*
 *	pool		| used x4 | free x12 |	-> nr_hugepages = 0 ->	| used x4 |
 *
 * Expect: what is used stays; what comes next is counted; what is freed goes to the kernel.
 */
static void part_shrinks(void)
{
	unsigned int node = nar_nodes.nr - 1;
	uint64_t before;

	start_library();
	node = nar_nodes.nr - 1;
	bind_to(node);
	load_add(&loads[0], 4 * UNIT);
	require(pool_pages_used_on(node) >= 4, "%lu pages", pool_pages_used_on(node));
	pool_set(node, 0);
	load_check(&loads[0]);
	load_write(&loads[0], 1);
	before = node_stats(node).huge_pool_empty;
	load_add(&loads[0], 8 * UNIT);
	require(node_stats(node).huge_pool_empty >= before + 8, "only %" PRIu64,
		node_stats(node).huge_pool_empty - before);
	load_must_lie_on(&loads[0], node);
	load_check(&loads[0]);
	load_delete(&loads[0]);
	numarena_malloc_trim(0);
	load_add(&loads[0], 4 * UNIT);
	load_check(&loads[0]);
	must_be_at_home();
}

/*
 *	pool		| used x8 | free x8 |	-> free, malloc_trim ->	| free x16 |
 *
 * Expect: the pool has its pages again, none is only promised, and they are had again.
 */
static void part_gives_back(void)
{
	unsigned int node;
	unsigned long before;
	int round;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		bind_to(node);
		numarena_malloc_trim(0);
		before = pool_free(node);
		for (round = 0; round < 3; round++) {
			load_add(&loads[node], 8 * UNIT);
			require(pool_free(node) == before - 8, "%lu free", pool_free(node));
			load_check(&loads[node]);
			load_delete(&loads[node]);
			require(pool_free(node) == before - 8, "given back too soon");
			numarena_malloc_trim(0);
			require(pool_free(node) == before, "%lu free, were %lu", pool_free(node), before);
			require(!pool_reserved(), "%lu pages reserved", pool_reserved());
		}
		require(!node_stats(node).huge_pool_empty, "node %u counts", node);
	}
}

/* ---- Kin ---- */

static bool is_pool_page(const void *p)
{
	unsigned long start, end, at = 0;
	char *line, *rest = NULL;

	for (line = strtok_r(file_text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			at = (uintptr_t)p >= start && (uintptr_t)p < end;
		if (at && !strncmp(line, "KernelPageSize:", 15))
			return strtoul(line + 15, NULL, 10) == UNIT / 1024;
	}
	return false;
}

static void run_must_be_of_kind(const struct nar_run *run)
{
	const char *last = (char *)run->start + (run->nr_pages << PAGE_SHIFT) - 1;
	bool is_pooled = run->backing == BACKING_HUGETLB;

	file_read("/proc/self/smaps");
	require(is_pool_page(run->start) == is_pooled, "first page of %p", run->start);
	file_read("/proc/self/smaps");
	require(is_pool_page(last) == is_pooled, "last page of %p", run->start);
}

/*
 *	| pool | pool | THP | THP | pool (grown since) |	all freed, in any order
 *
 * Expect: free memory of a pool and other free memory stay apart.
 */
static void part_kin(void)
{
	static struct nar_run runs[512];
	unsigned int node = nar_nodes.nr - 1, nr, i, nr_pooled = 0, nr_other = 0;
	u32 page = 0;

	start_library();
	node = nar_nodes.nr - 1;
	bind_to(node);
	for (i = 0; i < 12; i++)
		load_add(&loads[0], UNIT);
	pool_set(node, 12);
	for (i = 0; i < 12; i++)
		load_add(&loads[0], 2 * UNIT);
	for (i = 0; i < 24; i++)
		object_delete(&loads[0].block[i * 7 % 24]);
	nr = nar_survey_walk(node, &page, runs, ARRAY_SIZE(runs));
	require(nr && nr < ARRAY_SIZE(runs), "%u extents", nr);
	for (i = 0; i < nr; i++) {
		if (runs[i].backing == BACKING_NONE)
			continue;
		run_must_be_of_kind(&runs[i]);
		nr_pooled += runs[i].state == EXTENT_FREE && runs[i].backing == BACKING_HUGETLB;
		nr_other += runs[i].state == EXTENT_FREE && runs[i].backing != BACKING_HUGETLB;
	}
	require(nr_pooled && nr_other, "%u free of the pool, %u others", nr_pooled, nr_other);
}

/* ---- fork ---- */

static struct load *const load = &loads[0];

static void use_the_pool_up(void)
{
	unsigned int node;

	start_library();
	bind_to(0);
	load_add_small(load);
	while (pool_free(0))
		load_add(load, UNIT);
	for (node = 0; node < nar_nodes.nr; node++)
		require(!pool_free(node), "%lu pages of node %u are left", pool_free(node), node);
}

static void pipe_wait(int fd)
{
	char c;

	require(read(fd, &c, 1) == 1, "pipe");
}

static void pipe_tell(int fd)
{
	require(write(fd, "", 1) == 1, "pipe");
}

/* All it inherited, as it was; then its own. */
static void child_lives(void)
{
	load_check(load);
	load_write(load, 1000);
	load_check(load);
	require(!pool_pages_used_on(0), "a child with %lu pages", pool_pages_used_on(0));
	require(!node_stats(0).hugetlb_bytes, "a child's books say so");
	load_delete(load);
	load_add(load, 4 * UNIT);
	load_add_small(load);
	load_check(load);
	numarena_malloc_trim(0);
	_exit(EXIT_SUCCESS);
}

/*
 *	pool	| used by the parent, all of it |
 *	parent	| writes ...		|	the kernel would take these from the child
 *	child	| writes ...		|	there is no page left for a copy
 *
 * Expect: both write to all they have, each sees its own; the parent keeps its pages, and a
 * child of the child is no worse off.
 */
static void part_fork(void)
{
	unsigned long used;
	int go[2];
	pid_t child;

	use_the_pool_up();
	used = pool_pages_used_on(0);
	require(!pipe(go), "pipe");
	child = fork_or_fail();
	if (!child) {
		pipe_wait(go[0]);
		child = fork_or_fail();
		if (!child)
			child_lives();
		child_join(child);
		child_lives();
	}
	load_write(load, 1);
	pipe_tell(go[1]);
	load_check(load);
	child_join(child);
	load_check(load);
	require(pool_pages_used_on(0) == used, "%lu pages, were %lu", pool_pages_used_on(0), used);
	require(!pool_reserved(), "%lu pages reserved", pool_reserved());
	must_be_at_home();
}

static atomic_bool is_over;

/* Never the same twice, so that each write is one. */
static void *writer_run(void *arg)
{
	volatile uint64_t *at = arg;
	uint64_t turn = 1;
	size_t i;

	for (; !atomic_load(&is_over); turn++)
		for (i = 0; i < 4 * UNIT / sizeof(*at); i += PAGE_BYTES / sizeof(*at))
			at[i] = turn;
	return NULL;
}

#define NR_FORKS 20

/*
 *	thread		| writes without pause | ...	into 4 pages of a pool with none left
 *	forking thread	| fork | fork | ...
 *	libc		| resets the locks of open files in the child, before all handlers |
 *
 * Expect: children have their memory, whoever writes; that of the thread is from one turn or
 * a later one.
 */
static void part_fork_threads(void)
{
	char *shared, *buffer;
	pthread_t writer;
	FILE *file;
	int i;

	start_library();
	bind_to(0);
	shared = numarena_malloc(4 * UNIT);
	require(shared, "no memory");
	memset(shared, 0, 4 * UNIT);
	/* Its structure and its lock are where malloc() puts them. */
	buffer = malloc(100);
	require(buffer && nar_is_ours(buffer), "libc has a malloc of its own");
	free(buffer);
	file = fopen("/proc/self/status", "re");
	require(file && nar_is_ours(file), "a file's structure is somewhere else");
	/* Each child takes from the buffer, which is filled once. */
	require(getc(file) != EOF, "/proc/self/status");
	use_the_pool_up();
	writer = thread_start(writer_run, shared);
	for (i = 0; i < NR_FORKS; i++) {
		pid_t child = fork_or_fail();

		if (!child) {
			require(getc(file) != EOF, "a file that is open");
			memset(shared, 1, 4 * UNIT);
			child_lives();
		}
		child_join(child);
		load_check(load);
	}
	atomic_store(&is_over, true);
	thread_join(writer);
	fclose(file);
}

/* Registered before numarena's handlers: run in the child before them too. */
static void (*child_first)(void);

static void run_child_first(void)
{
	if (child_first)
		child_first();
}

static void register_first(void)
{
	pthread_atfork(NULL, NULL, run_child_first);
}

/* Before the constructors of the libraries, of which libnuma's allocates. */
__attribute__((__section__(".preinit_array"), __used__))
static void (*const preinit)(void) = register_first;

static void die_at_once(void)
{
	_exit(EXIT_SUCCESS);
}

static void write_at_once(void)
{
	load_write(load, 7);
	load_check(load);
}

/*
 *	parent	| fork | waits for the child |
 *	child	       | _exit |		in a handler before ours
 *
 * Expect: the parent goes on, and has the files, the handler and the mask it had.
 */
static void part_fork_dies(void)
{
	unsigned int nr_files = nr_open_files();
	int i;

	use_the_pool_up();
	child_first = die_at_once;
	for (i = 0; i < 10; i++)
		child_join(fork_or_fail());
	child_first = NULL;
	load_check(load);
	load_write(load, 1);
	require(nr_open_files() == nr_files, "%u files, were %u", nr_open_files(), nr_files);
}

static void their_handler(int sig)
{
	(void)sig;
}

static bool is_theirs(void)
{
	struct sigaction now;
	sigset_t mask;

	sigaction(SIGBUS, NULL, &now);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	return now.sa_handler == their_handler && !(now.sa_flags & SA_SIGINFO) &&
	       sigismember(&mask, SIGBUS) == 1;
}

/*
 *	child	| another's handler writes everywhere | ours |
 *
 * Expect: it may, also where all signals are blocked and SIGBUS is somebody's; both of which
 * are as they were afterwards.
 */
static void part_fork_early(void)
{
	struct sigaction theirs = { .sa_handler = their_handler };
	sigset_t all;
	pid_t child;

	use_the_pool_up();
	sigaction(SIGBUS, &theirs, NULL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	child_first = write_at_once;
	child = fork_or_fail();
	if (!child) {
		require(is_theirs(), "SIGBUS was changed");
		child_lives();
	}
	require(is_theirs(), "SIGBUS was changed");
	child_join(child);
	load_check(load);
}

/*
 * A process that cannot have files: no desk.
 *
 * Expect: the child has its memory all the same, as long as no thread writes meanwhile.
 */
static void part_fork_no_files(void)
{
	struct rlimit none = { 3, 3 };
	pid_t child;

	use_the_pool_up();
	require(!setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
	child = fork_or_fail();
	if (!child) {
		load_check(load);
		load_write(load, 1);
		load_check(load);
		_exit(EXIT_SUCCESS);
	}
	child_join(child);
	load_check(load);
}

/* ---- The judge ---- */

static const struct part parts[] = {
	{ "full", part_full },
	{ "empty", part_empty },
	{ "dry", part_dry },
	{ "one_empty", part_one_empty },
	{ "all_in_pool", part_all_in_pool },
	{ "shrinks", part_shrinks },
	{ "gives_back", part_gives_back },
	{ "kin", part_kin },
	{ "fork", part_fork },
	{ "fork_threads", part_fork_threads },
	{ "fork_dies", part_fork_dies },
	{ "fork_early", part_fork_early },
	{ "fork_no_files", part_fork_no_files },
};

static void must_pass_with(const char *name, unsigned long nr_pages)
{
	pools_set(nr_pages);
	part_must_pass(name, "huge:hugetlb");
	pools_set(0);
}

START_TEST(memory_is_from_the_nodes_own_pool)
{
	must_pass_with("full", 16);
}
END_TEST

START_TEST(empty_pool_is_counted)
{
	must_pass_with("empty", 0);
}
END_TEST

START_TEST(pool_that_runs_dry_is_counted)
{
	must_pass_with("dry", 4);
}
END_TEST

START_TEST(pool_of_another_node_is_left_alone)
{
	if (nar_nodes.nr == 1)
		return;
	pools_set(16);
	pool_set(nar_nodes.nr - 1, 0);
	part_must_pass("one_empty", "huge:hugetlb");
	pools_set(0);
}
END_TEST

START_TEST(pool_is_room)
{
	unsigned int last = nar_nodes.nr - 1;

	/* The kernel needs some of an only node. */
	if (!last)
		return;
	pool_set(last, (node_free_bytes(last) - MIB(40)) / UNIT);
	part_must_pass("all_in_pool", "huge:hugetlb");
	pools_set(0);
}
END_TEST

START_TEST(pool_may_shrink)
{
	must_pass_with("shrinks", 16);
}
END_TEST

START_TEST(pages_go_back_to_the_pool)
{
	must_pass_with("gives_back", 16);
}
END_TEST

START_TEST(memory_of_a_pool_stays_apart)
{
	must_pass_with("kin", 6);
}
END_TEST

/* Nothing is left on other nodes, so that no page of theirs can be mistaken. */
static void must_fork(const char *name)
{
	pool_set(0, 8);
	part_must_pass(name, "huge:hugetlb");
	pools_set(0);
}

START_TEST(fork_needs_no_page)
{
	must_fork("fork");
}
END_TEST

START_TEST(fork_needs_none_while_threads_write)
{
	must_fork("fork_threads");
}
END_TEST

START_TEST(child_may_die_at_once)
{
	must_fork("fork_dies");
}
END_TEST

START_TEST(child_may_write_at_once)
{
	must_fork("fork_early");
}
END_TEST

START_TEST(fork_needs_no_files)
{
	must_fork("fork_no_files");
}
END_TEST

static const char *why_not(void)
{
	return is_guest() ? NULL : "pools are changed in guests only";
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, memory_is_from_the_nodes_own_pool);
	tcase_add_test(tc, empty_pool_is_counted);
	tcase_add_test(tc, pool_that_runs_dry_is_counted);
	tcase_add_test(tc, pool_of_another_node_is_left_alone);
	tcase_add_test(tc, pool_is_room);
	tcase_add_test(tc, pool_may_shrink);
	tcase_add_test(tc, pages_go_back_to_the_pool);
	tcase_add_test(tc, memory_of_a_pool_stays_apart);
	tcase_add_test(tc, fork_needs_no_page);
	tcase_add_test(tc, fork_needs_none_while_threads_write);
	tcase_add_test(tc, child_may_die_at_once);
	tcase_add_test(tc, child_may_write_at_once);
	tcase_add_test(tc, fork_needs_no_files);
}

static const struct huge_suite suite = {
	.name = "hugetlb",
	.tests = "pools",
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
