// SPDX-License-Identifier: MIT
#include <string.h>

#include "numa/process.h"

#include "pen.h"
#include "report.h"
#include "stats.h"

_Static_assert(NAR_NR_PROCESS_FIGURES <= NAR_FIGURES_MAX, "a line has no room for all");
_Static_assert(NAR_ROSTER_UNCOUNTED == NAR_UNKNOWN, "what is not counted is not known");

/* ---- Gathering ---- */

void nar_report_laps(struct nar_laps *laps)
{
	u32 id;

	memset(laps, 0, sizeof(*laps));
	nar_laps_add(laps, &nar_laps_shared);
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++)
		nar_laps_add(laps, &nar_arena_of(id)->count.laps);
}

/* No mapping crosses the guard that a window, or a pane of it, begins with. */
static u64 huge_pages_in(struct nar_maps *m, unsigned int node)
{
	uintptr_t at = (uintptr_t)nar_at(nar_window_offset(node));
	uintptr_t end = at + ((uintptr_t)1 << nar_mem.window_shift);
	u64 nr = 0;

	for (; at < end && !nar_maps_find(m, at) && m->at.start < end; at = m->at.end)
		nr += m->at.nr_huge;
	return nr;
}

static void take_huge(struct nar_report *r)
{
	bool is_open = !nar_maps_open(&r->maps);
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		r->huge_bytes[node] = is_open ? huge_pages_in(&r->maps, node) << PAGE_SHIFT : NAR_UNKNOWN;
	nar_maps_close(&r->maps);
}

void nar_report_take(struct nar_report *r)
{
	nar_stats_read(&r->stats);
	nar_census_take(&r->census);
	nar_report_laps(&r->laps);
	take_huge(r);
	r->nr_scopes = nar_roster_take(r->scope, NAR_REPORT_SCOPES, &r->nr_scopes_left_off);
	r->row = -1;
	r->node_is = -1;
	r->first_arena = OWNER_NONE;
	r->uptime_ns = nar_lap_uptime_ns();
	r->pid = nar_process_id();
	nar_process_name(0, r->name);
}

void nar_report_row(struct nar_report *r, unsigned int from)
{
	if (r->row == (int)from)
		return;
	nar_stats_read_row(from, r->frees, r->bytes);
	r->row = (int)from;
}

/* ---- Lines ---- */

static struct nar_key number(int64_t n)
{
	return (struct nar_key){ NULL, n };
}

static struct nar_key word(const char *text)
{
	return (struct nar_key){ text, KEY_NONE };
}

static unsigned int one_line(const struct nar_report *r)
{
	(void)r;
	return 1;
}

static unsigned int a_line_a_node(const struct nar_report *r)
{
	(void)r;
	return nar_nodes.nr;
}

static bool read_process(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	for (i = 0; i < NAR_NR_PROCESS_FIGURES; i++)
		line->value[i] = nar_figure_of(&nar_process_figures[i], &r->stats);
	return true;
}

/* The same for the process, by another way: all that is counted and not known to numarena.h. */
static const struct nar_figure total_figures[] = {
	{ .name = "live_bytes", .kind = FIGURE_GAUGE,
	  .help = "What the program holds, with what waits in messages between threads." },
	{ .name = "cached_bytes", .kind = FIGURE_GAUGE,
	  .help = "Free objects in magazines and free blocks that wait with a thread." },
	{ .name = "resident_bytes", .kind = FIGURE_GAUGE, .help = "Pages of the windows in memory." },
	{ .name = "huge_bytes", .kind = FIGURE_GAUGE, .help = "Of those, on huge pages." },
	{ .name = "huge_coverage", .kind = FIGURE_RATIO, .help = "Huge bytes a resident byte." },
	{ .name = "fragmentation", .kind = FIGURE_RATIO,
	  .help = "Resident bytes that nothing alive fills, a resident byte." },
};

static u64 coverage(u64 huge, u64 resident)
{
	if (huge == NAR_UNKNOWN || !resident)
		return NAR_UNKNOWN;
	/* The two were looked at one after the other. */
	return (u64)(min_of(huge, resident) * (unsigned __int128)NAR_RATIO_ONE / resident);
}

static void read_totals(u64 *value, const struct nar_tally *t, u64 huge)
{
	value[0] = t->live_bytes;
	value[1] = t->cached_bytes;
	value[2] = t->resident_bytes;
	value[3] = huge;
	value[4] = coverage(huge, t->resident_bytes);
	value[5] = nar_tally_fragmentation(t);
}

