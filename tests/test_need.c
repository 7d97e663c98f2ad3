// SPDX-License-Identifier: MIT
/*
 * Nodes in need, on the pretend machine of fake_numa.h.
 *
 *	node 0: | chunk: slabs, free slices | reserved |	no room for more
 *	node 1: | chunk of what node 0 could not have |	the nearest
 *
 * What is given back in need is proven again before it is used under policy:strict, what
 * is reserved stays, and a neighbour is not asked for a chunk a slab.  Each test wants a
 * process of its own, which Check gives it.
 */
#include <errno.h>
#include <numarena.h>
#include <string.h>

#include "arena/chunk.h"
#include "arena/thread.h"
#include "internal/option.h"

#include "fake_numa.h"
#include "tap.h"

/* A slab of it is one slice. */
#define SIZE 2048
#define PER_SLAB (SLICE_BYTES / SIZE)

/* More than a span, less than a window: nothing serves it when a node is full. */
#define LARGER MIB(8)

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

/* ---- Strict ---- */

static void begin_strict(void)
{
	nar_opt.policy = BIND_STRICT;
	nar_opt.huge = HUGE_THP;
}

static unsigned int alloc_until_none(void)
{
	unsigned int nr = 0;

	while (numarena_malloc(SIZE))
		ck_assert_uint_lt(++nr, 2 * HUGE_BYTES / SIZE);
	ck_assert_int_eq(errno, ENOMEM);
	return nr;
}

/*
 *	chunk:	| slab | 63 free slices, all there |
 *	node 0 full, a large block in need:
 *		| slab | 63 free slices, given back |	-> a slab of them would be anywhere
 *
 * Expect: what is left of the first slab, then nothing; with room again the slices serve.
 */
START_TEST(parted_slices_are_proven_again)
{
	begin_strict();
	alloc_written();
	fake.is_full = 1;
	ck_assert_ptr_null(numarena_malloc(LARGER));
	ck_assert_uint_eq(node_now(0).huge_parted, 1);
	ck_assert_uint_lt(alloc_until_none(), PER_SLAB);
	ck_assert_uint_ge(node_now(0).strict_failed, 2);
	fake.is_full = 0;
	ck_assert_uint_eq(nar_node_of(alloc_written()), 0);
	ck_assert_uint_eq(node_now(0).committed_bytes - node_now(0).free_bytes, HUGE_BYTES);
}
END_TEST

/*
 *	reserved: | chunk: slab, 63 free slices | ... |	node 0 full, a large block in need
 *
 * Expect: no part of it is given back, so the slices serve without another look.
 */
START_TEST(reserved_chunk_is_not_parted)
{
	begin_strict();
	ck_assert_int_eq(numarena_reserve(0, HUGE_BYTES, 0), (long long)HUGE_BYTES);
	alloc_written();
	fake.is_full = 1;
	ck_assert_ptr_null(numarena_malloc(LARGER));
	ck_assert_uint_eq(node_now(0).huge_parted, 0);
	ck_assert_uint_gt(alloc_until_none(), 60 * PER_SLAB);
}
END_TEST

/* Objects as long as node 0 has no chunk more than @nr.  Return: the last that was had. */
static void *fill_chunks(unsigned int nr)
{
	void *p, *last = NULL;

	do {
		p = last;
		last = alloc_written();
	} while (node_now(0).committed_bytes - node_now(0).free_bytes <= nr * HUGE_BYTES);
	return p;
}

/*
 *	chunk:	| 7/8 in use | free, given back in need |  ->  | all in use |
 *
 * Expect: small as long as something is free in it, and huge again once nothing is.
 */
START_TEST(a_parted_chunk_is_whole_again_once_full)
{
	unsigned int i;
	void *p;

	begin_strict();
	for (i = 0; i < HUGE_BYTES / 8 * 7 / SIZE; i++)
		alloc_written();
	fake.is_full = 1;
	ck_assert_ptr_null(numarena_malloc(LARGER));
	ck_assert_uint_eq(node_now(0).huge_parted, 1);
	fake.is_full = 0;
	ck_assert(!nar_chunk_collapse(0));
	p = fill_chunks(1);
	while (nar_chunk_collapse(0))
		;
	ck_assert_int_eq(nar_mem.unit[nar_offset(p) >> HUGE_SHIFT].pool, POOL_HUGE);
	ck_assert_uint_eq(node_now(0).collapse_done, 1);
}
END_TEST

static void rest(void)
{
	fake.is_full = 0;
	nar_opt.policy = BIND_PREFERRED;
	nar_opt.huge = HUGE_AUTO;
}

int main(void)
{
	Suite *suite = suite_create("need");
	TCase *tc = tcase_create("four nodes");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, neighbours_chunks_fill_up);
	tcase_add_test(tc, parted_slices_are_proven_again);
	tcase_add_test(tc, reserved_chunk_is_not_parted);
	tcase_add_test(tc, a_parted_chunk_is_whole_again_once_full);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
