/* SPDX-License-Identifier: MIT */
/*
 * Figures: the names of all numbers that are printed, said once for all formats, and the
 * tables that they stand in.
 */
#ifndef NAR_FIGURES_H
#define NAR_FIGURES_H

#include <numarena.h>

#include "internal/lap.h"
#include "numa/maps.h"
#include "numa/process.h"

#include "census.h"

enum nar_figure_kind {
	FIGURE_COUNTER,		/* only ever grows */
	FIGURE_GAUGE,
	FIGURE_RATIO,		/* a gauge in parts of NAR_RATIO_ONE */
};

struct nar_figure {
	const char *name;	/* as in numarena.h, where it stands there */
	const char *help;
	u16 offset;		/* in the structure of numarena.h, where it stands there */
	u8 kind;		/* enum nar_figure_kind */
	bool is_loss;		/* did not go as asked */
};

/* A table has no more columns, and lines no more keys. */
#define NAR_FIGURES_MAX 48
#define NAR_KEYS_MAX 3

/* A number, or text if that is not NULL; KEY_NONE: neither. */
struct nar_key {
	const char *text;
	int64_t number;
};
#define KEY_NONE INT64_MIN

struct nar_line {
	struct nar_key key[NAR_KEYS_MAX];
	u64 value[NAR_FIGURES_MAX];		/* NAR_UNKNOWN: not to be had */
	char name[NAR_NAME_BYTES];		/* what a key's text may point to */
};

/* Arenas that are counted in one go through all slabs. */
#define NAR_REPORT_ARENAS 256

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
	u64 out[NAR_REPORT_ARENAS];		/* bytes from this arena's slabs on */
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
};

/* Of struct numarena_stats all but the mask, and of struct numarena_node_stats all but its name. */
#define NAR_NR_PROCESS_FIGURES (offsetof(struct numarena_stats, missing) / sizeof(u64))
#define NAR_NR_NODE_FIGURES (sizeof(struct numarena_node_stats) / sizeof(u64) - 1)
extern const struct nar_figure nar_process_figures[NAR_NR_PROCESS_FIGURES];
extern const struct nar_figure nar_node_figures[NAR_NR_NODE_FIGURES];

static inline u64 nar_figure_of(const struct nar_figure *f, const void *stats)
{
	const void *value = (const char *)stats + f->offset;

	return *(const u64 *)value;
}

static inline bool nar_figure_is_bytes(const struct nar_figure *f)
{
	size_t len = __builtin_strlen(f->name);

	return len > 6 && !__builtin_strcmp(f->name + len - 6, "_bytes");
}

/* By enum numarena_missing. */
extern const char *const nar_missing_names[NR_MISSING];
/* By enum nar_step. */
extern const char *const nar_step_names[NR_STEPS];

#endif /* NAR_FIGURES_H */
