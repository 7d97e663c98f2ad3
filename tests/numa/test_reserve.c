// SPDX-License-Identifier: MIT
/*
 * numarena_reserve(): memory that is there before it is used, and stays.
 *
 *	reserve		| resident, on its node, nobody's	|
 *	malloc		| resident, on its node | nobody's	|	no fault any more
 *	free, trim	| resident, on its node, nobody's	|
 */
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "arena/pane.h"

#include "huge.h"

#define RESERVED MIB(64)
#define USED MIB(60)
#define NR_POOL_PAGES 8

static size_t gib_pages(unsigned int node)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/hugepages/hugepages-1048576kB/free_hugepages",
		 nar_nodes.id[node]);
	return file_read(path) ? strtoul(file_text, NULL, 10) : 0;
}

/* Says of kernels that watch pages that they are not there: see nar_verify_range(). */
static void stop_balancing(void)
{
	if (is_guest())
		file_write("/proc/sys/kernel/numa_balancing", "0");
}

static long nr_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Shadow memory of sanitizers is faulted in as well. */
static void must_not_fault(char *p, size_t bytes)
{
	long before = nr_faults(), faults;

	memset(p, 1, bytes);
	faults = nr_faults() - before;
	require(!faults || HAS_SHADOW_MEMORY, "%ld faults", faults);
}

static bool is_reserved(const char *p)
{
	return nar_mem.unit[nar_offset(p) >> HUGE_SHIFT].is_reserved;
}

/* A free neighbour, of a span at most, may have become one with it, and is taken first. */
#define NEIGHBOUR_BYTES MIB(4)

static char *reserved_part(char *p, size_t bytes)
{
	size_t at = 0;

	while (at < bytes && !is_reserved(p + at))
		at += PAGE_BYTES;
	require(at <= NEIGHBOUR_BYTES, "%zu bytes are not of what was reserved", at);
	return p + at;
}

/* A block that only the reserved memory can have room for. */
static void must_serve(unsigned int node, size_t bytes)
{
	size_t committed = all_stats().committed_bytes, part;
	char *block, *p;
	int round;

	bind_to(node);
	for (round = 0; round < 2; round++) {
		block = numarena_calloc(1, bytes);
		require(block, "no memory");
		require(all_stats().committed_bytes == committed, "the block is somewhere else");
		p = reserved_part(block, bytes);
		part = bytes - (size_t)(p - block);
		must_lie_on(p, part, node);
		require(is_zero(p, part), "not zero");
		must_not_fault(p, part);
		numarena_free(block);
		numarena_malloc_trim(0);
		must_lie_on(p, part, node);
	}
}

/* Bytes of the node's window that are reserved; all of them must be there, and at home. */
static size_t reserved_bytes(unsigned int node)
{
	const struct nar_pane *x = nar_pane_of(node);
	u32 unit, end = nar_unit_floor(load_acquire(&x->end));
	size_t sum = 0;

	for (unit = 1; unit < end; unit++) {
		if (!x->unit[unit].is_reserved)
			continue;
		must_lie_on(nar_page_at(node, unit * (u32)PAGES_PER_UNIT), HUGE_BYTES, node);
		sum += HUGE_BYTES;
	}
	return sum;
}

static long long reserve_on(unsigned int node, size_t bytes, unsigned int flags)
{
	size_t before = reserved_bytes(node), after;
	long long got = numarena_reserve(nar_nodes.id[node], bytes, flags);

	require(got >= 0, "%zu bytes of node %u, flags %#x: %s", bytes, node, flags, strerror(errno));
	after = reserved_bytes(node);
	require(after >= before + bytes, "%zu bytes reserved, were %zu", after, before);
	return got;
}

/* ---- Kinds ---- */

