// SPDX-License-Identifier: MIT
/*
 * mode:sharded on the pretend machine of fake_numa.h: no arenas, each object from a shelf.
 *
 *	malloc	-> shelf of (heap, node, class): | slab, in part used |	-> one object
 *		-> nothing there: a slab more, and it is shelved
 *
 * A shelf that nobody looks at again costs a slab an object.
 */
#include <numarena.h>
#include <string.h>

#include "arena/heap.h"

#include "fake_numa.h"
#include "tap.h"

const char *numarena_conf = "mode:sharded";

#define SIZE 512
#define NR_OBJECTS 1000

/* A policy that the program has set, by the number it has. */
#define THEIRS 2u

static u64 slab_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.slab_bytes;
}

static void alloc_all(void **objects)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		objects[i] = numarena_malloc(SIZE);
		ck_assert_ptr_nonnull(objects[i]);
		memset(objects[i], 0x5a, SIZE);
	}
}

static void free_all(void **objects)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++)
		numarena_free(objects[i]);
}

static void check_slabs(void)
{
	static void *objects[NR_OBJECTS];
	u64 before = slab_bytes();

	alloc_all(objects);
	/* What they fill, and a slab that is not full. */
	ck_assert_uint_le(slab_bytes() - before, ALIGN_UP(NR_OBJECTS * SIZE, SLICE_BYTES) + SLICE_BYTES);
	free_all(objects);
}

/*
 *	thread under a policy of the program's: 1000 objects of 512 bytes
 *
 * Expect: the slabs of the policy's heap are used up before another is cut.
 */
START_TEST(policys_slabs_are_used_up)
{
	fake_policy = THEIRS;
	check_slabs();
}
END_TEST

/*
 *	node 0: no room		slabs of node 1 instead: 1000 objects of 512 bytes
 *
 * Expect: what the neighbour gave is used up before it is asked for more.
 */
START_TEST(neighbours_slabs_are_used_up)
{
	fake.is_full = 1;
	check_slabs();
}
END_TEST

/* The default policy's, for comparison. */
START_TEST(own_slabs_are_used_up)
{
	check_slabs();
}
END_TEST

static void rest(void)
{
	fake.is_full = 0;
	fake_policy = POLICY_OURS;
}

int main(void)
{
	Suite *suite = suite_create("shared");
	TCase *tc = tcase_create("four nodes, no arenas");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, own_slabs_are_used_up);
	tcase_add_test(tc, policys_slabs_are_used_up);
	tcase_add_test(tc, neighbours_slabs_are_used_up);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
