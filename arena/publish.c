// SPDX-License-Identifier: MIT
/*
 * A page is written by whoever comes by on a slow path, one thread at a time, at most every
 * 100 ms, a young process's more often, and for at most a fiftieth of the time.  Statistics are
 * gathered in a draft first, so the page is odd for no longer than it takes to copy them.
 *
 * Arenas and heaps may be thousands, and who comes by only wants memory: so the ledger is gone
 * on with for a bounded time, and its lines are published when a turn is at its end.
 *
 * What is not the process's own is its parent's: a fork's child notices, leaves that page alone
 * and makes one for itself when it comes by a while later.  One that has its exec before that leaves
 * no trace.  Its number alone would not tell: in a namespace of its own it may have its parent's.
 */
#include <string.h>

#include <numarena.h>

#include "internal/option.h"
#include "internal/statpage.h"
#include "numa/board.h"
#include "numa/cancel.h"
#include "numa/process.h"

#include "ledger.h"
#include "option.h"
#include "pane.h"
#include "publish.h"
#include "report.h"
#include "roster.h"
#include "stats.h"

#define PERIOD_NS 100000000
#define COST_PART 50

/* What a young process does may be all it does on slow paths: no more of its life is missing. */
#define AGE_PART 16

/* For the ledger: some tens of arenas that other CPUs write to.  A thousandth of the period. */
#define LEDGER_NS 100000

_Static_assert(NAR_STATPAGE_CLASSES == NAR_MAX_CLASSES, "a page has no room for all");

static struct {
	struct nar_board board;
	struct nar_statpage *draft;	/* as large */
	bool is_refused;		/* and said so */
	struct nar_ledger ledger;	/* whose turn begins with the page */
	struct numarena_stats shards;	/* as the last turn has found them */
} own;				/* of who holds it */

/* Zeros in a child, which the kernel sees to. */
static struct mark {
	u32 holder;		/* the process whose thread is writing; 0: none */
	u32 of_process;		/* relaxed: whose board it is, or would be */
	u64 met_ns;		/* relaxed: when a child first came by without one */
} *mark;			/* constant */

static u64 next_ns;		/* relaxed: not before; a child that soon has its exec makes no page */
static bool is_wanted;		/* relaxed: from start to end */

