// SPDX-License-Identifier: MIT
/*
 * Reservation of address space, and the memory of everything that describes the
 * user's memory.  None of it lies inside a chunk: all of a chunk is the user's, and a
 * stray write into freed memory does not reach it.
 */
#include <errno.h>
#include <string.h>

#include "internal/option.h"

#include "meta.h"

struct nar_layout nar_mem;

/* Tables grow in steps of this much window, 1.1 MiB of table: few calls, few pages. */
#define COVER_STEP MIB(64)

/* Windows of 8 TiB and 47 bits of address space: extents count pages in 32 bits. */
#define WINDOW_MAX ((size_t)1 << 43)
#define SPAN_MAX ((size_t)1 << 46)

/* Below this there is no point in running. */
#define SPAN_MIN MIB(16)

/* A window that leaves no more to a sixteenth has one pane. */
#define PART_MIN MIB(32)
#define NR_PARTS 16

/* Room for a node's arenas, heaps and class tables: 64 KiB an arena, 1M ids. */
#define AREA_BYTES GIB(64)
#define AREA_BYTES_LIMITED MIB(16)	/* under RLIMIT_AS: 200 threads */
#define AREA_STEP KIB(256)

/* What is allocated may have parts that are __shared_line. */
#define META_ALIGN 128

struct area {
	struct nar_lock lock;
	uintptr_t next, end;
	uintptr_t committed;	/* lock; racy reads are hints */
} __shared_line;

static struct area areas[NAR_MAX_NODES];
static size_t area_bytes;		/* of each; constant */
static u32 covered[NAR_MAX_NODES][NAR_MAX_PANES];	/* pages from the pane's start; grows only */
static u64 nr_bytes;			/* relaxed */
static bool has_theirs[NAR_MAX_NODES];	/* relaxed; parts that a policy of the program's placed */

/* One row a table: where its pointer lives, bytes an entry, bytes of window an entry. */
struct table {
	void **base;
	size_t entry_bytes;
	size_t grain;
};

static const struct table tables[] = {
	{ (void **)&nar_mem.map, sizeof(u32), SLICE_BYTES },
	{ (void **)&nar_mem.slab, sizeof(struct nar_slab), SLICE_BYTES },
	{ (void **)&nar_mem.bits, sizeof(*nar_mem.bits), SLICE_BYTES },
	{ (void **)&nar_mem.unit, sizeof(struct nar_unit), HUGE_BYTES },
	{ (void **)&nar_mem.extent, sizeof(struct nar_extent), PAGE_BYTES },
	{ (void **)&nar_mem.live, sizeof(*nar_mem.live), SLICE_BYTES },
};

/* The last table is for harden alone. */
static size_t nr_tables(void)
{
	return ARRAY_SIZE(tables) - !nar_opt.harden;
}

static size_t table_bytes(const struct table *t, size_t window)
{
	return ALIGN_UP(window / t->grain * t->entry_bytes, PAGE_BYTES);
}

static size_t all_table_bytes(size_t span)
{
	size_t i, sum = 0;

	for (i = 0; i < nr_tables(); i++)
		sum += table_bytes(&tables[i], span);
	return sum;
}

_Static_assert(sizeof(struct nar_extent) == 32, "two a cache line");
_Static_assert(sizeof(struct nar_unit) == 64, "a cache line");
_Static_assert(sizeof(struct nar_slab) == 64, "a cache line");

static void layout_set(uintptr_t base, size_t window_bytes, unsigned int shift, bool is_parted)
{
	nar_mem.window_shift = shift;
	nar_mem.window_bytes = window_bytes;
	nar_mem.base = base;
	nar_mem.part_shift = is_parted ? shift - PAGE_SHIFT - log2_floor(NR_PARTS) : 31;
	nar_mem.nr_panes = is_parted ? NAR_MAX_PANES : 1;
}

static int tables_place(uintptr_t at, size_t span)
{
	size_t i;

	for (i = 0; i < nr_tables(); i++) {
		*tables[i].base = (void *)at;
		at += table_bytes(&tables[i], span);
	}
	return nar_pages_make_readable(nar_mem.map, table_bytes(&tables[0], span));
}