static void part_thp(void)
{
	unsigned int node;
	size_t huge;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		huge = smaps_bytes("AnonHugePages:");
		require(reserve_on(node, RESERVED, 0) == (has_thp() ? (long long)RESERVED : 0),
			"not all is said to be huge");
		if (has_thp())
			require(smaps_bytes("AnonHugePages:") >= huge + RESERVED, "%zu bytes huge",
				smaps_bytes("AnonHugePages:") - huge);
		must_serve(node, USED);
	}
	must_be_at_home();
}

static void part_small(void)
{
	unsigned int node;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		require(reserve_on(node, RESERVED, NUMARENA_RESERVE_SMALL) == (long long)RESERVED,
			"not all of it");
		must_serve(node, USED);
	}
	require(!smaps_bytes("AnonHugePages:"), "huge pages");
	must_be_at_home();
}

/* Expect: the memory is had, and it is said that none of it is huge. */
static void part_off(void)
{
	start_library();
	require(!reserve_on(0, RESERVED, 0), "huge pages are off");
	must_serve(0, USED);
	require(!smaps_bytes("AnonHugePages:"), "huge pages");
}

static void part_hugetlb(void)
{
	unsigned int node;
	unsigned long used;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		require(reserve_on(node, RESERVED, NUMARENA_RESERVE_HUGETLB) == (long long)RESERVED,
			"not all of it");
		used = pool_pages_used_on(node);
		require(used == RESERVED / HUGE_BYTES, "%lu pages of the pool", used);
		require(!pool_free(node), "%lu pages left", pool_free(node));
		require(!node_stats(node).huge_pool_empty, "counted");
		must_serve(node, USED);
		require(!pool_free(node), "given back");
	}
	require(!pool_reserved(), "%lu pages reserved", pool_reserved());
	must_be_at_home();
}

/*
 *	| 8 pages of the pool | THP, 24 units of it |
 *
 * Expect: what the pool has is used, the rest is had too, and counted.
 */
static void part_pool_small(void)
{
	unsigned int node;
	size_t sum;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		require(reserve_on(node, RESERVED, NUMARENA_RESERVE_HUGETLB) ==
			(long long)(NR_POOL_PAGES * HUGE_BYTES), "not what the pool has");
		require(pool_pages_used_on(node) == NR_POOL_PAGES, "not all of the pool");
		require(node_stats(node).huge_pool_empty == RESERVED / HUGE_BYTES - NR_POOL_PAGES,
			"counts %" PRIu64, node_stats(node).huge_pool_empty);
		sum = NR_POOL_PAGES * HUGE_BYTES;
		must_serve(node, RESERVED - sum - MIB(1));
	}
	must_be_at_home();
}

/* Needs pages of 1 GiB: numa_guest.sh --memory-per-node 3000 --append "hugepagesz=1G hugepages=1". */
static void part_1gib(void)
{
	unsigned int node, nr = 0;

	start_library();
	for (node = 0; node < nar_nodes.nr; node++) {
		pid_t child;
		char *p;

		if (!gib_pages(node))
			continue;
		nr++;
		require(reserve_on(node, GIB(1), NUMARENA_RESERVE_1GIB) == (long long)GIB(1), "no page");
		require(!gib_pages(node), "the page is still free");
		must_serve(node, MIB(1000));
		bind_to(node);
		p = numarena_malloc(MIB(600));
		memset(p, 7, MIB(600));
		child = fork_or_fail();
		if (!child) {
			require(p[0] == 7 && !memcmp(p, p + 1, MIB(600) - 1), "a child's content");
			memset(p, 8, MIB(600));
			numarena_free(p);
			_exit(EXIT_SUCCESS);
		}
		child_join(child);
		require(p[0] == 7 && !memcmp(p, p + 1, MIB(600) - 1), "a parent's content");
		numarena_free(p);
		must_serve(node, MIB(1000));
	}
	if (!nr)
		exit(EXIT_SKIP);
	must_be_at_home();
}

