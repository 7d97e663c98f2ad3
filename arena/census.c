// SPDX-License-Identifier: MIT
/*
 * Descriptors and magazines are read while their owners write them: a slab may be counted
 * that is just going, and a number be one too many.  Nothing is followed that such a number
 * could lead astray: slabs are found by address, and tables never go.
 */
#include <string.h>

#include "numa/resident.h"

#include "block.h"
#include "census.h"
#include "roster.h"
#include "survey.h"

/* Extents looked at under one lock. */
#define RUNS 32

/* The unit that was asked about last. */
struct look {
	u32 unit;		/* 0: none; the first of a pane is a guard */
	struct nar_residence residence;
};

struct census {
	struct nar_census *to;
	unsigned int node;
	struct look look;
};

/* ---- Residence ---- */

static unsigned int count_in_unit(struct look *l, u32 unit, unsigned int from, unsigned int nr)
{
	if (!READ_ONCE(nar_mem.unit[unit].touched_pages))
		return 0;
	if (l->unit != unit)
		nar_resident_look(nar_at((size_t)unit << HUGE_SHIFT), &l->residence);
	l->unit = unit;
	return nar_resident_count(&l->residence, from, nr);
}

static u64 resident_bytes(struct look *l, const void *start, size_t nr_pages)
{
	size_t page = nar_offset(start) >> PAGE_SHIFT, end = page + nr_pages, sum = 0, nr;

	for (; page < end; page += nr) {
		size_t in_unit = page % PAGES_PER_UNIT;

		nr = min_of(end - page, PAGES_PER_UNIT - in_unit);
		sum += count_in_unit(l, (u32)(page / PAGES_PER_UNIT), (unsigned int)in_unit,
				     (unsigned int)nr);
	}
	return sum << PAGE_SHIFT;
}

/* ---- Slabs ---- */

struct seen {
	u32 owner;
	u32 size;
	unsigned int class, heap, nr_slices, nr_objects, nr_out;
};

/* Return: whether a slab begins at @slice. */
static noinline __no_tsan bool see_slab(u32 slice, struct seen *seen)
{
	const volatile struct nar_slab *s = nar_slab_at(slice);
	u32 entry = load_acquire(&nar_mem.map[slice]);
	unsigned int left;

	if (!entry || !s->nr_slices)
		return false;
	*seen = (struct seen){
		.owner = nar_entry_owner(entry),
		.size = s->size,
		.class = nar_entry_class(entry) % NAR_MAX_CLASSES,
		.heap = s->heap % NAR_MAX_HEAPS,
		.nr_slices = s->nr_slices,
		.nr_objects = s->nr_objects,
	};
	/* A heap was destroyed, and its slabs are on their way. */
	left = seen->owner == OWNER_TOMB ? seen->nr_objects : (unsigned int)s->nr_free + s->nr_fresh;
	seen->nr_out = seen->nr_objects - min_of(left, seen->nr_objects);
	return true;
}

static void tally_slab(struct nar_tally *t, const struct seen *seen, u64 resident)
{
	t->nr_slabs++;
	t->slab_bytes += (u64)seen->nr_slices << SLICE_SHIFT;
	t->nr_objects += seen->nr_objects;
	t->nr_live += seen->nr_out;
	t->live_bytes += (u64)seen->nr_out * seen->size;
	t->resident_bytes += resident;
}

/* Slabs in [@start, @start + @nr_pages), which is a chunk or a part of one. */
static void each_slab(const struct nar_run *run, void (*fn)(void *arg, u32 slice, const struct seen *),
		      void *arg)
{
	u32 slice = (u32)(nar_offset(run->start) >> SLICE_SHIFT);
	u32 end = slice + (u32)((run->nr_pages << PAGE_SHIFT) >> SLICE_SHIFT);
	struct seen seen;

	for (; slice < end; slice++)
		if (see_slab(slice, &seen))
			fn(arg, slice, &seen);
}