static void areas_place(uintptr_t at, size_t bytes)
{
	unsigned int node;

	area_bytes = bytes;
	for (node = 0; node < nar_nodes.nr; node++, at += bytes) {
		areas[node].lock = (struct nar_lock)NAR_LOCK_INIT(RANK_META);
		areas[node].next = areas[node].committed = at;
		areas[node].end = at + bytes;
	}
}

/* One mapping for all: windows, then tables, then areas. */
static bool try_reserve(size_t window, unsigned int shift, size_t area, bool is_parted)
{
	size_t nr = nar_nodes.nr;
	size_t span = nr == 1 ? window : nr << shift;
	size_t tables_size = all_table_bytes(span);
	char *base = nar_pages_reserve(span + tables_size + nr * area, HUGE_BYTES);

	if (!base)
		return false;
	layout_set((uintptr_t)base, window, shift, is_parted);
	if (tables_place((uintptr_t)base + span, span)) {
		nar_pages_release(base, span + tables_size + nr * area);
		return false;
	}
	areas_place((uintptr_t)base + span + tables_size, area);
	/* Last, and read first: a non-zero span says that all of it is there. */
	store_release(&nar_mem.span_bytes, span);
	return true;
}

/* A limit on address space: one part in 64 for tables, and areas for some threads; no panes. */
static bool reserve_limited(size_t limit)
{
	size_t nr = nar_nodes.nr, window;

	for (; limit >= SPAN_MIN; limit /= 2) {
		size_t areas_size = nr * min_of(AREA_BYTES_LIMITED, ALIGN_DOWN(limit / 8 / nr, HUGE_BYTES));

		window = min_of((limit - areas_size) / nr / 64 * 62, WINDOW_MAX);
		/* Several windows lie at powers of two; one may be cut anywhere. */
		if (nr > 1)
			window = (size_t)1 << log2_floor(window);
		window = ALIGN_DOWN(window, HUGE_BYTES);
		if (window && areas_size && try_reserve(window, log2_floor(roundup_pow2(window)),
							areas_size / nr, false))
			return true;
	}
	return false;
}

static bool reserve_unlimited(void)
{
	size_t nr = nar_nodes.nr;
	/* Four times as much in the first pane. */
	size_t window = min_of(2 * roundup_pow2(4 * nar_pages_of_machine()), WINDOW_MAX);
	size_t area = AREA_BYTES / nr;

	while (nr * window > SPAN_MAX)
		window /= 2;
	for (; window >= MIB(64); window /= 2, area = max_of(area / 2, MIB(64)))
		if (try_reserve(window, log2_floor(window), area, window >= NR_PARTS * PART_MIN))
			return true;
	return false;
}

int nar_meta_init(void)
{
	size_t limit = nar_pages_reserve_limit();
	bool done = limit == SIZE_MAX ? reserve_unlimited() : reserve_limited(limit);

	return done ? 0 : -ENOMEM;
}

/* Of our own, but a program that has a policy does not want us elsewhere. */
static int commit_for(unsigned int node, uintptr_t start, uintptr_t end)
{
	u8 policy = (u8)nar_policy_current();
	int err;

	start = ALIGN_DOWN(start, PAGE_BYTES);
	end = ALIGN_UP(end, PAGE_BYTES);
	err = nar_pages_commit((void *)start, end - start);
	if (err)
		return err;
	nar_pages_advise_small((void *)start, end - start);
	nar_bind((void *)start, end - start, (struct nar_place){ (u8)node, policy });
	if (policy != POLICY_OURS)
		WRITE_ONCE(has_theirs[node], true);
	return 0;
}

/* A table's part for what lies at an offset of the span. */
static uintptr_t table_at(const struct table *t, size_t offset)
{
	return (uintptr_t)*t->base + offset / t->grain * t->entry_bytes;
}

static int cover_tables(unsigned int node, size_t from, size_t to)
{
	size_t i;
	int err = 0;

	for (i = 0; i < nr_tables() && !err; i++)
		err = commit_for(node, table_at(&tables[i], from), table_at(&tables[i], to));
	return err;
}

/*
 * Two threads may cover the same part at once: making memory writable twice does
 * no harm, and each is done before it moves the mark.
 */