static bool read_total(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	u64 huge = 0;

	(void)i;
	for (i = 0; i < nar_nodes.nr && huge != NAR_UNKNOWN; i++)
		huge = r->huge_bytes[i] == NAR_UNKNOWN ? NAR_UNKNOWN : huge + r->huge_bytes[i];
	read_totals(line->value, &r->census.all, huge);
	return true;
}

static const struct numarena_node_stats *node_stats(struct nar_report *r, unsigned int node)
{
	if (r->node_is != (int)node)
		nar_stats_read_node(&r->node, node);
	r->node_is = (int)node;
	return &r->node;
}

static bool read_node(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct numarena_node_stats *s = node_stats(r, i);
	unsigned int k;

	line->key[0] = number(s->node);
	for (k = 0; k < NAR_NR_NODE_FIGURES; k++)
		line->value[k] = nar_figure_of(&nar_node_figures[k], s);
	return true;
}

static bool read_placement(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	line->key[0] = number(nar_nodes.id[i]);
	read_totals(line->value, &r->census.node[i], r->huge_bytes[i]);
	return true;
}

/* ---- What did not go as asked, by cause ---- */

static const struct nar_figure loss_figures[] = {
	{ .name = "fallbacks", .kind = FIGURE_COUNTER, .help = "What did not go as asked, by cause." },
};

/* Causes of the process come after those of all nodes. */
static unsigned int nr_losses(const struct nar_report *r)
{
	(void)r;
	return nar_nodes.nr * NAR_NR_NODE_FIGURES + NAR_NR_PROCESS_FIGURES;
}

/* A cause that each node counts is not told again for the process. */
static bool is_of_nodes(const char *name)
{
	unsigned int i;

	for (i = 0; i < NAR_NR_NODE_FIGURES; i++)
		if (!strcmp(nar_node_figures[i].name, name))
			return true;
	return false;
}

static bool read_process_loss(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct nar_figure *f = &nar_process_figures[i];

	if (!f->is_loss || is_of_nodes(f->name))
		return false;
	line->key[0] = number(KEY_NONE);
	line->key[1] = word(f->name);
	line->value[0] = nar_figure_of(f, &r->stats);
	return true;
}

static bool read_loss(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	unsigned int node = i / NAR_NR_NODE_FIGURES;
	const struct nar_figure *f = &nar_node_figures[i % NAR_NR_NODE_FIGURES];
	const struct numarena_node_stats *s;

	if (node >= nar_nodes.nr)
		return read_process_loss(r, i - nar_nodes.nr * NAR_NR_NODE_FIGURES, line);
	if (!f->is_loss)
		return false;
	s = node_stats(r, node);
	line->key[0] = number(s->node);
	line->key[1] = word(f->name);
	line->value[0] = nar_figure_of(f, s);
	return true;
}

/* ---- Classes, heaps ---- */

static const struct nar_figure class_figures[] = {
	{ .name = "slabs", .kind = FIGURE_GAUGE, .help = "Slabs of the class." },
	{ .name = "slab_bytes", .kind = FIGURE_GAUGE, .help = "... and their size." },
	{ .name = "objects", .kind = FIGURE_GAUGE, .help = "Objects that fit into them." },
	{ .name = "live_objects", .kind = FIGURE_GAUGE, .help = "Objects that the program holds." },
	{ .name = "cached_objects", .kind = FIGURE_GAUGE, .help = "Free objects in magazines." },
	{ .name = "live_bytes", .kind = FIGURE_GAUGE, .help = "Objects that the program holds." },
	{ .name = "cached_bytes", .kind = FIGURE_GAUGE, .help = "Free objects in magazines." },
	{ .name = "resident_bytes", .kind = FIGURE_GAUGE, .help = "Pages of the slabs in memory." },
	{ .name = "fragmentation", .kind = FIGURE_RATIO,
	  .help = "Resident bytes that nothing alive fills, a resident byte." },
};

static unsigned int nr_classes(const struct nar_report *r)
{
	return (unsigned int)r->stats.nr_classes;
}

