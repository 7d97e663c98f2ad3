// SPDX-License-Identifier: MIT
/*
 * Where the pages of ranges lie.  All is tested twice: by PAGEMAP_SCAN where the kernel
 * has it, and by smaps as on older ones.
 */
#include "verify.h"

/* On the stack of a test, as the caller's is said to be enough. */
static struct nar_where where(const void *addr, size_t bytes)
{
	struct nar_where w = { 0 };
	struct nar_verify v;

	ck_assert_int_eq(nar_verify_begin(&v), 0);
	ck_assert_int_eq(nar_verify_range(&v, addr, bytes, &w), 0);
	nar_verify_end(&v);
	return w;
}

static void must_have(char *base, size_t first_page, size_t nr_pages, u64 nr_resident, u64 nr_huge)
{
	struct nar_where w = where(page_of(base, first_page), nr_pages * PAGE_BYTES);

	ck_assert_uint_eq(resident(&w), nr_resident);
	ck_assert_uint_eq(w.huge, nr_huge);
	ck_assert_uint_eq(w.undivided, 0);
}

/* ---- Small pages ---- */

/*
 *	| no access | untouched ... | no access |
 *
 * Expect: nothing is resident, and nothing becomes so.
 */
START_TEST(untouched)
{
	char *base = map_alone(8 * HUGE_BYTES);

	must_have(base - HUGE_BYTES, 0, 10 * UNIT_PAGES, 0, 0);
	must_have(base - HUGE_BYTES, 0, 10 * UNIT_PAGES, 0, 0);
}
END_TEST

/*
 *	page	0 . 2 3 ... 511 | 512 ...	two units
 *
 * Expect: exactly these, of whatever part is asked for; a range that begins or ends in
 * the middle of a page has that page.
 */
START_TEST(some_small_pages)
{
	char *base = small_pages(2 * UNIT_PAGES);
	struct nar_where w;

	touch(base, 0, 1);
	touch(base, 2, 2);
	touch(base, 511, 2);
	must_have(base, 0, 2 * UNIT_PAGES, 5, 0);
	must_have(base, 1, 2, 1, 0);
	must_have(base, 4, 507, 0, 0);
	must_have(base, 511, 1, 1, 0);
	must_have(base, 3, 0, 0, 0);
	w = where(base + 2 * PAGE_BYTES + 100, PAGE_BYTES);
	ck_assert_uint_eq(resident(&w), 2);
	w = where(base + PAGE_BYTES, PAGE_BYTES + 1);
	ck_assert_uint_eq(resident(&w), 1);
}
END_TEST

/*
 *	| read | read | written |		and a unit advised huge: | read |
 *
 * Expect: what was only read is the zero page's, nobody's memory.
 */
START_TEST(zero_pages)
{
	char *base = small_pages(3), *huge = map_alone(2 * HUGE_BYTES);

	madvise(huge, 2 * HUGE_BYTES, MADV_HUGEPAGE);
	ck_assert_int_eq(*(volatile char *)base + *(volatile char *)page_of(base, 1), 0);
	ck_assert_int_eq(*(volatile char *)huge, 0);
	touch(base, 2, 1);
	/* Unless the machine has no zero page, small or huge: then it is like written memory. */
	must_have(base, 0, 3, smaps_pages(base, "Rss"), 0);
	must_have(huge, 0, 2 * UNIT_PAGES, huge_pages_at(huge), huge_pages_at(huge));
}
END_TEST

/* Linux 6.1 to 6.4 say of a page without access that there is none. */
static bool kernel_tells_of(void *page)
{
	int node;

	return !move_pages(0, 1, &page, NULL, &node, 0) && node >= 0;
}

/*
 *	| written | written, no access now | written, given back |
 *
 * Expect: memory is memory whoever may read it, if the kernel knows; what was given back
 * is none.
 */
START_TEST(no_access_is_resident)
{
	char *base = small_pages(3);
	bool is_told;

	touch(base, 0, 3);
	mprotect(page_of(base, 1), PAGE_BYTES, PROT_NONE);
	madvise(page_of(base, 2), PAGE_BYTES, MADV_DONTNEED);
	is_told = kernel_tells_of(page_of(base, 1));
	must_have(base, 0, 3, is_told ? 2 : 1, 0);
}
END_TEST

#define NR_MAPPINGS 900

