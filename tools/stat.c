// SPDX-License-Identifier: MIT
/*
 * `numarena stat`: what a process counts of itself, from its stats page, and where the kernel
 * says its memory is.
 */
#include "audit.h"
#include "json.h"
#include "page.h"
#include "tables.h"
#include "text.h"
#include "tool.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena/figures.h"

static const struct tool_option options[] = {
	{ "json", NULL, 'j', "print JSON, names as numarena_stats_print() has them" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "stat",
	.synopsis = "[OPTION]... PID",
	.about = "Prints the statistics of a process that publishes them: one that runs with stats:page in\n"
		 "NUMARENA_CONF.  They are as old as the line 'published' says: who does not allocate does\n"
		 "not publish either, since nothing changes.",
	.options = options,
	.notes = "The exit status is 0 if the process could be looked at, 1 if not, 2 for a wrong call.",
};

/* What the kernel says is only there if it may be asked. */
struct view {
	struct page page;
	struct finding finding;
	bool is_found;
};

static _Noreturn void refuse(int pid, enum page_result why)
{
	switch (why) {
	case PAGE_NO_PROCESS:
		tool_die(TOOL_FAILED, "there is no process %d", pid);
	case PAGE_NO_RIGHTS:
		tool_die(TOOL_FAILED, "no rights to look into process %d: be its user, or root", pid);
	case PAGE_STRANGE:
		tool_die(TOOL_FAILED, "the page of process %d cannot be read: is it of another version of numarena?", pid);
	default:
		tool_die(TOOL_FAILED, "process %d publishes nothing: start it with stats:page in NUMARENA_CONF, or by 'numarena run --stats page'", pid);
	}
}

/* In parts of NAR_RATIO_ONE. */
static uint64_t ratio(uint64_t part, uint64_t whole)
{
	return part < whole ? part * NAR_RATIO_ONE / whole : NAR_RATIO_ONE;
}

/* Which pages are there the process does not ask: that would take it milliseconds. */
static void complete_totals(struct nar_total_line *t, const struct finding *f)
{
	t->resident_bytes = (audit_sum(f->meant_kib) + f->unbound_kib) << 10;
	t->huge_bytes = (audit_sum(f->huge_kib) + f->unbound_huge_kib) << 10;
	if (!t->resident_bytes)
		return;
	t->huge_coverage = ratio(t->huge_bytes, t->resident_bytes);
	t->fragmentation = NAR_RATIO_ONE - ratio(t->live_bytes, t->resident_bytes);
}

static void look(struct view *v, int pid)
{
	enum page_result result = page_read(&v->page, pid);

	if (result != PAGE_OK)
		refuse(pid, result);
	v->finding.pid = pid;
	v->is_found = !audit_look(&v->finding);
	if (v->is_found)
		complete_totals(&v->page.total, &v->finding);
}

static uint64_t age_ns(const struct page *p)
{
	uint64_t now = page_clock_ns();

	return now > p->head.published_ns ? now - p->head.published_ns : 0;
}

static uint64_t uptime_ns(const struct page *p)
{
	return p->head.published_ns - p->head.started_ns;
}

/* The place of a node in a finding; MAX_PLACES: nothing was found there. */
static unsigned int place_of(const struct finding *f, int node)
{
	unsigned int i;

	for (i = 0; i < f->maps.nr_places; i++)
		if (f->maps.node[i] == (unsigned int)node)
			return i;
	return MAX_PLACES;
}

static uint64_t kib_at(const struct finding *f, const uint64_t *kib, int node)
{
	unsigned int place = place_of(f, node);

	return place < MAX_PLACES ? kib[place] : 0;
}

/* ---- Text ---- */

static void print_head(const struct view *v)
{
	const struct page *p = &v->page;
	char plain[16];
	unsigned int i;

	printf("%-20s %d %s\n", "process", (int)v->finding.pid, text_plain(plain, sizeof(plain), p->head.name));
	printf("%-20s %s\n", "numarena", text_plain(plain, sizeof(plain), p->head.library));
	printf("%-20s %.1f s after start, %.1f s ago%s\n", "published", (double)uptime_ns(p) / 1e9,
	       (double)age_ns(p) / 1e9, p->head.state == STATPAGE_OVER ? ", for the last time" : "");
	if (p->head.counted_ns && p->head.counted_ns != p->head.published_ns)
		printf("%-20s %.1f s before that: classes, heaps and threads\n", "counted",
		       (double)(p->head.published_ns - p->head.counted_ns) / 1e9);
	printf("%-20s", "missing");
	for (i = 0; i < NR_MISSING; i++)
		if (p->stats.missing >> i & 1)
			printf(" %s", nar_missing_names[i]);
	printf(p->stats.missing ? "\n" : " nothing\n");
}

static void print_process(const struct page *p)
{
	size_t i;

	for (i = 0; i < NAR_NR_PROCESS_FIGURES; i++)
		printf("%-20s %20" PRIu64 "\n", nar_process_figures[i].name,
		       nar_figure_of(&nar_process_figures[i], &p->stats));
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1024 * 1024);
}