static bool read_class(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct nar_tally *t = &r->census.class[i];
	const u64 value[] = { t->nr_slabs, t->slab_bytes, t->nr_objects, t->nr_live, t->nr_cached,
			      t->live_bytes, t->cached_bytes, t->resident_bytes,
			      nar_tally_fragmentation(t) };

	line->key[0] = number(nar_class[i].shape.size);
	memcpy(line->value, value, sizeof(value));
	return true;
}

static const struct nar_figure heap_figures[] = {
	{ .name = "slabs", .kind = FIGURE_GAUGE, .help = "Slabs of the heap." },
	{ .name = "slab_bytes", .kind = FIGURE_GAUGE, .help = "... and their size." },
	{ .name = "large_bytes", .kind = FIGURE_GAUGE, .help = "Blocks above 32 KiB." },
	{ .name = "live_bytes", .kind = FIGURE_GAUGE, .help = "What the program holds." },
	{ .name = "cached_bytes", .kind = FIGURE_GAUGE,
	  .help = "Free objects in magazines and free blocks that wait with a thread." },
	{ .name = "resident_bytes", .kind = FIGURE_GAUGE, .help = "Pages of all that in memory." },
	{ .name = "fragmentation", .kind = FIGURE_RATIO,
	  .help = "Resident bytes that nothing alive fills, a resident byte." },
	{ .name = "charged_bytes", .kind = FIGURE_GAUGE,
	  .help = "What counts against the heap's limit, of heaps that the program has made." },
	{ .name = "peak_bytes", .kind = FIGURE_GAUGE, .help = "The most that was." },
	{ .name = "limit_bytes", .kind = FIGURE_GAUGE, .help = "The heap's limit; 0 is none." },
	{ .name = "nr_limit_hit", .kind = FIGURE_COUNTER, .help = "Allocations that met the limit." },
};

static unsigned int nr_heaps(const struct nar_report *r)
{
	return r->census.heaps_end;
}

/* It may be given to another heap of that number meanwhile. */
static noinline __no_tsan void copy_name(char to[NAR_LINE_NAME_BYTES], const char *from)
{
	const volatile char *at = from;
	unsigned int i;

	for (i = 0; i < NAR_LINE_NAME_BYTES - 1 && i < NUMARENA_HEAP_NAME_MAX && at[i]; i++)
		to[i] = at[i];
	to[i] = '\0';
}

static bool read_heap(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct nar_tally *t = &r->census.heap[i];
	const struct nar_heap *h = load_acquire(&nar_heaps[i]);
	const struct nar_account *a = &nar_accounts[i];
	const u64 value[] = { t->nr_slabs, t->slab_bytes, t->large_bytes, t->live_bytes,
			      t->cached_bytes, t->resident_bytes, nar_tally_fragmentation(t),
			      READ_ONCE(a->used_bytes), READ_ONCE(a->peak_bytes),
			      READ_ONCE(a->limit_bytes), READ_ONCE(a->nr_hit) };

	if (!h || !r->census.has_heap[i])
		return false;
	line->key[0] = number(i);
	line->key[1] = word(i ? "policy" : "default");
	if (i >= NAR_FIRST_HEAP) {
		copy_name(line->name, h->name);
		line->key[1] = word(line->name);
	}
	memcpy(line->value, value, sizeof(value));
	return true;
}

/* ---- Threads ---- */

static const struct nar_figure thread_figures[] = {
	{ .name = "heap", .kind = FIGURE_GAUGE, .help = "The heap that it allocates in, by number." },
	{ .name = "slab_bytes", .kind = FIGURE_GAUGE, .help = "Slabs that the thread owns." },
	{ .name = "live_bytes", .kind = FIGURE_GAUGE,
	  .help = "Of those, what the program holds, whoever does." },
	{ .name = "cached_bytes", .kind = FIGURE_GAUGE,
	  .help = "Free objects in its magazines and free blocks that wait with it." },
	{ .name = "resident_bytes", .kind = FIGURE_GAUGE, .help = "Pages of these slabs in memory." },
	{ .name = "fragmentation", .kind = FIGURE_RATIO,
	  .help = "Resident bytes that nothing alive fills, a resident byte." },
	{ .name = "queued_bytes", .kind = FIGURE_GAUGE,
	  .help = "What others have freed and it has not collected yet." },
	{ .name = "nr_refills", .kind = FIGURE_COUNTER, .help = "Magazines filled." },
	{ .name = "nr_flushes", .kind = FIGURE_COUNTER, .help = "Magazines flushed because full." },
	{ .name = "nr_remote_frees", .kind = FIGURE_COUNTER,
	  .help = "Objects posted to the arena of another thread." },
	{ .name = "nr_remote_batches", .kind = FIGURE_COUNTER, .help = "Batches they were sent in." },
	{ .name = "lock_contended", .kind = FIGURE_COUNTER,
	  .help = "Acquisitions of its arena's lock that had to wait." },
};