/* Where there is no page of 1 GiB. */
static void part_no_gib(void)
{
	uint64_t before;

	start_library();
	if (gib_pages(0))
		exit(EXIT_SKIP);
	before = node_stats(0).huge_pool_empty;
	require(!reserve_on(0, RESERVED, NUMARENA_RESERVE_1GIB), "a page of 1 GiB");
	require(node_stats(0).huge_pool_empty == before + RESERVED / HUGE_BYTES, "not counted");
	must_serve(0, USED);
}

/* ---- What cannot be ---- */

static void must_fail(int node, size_t bytes, unsigned int flags, int code)
{
	long long got;

	errno = 0;
	got = numarena_reserve(node, bytes, flags);
	require(got == -1 && errno == code, "%zu bytes of %d, flags %#x: %lld, %s", bytes, node, flags,
		got, strerror(errno));
}

/*
 *	node	| 768 MiB |
 *	asked	| 768 MiB |, | 1 TiB |, | 2^63 |
 *
 * Expect: ENOMEM, and nothing of it stays: not resident, not of a pool, not committed.
 */
static void part_too_much(void)
{
	static const unsigned int flags[] = { 0, NUMARENA_RESERVE_SMALL, NUMARENA_RESERVE_HUGETLB,
					      NUMARENA_RESERVE_1GIB };
	size_t resident, committed, node_bytes;
	unsigned int i, node;

	start_library();
	resident = status_bytes("VmRSS");
	committed = all_stats().committed_bytes;
	for (node = 0; node < nar_nodes.nr; node++) {
		int id = nar_nodes.id[node];

		node_bytes = node_free_bytes(node) + MIB(1);
		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			must_fail(id, (size_t)PTRDIFF_MAX + 1, flags[i], ENOMEM);
			must_fail(id, PTRDIFF_MAX, flags[i], ENOMEM);
			must_fail(id, (size_t)1 << 46, flags[i], ENOMEM);
			if (is_guest() && flags[i] != NUMARENA_RESERVE_1GIB)
				must_fail(id, node_bytes + NR_POOL_PAGES * HUGE_BYTES, flags[i], ENOMEM);
		}
		if (is_guest())
			require(pool_free(node) == NR_POOL_PAGES, "%lu pages of the pool are left",
				pool_free(node));
	}
	/* Tables of 64 GiB, 2 MiB, are read: memory where there is no zero page, and TSan's. */
	require(status_bytes("VmRSS") < resident + MIB(32), "%zu resident, were %zu",
		status_bytes("VmRSS"), resident);
	require(all_stats().committed_bytes == committed, "committed");
	/* What was given back is in order. */
	if (is_guest())
		require(reserve_on(0, NR_POOL_PAGES * HUGE_BYTES, NUMARENA_RESERVE_HUGETLB) ==
			(long long)(NR_POOL_PAGES * HUGE_BYTES), "not again");
	must_be_at_home();
}

#define CGROUP "/sys/fs/cgroup/numarena-reserve"
#define CGROUP_LIMIT MIB(192)
#define CACHED "/numarena-cached"
#define CACHED_BYTES MIB(48)

/*
 * Files count in the cgroup, but make room.  The buffer is small: with 2 MiB of variables in
 * all, the kernel would have a huge page for them, and what is resident is looked at.
 */
static void fill_page_cache(void)
{
	static const char zeros[KIB(64)];
	int fd = open(CACHED, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t at;

	for (at = 0; at < CACHED_BYTES; at += sizeof(zeros))
		require(write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros), "no space for a file");
	fsync(fd);
	close(fd);
}

/*
 *	cgroup		| ours | file	|	    192 MiB |
 *	asked	224		|-----------------------------------|
 *		160		|--------------------------|
 *		 64						|-------|
 *
 * Expect: ENOMEM for what is beyond the limit of the cgroup around our own, and we live.
 */
