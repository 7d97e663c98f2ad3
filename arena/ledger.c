// SPDX-License-Identifier: MIT
#include <string.h>

#include "numa/process.h"

#include "census.h"
#include "ledger.h"
#include "roster.h"
#include "stats.h"

_Static_assert(NAR_HEAP_LINE_NAME == NUMARENA_HEAP_NAME_MAX + 1, "names fit");

/* ---- The first lines ---- */

/* Return: a line to fill, those with less behind it; NULL: all that there are have more. */
static void *list_insert(struct nar_ledger_list *l, u64 has_bytes)
{
	unsigned int at = l->nr;
	char *line;

	while (at && l->has_bytes[at - 1] < has_bytes)
		at--;
	if (l->nr == l->max) {
		l->nr_left_off++;
		if (at == l->max)
			return NULL;
		l->nr--;
	}
	line = (char *)l->line + at * l->line_bytes;
	memmove(line + l->line_bytes, line, (l->nr - at) * l->line_bytes);
	memmove(&l->has_bytes[at + 1], &l->has_bytes[at], (l->nr - at) * sizeof(u64));
	l->has_bytes[at] = has_bytes;
	l->nr++;
	return line;
}

/* ---- Slabs of an arena or a shelf ---- */

struct slabs {
	unsigned int class;
	u64 nr, bytes, nr_objects;
	u64 nr_live, nr_cached;
	u64 live_bytes, cached_bytes;
};

/* Its thread pushes and pops meanwhile: no more is in a magazine than was handed out. */
static void see_slabs(struct slabs *to, const struct nar_bins *bins, unsigned int class,
		      unsigned int nr_in_magazine)
{
	u64 nr_out = READ_ONCE(bins->nr_out), size = nar_class[class].shape.size;

	to->class = class;
	to->nr = READ_ONCE(bins->nr_slabs);
	to->bytes = nar_bins_bytes(bins);
	to->nr_objects = READ_ONCE(bins->nr_objects);
	to->nr_cached = min_of((u64)nr_in_magazine, nr_out);
	to->nr_live = nr_out - to->nr_cached;
	to->live_bytes = to->nr_live * size;
	to->cached_bytes = to->nr_cached * size;
}

static void add_to_class(struct nar_class_line *to, const struct slabs *s)
{
	to->slabs += s->nr;
	to->slab_bytes += s->bytes;
	to->objects += s->nr_objects;
	to->live_objects += s->nr_live;
	to->cached_objects += s->nr_cached;
	to->live_bytes += s->live_bytes;
	to->cached_bytes += s->cached_bytes;
}

static void add_to_heap(struct nar_ledger_sum *to, const struct slabs *s)
{
	to->nr_slabs += s->nr;
	to->slab_bytes += s->bytes;
	to->live_bytes += s->live_bytes;
	to->cached_bytes += s->cached_bytes;
}

/* To what its class has, and its heap. */
static void add_slabs(struct nar_ledger *l, struct nar_ledger_sum *heap, const struct slabs *s)
{
	add_to_class(&l->class[s->class], s);
	add_to_heap(heap, s);
}

/* One of another turn, or of a heap that has gone, begins anew. */
static struct nar_ledger_sum *sum_of(struct nar_ledger *l, u32 id, u64 handle)
{
	struct nar_ledger_sum *s = &l->sum[id];

	if (s->turn != l->turn || s->handle != handle)
		*s = (struct nar_ledger_sum){ .turn = l->turn, .handle = handle };
	return s;
}

/* ---- Arenas ---- */

/* The arena may be going from one heap to another: the handle alone tells. */
static struct nar_ledger_sum *sum_of_arena(struct nar_ledger *l, const struct nar_arena *a)
{
	const struct nar_heap *heap = load_acquire(&a->heap);
	u64 handle = READ_ONCE(a->handle);

	if (!heap || handle == HANDLE_DEAD)
		return NULL;
	if (handle != HANDLE_NONE)
		return sum_of(l, nar_handle_number(handle) % NAR_MAX_HEAPS, handle);
	return sum_of(l, heap->id, HANDLE_NONE);
}

static void list_thread(struct nar_ledger *l, const struct nar_thread_line *seen)
{
	struct nar_thread_line *line;

	/* What a thread that has ended leaves behind is told, and that there was one is not. */
	if (!seen->tid && !seen->slab_bytes)
		return;
	line = list_insert(&l->threads, seen->slab_bytes);
	if (line)
		*line = *seen;
}