static unsigned int nr_arenas(const struct nar_report *r)
{
	(void)r;
	return nar_registry_end() - OWNER_FIRST_ARENA;
}

static const struct nar_holding *holding_of(struct nar_report *r, u32 id)
{
	if (r->first_arena == OWNER_NONE || id - r->first_arena >= NAR_REPORT_ARENAS) {
		r->first_arena = id;
		nar_census_arenas(id, NAR_REPORT_ARENAS, r->held);
	}
	return &r->held[id - r->first_arena];
}

/* An arena whose thread has ended has counted, and may wait with what it has. */
static void name_thread(const struct nar_arena *a, struct nar_line *line)
{
	u32 tid = READ_ONCE(a->member.tid);

	if (READ_ONCE(a->is_gone))
		strcpy(line->name, "(ended)");
	else
		nar_process_name(tid, line->name);
	line->key[0] = number(a->member.id);
	line->key[1] = number(READ_ONCE(a->is_gone) ? 0 : tid);
	line->key[2] = word(line->name);
}

static bool read_thread(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct nar_arena *a = nar_arena_of(OWNER_FIRST_ARENA + i);
	const struct nar_holding *held = holding_of(r, OWNER_FIRST_ARENA + i);
	u64 in_magazines = nar_census_magazine_bytes(a);
	const struct nar_heap *heap = READ_ONCE(a->heap);
	struct nar_tally t = {
		.live_bytes = held->out_bytes - min_of(held->out_bytes, in_magazines),
		.resident_bytes = held->resident_bytes,
	};
	struct numarena_stats s = { 0 };

	nar_stats_add_arena(&s, a);
	name_thread(a, line);
	line->value[0] = heap && !READ_ONCE(a->is_gone) ? heap->id : 0;
	line->value[1] = READ_ONCE(a->slab_bytes);
	line->value[2] = t.live_bytes;
	line->value[3] = in_magazines + nar_census_waiting_bytes(a);
	line->value[4] = t.resident_bytes;
	line->value[5] = nar_tally_fragmentation(&t);
	line->value[6] = READ_ONCE(a->queue.bytes);
	line->value[7] = s.nr_refills;
	line->value[8] = s.nr_flushes;
	line->value[9] = s.nr_remote_frees;
	line->value[10] = s.nr_remote_batches;
	line->value[11] = s.lock_contended;
	return true;
}

/* ---- Scopes ---- */

static unsigned int nr_scopes(const struct nar_report *r)
{
	return r->nr_scopes;
}

static u64 nr_scopes_left_off(const struct nar_report *r)
{
	return r->nr_scopes_left_off;
}

static bool read_scope(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	const struct nar_roster_line *s = &r->scope[i];
	unsigned int k;

	line->key[0] = number(s->tid);
	line->key[1] = number(s->depth);
	line->key[2] = *s->name ? word(s->name) : number(KEY_NONE);
	for (k = 0; k < NAR_NR_SCOPE_FIGURES; k++)
		line->value[k] = nar_figure_of(&nar_scope_figures[k], s);
	return true;
}

/* ---- Shards ---- */

static const struct nar_figure shard_figures[] = {
	{ .name = "slabs", .kind = FIGURE_GAUGE, .help = "Slabs that no arena owns." },
	{ .name = "nr_shelved", .kind = FIGURE_COUNTER, .help = "Slabs put there." },
	{ .name = "nr_adopted", .kind = FIGURE_COUNTER, .help = "Slabs taken from there." },
	{ .name = "lock_contended", .kind = FIGURE_COUNTER,
	  .help = "Acquisitions of its lock that had to wait." },
};

static unsigned int nr_shards(const struct nar_report *r)
{
	return r->census.heaps_end * nar_nodes.nr * (unsigned int)r->stats.nr_classes;
}

