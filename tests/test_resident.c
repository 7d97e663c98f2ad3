// SPDX-License-Identifier: MIT
/*
 * What is resident is what is used: large blocks are not rounded to twice their size,
 * small pages become huge only where they have filled, and free memory stays for as
 * long as decay_ms says.
 */
#include "contract.h"

#include "arena/chunk.h"

#include <time.h>

static struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats;
}

/* ---- Large blocks ---- */

#define NR_BLOCKS 256
#define MAX_RESIDENT_PERCENT 115

START_TEST(blocks_of_a_mebibyte_take_their_size)
{
	size_t before = status_bytes("VmRSS"), used = NR_BLOCKS * MIB(1), resident;
	void *blocks[NR_BLOCKS];

	for (size_t i = 0; i < NR_BLOCKS; i++) {
		blocks[i] = must_give(numarena_malloc(MIB(1)));
		memset(blocks[i], 1, MIB(1));
	}
	resident = status_bytes("VmHWM") - before;
	ck_assert_msg(resident <= used * MAX_RESIDENT_PERCENT / 100, "%zu MiB resident of %zu",
		      resident >> 20, used >> 20);
	for (size_t i = 0; i < NR_BLOCKS; i++)
		numarena_free(blocks[i]);
}
END_TEST

/* ---- Small pages ---- */

#define SIZE 1024
#define NR_SHORT_THREADS 300
#define NR_OBJECTS_EACH 200	/* of which ten threads' would fill a chunk */
#define NR_FILLING (2 * MIB(2) / SIZE)

static void *live_shortly(void *unused)
{
	void *objects[NR_OBJECTS_EACH];

	for (size_t i = 0; i < NR_OBJECTS_EACH; i++) {
		objects[i] = numarena_malloc(SIZE);
		expect(objects[i], "malloc(%d)", SIZE);
	}
	for (size_t i = 0; i < NR_OBJECTS_EACH; i++)
		numarena_free(objects[i]);
	return unused;
}

/* By maintenance meanwhile, or now. */
static bool has_collapsed(const struct numarena_stats *before)
{
	struct numarena_stats now;
	bool collapses_now = nar_chunk_collapse(0);

	now = stats_now();
	return collapses_now || now.collapse_done != before->collapse_done ||
	       now.collapse_failed != before->collapse_failed;
}

static bool has_huge_pages(void)
{
	char huge[8];

	require(numarena_option_get("huge", huge, sizeof(huge)) > 0, "option huge");
	return !strcmp(huge, "auto");
}

/*
 *	thread 1	|#####.....................|
 *	thread 2	|#####.....................|	the same objects again
 *
 * Expect: memory that is used again and again is not taken for memory that fills.
 */
START_TEST(reuse_does_not_fill_a_chunk)
{
	struct numarena_stats before = stats_now();

	for (unsigned int i = 0; i < NR_SHORT_THREADS; i++)
		thread_join(thread_start(live_shortly, NULL));
	ck_assert(!has_collapsed(&before));
}
END_TEST

/* Expect: what does fill becomes huge; else the test above would see nothing. */
START_TEST(a_filled_chunk_becomes_huge)
{
	static void *objects[NR_FILLING];
	struct numarena_stats before = stats_now();

	for (size_t i = 0; i < NR_FILLING; i++)
		objects[i] = must_give(numarena_malloc(SIZE));
	if (has_arenas() && has_huge_pages())
		ck_assert(has_collapsed(&before));
	for (size_t i = 0; i < NR_FILLING; i++)
		numarena_free(objects[i]);
}
END_TEST

/* ---- Decay ---- */

#define DECAYING_BYTES MIB(8)
#define MAINTENANCE_NS 50000000L	/* time for several steps: one in 10 ms is made */

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Large blocks take the slow path, where maintenance is. */
static uint64_t purged_after_a_block(void)
{
	numarena_free(must_give(numarena_malloc(KIB(40))));
	return stats_now().purged_bytes;
}

/* Expect: the longest decay keeps all, though times are compared modulo 2^32 ms. */
START_TEST(longest_decay_keeps_memory)
{
	uint64_t before = stats_now().purged_bytes;
	char *block = must_give(numarena_malloc(DECAYING_BYTES));
	int64_t end;

	ck_assert_int_eq(numarena_option_set("decay_ms", "2147483647"), 0);
	memset(block, 1, DECAYING_BYTES);
	numarena_free(block);
	for (end = clock_ns() + MAINTENANCE_NS; clock_ns() < end; )
		ck_assert_uint_eq(purged_after_a_block(), before);
	/* And it was there to be purged. */
	ck_assert_int_eq(numarena_option_set("decay_ms", "0"), 0);
	while (purged_after_a_block() == before)
		;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("resident");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 60);
	if (!HAS_SHADOW_MEMORY)
		tcase_add_test(tc, blocks_of_a_mebibyte_take_their_size);
	tcase_add_test(tc, reuse_does_not_fill_a_chunk);
	tcase_add_test(tc, a_filled_chunk_becomes_huge);
	tcase_add_test(tc, longest_decay_keeps_memory);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