static void print_nodes(const struct view *v)
{
	unsigned int i;

	printf("\n%-8s %10s %10s %10s %10s %10s %10s %10s\n", "MiB", "committed", "slabs", "large", "free",
	       "resident", "elsewhere", "huge");
	for (i = 0; i < v->page.nr_nodes; i++) {
		const struct numarena_node_stats *n = &v->page.node[i];
		const struct finding *f = &v->finding;

		printf("node %-3d %10.1f %10.1f %10.1f %10.1f", n->node, mib(n->committed_bytes),
		       mib(n->slab_bytes), mib(n->large_bytes), mib(n->free_bytes));
		if (v->is_found)
			printf(" %10.1f %10.1f %10.1f\n", (double)kib_at(f, f->meant_kib, n->node) / 1024,
			       (double)kib_at(f, f->misplaced_kib, n->node) / 1024,
			       (double)kib_at(f, f->huge_kib, n->node) / 1024);
		else
			printf(" %10s %10s %10s\n", "-", "-", "-");
	}
	if (v->is_found && v->finding.unbound_kib)
		printf("%-8s %54.1f %10s %10.1f\n", "no node", (double)v->finding.unbound_kib / 1024, "",
		       (double)v->finding.unbound_huge_kib / 1024);
}

static void print_losses(const struct page *p)
{
	unsigned int node, nr = 0;
	size_t i;

	printf("\nfallbacks\n");
	for (i = 0; i < NAR_NR_NODE_FIGURES; i++) {
		for (node = 0; node < p->nr_nodes; node++) {
			uint64_t n = nar_figure_of(&nar_node_figures[i], &p->node[node]);

			if (!nar_node_figures[i].is_loss || !n)
				continue;
			printf("node %-3d %-18s %10" PRIu64 "  %s\n", p->node[node].node,
			       nar_node_figures[i].name, n, nar_node_figures[i].help);
			nr++;
		}
	}
	if (!nr)
		printf("none\n");
}

static void print_matrix(const struct page *p)
{
	unsigned int from, to;

	printf("\nfrees of others' memory, by node of the thread (down) and of the memory\n%-8s", "");
	for (to = 0; to < p->nr_nodes; to++)
		printf(" %12d", p->window[to].node);
	for (from = 0; from < p->nr_nodes; from++) {
		printf("\nnode %-3d", p->window[from].node);
		for (to = 0; to < p->nr_nodes; to++)
			printf(" %12" PRIu64, p->frees[from * p->nr_nodes + to]);
	}
	printf("\n");
}

/* "512 ns", "4.1 us" */
static void print_time(uint64_t ns)
{
	static const char *const unit[] = { "ns", "us", "ms", "s " };
	double value = (double)ns;
	unsigned int i = 0;

	for (; value >= 1000 && i < 3; i++)
		value /= 1000;
	printf(i ? " %7.1f %s" : " %7.0f %s", value, unit[i]);
}

/* The bound below which so many of ten thousand lie. */
static uint64_t quantile(const struct nar_lap *lap, uint64_t nr, unsigned int part)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NAR_LAP_BUCKETS - 1; i++) {
		sum += lap->nr[i];
		if ((double)sum * 10000 >= (double)nr * part)
			break;
	}
	return UINT64_C(1) << (i + NAR_LAP_SHIFT);
}

