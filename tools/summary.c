// SPDX-License-Identifier: MIT
#include "summary.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>

/* Sizes by powers of two from 16 B on, and above 1 GiB. */
#define NR_SIZES 28

/* Lifetimes by powers of ten from 1 us on, and above 100 s; the last is for what is never freed. */
#define NR_LIVES 11

struct size_row {
	uint64_t nr, bytes, live;
};

struct summary {
	struct size_row size[NR_SIZES];
	uint64_t life[NR_LIVES];
	uint64_t nr_objects, nr_foreign;	/* foreign: ended by another thread */
	uint64_t live_bytes, peak_bytes;
};

/* By object: when and by whom it was begun. */
struct birth {
	uint64_t time_ns, size;
	uint32_t thread;
};

static unsigned int size_row_of(uint64_t size)
{
	unsigned int row = size <= 16 ? 0 : 60 - (unsigned int)__builtin_clzll(size - 1);

	return row < NR_SIZES - 1 ? row : NR_SIZES - 1;
}

static unsigned int life_row_of(uint64_t ns)
{
	unsigned int row = 0;
	uint64_t limit;

	for (limit = 1000; row < NR_LIVES - 2 && ns >= limit; limit *= 10)
		row++;
	return row;
}

static void object_begin(struct summary *s, struct birth *b, const struct moment *m)
{
	struct size_row *row = &s->size[size_row_of(m->size)];

	*b = (struct birth){ m->time_ns, m->size, m->thread };
	row->nr++;
	row->live++;
	row->bytes += m->size;
	s->nr_objects++;
	s->live_bytes += m->size;
	s->peak_bytes = s->live_bytes > s->peak_bytes ? s->live_bytes : s->peak_bytes;
}

/* A free is written down before it is done: the clocks of two threads may differ by that. */
static void object_end(struct summary *s, const struct birth *b, const struct moment *m)
{
	s->size[size_row_of(b->size)].live--;
	s->life[life_row_of(m->time_ns > b->time_ns ? m->time_ns - b->time_ns : 0)]++;
	s->nr_foreign += b->thread != m->thread;
	s->live_bytes -= b->size;
}

static void count_all(struct summary *s, const struct timeline *line)
{
	size_t bytes = line->nr_objects * sizeof(struct birth), i;
	struct birth *birth = own_map(bytes);

	for (i = 0; i < line->nr; i++) {
		const struct moment *m = &line->at[i];

		if (m->kind == MOMENT_REALLOC)
			object_end(s, &birth[m->old], m);
		else if (m->kind == MOMENT_FREE)
			object_end(s, &birth[m->object], m);
		if (m->kind >= MOMENT_MALLOC && m->kind <= MOMENT_REALLOC && m->kind != MOMENT_FREE)
			object_begin(s, &birth[m->object], m);
	}
	own_unmap(birth, bytes);
}

/* ---- Printing ---- */

static const char *percent(uint64_t part, uint64_t whole)
{
	static char text[16];

	snprintf(text, sizeof(text), "%.1f %%", whole ? 100.0 * (double)part / (double)whole : 0.0);
	return text;
}

static void print_size_label(unsigned int row)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	unsigned int shift = row + 4, above = row == NR_SIZES - 1;

	shift -= above;
	printf("%s%5u %-4s", above ? "  > " : "to  ", 1u << shift % 10, units[shift / 10]);
}

static void print_sizes(const struct summary *s)
{
	unsigned int i;

	printf("\n%-13s %12s %9s %16s %12s\n", "size", "allocations", "", "bytes", "live at end");
	for (i = 0; i < NR_SIZES; i++) {
		const struct size_row *row = &s->size[i];

		if (!row->nr)
			continue;
		print_size_label(i);
		printf(" %12" PRIu64 " %9s %16" PRIu64 " %12" PRIu64 "\n", row->nr,
		       percent(row->nr, s->nr_objects), row->bytes, row->live);
	}
}

static void print_lives(const struct summary *s)
{
	static const char *const labels[NR_LIVES] = {
		"below 1 us", "to 10 us", "to 100 us", "to 1 ms", "to 10 ms", "to 100 ms",
		"to 1 s", "to 10 s", "to 100 s", "longer", "never freed",
	};
	unsigned int i;

	printf("\n%-13s %12s\n", "lifetime", "objects");
	for (i = 0; i < NR_LIVES; i++)
		if (s->life[i])
			printf("%-13s %12" PRIu64 " %9s\n", labels[i], s->life[i],
			       percent(s->life[i], s->nr_objects));
}

static uint64_t nr_ended(const struct summary *s)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NR_LIVES - 1; i++)
		sum += s->life[i];
	return sum;
}

void summary_print(const struct timeline *line)
{
	struct summary s = { .nr_objects = 0 };
	uint64_t ended;

	count_all(&s, line);
	ended = nr_ended(&s);
	s.life[NR_LIVES - 1] = s.nr_objects - ended;
	printf("%-13s %12" PRIu64 "\n", "objects", s.nr_objects);
	printf("%-13s %12" PRIu64 " bytes at most\n", "live", s.peak_bytes);
	printf("%-13s %12" PRIu64 " bytes at the end\n", "", s.live_bytes);
	printf("%-13s %12" PRIu64 " %9s of those that were freed\n", "other thread", s.nr_foreign,
	       percent(s.nr_foreign, ended));
	print_sizes(&s);
	print_lives(&s);
}
