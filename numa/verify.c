// SPDX-License-Identifier: MIT
/*
 * Asking the kernel where pages are.
 *
 *	range		| not resident | huge | huge | small pages, some not resident |
 *	move_pages asks		         ^      ^      ^^^ ^^  ^ ^^^^^
 *
 * move_pages without target nodes tells where each page is: about 0.2 us a page, and
 * one of a huge page's 512 is enough.  Which units are huge and which pages are there
 * at all comes first, from the page tables: PAGEMAP_SCAN (Linux 6.7) gives both as
 * ranges; before it, /proc/self/smaps gives sums by mapping, and pages that are not
 * there are asked for too.
 *
 * Nothing is remembered from one inspection to the next: a program may put itself into
 * a sandbox at any time, and asking anew costs a few system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "verify.h"

#define PAGEMAP "/proc/self/pagemap"
#define SMAPS "/proc/self/smaps"
#define NUMA_MAPS "/proc/self/numa_maps"

/* struct pm_scan_arg and its constants of <linux/fs.h>, since Linux 6.7. */
struct scan_arg {
	u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define IS_PRESENT (1u << 3)
#define IS_HUGE (1u << 6)

/* ---- Who answers ---- */

/* Of a page of the stack. */
static bool may_ask(void)
{
	int node;
	void *page = (void *)ALIGN_DOWN((uintptr_t)&node, PAGE_BYTES);

	return !move_pages(0, 1, &page, NULL, &node, 0);
}

enum nar_verify_how nar_verify_how(void)
{
	if (access(SMAPS, R_OK))
		return VERIFY_NONE;
	if (may_ask())
		return VERIFY_MOVE_PAGES;
	return access(NUMA_MAPS, R_OK) ? VERIFY_NONE : VERIFY_NUMA_MAPS;
}

/* ---- move_pages ---- */

static void count_answers(const struct nar_batch *b, struct nar_where *w)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		if (b->status[i] < 0)
			continue;
		nar_where_add(w, (unsigned int)b->status[i], b->nr_pages[i]);
		if (b->is_huge[i])
			w->huge += b->nr_pages[i];
	}
}

static int batch_send(struct nar_batch *b, struct nar_where *w)
{
	int err = 0;

	if (b->nr && move_pages(0, b->nr, b->page, NULL, b->status, 0))
		err = -errno;
	else
		count_answers(b, w);
	b->nr = 0;
	return err;
}

static int batch_add(struct nar_batch *b, uintptr_t page, size_t nr_pages, bool is_huge,
		     struct nar_where *w)
{
	b->page[b->nr] = (void *)page;
	b->nr_pages[b->nr] = (u16)nr_pages;
	b->is_huge[b->nr] = is_huge;
	return ++b->nr < VERIFY_BATCH ? 0 : batch_send(b, w);
}

/* One question a huge page, or a part of one; one a small page. */
static int ask(struct nar_verify *v, uintptr_t from, uintptr_t to, bool is_huge,
	       struct nar_where *w)
{
	size_t step = is_huge ? HUGE_BYTES : PAGE_BYTES;
	int err = 0;

	while (from < to && !err) {
		uintptr_t next = min_of(to, ALIGN_DOWN(from, step) + step);

		err = batch_add(&v->batch, from, (next - from) >> PAGE_SHIFT, is_huge, w);
		from = next;
	}
	return err;
}

/* ---- By PAGEMAP_SCAN ---- */

/* Pages that are there, from arg->start on.  Return: how many regions, or -errno. */
static int scan(int fd, struct scan_arg *arg, struct nar_region *region)
{
	int n;

	arg->size = sizeof(*arg);
	arg->vec = (uintptr_t)region;
	arg->vec_len = VERIFY_REGIONS;
	arg->category_mask = IS_PRESENT;
	arg->return_mask = IS_HUGE;
	n = ioctl(fd, SCAN_IOCTL, arg);
	return n < 0 ? -errno : n;
}

/*
 * Tried on memory that was just written.  Return: a descriptor, or -1 if the kernel is
 * older or does not let us.
 */
static int open_pagemap(struct nar_region *region)
{
	uintptr_t page = ALIGN_DOWN((uintptr_t)region, PAGE_BYTES);
	struct scan_arg arg = { .start = page, .end = page + PAGE_BYTES };
	int fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || scan(fd, &arg, region) == 1)
		return fd;
	close(fd);
	return -1;
}

static int ask_regions(struct nar_verify *v, int nr, struct nar_where *w)
{
	int i, err = 0;

	for (i = 0; i < nr && !err; i++) {
		const struct nar_region *r = &v->region[i];

		err = ask(v, r->start, r->end, r->categories & IS_HUGE, w);
	}
	return err;
}

