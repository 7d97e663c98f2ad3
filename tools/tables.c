// SPDX-License-Identifier: MIT
#include "tables.h"
#include "json.h"
#include "task.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena/figures.h"

_Static_assert(NAR_LEDGER_UNKNOWN == NAR_ROSTER_UNCOUNTED, "what is not known is one number");

#define UNKNOWN NAR_LEDGER_UNKNOWN

/* Room for any number of 64 bits. */
#define CELL 24

/* ---- Text ---- */

static const char *count(char cell[CELL], uint64_t n)
{
	snprintf(cell, CELL, n == UNKNOWN ? "-" : "%" PRIu64, n);
	return cell;
}

static const char *mib(char cell[CELL], uint64_t bytes)
{
	snprintf(cell, CELL, bytes == UNKNOWN ? "-" : "%.1f", (double)bytes / (1024 * 1024));
	return cell;
}

static const char *percent(char cell[CELL], uint64_t ratio)
{
	snprintf(cell, CELL, ratio == UNKNOWN ? "-" : "%.1f%%", (double)ratio * 100 / NAR_RATIO_ONE);
	return cell;
}

/* Cells live as long as the block that prints them. */
#define COUNT(n) count((char[CELL]){ 0 }, n)
#define MIB_OF(bytes) mib((char[CELL]){ 0 }, bytes)
#define PERCENT(ratio) percent((char[CELL]){ 0 }, ratio)

static void print_name(const char *name)
{
	char plain[NAR_ROSTER_NAME + NAR_HEAP_LINE_NAME + TASK_NAME];

	printf("  %s\n", text_plain(plain, sizeof(plain), *name ? name : "-"));
}

static bool has_part(const struct page *p, unsigned int id)
{
	return p->head.part[id].offset;
}

static void print_rest(const struct page *p, unsigned int id, unsigned int nr, uint64_t nr_left_off)
{
	if (nr_left_off)
		printf("and %" PRIu64 " more\n", nr_left_off);
	else if (!has_part(p, id))
		printf("not on this page: the process has an older numarena\n");
	else if (!nr)
		printf("none\n");
}

void tables_print_totals(const struct page *p)
{
	unsigned int i;

	if (!has_part(p, STATPAGE_TOTALS))
		return;
	for (i = 0; i < NAR_NR_TOTAL_FIGURES; i++) {
		const struct nar_figure *f = &nar_total_figures[i];
		uint64_t value = nar_figure_of(f, &p->total);

		printf("%-20s %20s\n", f->name,
		       f->kind == FIGURE_RATIO ? PERCENT(value) : COUNT(value));
	}
}

static void print_classes(const struct page *p)
{
	const struct nar_class_line *c;

	printf("\nclasses, MiB\n");
	if (p->nr_classes)
		printf("%-8s %8s %10s %10s %10s %10s %10s %10s\n", "size", "slabs", "slab", "live", "cached",
		       "objects", "live obj", "cached obj");
	for (c = p->class; c < p->class + p->nr_classes; c++)
		printf("%-8" PRIu64 " %8s %10s %10s %10s %10s %10s %10s\n", c->size, COUNT(c->slabs),
		       MIB_OF(c->slab_bytes), MIB_OF(c->live_bytes), MIB_OF(c->cached_bytes),
		       COUNT(c->objects), COUNT(c->live_objects), COUNT(c->cached_objects));
	print_rest(p, STATPAGE_CLASSES, p->nr_classes, 0);
}

static void print_heaps(const struct page *p)
{
	const struct nar_heap_line *h;

	printf("\nheaps, MiB\n");
	if (p->nr_heaps)
		printf("%-4s %10s %10s %10s %10s %10s %10s %10s %8s  %s\n", "heap", "slab", "large", "live",
		       "cached", "charged", "peak", "limit", "hits", "name");
	for (h = p->heap; h < p->heap + p->nr_heaps; h++) {
		printf("%-4" PRIu32 " %10s %10s %10s %10s %10s %10s %10s %8s", h->heap, MIB_OF(h->slab_bytes),
		       MIB_OF(h->large_bytes), MIB_OF(h->live_bytes), MIB_OF(h->cached_bytes),
		       MIB_OF(h->charged_bytes), MIB_OF(h->peak_bytes),
		       h->limit_bytes ? MIB_OF(h->limit_bytes) : "none", COUNT(h->nr_limit_hit));
		print_name(h->name);
	}
	print_rest(p, STATPAGE_HEAPS, p->nr_heaps, p->head.nr_heaps_left_off);
}

static void print_threads(const struct page *p, char (*name)[TASK_NAME])
{
	unsigned int i;

	printf("\nthreads, MiB\n");
	if (p->nr_threads)
		printf("%-8s %5s %4s %10s %10s %10s %10s %10s %10s %10s %8s  %s\n", "thread", "arena", "heap",
		       "slab", "live", "cached", "queued", "refills", "flushes", "remote", "waits", "name");
	for (i = 0; i < p->nr_threads; i++) {
		const struct nar_thread_line *t = &p->thread[i];

		printf("%-8" PRIu32 " %5" PRIu32 " %4s %10s %10s %10s %10s %10s %10s %10s %8s", t->tid,
		       t->arena, COUNT(t->heap), MIB_OF(t->slab_bytes), MIB_OF(t->live_bytes),
		       MIB_OF(t->cached_bytes), MIB_OF(t->queued_bytes), COUNT(t->nr_refills),
		       COUNT(t->nr_flushes), COUNT(t->nr_remote_frees), COUNT(t->lock_contended));
		print_name(name[i]);
	}
	print_rest(p, STATPAGE_THREADS, p->nr_threads, p->head.nr_threads_left_off);
}