static void look_at_arena(struct nar_ledger *l, const struct nar_arena *a)
{
	struct nar_ledger_sum *sum = sum_of_arena(l, a);
	struct nar_thread_line line;
	unsigned int class;
	struct slabs slabs;
	u64 waiting;

	if (!sum)
		return;
	nar_ledger_see_thread(&line, a);
	for (class = 0; class < nar_class_count(); class++) {
		/* What is in a magazine has a slab of the arena's. */
		if (!READ_ONCE(a->bins[class].nr_slabs))
			continue;
		see_slabs(&slabs, &a->bins[class], class, nar_census_nr_in_magazine(a, class));
		add_slabs(l, sum, &slabs);
		line.live_bytes += slabs.live_bytes;
		line.cached_bytes += slabs.cached_bytes;
	}
	waiting = nar_census_waiting_bytes(a);
	sum->waiting_bytes += waiting;
	l->waiting_bytes += waiting;
	line.cached_bytes += waiting;
	list_thread(l, &line);
}

void nar_ledger_see_thread(struct nar_thread_line *to, const struct nar_arena *a)
{
	const struct nar_heap *heap = load_acquire(&a->heap);
	bool is_gone = READ_ONCE(a->is_gone);
	struct numarena_stats s = { 0 };

	nar_stats_add_arena(&s, a);
	*to = (struct nar_thread_line){
		.arena = a->member.id,
		.tid = is_gone ? 0 : READ_ONCE(a->member.tid),
		.heap = heap && !is_gone ? heap->id : 0,
		.slab_bytes = READ_ONCE(a->slab_bytes),
		.resident_bytes = NAR_LEDGER_UNKNOWN,
		.fragmentation = NAR_LEDGER_UNKNOWN,
		.queued_bytes = READ_ONCE(a->queue.bytes),
		.nr_refills = s.nr_refills,
		.nr_flushes = s.nr_flushes,
		.nr_remote_frees = s.nr_remote_frees,
		.nr_remote_batches = s.nr_remote_batches,
		.lock_contended = s.lock_contended,
	};
}

/* ---- Heaps ---- */

static void add_shelves(struct nar_ledger *l, const struct nar_heap *h, struct nar_ledger_sum *sum)
{
	unsigned int node, class;
	struct slabs slabs;

	for (node = 0; node < nar_nodes.nr; node++) {
		for (class = 0; class < nar_class_count(); class++) {
			const struct nar_bins *bins = &h->shard[node][class].bins;

			if (!READ_ONCE(bins->nr_slabs))
				continue;
			see_slabs(&slabs, bins, class, 0);
			add_slabs(l, sum, &slabs);
		}
	}
}

/* One that is just being made, or has been destroyed, is none. */
static bool is_there(const struct nar_heap *h, u32 id)
{
	return h && (id < NAR_FIRST_HEAP || nar_heap_is_alive(READ_ONCE(h->handle)));
}

bool nar_ledger_see_heap(struct nar_heap_line *to, u32 id)
{
	const struct nar_heap *h = load_acquire(&nar_heaps[id]);
	const struct nar_account *a = &nar_accounts[id];

	if (!is_there(h, id))
		return false;
	*to = (struct nar_heap_line){
		.heap = id,
		.is_there = true,
		.resident_bytes = NAR_LEDGER_UNKNOWN,
		.fragmentation = NAR_LEDGER_UNKNOWN,
		.charged_bytes = READ_ONCE(a->used_bytes),
		.peak_bytes = READ_ONCE(a->peak_bytes),
		.limit_bytes = READ_ONCE(a->limit_bytes),
		.nr_limit_hit = READ_ONCE(a->nr_hit),
	};
	if (id >= NAR_FIRST_HEAP)
		return nar_heap_try_name(READ_ONCE(h->handle), to->name);
	strcpy(to->name, id ? "policy" : "default");
	return true;
}

static void sum_up_heap(struct nar_heap_line *to, const struct nar_ledger_sum *sum)
{
	to->slabs = sum->nr_slabs;
	to->slab_bytes = sum->slab_bytes;
	to->live_bytes = sum->live_bytes + to->large_bytes;
	to->cached_bytes = sum->cached_bytes + sum->waiting_bytes;
}

static void list_heap(struct nar_ledger *l, const struct nar_heap_line *seen)
{
	/* The process's own comes first, whatever it has. */
	u64 has_bytes = seen->heap ? seen->slab_bytes + seen->large_bytes : UINT64_MAX;
	struct nar_heap_line *line = list_insert(&l->heaps, has_bytes);

	if (line)
		*line = *seen;
}

