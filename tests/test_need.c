// SPDX-License-Identifier: MIT
/*
 * Nodes in need, on the pretend machine of fake_numa.h.
 *
 *	node 0: no room
 *	node 1: | chunk of what node 0 could not have |	the nearest
 *
 * A neighbour is not asked for a chunk a slab.  Each test wants a process of its own, which
 * Check gives it.
 */
#include <numarena.h>
#include <string.h>

#include "arena/thread.h"

#include "fake_numa.h"
#include "tap.h"

/* A slab of it is one slice. */
#define SIZE 2048
#define PER_SLAB (SLICE_BYTES / SIZE)

static struct numarena_node_stats node_now(unsigned int node)
{
	struct numarena_node_stats stats;

	ck_assert_int_eq(numarena_node_stats_get(node, &stats, sizeof(stats)), 0);
	return stats;
}

static void *alloc_written(void)
{
	void *p = numarena_malloc(SIZE);

	ck_assert_ptr_nonnull(p);
	memset(p, 0x5a, SIZE);
	return p;
}

/* ---- A neighbour's chunks ---- */

#define NR_SLABS 100u

/*
 *	node 0 full from the start: 100 slabs	-> node 1: | 64 slabs | 36 slabs |
 *
 * Expect: two chunks and no more; all of it on node 1.
 */
START_TEST(neighbours_chunks_fill_up)
{
	unsigned int i;
	void *p;

	fake.is_full = 1;
	for (i = 0; i < NR_SLABS * PER_SLAB; i++) {
		p = alloc_written();
		ck_assert_uint_eq(nar_node_of(p), 1);
	}
	ck_assert_uint_le(node_now(1).committed_bytes - node_now(1).free_bytes, 2 * HUGE_BYTES);
	ck_assert_uint_eq(node_now(0).committed_bytes, 0);
}
END_TEST

static void rest(void)
{
	fake.is_full = 0;
}

int main(void)
{
	Suite *suite = suite_create("need");
	TCase *tc = tcase_create("four nodes");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, neighbours_chunks_fill_up);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
