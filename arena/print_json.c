// SPDX-License-Identifier: MIT
/*
 * One object: a table of one line is an object in it, others are lists of objects.
 */
#include "print_json.h"

/* 0 is before the first of its object or list. */
static void comma(struct nar_sink *s, unsigned int *nr)
{
	if ((*nr)++)
		nar_pen_char(s, ',');
}

static void name(struct nar_sink *s, const char *text)
{
	nar_pen_json(s, text);
	nar_pen_char(s, ':');
}

static void put_value(struct nar_sink *s, const struct nar_figure *f, u64 value)
{
	if (value == NAR_UNKNOWN)
		nar_pen_text(s, "null");
	else if (f->kind == FIGURE_RATIO)
		nar_pen_ratio(s, value);
	else
		nar_pen_u64(s, value);
}

static void put_key(struct nar_sink *s, const struct nar_key *key)
{
	if (key->text)
		nar_pen_json(s, key->text);
	else if (key->number == KEY_NONE)
		nar_pen_text(s, "null");
	else
		nar_pen_i64(s, key->number);
}

static void put_line(struct nar_sink *s, const struct nar_table *t, const struct nar_line *line)
{
	unsigned int i, nr = 0;

	nar_pen_char(s, '{');
	for (i = 0; i < NAR_KEYS_MAX && t->key[i]; i++) {
		comma(s, &nr);
		name(s, t->key[i]);
		put_key(s, &line->key[i]);
	}
	for (i = 0; i < t->nr_figures; i++) {
		comma(s, &nr);
		name(s, t->figure[i].name);
		put_value(s, &t->figure[i], line->value[i]);
	}
	nar_pen_char(s, '}');
}

static void put_lines(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	unsigned int i, nr = 0;
	struct nar_line line;

	for (i = 0; i < t->nr_lines(r); i++) {
		if (!t->read(r, i, &line))
			continue;
		comma(s, &nr);
		if (t->key[0])
			nar_pen_text(s, "\n  ");
		put_line(s, t, &line);
	}
}

/* "scopes_left_off", beside the list. */
static void put_left_off(struct nar_sink *s, const struct nar_report *r, const struct nar_table *t)
{
	nar_pen_text(s, ",\n\"");
	nar_pen_text(s, t->name);
	nar_pen_text(s, "_left_off\":");
	nar_pen_u64(s, t->nr_left_off(r));
}

static void put_table(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	nar_pen_text(s, ",\n");
	name(s, t->name);
	if (t->key[0])
		nar_pen_char(s, '[');
	put_lines(s, r, t);
	if (t->key[0])
		nar_pen_char(s, ']');
	if (t->nr_left_off)
		put_left_off(s, r, t);
}

/* A list of rows, a row for each node that frees. */
static void put_matrix(struct nar_sink *s, struct nar_report *r, const u64 *row)
{
	unsigned int from, to;

	nar_pen_char(s, '[');
	for (from = 0; from < nar_nodes.nr; from++) {
		nar_report_row(r, from);
		nar_pen_text(s, from ? ",[" : "[");
		for (to = 0; to < nar_nodes.nr; to++) {
			nar_pen_text(s, to ? "," : "");
			nar_pen_u64(s, row[to]);
		}
		nar_pen_char(s, ']');
	}
	nar_pen_char(s, ']');
}

static void put_remote(struct nar_sink *s, struct nar_report *r)
{
	unsigned int node;

	nar_pen_text(s, ",\n\"remote\":{\"nodes\":[");
	for (node = 0; node < nar_nodes.nr; node++) {
		nar_pen_text(s, node ? "," : "");
		nar_pen_u64(s, nar_nodes.id[node]);
	}
	nar_pen_text(s, "],\"frees\":");
	put_matrix(s, r, r->frees);
	nar_pen_text(s, ",\"bytes\":");
	put_matrix(s, r, r->bytes);
	nar_pen_char(s, '}');
}

/* Pairs of a bound and how many took less time than that, and no less than the bound before. */
static void put_buckets(struct nar_sink *s, const struct nar_lap *lap)
{
	unsigned int i;

	for (i = 0; i < NAR_LAP_BUCKETS; i++) {
		nar_pen_text(s, i ? ",[" : "[");
		if (i < NAR_LAP_BUCKETS - 1)
			nar_pen_u64(s, 1ull << (i + NAR_LAP_SHIFT));
		else
			nar_pen_text(s, "null");
		nar_pen_char(s, ',');
		nar_pen_u64(s, lap->nr[i]);
		nar_pen_char(s, ']');
	}
}

static void put_laps(struct nar_sink *s, const struct nar_report *r)
{
	unsigned int step;

	nar_pen_text(s, ",\n\"slow_steps\":{");
	for (step = 0; step < NR_STEPS; step++) {
		nar_pen_text(s, step ? ",\n  " : "\n  ");
		name(s, nar_step_names[step]);
		nar_pen_text(s, "{\"count\":");
		nar_pen_u64(s, nar_lap_count(&r->laps.of[step]));
		nar_pen_text(s, ",\"sum_ns\":");
		nar_pen_u64(s, r->laps.of[step].sum_ns);
		nar_pen_text(s, ",\"below_ns\":[");
		put_buckets(s, &r->laps.of[step]);
		nar_pen_text(s, "]}");
	}
	nar_pen_char(s, '}');
}

static void put_missing(struct nar_sink *s, u64 mask)
{
	unsigned int i, nr = 0;

	nar_pen_text(s, ",\n\"missing\":[");
	for (i = 0; i < NR_MISSING; i++) {
		if (!(mask >> i & 1))
			continue;
		comma(s, &nr);
		nar_pen_json(s, nar_missing_names[i]);
	}
	nar_pen_char(s, ']');
}

void nar_print_json(struct nar_sink *s, struct nar_report *r)
{
	unsigned int i;

	nar_pen_text(s, "{\"numarena\":");
	nar_pen_json(s, NAR_VERSION);
	nar_pen_text(s, ",\"pid\":");
	nar_pen_u64(s, r->pid);
	nar_pen_text(s, ",\"name\":");
	nar_pen_json(s, r->name);
	nar_pen_text(s, ",\"uptime_ns\":");
	nar_pen_u64(s, r->uptime_ns);
	put_missing(s, r->stats.missing);
	for (i = 0; i < nar_nr_tables; i++)
		put_table(s, r, nar_tables[i]);
	put_remote(s, r);
	put_laps(s, r);
	nar_pen_text(s, "}\n");
}