static void part_cgroup(void)
{
	static const unsigned int flags[] = { 0, NUMARENA_RESERVE_SMALL, NUMARENA_RESERVE_HUGETLB };
	int id;
	unsigned int i;

	require(file_write(CGROUP "/inner/cgroup.procs", "0"), "cannot enter");
	start_library();
	id = nar_nodes.id[0];
	fill_page_cache();
	require(node_free_bytes(0) > MIB(224) + MIB(128), "the node is too small");
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		must_fail(id, MIB(224), flags[i], ENOMEM);
	reserve_on(0, MIB(160), NUMARENA_RESERVE_SMALL);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		must_fail(id, MIB(64), flags[i], ENOMEM);
	must_serve(0, MIB(150));
}

/*
 *	cgroup		| malloc x n, touched ............ | 192 MiB
 *
 * Expect: under limit:cgroup NULL and ENOMEM short of memory.max, in place of the kernel's
 * killer; what is freed can be had again.
 */
static void part_limit(void)
{
	static char *block[CGROUP_LIMIT / MIB(1)];
	unsigned int nr = 0;

	require(file_write(CGROUP "/inner/cgroup.procs", "0"), "cannot enter");
	start_library();
	while (nr < ARRAY_SIZE(block) && (block[nr] = numarena_malloc(MIB(1))))
		memset(block[nr++], 1, MIB(1));
	require(nr < ARRAY_SIZE(block) && errno == ENOMEM, "%u MiB: %s", nr, strerror(errno));
	require(nr >= CGROUP_LIMIT / MIB(1) * 3 / 4, "only %u MiB", nr);
	numarena_free(block[--nr]);
	require(numarena_malloc(MIB(1)), "what was freed: %s", strerror(errno));
}

/* Expect: EINVAL for each node that has no memory, and for flags that mean nothing. */
static void part_bad(void)
{
	static const unsigned int flags[] = { 0x3, 0x5, 0x6, 0x7, 0x8, 0x9, 0x80000000u, ~0u };
	unsigned int i;
	int id;

	start_library();
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		must_fail(nar_nodes.id[0], MIB(2), flags[i], EINVAL);
		must_fail(nar_nodes.id[0], 0, flags[i], EINVAL);
	}
	for (id = -3; id < NAR_MAX_KERNEL_NODES + 2; id++)
		if (id != -1 && nar_node_find(id) < 0)
			must_fail(id, MIB(2), 0, EINVAL);
	must_fail(INT_MAX, MIB(2), 0, EINVAL);
	must_fail(INT_MIN, MIB(2), 0, EINVAL);
	require(!numarena_reserve(-1, 0, 0), "nothing was asked for");
	require(numarena_reserve(-1, 1, NUMARENA_RESERVE_SMALL) >= 1, "a byte: %s", strerror(errno));
}

/* ---- Many at a time ---- */

#define NR_THREADS 8

static void *reserver_run(void *arg)
{
	static struct churn churns[NR_THREADS];
	unsigned int *nr = arg, step;
	struct churn *churn = &churns[*nr];

	bind_to(*nr % nar_nodes.nr);
	churn_begin(churn, *nr, 17);
	for (step = 0; step < 2000; step++) {
		if (step % 500 == 100)
			require(numarena_reserve(nar_nodes.id[*nr % nar_nodes.nr], MIB(4),
						 NUMARENA_RESERVE_SMALL) == (long long)MIB(4),
				"not all of it: %s", strerror(errno));
		churn_step(churn);
	}
	churn_end(churn);
	return NULL;
}

/* Expect: each has what it asked for, while all allocate. */
static void part_parallel(void)
{
	unsigned int nr[NR_THREADS], i;
	size_t before;

	start_library();
	before = all_stats().committed_bytes;
	for (i = 0; i < NR_THREADS; i++)
		nr[i] = i;
	threads_run(NR_THREADS, reserver_run, nr, sizeof(nr[0]));
	numarena_malloc_trim(0);
	require(all_stats().committed_bytes >= before + NR_THREADS * 4 * MIB(4), "not all is there");
	require(status_bytes("VmRSS") >= NR_THREADS * 4 * MIB(4), "not all is resident");
	must_be_at_home();
}

