// SPDX-License-Identifier: MIT
/*
 * Locked memory, which the kernel does not take back.
 *
 *	free: | dirty | locked | dirty |   purge is refused for all of it
 *
 * Expect: what could not be purged counts as written, so calloc zeroes it, and
 * malloc_trim says that nothing was given back.
 */
#include "contract.h"

#include <sys/mman.h>

/* Two whole 2 MiB units; half of what the kernel lets anybody lock by default. */
#define BLOCK_BYTES MIB(4)

static uint64_t purged_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.purged_bytes;
}

static char *dirty_block(void)
{
	char *block = must_give(numarena_malloc(BLOCK_BYTES));

	memset(block, 0xaa, BLOCK_BYTES);
	return block;
}

static void expect_zeroed_block(void)
{
	char *block = must_give(numarena_calloc(1, BLOCK_BYTES));

	expect(is_zero(block, BLOCK_BYTES), "calloc gave what was there before");
	numarena_free(block);
}

static void must_trim_nothing(void)
{
	uint64_t before = purged_bytes();

	ck_assert_int_eq(numarena_malloc_trim(0), 0);
	ck_assert_uint_eq(purged_bytes(), before);
}

START_TEST(locked_block_is_zeroed_again)
{
	char *block = dirty_block();

	numarena_malloc_trim(0);	/* what else is free */
	ck_assert_int_eq(mlock(block, BLOCK_BYTES), 0);
	numarena_free(block);
	must_trim_nothing();
	expect_zeroed_block();
}
END_TEST

/* Expect: one locked page spoils the purge of its neighbours only as far as calloc knows. */
START_TEST(locked_page_is_zeroed_again)
{
	char *block = dirty_block();

	ck_assert_int_eq(mlock(block + BLOCK_BYTES / 2, KIB(4)), 0);
	numarena_free(block);
	numarena_malloc_trim(0);
	expect_zeroed_block();
}
END_TEST

START_TEST(locked_process_is_zeroed_again)
{
	ck_assert_int_eq(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
	numarena_free(dirty_block());
	must_trim_nothing();
	expect_zeroed_block();
}
END_TEST

START_TEST(unlocked_block_is_given_back)
{
	char *block = dirty_block();
	uint64_t before = purged_bytes();

	ck_assert_int_eq(mlock(block, BLOCK_BYTES), 0);
	numarena_free(block);
	numarena_malloc_trim(0);
	ck_assert_int_eq(munlock(block, BLOCK_BYTES), 0);
	ck_assert_int_eq(numarena_malloc_trim(0), 1);
	ck_assert_uint_ge(purged_bytes(), before + BLOCK_BYTES);
	expect_zeroed_block();
}
END_TEST

/* The program is not to stay locked: each test is a child, which inherits no lock. */
static bool try_lock(void)
{
	void *block = numarena_malloc(BLOCK_BYTES);
	bool can_lock = block && !mlock(block, BLOCK_BYTES);

	if (can_lock)
		munlock(block, BLOCK_BYTES);
	numarena_free(block);
	return can_lock;
}

/* A sanitizer's shadow is terabytes; without a fork all tests would be locked. */
static bool try_lock_all(void)
{
	if (HAS_SHADOW_MEMORY || mlockall(MCL_CURRENT | MCL_FUTURE))
		return false;
	munlockall();
	return true;
}

int main(void)
{
	Suite *suite;
	TCase *tc;

	if (HAS_SHADOW_MEMORY)
		tap_skip_all("the sanitizer makes mlock do nothing");
	if (!try_lock())
		tap_skip_all("RLIMIT_MEMLOCK does not let this user lock memory");
	suite = suite_create("locked");
	tc = tcase_create("contract");
	tcase_add_test(tc, locked_block_is_zeroed_again);
	tcase_add_test(tc, locked_page_is_zeroed_again);
	tcase_add_test(tc, unlocked_block_is_given_back);
	if (try_lock_all())
		tcase_add_test(tc, locked_process_is_zeroed_again);
	else
		puts("# mlockall is not tested: not allowed here");
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
