// SPDX-License-Identifier: MIT
/*
 * Transparent huge pages as the machine sets them, and as huge: asks for them.
 *
 *			huge:off	huge:auto, thp
 *	never		4 KiB		4 KiB, counted in huge_off
 *	madvise		4 KiB		2 MiB
 *	always		4 KiB		2 MiB
 *	disabled by prctl: as never
 *
 * What is huge is known from smaps, and the audit must say the same.
 */
#include "huge.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* Above what huge:auto has of small pages at first, by far. */
#define NR_BLOCKS 24
#define BLOCK_BYTES (2 * HUGE_BYTES)
#define NR_SMALL 4096
#define SMALL_BYTES KIB(1)

static struct object blocks[NR_BLOCKS], small[NR_SMALL];

static void allocate(void)
{
	unsigned int i;

	start_library();
	for (i = 0; i < NR_BLOCKS; i++) {
		bind_to(i % nar_nodes.nr);
		blocks[i] = object_new(BLOCK_BYTES, i);
	}
	for (i = 0; i < NR_SMALL; i++)
		small[i] = object_new(SMALL_BYTES, i);
}

static void check(void)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++) {
		object_check(&blocks[i]);
		must_lie_on(blocks[i].p, blocks[i].size, i % nar_nodes.nr);
	}
	for (i = 0; i < NR_SMALL; i++)
		object_check(&small[i]);
	must_be_at_home();
}

static void release(void)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		object_delete(&blocks[i]);
	for (i = 0; i < NR_SMALL; i++)
		object_delete(&small[i]);
	numarena_malloc_trim(0);
}

/* Neither the kernel's daemon nor maintenance may come between the two looks. */
static size_t huge_bytes(void)
{
	static struct numarena_audit audit;
	size_t before, after;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		audit.size = sizeof(audit);
		before = smaps_bytes("AnonHugePages:");
		require(!numarena_audit(&audit), "audit: %s", strerror(errno));
		after = smaps_bytes("AnonHugePages:");
		if (before == after)
			break;
	}
	require(before == after, "never twice the same");
	require(audit.huge * PAGE_BYTES == after, "the audit says %" PRIu64 " pages, smaps %zu",
		audit.huge, after / PAGE_BYTES);
	return after;
}

/* Expect: nothing huge, and what should have been is counted. */
static void part_none(void)
{
	allocate();
	require(!huge_bytes(), "%zu bytes huge", huge_bytes());
	/* Large blocks alone would do: auto has 8 MiB of small pages first. */
	require(all_stats().huge_off * HUGE_BYTES >= NR_BLOCKS * BLOCK_BYTES - MIB(8),
		"%" PRIu64 " units counted", all_stats().huge_off);
	require(all_stats().missing >> NUMARENA_MISSING_THP & 1, "not said to be missing");
	check();
	release();
	allocate();
	require(!huge_bytes(), "%zu bytes huge", huge_bytes());
	check();
}

/* The same, asked of the process alone. */
static void part_prctl(void)
{
	require(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl: %s", strerror(errno));
	execl("/proc/self/exe", "part", "none", NULL);
	_exit(126);
}

/* Expect: nothing huge, and nobody wanted it. */
static void part_off(void)
{
	allocate();
	require(!huge_bytes(), "%zu bytes huge", huge_bytes());
	require(!all_stats().huge_off, "%" PRIu64 " units counted", all_stats().huge_off);
	check();
	release();
	allocate();
	require(!huge_bytes(), "%zu bytes huge", huge_bytes());
	check();
}

/* Expect: the blocks are huge but for those that auto begins with; still so after a purge. */
static void part_huge(void)
{
	size_t least = NR_BLOCKS * BLOCK_BYTES - MIB(8);

	allocate();
	require(huge_bytes() >= least, "%zu bytes huge", huge_bytes());
	require(!all_stats().huge_off && !all_stats().huge_refused, "counted");
	require(!(all_stats().missing >> NUMARENA_MISSING_THP & 1), "said to be missing");
	check();
	release();
	require(huge_bytes() < MIB(16), "%zu bytes still huge", huge_bytes());
	allocate();
	require(huge_bytes() >= least, "%zu bytes huge", huge_bytes());
	check();
}

static const struct part parts[] = {
	{ "none", part_none },
	{ "prctl", part_prctl },
	{ "off", part_off },
	{ "huge", part_huge },
};

/* ---- The judge ---- */

static void thp_set(const char *mode)
{
	ck_assert_msg(file_write(THP "enabled", mode), "cannot set THP to %s", mode);
}

START_TEST(never)
{
	thp_set("never");
	part_must_pass("off", "huge:off");
	part_must_pass("none", "huge:auto");
	part_must_pass("none", "huge:thp");
}
END_TEST

START_TEST(madvise_is_asked)
{
	thp_set("madvise");
	part_must_pass("off", "huge:off");
	part_must_pass("huge", "huge:auto");
	part_must_pass("huge", "huge:thp");
}
END_TEST

START_TEST(always)
{
	thp_set("always");
	part_must_pass("off", "huge:off");
	part_must_pass("huge", "huge:auto");
	part_must_pass("huge", "huge:thp");
}
END_TEST

START_TEST(disabled_by_prctl)
{
	thp_set("always");
	part_must_pass("prctl", "huge:auto");
	part_must_pass("prctl", "huge:thp");
}
END_TEST

static const char *why_not(void)
{
	return is_guest() ? NULL : "THP is set in guests only";
}

static void add_tests(TCase *tc)
{
	/* Says of pages that it watches that they are not there. */
	file_write("/proc/sys/kernel/numa_balancing", "0");
	tcase_add_test(tc, never);
	tcase_add_test(tc, madvise_is_asked);
	tcase_add_test(tc, disabled_by_prctl);
	tcase_add_test(tc, always);
}

static const struct huge_suite suite = {
	.name = "thp",
	.tests = "settings",
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
