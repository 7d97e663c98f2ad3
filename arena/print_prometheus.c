// SPDX-License-Identifier: MIT
/*
 * The text exposition format: a family's samples stand together, under its HELP and TYPE.
 * Counters end in _total, ratios in _ratio; units are bytes and seconds.
 */
#include <string.h>

#include "print_prometheus.h"

static void put_name(struct nar_sink *s, const struct nar_table *t, const struct nar_figure *f)
{
	nar_pen_text(s, "numarena_");
	nar_pen_text(s, t->one);
	nar_pen_text(s, *t->one ? "_" : "");
	nar_pen_text(s, nar_figure_stem(f));
	if (f->kind == FIGURE_COUNTER)
		nar_pen_text(s, "_total");
	else if (f->kind == FIGURE_RATIO)
		nar_pen_text(s, "_ratio");
}

static void put_head(struct nar_sink *s, const struct nar_table *t, const struct nar_figure *f)
{
	nar_pen_text(s, "# HELP ");
	put_name(s, t, f);
	nar_pen_char(s, ' ');
	nar_pen_text(s, f->help);
	nar_pen_text(s, "\n# TYPE ");
	put_name(s, t, f);
	nar_pen_text(s, f->kind == FIGURE_COUNTER ? " counter\n" : " gauge\n");
}

static void put_key(struct nar_sink *s, const struct nar_key *key)
{
	if (key->text) {
		nar_pen_label(s, key->text);
		return;
	}
	nar_pen_char(s, '"');
	if (key->number != KEY_NONE)
		nar_pen_i64(s, key->number);
	nar_pen_char(s, '"');
}

static void put_labels(struct nar_sink *s, const struct nar_table *t, const struct nar_line *line)
{
	unsigned int i;

	for (i = 0; i < NAR_KEYS_MAX && t->key[i]; i++) {
		nar_pen_char(s, i ? ',' : '{');
		nar_pen_text(s, t->key[i]);
		nar_pen_char(s, '=');
		put_key(s, &line->key[i]);
	}
	nar_pen_text(s, i ? "} " : " ");
}

static void put_sample(struct nar_sink *s, const struct nar_table *t, const struct nar_figure *f,
		       const struct nar_line *line)
{
	u64 value = line->value[f - t->figure];

	if (value == NAR_UNKNOWN)
		return;
	put_name(s, t, f);
	put_labels(s, t, line);
	if (f->kind == FIGURE_RATIO)
		nar_pen_ratio(s, value);
	else
		nar_pen_u64(s, value);
	nar_pen_char(s, '\n');
}

static void put_family(struct nar_sink *s, struct nar_report *r, const struct nar_table *t,
		       const struct nar_figure *f)
{
	struct nar_line line;
	unsigned int i;

	put_head(s, t, f);
	for (i = 0; i < t->nr_lines(r); i++)
		if (t->read(r, i, &line))
			put_sample(s, t, f, &line);
}

static void put_left_off_name(struct nar_sink *s, const struct nar_table *t)
{
	nar_pen_text(s, "numarena_");
	nar_pen_text(s, t->name);
	nar_pen_text(s, "_left_off");
}

static void put_left_off(struct nar_sink *s, const struct nar_report *r, const struct nar_table *t)
{
	nar_pen_text(s, "# HELP ");
	put_left_off_name(s, t);
	nar_pen_text(s, " What is there and has no samples.\n# TYPE ");
	put_left_off_name(s, t);
	nar_pen_text(s, " gauge\n");
	put_left_off_name(s, t);
	nar_pen_char(s, ' ');
	nar_pen_u64(s, t->nr_left_off(r));
	nar_pen_char(s, '\n');
}

/* Losses are one family by cause, not one each. */
static void put_table(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	unsigned int i;

	for (i = 0; i < t->nr_figures; i++)
		if (!t->figure[i].is_loss)
			put_family(s, r, t, &t->figure[i]);
	if (t->nr_left_off)
		put_left_off(s, r, t);
}

static void put_info(struct nar_sink *s, const struct nar_report *r)
{
	nar_pen_text(s, "# HELP numarena_info The library and its process.\n"
			"# TYPE numarena_info gauge\nnumarena_info{version=");
	nar_pen_label(s, NAR_VERSION);
	nar_pen_text(s, ",name=");
	nar_pen_label(s, r->name);
	nar_pen_text(s, ",pid=\"");
	nar_pen_u64(s, r->pid);
	nar_pen_text(s, "\"} 1\n");
}

static void put_missing(struct nar_sink *s, u64 mask)
{
	unsigned int i;

	nar_pen_text(s, "# HELP numarena_missing What the machine or its container does not give.\n"
			"# TYPE numarena_missing gauge\n");
	for (i = 0; i < NR_MISSING; i++) {
		nar_pen_text(s, "numarena_missing{what=");
		nar_pen_label(s, nar_missing_names[i]);
		nar_pen_text(s, mask >> i & 1 ? "} 1\n" : "} 0\n");
	}
}

/* Nanoseconds as seconds. */
static void put_seconds(struct nar_sink *s, u64 ns)
{
	nar_pen_u64(s, ns);
	nar_pen_text(s, "e-09");
}

static void put_step(struct nar_sink *s, const char *what, unsigned int step)
{
	nar_pen_text(s, "numarena_slow_step_seconds_");
	nar_pen_text(s, what);
	nar_pen_text(s, "{step=");
	nar_pen_label(s, nar_step_names[step]);
}

static void put_histogram(struct nar_sink *s, unsigned int step, const struct nar_lap *lap)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < NAR_LAP_BUCKETS; i++) {
		sum += lap->nr[i];
		put_step(s, "bucket", step);
		nar_pen_text(s, ",le=\"");
		if (i < NAR_LAP_BUCKETS - 1)
			put_seconds(s, 1ull << (i + NAR_LAP_SHIFT));
		else
			nar_pen_text(s, "+Inf");
		nar_pen_text(s, "\"} ");
		nar_pen_u64(s, sum);
		nar_pen_char(s, '\n');
	}
	put_step(s, "sum", step);
	nar_pen_text(s, "} ");
	put_seconds(s, lap->sum_ns);
	nar_pen_char(s, '\n');
	put_step(s, "count", step);
	nar_pen_text(s, "} ");
	nar_pen_u64(s, sum);
	nar_pen_char(s, '\n');
}

static void put_laps(struct nar_sink *s, const struct nar_report *r)
{
	unsigned int step;

	nar_pen_text(s, "# HELP numarena_slow_step_seconds How long slow steps took.\n"
			"# TYPE numarena_slow_step_seconds histogram\n");
	for (step = 0; step < NR_STEPS; step++)
		put_histogram(s, step, &r->laps.of[step]);
}

void nar_print_prometheus(struct nar_sink *s, struct nar_report *r)
{
	unsigned int i;

	put_info(s, r);
	put_missing(s, r->stats.missing);
	for (i = 0; i < nar_nr_tables; i++)
		put_table(s, r, nar_tables[i]);
	put_table(s, r, &nar_table_remote);
	put_laps(s, r);
}
