// SPDX-License-Identifier: MIT
/*
 * Each way in which memory that should be huge is not, made to happen, and its count.
 *
 *	pool empty		huge_pool_empty		| hugetlb |x	-> THP
 *	THP off, refused	huge_off, huge_refused	| THP |x	-> 4 KiB
 *	fork			huge_forked		| 2 MiB |	-> shared, the next write parts it
 *	need			huge_parted		| 2 MiB |	-> its free slices given back
 *	collapse		collapse_failed		| 512 x 4 KiB |x -> as it was
 *
 * No other counter moves, and content stays.
 */
#include "arena/maint.h"
#include "tests/verify.h"

#include "huge.h"

#define BLOCK_BYTES (4 * HUGE_BYTES)
#define NR_BLOCKS 4
#define SMALL_BYTES KIB(1)
#define NR_SMALL (20 * HUGE_BYTES / SMALL_BYTES)

static struct object blocks[NR_BLOCKS];
static struct object small[NR_SMALL];

struct losses {
	uint64_t pool_empty, off, refused, forked, parted, failed;
};

static struct losses losses(void)
{
	struct numarena_stats s = all_stats();

	return (struct losses){ s.huge_pool_empty, s.huge_off, s.huge_refused, s.huge_forked,
				s.huge_parted, s.collapse_failed };
}

#define must_be(name, is)							\
	require(losses().name is, #name " counts %" PRIu64, losses().name)

static void add_blocks(void)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		blocks[i] = object_new(BLOCK_BYTES, i + 1);
}

static void check_blocks(void)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		object_check(&blocks[i]);
}

/* ---- Not had ---- */

static void part_pool(void)
{
	start_library();
	if (pool_free(0))
		exit(EXIT_SKIP);
	bind_to(0);
	add_blocks();
	must_be(pool_empty, >= NR_BLOCKS * 4);
	must_be(off, == 0);
	must_be(refused, == 0);
	must_be(forked, == 0);
	check_blocks();
}

/* The library has learnt of the machine by now: another process begins without. */
static void part_thp_off(void)
{
	require(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl: %s", strerror(errno));
	execl("/proc/self/exe", "part", "off", NULL);
	_exit(126);
}

static void part_off(void)
{
	start_library();
	add_blocks();
	must_be(off, >= NR_BLOCKS * 4);
	must_be(pool_empty, == 0);
	must_be(refused, == 0);
	check_blocks();
}

/* MADV_COLLAPSE, which older headers lack. */
#define COLLAPSE 25

/*
 * From now on advice @advice of madvise is answered @err.  Of no bytes it is a question
 * whether the kernel knows it, which one that is only out of pages answers with yes.
 */
static void refuse_advice(unsigned int advice, unsigned int err)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(SYS_madvise, 5),
		LOAD(args[2]),
		SKIP_UNLESS(advice, 3),
		LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, err != EINVAL, 0),
		ANSWER(SECCOMP_RET_ERRNO | err),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	require(install(filter, ARRAY_SIZE(filter)), "seccomp: %s", strerror(errno));
}

/* Expect: a kernel without such pages is one where they are off, and known from then on. */
static void part_unknown(void)
{
	refuse_advice(MADV_HUGEPAGE, EINVAL);
	start_library();
	add_blocks();
	must_be(off, >= NR_BLOCKS * 4);
	must_be(refused, == 0);
	require(all_stats().missing >> NUMARENA_MISSING_THP & 1, "not said to be missing");
	check_blocks();
}

static void part_refused(void)
{
	refuse_advice(MADV_HUGEPAGE, ENOMEM);
	start_library();
	add_blocks();
	must_be(refused, >= NR_BLOCKS * 4);
	must_be(off, == 0);
	must_be(pool_empty, == 0);
	check_blocks();
}

/* ---- Had, and lost ---- */

/*
 *	parent	| h h h h h h h h |	fork:	+16, fork: +16
 *
 * Expect: as many as were huge, in both, each fork; and none that nobody has touched.
 */
