// SPDX-License-Identifier: MIT
/*
 * Where pages lie, for a process that may not ask in every way: a child installs
 * filters, asks and hands back what it was told.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "rng.h"
#include "verify.h"

#define NR_ANSWERS 200
#define CUT 5	/* answers from here on are about parts of mappings */

/* What a child found, in memory it shares; judged by the test. */
struct found {
	enum nar_verify_how how;
	int err;
	bool is_by_scan[2];
	struct nar_where where[2][NR_ANSWERS];
};

static bool can_refuse(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(!refuse(SYS_move_pages, EPERM));
	return child > 0 && waitpid(child, &status, 0) == child && !status;
}

static const struct found *in_child(void (*find_out)(struct found *))
{
	struct found *found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	ck_assert(found != MAP_FAILED);
	child = fork();
	if (!child) {
		find_out(found);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	return found;
}

static int ask_for(struct found *found, unsigned int run, unsigned int nr, char *addr, size_t bytes)
{
	struct nar_verify v;
	int err = nar_verify_begin(&v);

	found->how = v.how;
	found->is_by_scan[run] = v.pagemap >= 0;
	if (err)
		return err;
	err = nar_verify_range(&v, addr, bytes, &found->where[run][nr]);
	nar_verify_end(&v);
	return err;
}

/* A page a mapping, on every node there is. */
static char *spread_pages(size_t nr)
{
	char *base = small_pages(nr);
	size_t i;

	for (i = 0; i < nr; i++) {
		prefer(page_of(base, i), (unsigned int)(i % nar_nodes.nr));
		touch(base, i, 1);
	}
	return base;
}

static void find_by_numa_maps(struct found *found, bool (*refuse_it)(void))
{
	char *base = small_pages(100), *huge = map_alone(2 * HUGE_BYTES);
	char *spread = spread_pages(64), *pool = hugetlb_units(2);
	unsigned int run;

	touch(base, 10, 30);
	advise_and_touch(huge, 2);
	if (pool)
		touch(pool, 0, 1);
	for (run = 0; run < 2; run++) {
		found->err |= ask_for(found, run, 0, base, 100 * PAGE_BYTES);
		found->err |= ask_for(found, run, 1, base - HUGE_BYTES, 2 * HUGE_BYTES);
		found->err |= ask_for(found, run, 2, huge, 2 * HUGE_BYTES);
		found->err |= ask_for(found, run, 3, spread, 64 * PAGE_BYTES);
		found->err |= ask_for(found, run, 4, pool, 2 * HUGE_BYTES);
		if (!run && !refuse_it())
			_exit(1);
	}
	found->err |= ask_for(found, 1, CUT, base, 50 * PAGE_BYTES);
	found->err |= ask_for(found, 1, CUT + 1, base + PAGE_BYTES, 200 * PAGE_BYTES);
}

static bool refuse_as_container(void)
{
	return refuse(SYS_move_pages, EPERM) && refuse(SYS_get_mempolicy, EPERM);
}

static void find_in_container(struct found *found)
{
	find_by_numa_maps(found, refuse_as_container);
}

static bool refuse_as_old_kernel(void)
{
	return refuse(SYS_move_pages, ENOSYS);
}

static void find_without_move_pages(struct found *found)
{
	find_by_numa_maps(found, refuse_as_old_kernel);
}

static void must_be_by_mapping(const struct found *found)
{
	unsigned int i;

	ck_assert_int_eq(found->how, VERIFY_NUMA_MAPS);
	ck_assert_int_eq(found->err, 0);
	ck_assert_mem_eq(found->where[1], found->where[0], CUT * sizeof(struct nar_where));
	ck_assert_uint_eq(resident(&found->where[1][0]), 30);
	for (i = CUT; i < CUT + 2; i++) {
		ck_assert_uint_eq(resident(&found->where[1][i]), 0);
		ck_assert_uint_eq(found->where[1][i].undivided, 30);
	}
}

/*
 *	| 30 of 100 small pages |   | huge | huge |   | node 0 | node 1 | ...   | hugetlb |
 *
 * Expect: move_pages answers, then it is EPERM and numa_maps answers the same for
 * mappings that are asked for as a whole; what is cut is said to be undivided.
 */
START_TEST(container_refuses_move_pages)
{
	const struct found *found = in_child(find_in_container);

	must_be_by_mapping(found);
}
END_TEST

/* Expect: the same where it does not exist. */
START_TEST(kernel_without_move_pages)
{
	const struct found *found = in_child(find_without_move_pages);

	must_be_by_mapping(found);
}
END_TEST

/* access() is one or the other. */
static void find_without_proc(struct found *found)
{
	char *base = small_pages(1);

	touch(base, 0, 1);
#ifdef SYS_access
	refuse(SYS_access, ENOENT);
#endif
	refuse(SYS_faccessat, ENOENT);
	refuse(SYS_openat, ENOENT);
	found->err = ask_for(found, 0, 0, base, PAGE_BYTES);
}

/*
 *	/proc: ENOENT
 *
 * Expect: nobody answers.
 */
START_TEST(no_proc)
{
	const struct found *found = in_child(find_without_proc);

	ck_assert_int_eq(found->how, VERIFY_NONE);
	ck_assert_int_eq(found->err, -EOPNOTSUPP);
}
END_TEST

/* ---- Two ways, one answer ---- */

#define MIXED_UNITS 8

/* | huge | a hole in it | half, small | nothing | huge | read-only | huge | two small pages | */
static char *mixed_units(void)
{
	char *base = map_alone(MIXED_UNITS * HUGE_BYTES);

	advise_and_touch(base, MIXED_UNITS);
	madvise(page_of(base, 1 * UNIT_PAGES + 77), PAGE_BYTES, MADV_DONTNEED);
	madvise(page_of(base, 2 * UNIT_PAGES + 256), HUGE_BYTES / 2, MADV_DONTNEED);
	madvise(page_of(base, 3 * UNIT_PAGES), HUGE_BYTES, MADV_DONTNEED);
	mprotect(page_of(base, 5 * UNIT_PAGES), HUGE_BYTES, PROT_READ);
	madvise(page_of(base, 7 * UNIT_PAGES + 2), HUGE_BYTES - 2 * PAGE_BYTES, MADV_DONTNEED);
	return base;
}

static void ask_everywhere(struct found *found, unsigned int run, char *base)
{
	struct rng rng = rng_seeded(1);
	unsigned int i;

	for (i = 0; i < NR_ANSWERS; i++) {
		size_t first = rng_below(&rng, MIXED_UNITS * UNIT_PAGES);
		size_t nr = 1 + rng_below(&rng, MIXED_UNITS * UNIT_PAGES - first);

		found->err |= ask_for(found, run, i, page_of(base, first), nr * PAGE_BYTES);
	}
}

/* A kernel that knows it looks for its argument first. */
static bool kernel_can_scan(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool can = fd >= 0 && ioctl(fd, PAGEMAP_SCAN_REQUEST, NULL) && errno == EFAULT;

	close(fd);
	return can;
}

static void find_both_ways(struct found *found)
{
	char *base = mixed_units();

	ask_everywhere(found, 0, base);
	if (!refuse_scan())
		_exit(1);
	ask_everywhere(found, 1, base);
}

/*
 *	| huge | hole | half | nothing | huge | read-only | huge | two pages |
 *	     |----------------------|	|--|		|-----------|		200 ranges
 *
 * Expect: page tables and maps tell the same of each range.
 */
START_TEST(scan_and_maps_agree)
{
	const struct found *found = in_child(find_both_ways);

	ck_assert_int_eq(found->how, VERIFY_MOVE_PAGES);
	ck_assert_int_eq(found->err, 0);
	ck_assert(!found->is_by_scan[1]);
	ck_assert_int_eq(found->is_by_scan[0], kernel_can_scan());
	ck_assert_mem_eq(found->where[0], found->where[1], sizeof(found->where[0]));
}
END_TEST

/* ---- The suite ---- */

int main(void)
{
	Suite *suite = suite_create("verify_refused");
	TCase *tc = tcase_create("refusals");

	if (nar_verify_how() != VERIFY_MOVE_PAGES)
		tap_skip_all("move_pages is refused here already");
	if (!can_refuse())
		tap_skip_all("no seccomp filter can be installed");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start_nodes, NULL);
	tcase_add_test(tc, container_refuses_move_pages);
	tcase_add_test(tc, kernel_without_move_pages);
	tcase_add_test(tc, no_proc);
	tcase_add_test(tc, scan_and_maps_agree);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