static void print_laps(const struct page *p)
{
	unsigned int i;

	printf("\n%-8s %12s %10s %10s %10s %10s\n", "step", "count", "mean", "50 % <", "99 % <", "all <");
	for (i = 0; i < NR_STEPS; i++) {
		uint64_t nr = nar_lap_count(&p->lap[i]);

		printf("%-8s %12" PRIu64, nar_step_names[i], nr);
		if (nr) {
			print_time(p->lap[i].sum_ns / nr);
			print_time(quantile(&p->lap[i], nr, 5000));
			print_time(quantile(&p->lap[i], nr, 9900));
			print_time(quantile(&p->lap[i], nr, 10000));
		}
		printf("\n");
	}
}

static void print_text(const struct view *v)
{
	print_head(v);
	print_process(&v->page);
	tables_print_totals(&v->page);
	print_nodes(v);
	print_losses(&v->page);
	tables_print(&v->page, v->finding.pid);
	print_matrix(&v->page);
	print_laps(&v->page);
}

/* ---- JSON ---- */

static void json_nodes(const struct view *v)
{
	const struct finding *f = &v->finding;
	unsigned int i;

	json_open("nodes", '[');
	for (i = 0; i < v->page.nr_nodes; i++) {
		int node = v->page.node[i].node;

		json_open(NULL, '{');
		json_number("node", (uint64_t)node);
		tables_json_figures(nar_node_figures, NAR_NR_NODE_FIGURES, &v->page.node[i]);
		if (v->is_found) {
			json_number("resident_bytes", kib_at(f, f->meant_kib, node) << 10);
			json_number("misplaced_bytes", kib_at(f, f->misplaced_kib, node) << 10);
			json_number("huge_bytes", kib_at(f, f->huge_kib, node) << 10);
		}
		json_close();
	}
	json_close();
}

static void json_matrix(const struct page *p, const char *name, const uint64_t *matrix)
{
	unsigned int from, to;

	json_open(name, '[');
	for (from = 0; from < p->nr_nodes; from++) {
		json_open(NULL, '[');
		for (to = 0; to < p->nr_nodes; to++)
			json_number(NULL, matrix[from * p->nr_nodes + to]);
		json_close();
	}
	json_close();
}

static void json_laps(const struct page *p)
{
	unsigned int step, i;

	json_open("slow_steps", '{');
	for (step = 0; step < NR_STEPS; step++) {
		json_open(nar_step_names[step], '{');
		json_number("count", nar_lap_count(&p->lap[step]));
		json_number("sum_ns", p->lap[step].sum_ns);
		json_open("below_ns", '[');
		for (i = 0; i < NAR_LAP_BUCKETS; i++) {
			json_open(NULL, '[');
			if (i < NAR_LAP_BUCKETS - 1)
				json_number(NULL, UINT64_C(1) << (i + NAR_LAP_SHIFT));
			else
				json_string(NULL, NULL);
			json_number(NULL, p->lap[step].nr[i]);
			json_close();
		}
		json_close();
		json_close();
	}
	json_close();
}

static void json_missing(const struct page *p)
{
	unsigned int i;

	json_open("missing", '[');
	for (i = 0; i < NR_MISSING; i++)
		if (p->stats.missing >> i & 1)
			json_string(NULL, nar_missing_names[i]);
	json_close();
}

static void print_json(const struct view *v)
{
	const struct page *p = &v->page;

	json_open(NULL, '{');
	json_string("numarena", p->head.library);
	json_number("pid", (uint64_t)v->finding.pid);
	json_string("name", p->head.name);
	json_number("uptime_ns", uptime_ns(p));
	json_number("age_ns", age_ns(p));
	json_missing(p);
	json_open("stats", '{');
	tables_json_figures(nar_process_figures, NAR_NR_PROCESS_FIGURES, &p->stats);
	json_close();
	tables_json_totals(p);
	json_nodes(v);
	tables_json(p, v->finding.pid);
	json_open("remote", '{');
	json_matrix(p, "frees", p->frees);
	json_matrix(p, "bytes", p->bytes);
	json_close();
	json_laps(p);
	json_close();
}

int cmd_stat(int argc, char **argv)
{
	static struct view view;
	bool is_json;

	look(&view, tool_process(&usage, argc, argv, &is_json));
	if (is_json)
		print_json(&view);
	else
		print_text(&view);
	return TOOL_OK;
}