/* ---- The judge ---- */

static const struct part parts[] = {
	{ "thp", part_thp },
	{ "small", part_small },
	{ "off", part_off },
	{ "hugetlb", part_hugetlb },
	{ "pool_small", part_pool_small },
	{ "1gib", part_1gib },
	{ "no_gib", part_no_gib },
	{ "too_much", part_too_much },
	{ "cgroup", part_cgroup },
	{ "limit", part_limit },
	{ "bad", part_bad },
	{ "parallel", part_parallel },
};

START_TEST(transparent_pages_are_there)
{
	part_must_pass("thp", "huge:auto");
	part_must_pass("thp", "huge:thp,policy:strict");
}
END_TEST

START_TEST(small_pages_are_there)
{
	part_must_pass("small", "huge:auto");
	part_must_pass("small", "huge:off,policy:strict");
}
END_TEST

START_TEST(huge_off_is_said)
{
	part_must_pass("off", "huge:off");
}
END_TEST

START_TEST(pages_of_a_pool_are_there)
{
	if (!is_guest())
		return;
	pools_set(RESERVED / HUGE_BYTES);
	part_must_pass("hugetlb", "huge:auto");
	pools_set(RESERVED / HUGE_BYTES);
	part_must_pass("hugetlb", "huge:thp");
	pools_set(0);
}
END_TEST

START_TEST(pool_that_is_too_small_is_counted)
{
	if (!is_guest())
		return;
	pools_set(NR_POOL_PAGES);
	part_must_pass("pool_small", "huge:auto");
	pools_set(0);
}
END_TEST

static void may_pass(const char *name)
{
	int status = part_status(name, "huge:auto");

	ck_assert_int_eq(WIFSIGNALED(status), 0);
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_SKIP);
}

START_TEST(pages_of_a_gibibyte_are_there)
{
	may_pass("1gib");
	may_pass("no_gib");
}
END_TEST

START_TEST(too_much_keeps_nothing)
{
	if (is_guest())
		pools_set(NR_POOL_PAGES);
	part_must_pass("too_much", "huge:auto");
	if (is_guest())
		pools_set(0);
}
END_TEST

START_TEST(cgroup_has_a_limit)
{
	char limit[32];

	if (!is_guest())
		return;
	snprintf(limit, sizeof(limit), "%zu", CGROUP_LIMIT);
	ck_assert(!mkdir(CGROUP, 0755) && !mkdir(CGROUP "/inner", 0755));
	ck_assert(file_write(CGROUP "/memory.max", limit));
	part_must_pass("cgroup", "huge:auto");
	part_must_pass("limit", "limit:cgroup");
	rmdir(CGROUP "/inner");
	rmdir(CGROUP);
	unlink(CACHED);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	part_must_pass("bad", "huge:auto");
}
END_TEST

START_TEST(many_reserve_at_a_time)
{
	part_must_pass("parallel", "huge:auto");
}
END_TEST

static void add_tests(TCase *tc)
{
	stop_balancing();
	tcase_add_test(tc, transparent_pages_are_there);
	tcase_add_test(tc, small_pages_are_there);
	tcase_add_test(tc, huge_off_is_said);
	tcase_add_test(tc, pages_of_a_pool_are_there);
	tcase_add_test(tc, pool_that_is_too_small_is_counted);
	tcase_add_test(tc, pages_of_a_gibibyte_are_there);
	tcase_add_test(tc, too_much_keeps_nothing);
	tcase_add_test(tc, cgroup_has_a_limit);
	tcase_add_test(tc, bad_arguments_are_refused);
	tcase_add_test(tc, many_reserve_at_a_time);
}

static const struct huge_suite suite = {
	.name = "reserve",
	.tests = "reserve",
	.seconds = 120,
	.parts = parts,
	.nr_parts = ARRAY_SIZE(parts),
	.add = add_tests,
};

int main(int argc, char **argv)
{
	return huge_main(argc, argv, &suite);
}