static void part_forked(void)
{
	uint64_t first;
	pid_t child;

	start_library();
	must_be(forked, == 0);
	add_blocks();
	child = fork_or_fail();
	if (!child) {
		must_be(forked, >= NR_BLOCKS * 4);
		check_blocks();
		_exit(EXIT_SUCCESS);
	}
	child_join(child);
	first = losses().forked;
	must_be(forked, >= NR_BLOCKS * 4);
	must_be(forked, <= NR_BLOCKS * 4 + 4);
	child = fork_or_fail();
	if (!child)
		_exit(EXIT_SUCCESS);
	child_join(child);
	must_be(forked, == 2 * first);
	must_be(parted, == 0);
	check_blocks();
}

/* One object in 1,024 stays: a slice or two of each chunk. */
#define KEPT 1024

static void thin_out(void)
{
	size_t i;

	for (i = 0; i < NR_SMALL; i++)
		small[i] = object_new(SMALL_BYTES, i + 1);
	for (i = 0; i < NR_SMALL; i++)
		if (i % KEPT)
			object_delete(&small[i]);
	numarena_malloc_trim(0);
}

static void check_kept(void)
{
	size_t i;

	for (i = 0; i < NR_SMALL; i += KEPT)
		object_check(&small[i]);
}

/*
 *	chunk	| used |  free  free  free  free ... |		huge
 *	need	| used |  given back ...	     |		4 KiB
 *
 * Expect: the parts are counted and given back; a second need finds none.
 */
static void part_parted(void)
{
	size_t resident;
	uint64_t parted;

	start_library();
	bind_to(0);
	thin_out();
	must_be(parted, == 0);
	resident = status_bytes("VmRSS");
	require(nar_maint_reclaim(0), "nothing was given back");
	parted = losses().parted;
	must_be(parted, >= 10);
	require(status_bytes("VmRSS") + parted * HUGE_BYTES / 2 <= resident, "%zu resident, were %zu",
		status_bytes("VmRSS"), resident);
	require(!nar_maint_reclaim(0), "given back twice");
	must_be(parted, == parted);
	must_be(failed, == 0);
	check_kept();
}

/* Tables may be elsewhere: they are what the refusal is told from. */
static void objects_must_be_at_home(void)
{
	static struct numarena_audit audit;
	unsigned int i, kind;

	audit.size = sizeof(audit);
	require(!numarena_audit(&audit), "audit: %s", strerror(errno));
	for (i = 0; i < audit.nr_nodes; i++)
		for (kind = 0; kind < NUMARENA_NR_KINDS; kind++)
			require(kind == NUMARENA_KIND_META || !audit.at[i].misplaced[kind],
				"%" PRIu64 " pages of kind %u misplaced", audit.at[i].misplaced[kind], kind);
}

/*
 *	node	| chunks with one object each | blocks ... | no more |
 *
 * Expect: under policy:strict the node that is full gives the parts to who is in need.
 */
static void part_need(void)
{
	static void *block[4096];
	unsigned int last, nr = 0;

	start_library();
	last = nar_nodes.nr - 1;
	bind_to(last);
	thin_out();
	must_be(parted, == 0);
	while (nr < ARRAY_SIZE(block) && (block[nr] = numarena_malloc(HUGE_BYTES)))
		nr++;
	require(nr < ARRAY_SIZE(block), "the node has no end");
	require(node_stats(last).huge_parted, "nothing was parted");
	require(node_stats(last).strict_failed, "nothing was refused");
	must_be(pool_empty, == 0);
	check_kept();
	objects_must_be_at_home();
	while (nr)
		numarena_free(block[--nr]);
}

/* ---- Not made huge ---- */

/* Objects fill chunks of small pages, which maintenance would make huge. */
static void fill(void)
{
	size_t i;

	for (i = 0; i < NR_SMALL / 4; i++)
		small[i] = object_new(SMALL_BYTES, i + 1);
	/* Slow paths, where maintenance is, until it has come. */
	while (!losses().failed && !all_stats().collapse_done)
		numarena_free(numarena_malloc(KIB(40)));
	for (i = 0; i < NR_SMALL / 4; i++)
		object_check(&small[i]);
}