static bool read_shard(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	unsigned int nr = (unsigned int)r->stats.nr_classes, class = i % nr, node = i / nr % nar_nodes.nr;
	const struct nar_heap *h = load_acquire(&nar_heaps[i / nr / nar_nodes.nr]);
	const struct nar_shard *s = h ? &h->shard[node][class] : NULL;

	if (!s || !(READ_ONCE(s->nr_slabs) | READ_ONCE(s->nr_shelved) | READ_ONCE(s->own.nr_contended)))
		return false;
	line->key[0] = number(h->id);
	line->key[1] = number(nar_nodes.id[node]);
	line->key[2] = number(nar_class[class].shape.size);
	line->value[0] = READ_ONCE(s->nr_slabs);
	line->value[1] = READ_ONCE(s->nr_shelved);
	line->value[2] = READ_ONCE(s->nr_adopted);
	line->value[3] = READ_ONCE(s->own.nr_contended);
	return true;
}

/* ---- Who frees whose ---- */

static const struct nar_figure remote_figures[] = {
	{ .name = "frees", .kind = FIGURE_COUNTER,
	  .help = "Frees of what is another's, by the node of the thread and that of the memory." },
	{ .name = "freed_bytes", .kind = FIGURE_COUNTER, .help = "... and their bytes." },
};

static unsigned int nr_pairs(const struct nar_report *r)
{
	(void)r;
	return nar_nodes.nr * nar_nodes.nr;
}

static bool read_pair(struct nar_report *r, unsigned int i, struct nar_line *line)
{
	unsigned int from = i / nar_nodes.nr, to = i % nar_nodes.nr;

	nar_report_row(r, from);
	line->key[0] = number(nar_nodes.id[from]);
	line->key[1] = number(nar_nodes.id[to]);
	line->value[0] = r->frees[to];
	line->value[1] = r->bytes[to];
	return true;
}

/* ---- Tables ---- */

#define FIGURES(f) .figure = (f), .nr_figures = ARRAY_SIZE(f)

static const struct nar_table totals = {
	.name = "totals", .one = "", FIGURES(total_figures),
	.nr_lines = one_line, .read = read_total,
};

static const struct nar_table process = {
	.name = "stats", .one = "", FIGURES(nar_process_figures),
	.nr_lines = one_line, .read = read_process,
};

static const struct nar_table nodes = {
	.name = "nodes", .one = "node", .key = { "node" }, FIGURES(nar_node_figures),
	.nr_lines = a_line_a_node, .read = read_node,
};

static const struct nar_table placement = {
	.name = "residence", .one = "node", .key = { "node" }, FIGURES(total_figures),
	.nr_lines = a_line_a_node, .read = read_placement,
};

static const struct nar_table losses = {
	.name = "fallbacks", .one = "", .key = { "node", "cause" }, FIGURES(loss_figures),
	.nr_lines = nr_losses, .read = read_loss, .is_sparse = true,
};

static const struct nar_table classes = {
	.name = "classes", .one = "class", .key = { "size" }, FIGURES(class_figures),
	.nr_lines = nr_classes, .read = read_class, .is_sparse = true,
};

static const struct nar_table heaps = {
	.name = "heaps", .one = "heap", .key = { "heap", "name" }, FIGURES(heap_figures),
	.nr_lines = nr_heaps, .read = read_heap,
};

static const struct nar_table threads = {
	.name = "threads", .one = "thread", .key = { "arena", "tid", "name" }, FIGURES(thread_figures),
	.nr_lines = nr_arenas, .read = read_thread, .is_sparse = true,
};

/* "scope" alone stands before figures of the process. */
static const struct nar_table scopes = {
	.name = "scopes", .one = "open_scope", .key = { "tid", "depth", "name" }, FIGURES(nar_scope_figures),
	.nr_lines = nr_scopes, .read = read_scope, .nr_left_off = nr_scopes_left_off,
};

static const struct nar_table shards = {
	.name = "shards", .one = "shard", .key = { "heap", "node", "size" }, FIGURES(shard_figures),
	.nr_lines = nr_shards, .read = read_shard, .is_sparse = true,
};

const struct nar_table nar_table_remote = {
	.name = "remote", .one = "node_to_node", .key = { "from", "to" }, FIGURES(remote_figures),
	.nr_lines = nr_pairs, .read = read_pair,
};

const struct nar_table *const nar_tables[] = {
	&process, &totals, &nodes, &placement, &losses, &heaps, &classes, &threads, &scopes,
	&shards,
};
const unsigned int nar_nr_tables = ARRAY_SIZE(nar_tables);
