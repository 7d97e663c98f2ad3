/* SPDX-License-Identifier: MIT */
/*
 * Figures: the names of the numbers in numarena.h's structures, said once for all who print
 * them, the numarena command too.
 */
#ifndef NAR_FIGURES_H
#define NAR_FIGURES_H

#include <numarena.h>

#include "internal/lap.h"
#include "internal/ledger.h"
#include "internal/roster.h"
#include "internal/stat.h"

/* Ratios are in parts of this. */
#define NAR_RATIO_ONE 10000u

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

/* Of struct numarena_stats all but the mask, and of struct numarena_node_stats all but its name. */
#define NAR_NR_PROCESS_FIGURES (offsetof(struct numarena_stats, missing) / sizeof(u64))
#define NAR_NR_NODE_FIGURES (sizeof(struct numarena_node_stats) / sizeof(u64) - 1)
extern const struct nar_figure nar_process_figures[NAR_NR_PROCESS_FIGURES];
extern const struct nar_figure nar_node_figures[NAR_NR_NODE_FIGURES];

/* Of struct nar_roster_line. */
#define NAR_NR_SCOPE_FIGURES ((sizeof(struct nar_roster_line) - offsetof(struct nar_roster_line, node)) / sizeof(u64))
extern const struct nar_figure nar_scope_figures[NAR_NR_SCOPE_FIGURES];

/* Of the lines of internal/ledger.h. */
#define NAR_NR_TOTAL_FIGURES (sizeof(struct nar_total_line) / sizeof(u64))
#define NAR_NR_CLASS_FIGURES ((sizeof(struct nar_class_line) - offsetof(struct nar_class_line, slabs)) / sizeof(u64))
#define NAR_NR_HEAP_FIGURES ((sizeof(struct nar_heap_line) - offsetof(struct nar_heap_line, slabs)) / sizeof(u64))
#define NAR_NR_THREAD_FIGURES ((sizeof(struct nar_thread_line) - offsetof(struct nar_thread_line, heap)) / sizeof(u64))
extern const struct nar_figure nar_total_figures[NAR_NR_TOTAL_FIGURES];
extern const struct nar_figure nar_class_figures[NAR_NR_CLASS_FIGURES];
extern const struct nar_figure nar_heap_figures[NAR_NR_HEAP_FIGURES];
extern const struct nar_figure nar_thread_figures[NAR_NR_THREAD_FIGURES];

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

/* Without its "nr_": what counts is seen to, as refills_total. */
static inline const char *nar_figure_stem(const struct nar_figure *f)
{
	return __builtin_strncmp(f->name, "nr_", 3) ? f->name : f->name + 3;
}

/* By enum numarena_missing. */
extern const char *const nar_missing_names[NR_MISSING];
/* By enum nar_step. */
extern const char *const nar_step_names[NR_STEPS];

#endif /* NAR_FIGURES_H */