static void part_old_kernel(void)
{
	refuse_advice(COLLAPSE, EINVAL);
	start_library();
	fill();
	must_be(failed, >= 1);
	require(all_stats().missing >> NUMARENA_MISSING_COLLAPSE & 1, "not said to be missing");
	require(!all_stats().collapse_done, "done all the same");
}

static void part_no_page(void)
{
	refuse_advice(COLLAPSE, ENOMEM);
	start_library();
	fill();
	must_be(failed, >= 1);
	require(!(all_stats().missing >> NUMARENA_MISSING_COLLAPSE & 1), "said to be missing");
}

/* Expect: what is only not possible now is tried again, and counted when that has an end. */
static void part_busy(void)
{
	refuse_advice(COLLAPSE, EAGAIN);
	start_library();
	add_blocks();
	add_blocks();
	fill();
	must_be(failed, >= 1);
	require(!all_stats().collapse_done, "done all the same");
}

/* Expect: each unit that is not made huge again after a fork. */
static void part_recover(void)
{
	long nr_failed;

	refuse_advice(COLLAPSE, ENOMEM);
	start_library();
	add_blocks();
	nr_failed = numarena_fork_recover();
	require(nr_failed >= NR_BLOCKS * 4, "%ld failed", nr_failed);
	must_be(failed, == (uint64_t)nr_failed);
	check_blocks();
}

static const struct part parts[] = {
	{ "pool", part_pool },
	{ "thp_off", part_thp_off },
	{ "off", part_off },
	{ "unknown", part_unknown },
	{ "refused", part_refused },
	{ "forked", part_forked },
	{ "parted", part_parted },
	{ "need", part_need },
	{ "old_kernel", part_old_kernel },
	{ "no_page", part_no_page },
	{ "busy", part_busy },
	{ "recover", part_recover },
};

/* ---- The judge ---- */

START_TEST(empty_pool)
{
	part_must_pass("pool", "huge:hugetlb");
}
END_TEST

START_TEST(thp_is_off)
{
	part_must_pass("thp_off", "huge:thp");
	part_must_pass("unknown", "huge:thp");
	part_must_pass("refused", "huge:thp");
}
END_TEST

START_TEST(shared_by_fork)
{
	part_must_pass("forked", "huge:thp");
}
END_TEST

START_TEST(parted_in_need)
{
	part_must_pass("parted", "huge:thp");
	if (!is_guest() || nar_nodes.nr == 1)
		return;
	/* What a pool has no block can take, so a little is left to fill. */
	pool_set(nar_nodes.nr - 1, (node_free_bytes(nar_nodes.nr - 1) - MIB(120)) / HUGE_BYTES);
	part_must_pass("need", "huge:thp,policy:strict");
	pools_set(0);
}
END_TEST

START_TEST(not_collapsed)
{
	part_must_pass("old_kernel", "huge:auto");
	part_must_pass("no_page", "huge:auto");
	part_must_pass("busy", "huge:auto");
	part_must_pass("recover", "huge:thp");
}
END_TEST

static const char *why_not(void)
{
	return has_thp() && has_arenas() ? NULL : "no transparent huge pages here";
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, empty_pool);
	tcase_add_test(tc, thp_is_off);
	tcase_add_test(tc, shared_by_fork);
	tcase_add_test(tc, parted_in_need);
	tcase_add_test(tc, not_collapsed);
}

static const struct huge_suite suite = {
	.name = "losses",
	.tests = "by cause",
	.seconds = 240,
	.parts = parts,
	.nr_parts = ARRAY_SIZE(parts),
	.why_not = why_not,
	.add = add_tests,
};

int main(int argc, char **argv)
{
	return huge_main(argc, argv, &suite);
}
