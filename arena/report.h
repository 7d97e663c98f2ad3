/* SPDX-License-Identifier: MIT */
/*
 * A report: what statistics there are, gathered, and as tables.
 */
#ifndef NAR_REPORT_H
#define NAR_REPORT_H

#include "numa/maps.h"
#include "numa/process.h"

#include "census.h"
#include "figures.h"
#include "roster.h"

/* A table has no more columns, and lines no more keys. */
#define NAR_FIGURES_MAX 48
#define NAR_KEYS_MAX 3

/* A number, or text if that is not NULL; KEY_NONE: neither. */
struct nar_key {
	const char *text;
	int64_t number;
};
#define KEY_NONE INT64_MIN

/* A thread's name, or a heap's. */
#define NAR_LINE_NAME_BYTES 64

struct nar_line {
	struct nar_key key[NAR_KEYS_MAX];
	u64 value[NAR_FIGURES_MAX];		/* NAR_UNKNOWN: not to be had */
	char name[NAR_LINE_NAME_BYTES];		/* what a key's text may point to */
};

/* Arenas that are counted in one go through all slabs. */
#define NAR_REPORT_ARENAS 256

/* Scopes that are listed: a few of each of many threads. */
#define NAR_REPORT_SCOPES 256

/* Everything that is printed, but for the arenas. */
struct nar_report {
	struct numarena_stats stats;
	struct nar_census census;
	struct nar_laps laps;
	u64 huge_bytes[NAR_MAX_NODES];		/* NAR_UNKNOWN without /proc */
	u64 frees[NAR_MAX_NODES];		/* a row of the matrix ... */
	u64 bytes[NAR_MAX_NODES];
	struct numarena_node_stats node;
	int node_is;				/* of which that is; -1: of none yet */
	int row;				/* ... of this node; -1: none yet */
	u32 first_arena;			/* OWNER_NONE: none yet */
	struct nar_holding held[NAR_REPORT_ARENAS];	/* from this arena on */
	unsigned int nr_scopes;
	u64 nr_scopes_left_off;
	struct nar_roster_line scope[NAR_REPORT_SCOPES];
	u64 uptime_ns;
	u32 pid;
	char name[NAR_NAME_BYTES];
	struct nar_maps maps;
};

struct nar_table {
	const char *name;			/* of many */
	const char *one;			/* of one; "": of the process */
	const char *key[NAR_KEYS_MAX];		/* NULL past the last */
	const struct nar_figure *figure;
	unsigned int nr_figures;
	unsigned int (*nr_lines)(const struct nar_report *r);
	/* Return: whether there is a line @i that says anything. */
	bool (*read)(struct nar_report *r, unsigned int i, struct nar_line *line);
	bool is_sparse;				/* in text only lines that are not all 0 */
	/* What is there and has no line; NULL: all has one. */
	u64 (*nr_left_off)(const struct nar_report *r);
};

/* Histograms of all arenas, those included that wait, and of threads without one. */
void nar_report_laps(struct nar_laps *laps);

/* Of the process as a whole.  Does not allocate; takes short locks. */
void nar_report_take(struct nar_report *r);

/* In the order in which they are printed. */
extern const struct nar_table *const nar_tables[];
extern const unsigned int nar_nr_tables;

/* Apart, since some formats print it as a matrix: a line for each pair of nodes. */
extern const struct nar_table nar_table_remote;

/* Row @from of the matrix of remote frees, into @r. */
void nar_report_row(struct nar_report *r, unsigned int from);

#endif /* NAR_REPORT_H */