static void print_scopes(const struct page *p)
{
	const struct nar_roster_line *s;

	printf("\nopen scopes, MiB\n");
	if (p->nr_scopes)
		printf("%-8s %5s %4s %10s %10s %10s %10s %10s  %s\n", "thread", "depth", "node", "used",
		       "peak", "held", "captured", "resets", "name");
	for (s = p->scope; s < p->scope + p->nr_scopes; s++) {
		printf("%-8" PRIu32 " %5" PRIu32 " %4s %10s %10s %10s %10s %10s", s->tid, s->depth,
		       COUNT(s->node), MIB_OF(s->used_bytes), MIB_OF(s->peak_bytes), MIB_OF(s->held_bytes),
		       COUNT(s->nr_captured), COUNT(s->nr_resets));
		print_name(s->name);
	}
	print_rest(p, STATPAGE_SCOPES, p->nr_scopes, p->head.nr_scopes_left_off);
}

/* ---- The names of threads, which the page does not have: the kernel has them ---- */

static void name_threads(const struct page *p, pid_t pid, char (*name)[TASK_NAME])
{
	uint32_t tid[NAR_STATPAGE_THREADS];
	unsigned int i;

	for (i = 0; i < p->nr_threads; i++)
		tid[i] = p->thread[i].tid;
	task_find_names(pid, tid, name, p->nr_threads);
	for (i = 0; i < p->nr_threads; i++)
		if (!tid[i])
			strcpy(name[i], "(ended)");
}

void tables_print(const struct page *p, pid_t pid)
{
	static char name[NAR_STATPAGE_THREADS][TASK_NAME];

	name_threads(p, pid, name);
	print_heaps(p);
	print_classes(p);
	print_threads(p, name);
	print_scopes(p);
}

/* ---- JSON ---- */

static void json_figure(const struct nar_figure *f, uint64_t value)
{
	if (value == UNKNOWN)
		json_string(f->name, NULL);
	else if (f->kind == FIGURE_RATIO)
		json_real(f->name, (double)value / NAR_RATIO_ONE);
	else
		json_number(f->name, value);
}

void tables_json_figures(const struct nar_figure *f, size_t nr, const void *stats)
{
	size_t i;

	for (i = 0; i < nr; i++)
		json_figure(&f[i], nar_figure_of(&f[i], stats));
}

void tables_json_totals(const struct page *p)
{
	if (!has_part(p, STATPAGE_TOTALS)) {
		json_string("totals", NULL);
		return;
	}
	json_open("totals", '{');
	tables_json_figures(nar_total_figures, NAR_NR_TOTAL_FIGURES, &p->total);
	json_close();
}

/* Return: whether there is a list to fill; a page without that part has none. */
static bool json_begin(const struct page *p, unsigned int id, const char *list)
{
	if (has_part(p, id))
		json_open(list, '[');
	else
		json_string(list, NULL);
	return has_part(p, id);
}

static void json_classes(const struct page *p)
{
	unsigned int i;

	if (!json_begin(p, STATPAGE_CLASSES, "classes"))
		return;
	for (i = 0; i < p->nr_classes; i++) {
		json_open(NULL, '{');
		json_number("size", p->class[i].size);
		tables_json_figures(nar_class_figures, NAR_NR_CLASS_FIGURES, &p->class[i]);
		json_close();
	}
	json_close();
}

static void json_heaps(const struct page *p)
{
	unsigned int i;

	if (!json_begin(p, STATPAGE_HEAPS, "heaps"))
		return;
	for (i = 0; i < p->nr_heaps; i++) {
		json_open(NULL, '{');
		json_number("heap", p->heap[i].heap);
		json_string("name", p->heap[i].name);
		tables_json_figures(nar_heap_figures, NAR_NR_HEAP_FIGURES, &p->heap[i]);
		json_close();
	}
	json_close();
	json_number("heaps_left_off", p->head.nr_heaps_left_off);
}

static void json_threads(const struct page *p, char (*name)[TASK_NAME])
{
	unsigned int i;

	if (!json_begin(p, STATPAGE_THREADS, "threads"))
		return;
	for (i = 0; i < p->nr_threads; i++) {
		json_open(NULL, '{');
		json_number("arena", p->thread[i].arena);
		json_number("tid", p->thread[i].tid);
		json_string("name", *name[i] ? name[i] : NULL);
		tables_json_figures(nar_thread_figures, NAR_NR_THREAD_FIGURES, &p->thread[i]);
		json_close();
	}
	json_close();
	json_number("threads_left_off", p->head.nr_threads_left_off);
}

static void json_scopes(const struct page *p)
{
	unsigned int i;

	if (!json_begin(p, STATPAGE_SCOPES, "scopes"))
		return;
	for (i = 0; i < p->nr_scopes; i++) {
		const struct nar_roster_line *s = &p->scope[i];

		json_open(NULL, '{');
		json_number("tid", s->tid);
		json_number("depth", s->depth);
		json_string("name", *s->name ? s->name : NULL);
		tables_json_figures(nar_scope_figures, NAR_NR_SCOPE_FIGURES, s);
		json_close();
	}
	json_close();
	json_number("scopes_left_off", p->head.nr_scopes_left_off);
}

/* How long before the page itself classes, heaps and threads were gone through. */
static void json_counted(const struct page *p)
{
	if (p->head.counted_ns)
		json_number("counted_before_ns", p->head.published_ns - p->head.counted_ns);
	else
		json_string("counted_before_ns", NULL);
}

void tables_json(const struct page *p, pid_t pid)
{
	static char name[NAR_STATPAGE_THREADS][TASK_NAME];

	name_threads(p, pid, name);
	json_counted(p);
	json_heaps(p);
	json_classes(p);
	json_threads(p, name);
	json_scopes(p);
}
