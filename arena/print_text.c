// SPDX-License-Identifier: MIT
#include <string.h>

#include "numa/text.h"

#include "print_text.h"

#define NAME_WIDTH 20
#define NUMBER_WIDTH 20
#define CELL_WIDTH 9

static void put_figure(struct nar_sink *s, const struct nar_figure *f, u64 value, unsigned int width)
{
	if (f->kind == FIGURE_RATIO)
		nar_pen_right_ratio(s, value, width);
	else if (nar_figure_is_bytes(f))
		nar_pen_right_bytes(s, value, width);
	else
		nar_pen_right_u64(s, value, width);
}

/* ---- A table of one line: a figure a line, in full ---- */

static void put_upright(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	struct nar_line line;
	unsigned int i;

	t->read(r, 0, &line);
	for (i = 0; i < t->nr_figures; i++) {
		nar_pen_left(s, t->figure[i].name, NAME_WIDTH);
		nar_pen_char(s, ' ');
		if (t->figure[i].kind == FIGURE_RATIO)
			nar_pen_right_ratio(s, line.value[i], NUMBER_WIDTH);
		else
			nar_pen_right_u64(s, line.value[i], NUMBER_WIDTH);
		nar_pen_char(s, '\n');
	}
}

/* ---- Columns ---- */

/* The unit stands in each cell, and what counts needs no "nr_". */
static size_t heading(const struct nar_figure *f, char text[32])
{
	const char *from = nar_figure_stem(f);
	size_t len = strlen(from) - (nar_figure_is_bytes(f) ? strlen("_bytes") : 0), i;

	for (i = 0; i < len && i < 31; i++)
		text[i] = from[i] == '_' ? ' ' : from[i];
	text[i] = '\0';
	return i;
}

static unsigned int width_of(const struct nar_figure *f)
{
	char text[32];

	return (unsigned int)max_of(heading(f, text) + 2, (size_t)CELL_WIDTH);
}

/* Losses stand in a table of their own. */
static void put_headings(struct nar_sink *s, const struct nar_table *t)
{
	char text[32];
	unsigned int i;

	for (i = 0; i < NAR_KEYS_MAX && t->key[i]; i++) {
		nar_pen_text(s, i ? " " : "");
		nar_pen_left(s, t->key[i], i ? 15 : 7);
	}
	for (i = 0; i < t->nr_figures; i++) {
		if (t->figure[i].is_loss)
			continue;
		heading(&t->figure[i], text);
		nar_pen_right(s, text, width_of(&t->figure[i]));
	}
	nar_pen_char(s, '\n');
}

static void put_key(struct nar_sink *s, const struct nar_key *key, unsigned int width)
{
	char text[24];

	if (key->text || key->number == KEY_NONE) {
		nar_pen_left(s, key->text ? key->text : "-", width);
		return;
	}
	nar_text_number(text, (u64)key->number);
	nar_pen_left(s, text, width);
}

static void put_line(struct nar_sink *s, const struct nar_table *t, const struct nar_line *line)
{
	unsigned int i;

	for (i = 0; i < NAR_KEYS_MAX && t->key[i]; i++) {
		nar_pen_text(s, i ? " " : "");
		put_key(s, &line->key[i], i ? 15 : 7);
	}
	for (i = 0; i < t->nr_figures; i++)
		if (!t->figure[i].is_loss)
			put_figure(s, &t->figure[i], line->value[i], width_of(&t->figure[i]));
	nar_pen_char(s, '\n');
}

static bool says_anything(const struct nar_table *t, const struct nar_line *line)
{
	unsigned int i;

	for (i = 0; i < t->nr_figures; i++)
		if (line->value[i])
			return true;
	return !t->is_sparse;
}

static void put_columns(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	struct nar_line line;
	unsigned int i, nr = 0;

	for (i = 0; i < t->nr_lines(r); i++) {
		if (!t->read(r, i, &line) || !says_anything(t, &line))
			continue;
		if (!nr++)
			put_headings(s, t);
		put_line(s, t, &line);
	}
	if (!nr)
		nar_pen_text(s, "none\n");
}