static bool try_hold(u32 pid)
{
	u32 seen = READ_ONCE(mark->holder);

	/* Acquire: pairs with the release.  Another process's came with a fork: an old kernel. */
	return seen != pid && __atomic_compare_exchange_n(&mark->holder, &seen, pid, false,
							  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void release(void)
{
	store_release(&mark->holder, 0);
}

/* ---- The layout ---- */

static u32 add_part(struct nar_statpage *p, unsigned int id, u32 at, size_t bytes, size_t nr)
{
	p->part[id] = (struct nar_statpage_part){ at, (u32)bytes, (u32)nr, 0 };
	return at + (u32)ALIGN_UP(bytes * nr, (size_t)8);
}

static void lay_out(struct nar_statpage *p)
{
	size_t nr = nar_nodes.nr;
	u32 at = sizeof(*p);

	at = add_part(p, STATPAGE_STATS, at, sizeof(struct numarena_stats), 1);
	at = add_part(p, STATPAGE_WINDOWS, at, sizeof(struct nar_statpage_window), nr);
	at = add_part(p, STATPAGE_NODES, at, sizeof(struct numarena_node_stats), nr);
	at = add_part(p, STATPAGE_FREES, at, sizeof(u64), nr * nr);
	at = add_part(p, STATPAGE_BYTES, at, sizeof(u64), nr * nr);
	at = add_part(p, STATPAGE_LAPS, at, sizeof(struct nar_lap), NR_STEPS);
	at = add_part(p, STATPAGE_SCOPES, at, sizeof(struct nar_roster_line), NAR_STATPAGE_SCOPES);
	at = add_part(p, STATPAGE_CLASSES, at, sizeof(struct nar_class_line), NAR_STATPAGE_CLASSES);
	at = add_part(p, STATPAGE_HEAPS, at, sizeof(struct nar_heap_line), NAR_STATPAGE_HEAPS);
	at = add_part(p, STATPAGE_THREADS, at, sizeof(struct nar_thread_line), NAR_STATPAGE_THREADS);
	p->bytes = add_part(p, STATPAGE_TOTALS, at, sizeof(struct nar_total_line), 1);
}

static void *part_of(struct nar_statpage *p, unsigned int id)
{
	return (char *)p + p->part[id].offset;
}

static void fill_head(struct nar_statpage *p, u32 pid)
{
	memcpy(p->magic, NAR_STATPAGE_MAGIC, sizeof(p->magic));
	p->version = NAR_STATPAGE_VERSION;
	p->pid = pid;
	p->mode = (u32)nar_opt.mode;
	p->huge = (u32)nar_opt.huge;
	p->policy = (u32)nar_opt.policy;
	p->start_ticks = nar_process_start_ticks(0);
	p->pid_namespace = nar_process_namespace();
	p->started_ns = nar_lap_started_ns();
	nar_process_name(0, p->name);
	memcpy(p->library, NAR_VERSION, min_of(sizeof(NAR_VERSION), sizeof(p->library) - 1));
}

/* ---- What changes ---- */

static void fill_windows(struct nar_statpage_window *w)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		w[node] = (struct nar_statpage_window){
			.start = (uintptr_t)nar_at(nar_window_offset(node)),
			.bytes = nar_mem.window_bytes,
			.end = (uintptr_t)nar_at(nar_window_offset(node)) + nar_window_used(node),
			.node = nar_nodes.id[node],
			.is_allowed = nar_node_is_allowed(node),
		};
}

static void fill_scopes(struct nar_statpage *p)
{
	struct nar_roster_line *line = part_of(p, STATPAGE_SCOPES);
	unsigned int nr = nar_roster_take(line, NAR_STATPAGE_SCOPES, &p->nr_scopes_left_off);

	memset(line + nr, 0, (NAR_STATPAGE_SCOPES - nr) * sizeof(*line));
}

static void copy_lines(void *to, const struct nar_ledger_list *from)
{
	size_t bytes = from->nr * from->line_bytes;

	memcpy(to, from->line, bytes);
	memset((char *)to + bytes, 0, (from->max - from->nr) * from->line_bytes);
}

static void fill_ledger(struct nar_statpage *p)
{
	const struct numarena_stats *stats = part_of(p, STATPAGE_STATS);
	struct nar_ledger *l = &own.ledger;

	nar_ledger_close(l, stats->large_bytes);
	memcpy(part_of(p, STATPAGE_TOTALS), &l->total, sizeof(l->total));
	memcpy(part_of(p, STATPAGE_CLASSES), l->class, sizeof(l->class));
	copy_lines(part_of(p, STATPAGE_HEAPS), &l->heaps);
	copy_lines(part_of(p, STATPAGE_THREADS), &l->threads);
	p->nr_heaps_left_off = l->heaps.nr_left_off;
	p->nr_threads_left_off = l->threads.nr_left_off;
	p->counted_ns = p->published_ns;
	own.shards = l->shards;
}

/* A page that has no lines yet is to have some. */
static void go_on_with_ledger(struct nar_statpage *p, bool is_whole)
{
	u64 until = is_whole || !p->counted_ns ? UINT64_MAX : nar_process_clock_ns() + LEDGER_NS;

	if (is_whole)
		nar_ledger_begin(&own.ledger);
	if (!nar_ledger_go_on(&own.ledger, until))
		return;
	fill_ledger(p);
	nar_ledger_begin(&own.ledger);
}

static void fill_parts(struct nar_statpage *p, bool is_whole)
{
	struct numarena_node_stats *node_stats = part_of(p, STATPAGE_NODES);
	unsigned int node;

	nar_stats_read_but_heaps(part_of(p, STATPAGE_STATS));
	fill_windows(part_of(p, STATPAGE_WINDOWS));
	for (node = 0; node < nar_nodes.nr; node++)
		nar_stats_read_node(&node_stats[node], node);
	nar_stats_read_matrix(part_of(p, STATPAGE_FREES), part_of(p, STATPAGE_BYTES));
	nar_report_laps(part_of(p, STATPAGE_LAPS));
	fill_scopes(p);
	go_on_with_ledger(p, is_whole);
	nar_stats_add_shards(part_of(p, STATPAGE_STATS), &own.shards);
}

/* Readers retry while it is odd, and when it has changed. */
static void copy_out(struct nar_statpage *to, const struct nar_statpage *from, u32 state)
{
	u32 before = to->sequence;

	WRITE_ONCE(to->sequence, before + 1);
	/* The mark comes before what it is about; pairs with the reader's second look. */
	nar_fence_release();
	to->state = state;
	to->published_ns = from->published_ns;
	to->nr_published = from->nr_published;
	to->nr_scopes_left_off = from->nr_scopes_left_off;
	to->nr_heaps_left_off = from->nr_heaps_left_off;
	to->nr_threads_left_off = from->nr_threads_left_off;
	to->counted_ns = from->counted_ns;
	memcpy(to + 1, from + 1, from->bytes - sizeof(*from));
	/* Release: all of it is written; pairs with the reader's first look. */
	store_release(&to->sequence, before + 2);
}

static u64 period_ns(void)
{
	return min_of(nar_lap_uptime_ns() / AGE_PART, (u64)PERIOD_NS);
}

/* @is_whole: the ledger too, however long that takes. */
static void publish(u32 state, bool is_whole)
{
	u64 begun = nar_process_clock_ns(), cost;

	own.draft->published_ns = begun;
	own.draft->nr_published++;
	fill_parts(own.draft, is_whole);
	copy_out(own.board.memory, own.draft, state);
	cost = nar_process_clock_ns() - begun;
	WRITE_ONCE(next_ns, begun + max_of(period_ns(), cost * COST_PART));
}

/* ---- A page for this process ---- */

static void refuse(int err)
{
	if (!own.is_refused)
		nar_warn("stats:page: cannot make %s (errno %d): is " NAR_STATPAGE_DIR " there, writable and not full?",
			 own.board.path, -err);
	own.is_refused = true;
}

/* The draft has all that the page is to have: its head is copied whole, then it counts. */
static bool make_page(u32 pid)
{
	struct nar_statpage head = { 0 };
	int err;

	nar_board_forget(&own.board);
	lay_out(&head);
	fill_head(&head, pid);
	if (!own.draft)
		own.draft = nar_board_draft(head.bytes);
	err = own.draft ? nar_board_make(&own.board, &head) : -ENOMEM;
	WRITE_ONCE(mark->of_process, pid);
	if (err) {
		refuse(err);
		return false;
	}
	nar_ledger_begin(&own.ledger);
	*own.draft = head;
	*(struct nar_statpage *)own.board.memory = head;
	return true;
}

static bool has_page(u32 pid)
{
	if (mark->of_process == pid)
		return own.board.memory;
	return make_page(pid);
}

static void publish_live(bool is_whole)
{
	u32 pid = nar_process_id();
	int cancel;

	if (!READ_ONCE(is_wanted) || !try_hold(pid))
		return;
	cancel = nar_cancel_forbid();
	if (has_page(pid))
		publish(STATPAGE_LIVE, is_whole);
	release();
	nar_cancel_restore(cancel);
}

void nar_publish_now(void)
{
	publish_live(true);
}

/* A child that has been here for so long will not have its exec soon. */
static bool is_settled(u64 now_ns)
{
	if (READ_ONCE(mark->of_process) == nar_process_id())
		return true;
	if (!READ_ONCE(mark->met_ns))
		WRITE_ONCE(mark->met_ns, now_ns);
	return now_ns - READ_ONCE(mark->met_ns) >= PERIOD_NS;
}

void nar_publish_poll(void)
{
	u64 now = READ_ONCE(is_wanted) ? nar_process_clock_ns() : 0;

	if (now && now >= READ_ONCE(next_ns) && is_settled(now))
		publish_live(false);
}

void nar_publish_begin(void)
{
	nar_board_sweep(nar_process_namespace());
	mark = nar_board_draft(sizeof(*mark));
	WRITE_ONCE(is_wanted, mark);
	nar_publish_now();
}

/* A writer amid its work has so many milliseconds: it may have been stopped. */
#define END_TRIES 100

/* Who has none makes none for its end.  The hold is kept, so that nobody comes after this. */
void nar_publish_end(void)
{
	u32 pid = nar_process_id();
	int tries = 0;

	if (!READ_ONCE(is_wanted) || READ_ONCE(mark->of_process) != pid)
		return;
	WRITE_ONCE(is_wanted, false);
	while (!try_hold(pid) && ++tries < END_TRIES)
		nar_process_pause();
	if (!own.board.memory)
		return;
	if (tries < END_TRIES)
		publish(STATPAGE_OVER, true);
	nar_board_remove(&own.board);
}