/*
 *	| rw | r | rw | r | ...		a mapping a page, every third untouched
 *
 * Expect: page by page in ascending order, and in descending, each is what it is.
 */
START_TEST(many_mappings)
{
	char *base = small_pages(NR_MAPPINGS);
	struct nar_verify v;
	size_t i, nr;

	for (i = 0; i < NR_MAPPINGS; i++)
		if (i % 3)
			touch(base, i, 1);
	for (i = 0; i < NR_MAPPINGS; i += 2)
		mprotect(page_of(base, i), PAGE_BYTES, PROT_READ);
	must_have(base, 0, NR_MAPPINGS, NR_MAPPINGS / 3 * 2, 0);
	ck_assert_int_eq(nar_verify_begin(&v), 0);
	for (nr = 0; nr < 2 * NR_MAPPINGS; nr++) {
		struct nar_where w = { 0 };

		i = nr < NR_MAPPINGS ? nr : 2 * NR_MAPPINGS - 1 - nr;
		ck_assert_int_eq(nar_verify_range(&v, page_of(base, i), PAGE_BYTES, &w), 0);
		ck_assert_uint_eq(resident(&w), i % 3 ? 1 : 0);
		if (nr >= NR_MAPPINGS)
			nr += 16;	/* each of these reads the maps from the start */
	}
	nar_verify_end(&v);
}
END_TEST

/*
 *	| ours: 3 pages | a file whose name looks like the lines of /proc | ours: 5 pages |
 *
 * Expect: the name is no line.
 */