static void put_table(struct nar_sink *s, struct nar_report *r, const struct nar_table *t)
{
	if (!t->key[0]) {
		put_upright(s, r, t);
		return;
	}
	nar_pen_char(s, '\n');
	nar_pen_text(s, t->name);
	nar_pen_text(s, ":\n");
	put_columns(s, r, t);
	if (!t->nr_left_off || !t->nr_left_off(r))
		return;
	nar_pen_text(s, "and ");
	nar_pen_u64(s, t->nr_left_off(r));
	nar_pen_text(s, " more\n");
}

/* ---- Apart ---- */

static void put_missing(struct nar_sink *s, u64 mask)
{
	unsigned int i;

	nar_pen_left(s, "missing", NAME_WIDTH);
	for (i = 0; i < NR_MISSING; i++) {
		if (!(mask >> i & 1))
			continue;
		nar_pen_char(s, ' ');
		nar_pen_text(s, nar_missing_names[i]);
	}
	nar_pen_text(s, mask ? "\n" : " nothing\n");
}

static void put_matrix(struct nar_sink *s, struct nar_report *r)
{
	unsigned int from, to;

	nar_pen_text(s, "\nfrees of others' memory, by node of the thread (down) and of the memory:\n");
	nar_pen_left(s, "", 7);
	for (to = 0; to < nar_nodes.nr; to++)
		nar_pen_right_u64(s, nar_nodes.id[to], CELL_WIDTH + 3);
	for (from = 0; from < nar_nodes.nr; from++) {
		nar_pen_char(s, '\n');
		put_key(s, &(struct nar_key){ NULL, nar_nodes.id[from] }, 7);
		nar_report_row(r, from);
		for (to = 0; to < nar_nodes.nr; to++)
			nar_pen_right_u64(s, r->frees[to], CELL_WIDTH + 3);
	}
	nar_pen_char(s, '\n');
}

/* The bound below which so many of ten thousand lie. */
static u64 quantile(const struct nar_lap *lap, u64 part)
{
	u64 want = (u64)(nar_lap_count(lap) * (unsigned __int128)part / 10000), sum = 0;
	unsigned int i;

	for (i = 0; i < NAR_LAP_BUCKETS - 1; i++) {
		sum += lap->nr[i];
		if (sum && sum >= want)
			break;
	}
	return 1ull << (i + NAR_LAP_SHIFT);
}

static void put_lap(struct nar_sink *s, const char *name, const struct nar_lap *lap)
{
	u64 nr = nar_lap_count(lap);

	nar_pen_left(s, name, 7);
	nar_pen_right_u64(s, nr, CELL_WIDTH + 3);
	nar_pen_right_ns(s, nr ? lap->sum_ns / nr : 0, CELL_WIDTH);
	nar_pen_right_ns(s, nr ? quantile(lap, 5000) : 0, CELL_WIDTH);
	nar_pen_right_ns(s, nr ? quantile(lap, 9900) : 0, CELL_WIDTH);
	nar_pen_right_ns(s, nr ? quantile(lap, 9990) : 0, CELL_WIDTH);
	nar_pen_right_ns(s, nr ? quantile(lap, 10000) : 0, CELL_WIDTH);
	nar_pen_char(s, '\n');
}

static void put_laps(struct nar_sink *s, const struct nar_report *r)
{
	unsigned int step;

	nar_pen_text(s, "\nslow steps, time below which so many of them lie:\n"
			"step          count     mean     50 %     99 %   99.9 %    all\n");
	for (step = 0; step < NR_STEPS; step++)
		put_lap(s, nar_step_names[step], &r->laps.of[step]);
}

void nar_print_text(struct nar_sink *s, struct nar_report *r)
{
	unsigned int i;

	nar_pen_text(s, "numarena " NAR_VERSION ", process ");
	nar_pen_u64(s, r->pid);
	nar_pen_text(s, " (");
	nar_pen_plain(s, r->name);
	nar_pen_text(s, "), up ");
	nar_pen_u64(s, r->uptime_ns / 1000000000);
	nar_pen_text(s, " s\n");
	for (i = 0; i < nar_nr_tables; i++) {
		if (i == 1)
			put_missing(s, r->stats.missing);
		put_table(s, r, nar_tables[i]);
	}
	put_matrix(s, r);
	put_laps(s, r);
}