/* There is one, or was. */
static void look_at_heap(struct nar_ledger *l, u32 id)
{
	const struct nar_heap *h = load_acquire(&nar_heaps[id]);
	u64 handle = READ_ONCE(h->handle);
	struct nar_ledger_sum *sum;
	struct nar_heap_line line;

	nar_stats_add_heap(&l->shards, h);
	if (!nar_ledger_see_heap(&line, id))
		return;
	sum = sum_of(l, id, handle);
	add_shelves(l, h, sum);
	if (id >= NAR_FIRST_HEAP)
		line.large_bytes = READ_ONCE(h->block_bytes);
	l->block_bytes += line.large_bytes;
	l->has_policies |= id && id < NAR_FIRST_HEAP;
	sum_up_heap(&line, sum);
	/* What was seen is of two heaps, of which one has gone. */
	if (READ_ONCE(h->handle) == handle)
		list_heap(l, &line);
}

/* ---- A turn ---- */

static struct nar_ledger_list empty_list(void *line, size_t line_bytes, u64 *has_bytes, unsigned int max)
{
	return (struct nar_ledger_list){
		.line = line, .line_bytes = line_bytes, .has_bytes = has_bytes, .max = max,
	};
}

void nar_ledger_begin(struct nar_ledger *l)
{
	memset(l->class, 0, sizeof(l->class));
	memset(&l->shards, 0, sizeof(l->shards));
	l->heaps = empty_list(l->heap, sizeof(l->heap[0]), l->heap_has, NAR_STATPAGE_HEAPS);
	l->threads = empty_list(l->thread, sizeof(l->thread[0]), l->thread_has, NAR_STATPAGE_THREADS);
	l->turn++;
	l->next_arena = OWNER_FIRST_ARENA;
	l->next_heap = 0;
	l->has_policies = false;
	l->block_bytes = 0;
	l->waiting_bytes = 0;
}

/* The next heap there is, or one past the last. */
static u32 heap_from(u32 id)
{
	while (id < NAR_MAX_HEAPS && !load_acquire(&nar_heaps[id]))
		id++;
	return id;
}

/* Arenas first: then a heap is done once its shelves are.  Return: false at the end. */
static bool look_on(struct nar_ledger *l)
{
	if (l->next_arena < nar_registry_end()) {
		look_at_arena(l, nar_arena_of(l->next_arena++));
		return true;
	}
	l->next_heap = heap_from(l->next_heap);
	if (l->next_heap == NAR_MAX_HEAPS)
		return false;
	look_at_heap(l, l->next_heap++);
	return true;
}

bool nar_ledger_go_on(struct nar_ledger *l, u64 until_ns)
{
	while (look_on(l))
		if (until_ns != UINT64_MAX && nar_process_clock_ns() >= until_ns)
			return false;
	return true;
}

/* Blocks that no heap of the program's has: whose they are is known only if there is one other. */
static void settle_large(struct nar_ledger *l, u64 large_bytes)
{
	struct nar_heap_line *line;
	u64 waiting;

	for (line = l->heap; line < l->heap + l->heaps.nr; line++) {
		if (line->heap >= NAR_FIRST_HEAP)
			continue;
		line->large_bytes = NAR_LEDGER_UNKNOWN;
		if (l->has_policies) {
			line->live_bytes = NAR_LEDGER_UNKNOWN;
			continue;
		}
		waiting = sum_of(l, line->heap, HANDLE_NONE)->waiting_bytes;
		line->large_bytes = large_bytes - min_of(large_bytes, l->block_bytes);
		line->live_bytes += line->large_bytes - min_of(line->large_bytes, waiting);
	}
}

static void sum_up_all(struct nar_ledger *l, u64 large_bytes)
{
	u64 used_bytes[NAR_MAX_NODES] = { 0 };
	struct nar_total_line *t = &l->total;
	unsigned int node, class;

	*t = (struct nar_total_line){
		.live_bytes = large_bytes - min_of(large_bytes, l->waiting_bytes),
		.cached_bytes = l->waiting_bytes,
		.resident_bytes = NAR_LEDGER_UNKNOWN,
		.huge_bytes = NAR_LEDGER_UNKNOWN,
		.huge_coverage = NAR_LEDGER_UNKNOWN,
		.fragmentation = NAR_LEDGER_UNKNOWN,
	};
	nar_roster_add_used(used_bytes);
	for (node = 0; node < nar_nodes.nr; node++)
		t->live_bytes += used_bytes[node];
	for (class = 0; class < nar_class_count(); class++) {
		t->live_bytes += l->class[class].live_bytes;
		t->cached_bytes += l->class[class].cached_bytes;
	}
}

void nar_ledger_close(struct nar_ledger *l, u64 large_bytes)
{
	unsigned int class;

	for (class = 0; class < nar_class_count(); class++) {
		struct nar_class_line *line = &l->class[class];

		line->size = nar_class[class].shape.size;
		line->resident_bytes = NAR_LEDGER_UNKNOWN;
		line->fragmentation = NAR_LEDGER_UNKNOWN;
	}
	settle_large(l, large_bytes);
	sum_up_all(l, large_bytes);
}