static int range_by_scan(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	struct scan_arg arg = { .start = from, .end = to };

	while (arg.start < to) {
		int nr = scan(v->pagemap, &arg, v->region);
		int err = nr < 0 ? nr : ask_regions(v, nr, w);

		if (err)
			return err;
		if (arg.walk_end <= arg.start)
			return -EIO;
		arg.start = arg.walk_end;
	}
	return 0;
}

/* ---- By mapping ---- */

/* Whether all of the unit is resident and on one node, as a huge page is; or -errno. */
static int unit_is_whole(struct nar_batch *b, uintptr_t unit, struct nar_where *w)
{
	unsigned int i;
	int err = batch_send(b, w);	/* its arrays are needed here */

	if (err)
		return err;
	for (i = 0; i < VERIFY_BATCH; i++)
		b->page[i] = (void *)(unit + i * PAGE_BYTES);
	if (move_pages(0, VERIFY_BATCH, b->page, NULL, b->status, 0))
		return -errno;
	for (i = 0; i < VERIFY_BATCH; i++)
		if (b->status[i] < 0 || b->status[i] != b->status[0])
			return false;
	return true;
}

/* Of a mapping that has pages of both kinds.  Return: whether, or -errno. */
static int unit_is_huge(struct nar_verify *v, uintptr_t unit, struct nar_where *w)
{
	struct nar_mapping *at = &v->maps.at;
	int whole;

	if (unit < at->start || unit + HUGE_BYTES > at->end)
		return false;
	if (unit == v->unit)
		return v->unit_is_huge;
	whole = at->nr_huge_left ? unit_is_whole(&v->batch, unit, w) : false;
	if (whole < 0)
		return whole;
	if (whole)
		at->nr_huge_left -= min_of(at->nr_huge_left, VERIFY_BATCH);
	v->unit = unit;
	v->unit_is_huge = whole;
	return whole;
}

static int ask_units(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	while (from < to) {
		uintptr_t unit = ALIGN_DOWN(from, HUGE_BYTES);
		uintptr_t next = min_of(to, unit + HUGE_BYTES);
		int huge = unit_is_huge(v, unit, w);
		int err = huge < 0 ? huge : ask(v, from, next, huge, w);

		if (err)
			return err;
		from = next;
	}
	return 0;
}

static int ask_mapping(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	const struct nar_mapping *at = &v->maps.at;

	if (!at->nr_huge || at->nr_huge == at->nr_resident)
		return ask(v, from, to, at->nr_huge, w);
	return ask_units(v, from, to, w);
}

/* By numa_maps: all of a mapping, or nothing. */
static int count_mapping(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	const struct nar_mapping *at = &v->maps.at;

	if (from > at->start || to < at->end) {
		w->undivided += at->nr_resident;
		return 0;
	}
	w->huge += at->nr_huge;
	return nar_maps_count_nodes(&v->maps, w);
}

static int count_part(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	if (!v->maps.at.nr_resident || from >= to)
		return 0;
	if (v->how == VERIFY_NUMA_MAPS)
		return count_mapping(v, from, to, w);
	return ask_mapping(v, from, to, w);
}

static int range_by_maps(struct nar_verify *v, uintptr_t from, uintptr_t to, struct nar_where *w)
{
	const struct nar_mapping *at = &v->maps.at;

	if (from < v->maps.asked)
		v->unit = 0;	/* the maps are read anew, and may tell something else */
	while (from < to) {
		int err = nar_maps_find(&v->maps, from);

		if (err)
			return err == -ENOENT ? 0 : err;
		err = count_part(v, max_of(from, at->start), min_of(to, at->end), w);
		if (err)
			return err;
		from = at->end;
	}
	return 0;
}

/* ---- An inspection ---- */

int nar_verify_begin(struct nar_verify *v)
{
	v->how = nar_verify_how();
	if (v->how == VERIFY_NONE)
		return -EOPNOTSUPP;
	v->batch.nr = 0;
	v->unit = 0;
	/* The kernel fills it through a pointer in a structure, which valgrind cannot see. */
	memset(v->region, 0, sizeof(v->region));
	v->pagemap = v->how == VERIFY_MOVE_PAGES ? open_pagemap(v->region) : -1;
	return v->pagemap < 0 ? nar_maps_open(&v->maps) : 0;
}

void nar_verify_end(struct nar_verify *v)
{
	if (v->pagemap < 0)
		nar_maps_close(&v->maps);
	else
		close(v->pagemap);
}

int nar_verify_range(struct nar_verify *v, const void *addr, size_t bytes, struct nar_where *w)
{
	uintptr_t from = ALIGN_DOWN((uintptr_t)addr, PAGE_BYTES);
	uintptr_t to = ALIGN_UP((uintptr_t)addr + bytes, PAGE_BYTES);
	int err = v->pagemap < 0 ? range_by_maps(v, from, to, w) : range_by_scan(v, from, to, w);
	int send_err = batch_send(&v->batch, w);

	return err ? err : send_err;
}