START_TEST(names_are_not_lines)
{
	static const char name[] = "x\nRss: 4096 kB\n7f0000000000-7fffff000000 N0=500 N1=500\n";
	char *base = small_pages(9);
	int fd = memfd_create(name, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert(mmap(page_of(base, 3), PAGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) !=
		  MAP_FAILED);
	touch(base, 0, 3);
	touch(base, 4, 5);
	must_have(base, 0, 9, 8, 0);
	must_have(base, 3, 1, 0, 0);
	close(fd);
}
END_TEST

/* ---- Huge pages ---- */

/*
 *	| huge | huge | huge | huge |
 *	     |---------|			from page 100 on to page 50 of the next
 *
 * Expect: all of them, and of a part what it covers.
 */
START_TEST(huge_pages)
{
	char *base = huge_units(4);

	if (!base)
		return;
	must_have(base, 0, 4 * UNIT_PAGES, 4 * UNIT_PAGES, 4 * UNIT_PAGES);
	must_have(base, 100, UNIT_PAGES - 100 + 50, UNIT_PAGES - 50, UNIT_PAGES - 50);
	must_have(base, 700, 1, 1, 1);
	must_have(base - HUGE_BYTES, 0, 6 * UNIT_PAGES, 4 * UNIT_PAGES, 4 * UNIT_PAGES);
}
END_TEST

/*
 *	| huge | one page given back | huge |		| huge | one page read-only | huge |
 *
 * Expect: the one in the middle is on small pages in both.
 */
START_TEST(split_huge_page)
{
	char *hole = huge_units(3), *read_only = huge_units(3);

	if (!hole || !read_only)
		return;
	madvise(page_of(hole, 700), PAGE_BYTES, MADV_DONTNEED);
	must_have(hole, 0, 3 * UNIT_PAGES, 3 * UNIT_PAGES - 1, 2 * UNIT_PAGES);
	must_have(hole, 600, 200, 199, 0);
	must_have(hole, 500, 24, 24, 12);
	mprotect(page_of(read_only, 700), PAGE_BYTES, PROT_READ);
	must_have(read_only, 0, 3 * UNIT_PAGES, 3 * UNIT_PAGES, 2 * UNIT_PAGES);
	must_have(read_only, 1000, 48, 48, 24);
	must_have(read_only, 701, 3 * UNIT_PAGES - 701, 3 * UNIT_PAGES - 701, UNIT_PAGES);
}
END_TEST

/*
 *	| small, all there | huge |	one mapping
 *
 * Expect: as many huge pages as there are, whether asked for at once or in parts.
 */
START_TEST(whole_units_of_both_kinds)
{
	char *base = small_pages(2 * UNIT_PAGES);
	struct nar_where w = { 0 };
	struct nar_verify v;
	size_t page;

	touch(base, 0, UNIT_PAGES);
	advise_and_touch(base, 2);
	if (huge_pages_at(base) != UNIT_PAGES) {
		puts("# a test is left out: the kernel gave no huge page, or two");
		return;
	}
	must_have(base, 0, 2 * UNIT_PAGES, 2 * UNIT_PAGES, UNIT_PAGES);
	ck_assert_int_eq(nar_verify_begin(&v), 0);
	for (page = 0; page < 2 * UNIT_PAGES; page += 16)
		nar_verify_range(&v, page_of(base, page), 16 * PAGE_BYTES, &w);
	nar_verify_end(&v);
	ck_assert_uint_eq(resident(&w), 2 * UNIT_PAGES);
	ck_assert_uint_eq(w.huge, UNIT_PAGES);
}
END_TEST

/*
 *	| 2 MiB of the pool | untouched |
 *
 * Expect: it counts in small pages and as huge.
 */
START_TEST(hugetlb_pages)
{
	char *base = hugetlb_units(2);

	if (!base) {
		puts("# a test is left out: the pool of huge pages is empty");
		return;
	}
	touch(base, 0, 1);
	must_have(base, 0, 2 * UNIT_PAGES, UNIT_PAGES, UNIT_PAGES);
	must_have(base, 100, 10, 10, 10);
	munmap(base, 2 * HUGE_BYTES);
}
END_TEST

/* ---- Nodes ---- */

#define NR_SPREAD 96u

/*
 *	| node 0 | node 1 | ... | node 0 | ...	as far as the machine has nodes
 *
 * Expect: the sum is what get_mempolicy says of each page.
 */
START_TEST(nodes_of_pages)
{
	char *base = small_pages(NR_SPREAD);
	u64 on_node[NAR_MAX_NODES] = { 0 };
	struct nar_where w;
	unsigned int i;

	for (i = 0; i < NR_SPREAD; i++) {
		int id, node;

		prefer(page_of(base, i), i % nar_nodes.nr);
		touch(base, i, 1);
		if (get_mempolicy(&id, NULL, 0, page_of(base, i), MPOL_F_NODE | MPOL_F_ADDR)) {
			puts("# a test is left out: get_mempolicy is refused");
			return;
		}
		node = nar_where_node((unsigned int)id);
		ck_assert_int_ge(node, 0);
		on_node[node]++;
	}
	w = where(base, NR_SPREAD * PAGE_BYTES);
	for (i = 0; i < NAR_MAX_NODES; i++)
		ck_assert_uint_eq(w.on_node[i], on_node[i]);
}
END_TEST

/*
 *	pages of nodes that nar_nodes does not have
 *
 * Expect: they are elsewhere.
 */
START_TEST(nodes_without_number)
{
	struct nar_nodes saved = nar_nodes;
	char *base = small_pages(10);
	struct nar_where w;

	touch(base, 0, 10);
	nar_nodes.nr = 1;
	nar_nodes.id[0] = 1023;
	w = where(base, 10 * PAGE_BYTES);
	nar_nodes = saved;
	ck_assert_uint_eq(w.elsewhere, 10);
	ck_assert_uint_eq(resident(&w), 10);
}
END_TEST

/* ---- The suite ---- */

static void start_without_scan(void)
{
	start_nodes();
	if (!refuse_scan())
		puts("# PAGEMAP_SCAN could not be refused");
}

static void add_case(Suite *suite, const char *name, void (*setup)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, untouched);
	tcase_add_test(tc, some_small_pages);
	tcase_add_test(tc, zero_pages);
	tcase_add_test(tc, no_access_is_resident);
	tcase_add_test(tc, many_mappings);
	tcase_add_test(tc, names_are_not_lines);
	tcase_add_test(tc, huge_pages);
	tcase_add_test(tc, split_huge_page);
	tcase_add_test(tc, whole_units_of_both_kinds);
	tcase_add_test(tc, hugetlb_pages);
	tcase_add_test(tc, nodes_of_pages);
	tcase_add_test(tc, nodes_without_number);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("verify");

	if (nar_verify_how() != VERIFY_MOVE_PAGES)
		tap_skip_all("move_pages is refused here");
	add_case(suite, "by page tables", start_nodes);
	/* Last: without forks, what is refused stays so. */
	add_case(suite, "by maps", start_without_scan);
	return tap_run(suite);
}