static void count_slab(void *arg, u32 slice, const struct seen *seen)
{
	struct census *c = arg;
	u64 bytes = (u64)seen->nr_slices << SLICE_SHIFT;
	u64 resident = resident_bytes(&c->look, nar_slab_base(slice), bytes >> PAGE_SHIFT);

	tally_slab(&c->to->class[seen->class], seen, resident);
	if (c->to->has_heap[seen->heap])
		tally_slab(&c->to->heap[seen->heap], seen, resident);
	/* A node's resident pages are counted by extents. */
	tally_slab(&c->to->node[c->node], seen, 0);
	tally_slab(&c->to->all, seen, 0);
}

/* ---- Large blocks ---- */

static void tally_large(struct nar_tally *t, const struct nar_run *run, u64 resident)
{
	u64 bytes = (u64)run->nr_pages << PAGE_SHIFT;

	t->large_bytes += bytes;
	t->resident_bytes += resident;
	if (run->state == EXTENT_RECENT)
		t->cached_bytes += bytes;
	else
		t->live_bytes += bytes;
}

/* A policy's default heap has its number. */
static void count_large(struct census *c, const struct nar_run *run, u64 resident)
{
	u32 heap = nar_block_heap_id(run->start) % NAR_MAX_HEAPS;

	heap = heap ? heap : run->policy;
	if (c->to->has_heap[heap])
		tally_large(&c->to->heap[heap], run, resident);
	tally_large(&c->to->node[c->node], run, 0);
	tally_large(&c->to->all, run, 0);
}

/* ---- Extents ---- */

static void count_run(void *arg, const struct nar_run *run)
{
	struct census *c = arg;
	u64 resident = 0;

	if (run->backing != BACKING_NONE)
		resident = resident_bytes(&c->look, run->start, run->nr_pages);
	c->to->node[c->node].resident_bytes += resident;
	c->to->all.resident_bytes += resident;
	if (run->state == EXTENT_CHUNK)
		each_slab(run, count_slab, c);
	else if (run->state == EXTENT_LARGE || run->state == EXTENT_RECENT)
		count_large(c, run, resident);
}

static void each_run(unsigned int node, void (*fn)(void *arg, const struct nar_run *run), void *arg)
{
	struct nar_run runs[RUNS];
	unsigned int nr, i;
	u32 page = 0;

	while ((nr = nar_survey_walk(node, &page, runs, RUNS)))
		for (i = 0; i < nr; i++)
			fn(arg, &runs[i]);
}

/* ---- Magazines ---- */

/* Its thread pushes and pops, and may be moving it to other slots. */
noinline __no_tsan unsigned int nar_census_nr_in_magazine(const struct nar_arena *a, unsigned int class)
{
	void **top = *(void **const volatile *)&a->mag.top[class];
	void **start = *(void **const volatile *)&a->mag.start[class];
	size_t nr = (size_t)((uintptr_t)top - (uintptr_t)start) / sizeof(*top);

	return nr <= NAR_MAG_GROWN_MAX ? (unsigned int)nr : 0;
}

noinline __no_tsan u64 nar_census_waiting_bytes(const struct nar_arena *a)
{
	const volatile struct nar_recent *r = &a->recent;

	return (u64)r->sum_pages << PAGE_SHIFT;
}

u64 nar_census_magazine_bytes(const struct nar_arena *a)
{
	unsigned int class;
	u64 sum = 0;

	for (class = 0; class < nar_class_count(); class++)
		sum += (u64)nar_census_nr_in_magazine(a, class) * nar_class[class].shape.size;
	return sum;
}

/* What is in a magazine was counted as live. */
static void tally_cached(struct nar_tally *t, u64 nr, u64 bytes)
{
	t->nr_cached += nr;
	t->cached_bytes += bytes;
	t->nr_live -= min_of(nr, t->nr_live);
	t->live_bytes -= min_of(bytes, t->live_bytes);
}