int nar_meta_cover(unsigned int node, unsigned int pane, u32 end)
{
	u32 *mark = &covered[node][pane], first = nar_pane_first(pane);
	u32 from = load_acquire(mark), to, seen = from;
	size_t start = nar_window_offset(node) + ((size_t)first << PAGE_SHIFT);
	int err;

	if (end - first <= from)
		return 0;
	to = min_of(ALIGN_UP(end - first, (u32)(COVER_STEP >> PAGE_SHIFT)), nar_pane_end(pane) - first);
	err = cover_tables(node, start + ((size_t)from << PAGE_SHIFT), start + ((size_t)to << PAGE_SHIFT));
	if (err)
		return err;
	/* Release: whoever sees the mark sees writable tables. */
	while (seen < to && !__atomic_compare_exchange_n(mark, &seen, to, false, __ATOMIC_RELEASE,
							 __ATOMIC_RELAXED))
		;
	if (seen < to)
		add_relaxed(&nr_bytes, all_table_bytes((size_t)(to - seen) << PAGE_SHIFT));
	return 0;
}

/*
 * No system call under the lock: commit first, then look again.  By half of what there is, so
 * that a process that has warmed up makes none.
 */
static int area_grow(struct area *a, unsigned int node, size_t bytes)
{
	uintptr_t from = READ_ONCE(a->committed), to;
	size_t more = max_of(bytes, (from - (a->end - area_bytes)) / 2);
	int err;

	to = min_of(ALIGN_UP(from + more, AREA_STEP), a->end);
	if (to < from + bytes)
		return -ENOMEM;
	err = commit_for(node, from, to);
	if (err)
		return err;
	nar_lock(&a->lock);
	if (a->committed < to) {
		add_relaxed(&nr_bytes, to - a->committed);
		WRITE_ONCE(a->committed, to);
	}
	nar_unlock(&a->lock);
	return 0;
}

static void *area_take(struct area *a, size_t bytes)
{
	void *p = NULL;

	nar_lock(&a->lock);
	if (bytes >= PAGE_BYTES)
		a->next = ALIGN_UP(a->next, PAGE_BYTES);
	if (a->next + bytes <= a->committed) {
		p = (void *)a->next;
		a->next += bytes;
	}
	nar_unlock(&a->lock);
	return p;
}

void *nar_meta_alloc(unsigned int node, size_t bytes)
{
	struct area *a = &areas[node];
	void *p;

	bytes = ALIGN_UP(bytes, META_ALIGN);
	while (!(p = area_take(a, bytes)))
		if (area_grow(a, node, bytes + PAGE_BYTES))
			return NULL;
	return p;
}

void nar_meta_make_ready(unsigned int node, size_t bytes)
{
	struct area *a = &areas[node];
	size_t left;

	nar_lock(&a->lock);
	left = a->committed - a->next;
	nar_unlock(&a->lock);
	if (left < bytes)
		area_grow(a, node, bytes - left);
}

void nar_meta_each_range(unsigned int node, void (*fn)(void *arg, const void *start, size_t bytes),
			 void *arg)
{
	uintptr_t area_start = areas[node].end - area_bytes;
	unsigned int pane;
	size_t i;

	for (pane = 0; pane < nar_mem.nr_panes; pane++) {
		size_t from = nar_window_offset(node) + ((size_t)nar_pane_first(pane) << PAGE_SHIFT);
		size_t to = from + ((size_t)load_acquire(&covered[node][pane]) << PAGE_SHIFT);

		for (i = 0; i < nr_tables() && to > from; i++) {
			uintptr_t start = table_at(&tables[i], from);

			fn(arg, (void *)start, table_at(&tables[i], to) - start);
		}
	}
	fn(arg, (void *)area_start, READ_ONCE(areas[node].committed) - area_start);
}

bool nar_meta_is_bound(unsigned int node)
{
	return nar_policy_names_node(POLICY_OURS) && !READ_ONCE(has_theirs[node]);
}

size_t nar_meta_bytes(void)
{
	return READ_ONCE(nr_bytes);
}

void nar_meta_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		fn(&areas[node].lock);
}