static void count_magazines(struct nar_census *c, const struct nar_arena *a)
{
	const struct nar_heap *heap = load_acquire(&a->heap);
	unsigned int class;

	/* What is in one of a heap that was destroyed is nobody's; a new one has nothing yet. */
	if (!heap || READ_ONCE(a->handle) == HANDLE_DEAD)
		return;

	for (class = 0; class < nar_class_count(); class++) {
		u64 nr = nar_census_nr_in_magazine(a, class), bytes = nr * nar_class[class].shape.size;

		if (!nr)
			continue;
		tally_cached(&c->class[class], nr, bytes);
		if (c->has_heap[heap->id])
			tally_cached(&c->heap[heap->id], nr, bytes);
		tally_cached(&c->node[a->member.node], nr, bytes);
		tally_cached(&c->all, nr, bytes);
	}
}

/* Their regions are resident, so what is used of them is alive. */
static void count_scopes(struct nar_census *c)
{
	u64 used_bytes[NAR_MAX_NODES] = { 0 };
	unsigned int node;

	nar_roster_add_used(used_bytes);
	for (node = 0; node < nar_nodes.nr; node++) {
		c->node[node].live_bytes += used_bytes[node];
		c->all.live_bytes += used_bytes[node];
	}
}

/* Numbers are many and heaps few: what no heap has is not touched. */
static void clear(struct nar_census *to)
{
	u32 id;

	memset(to->class, 0, sizeof(to->class));
	memset(to->node, 0, sizeof(to->node));
	memset(&to->all, 0, sizeof(to->all));
	to->heaps_end = 0;
	for (id = 0; id < NAR_MAX_HEAPS; id++) {
		const struct nar_heap *h = load_acquire(&nar_heaps[id]);

		to->has_heap[id] = h && (id < NAR_FIRST_HEAP || nar_heap_is_alive(READ_ONCE(h->handle)));
		if (!to->has_heap[id])
			continue;
		to->heap[id] = (struct nar_tally){ 0 };
		to->heaps_end = id + 1;
	}
}

void nar_census_take(struct nar_census *to)
{
	struct census c = { .to = to };
	u32 id;

	clear(to);
	for (c.node = 0; c.node < nar_nodes.nr; c.node++)
		each_run(c.node, count_run, &c);
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++)
		count_magazines(to, nar_arena_of(id));
	count_scopes(to);
}

/* ---- By arena ---- */

struct by_arena {
	u32 first;
	unsigned int nr;
	struct nar_holding *to;
	struct look look;
};

static void add_slab(void *arg, u32 slice, const struct seen *seen)
{
	struct by_arena *by = arg;
	struct nar_holding *to;

	if (seen->owner - by->first >= by->nr)
		return;
	to = &by->to[seen->owner - by->first];
	to->out_bytes += (u64)seen->nr_out * seen->size;
	to->resident_bytes += resident_bytes(&by->look, nar_slab_base(slice),
					     ((size_t)seen->nr_slices << SLICE_SHIFT) >> PAGE_SHIFT);
}

static void add_run(void *arg, const struct nar_run *run)
{
	if (run->state == EXTENT_CHUNK)
		each_slab(run, add_slab, arg);
}

void nar_census_arenas(u32 first, unsigned int nr, struct nar_holding *to)
{
	struct by_arena by = { .first = first, .nr = nr, .to = to };
	unsigned int node;

	memset(to, 0, nr * sizeof(*to));
	for (node = 0; node < nar_nodes.nr; node++)
		each_run(node, add_run, &by);
}

u64 nar_tally_fragmentation(const struct nar_tally *t)
{
	if (!t->resident_bytes || t->live_bytes >= t->resident_bytes)
		return 0;
	return (u64)((t->resident_bytes - t->live_bytes) * (unsigned __int128)10000 / t->resident_bytes);
}
