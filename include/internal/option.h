/* SPDX-License-Identifier: MIT */
/*
 * The settings as the machine and the allocator read them: plain numbers, fixed
 * once the process has started.  arena/option.c fills them from NUMARENA_CONF.
 */
#ifndef NAR_OPTION_H
#define NAR_OPTION_H

#include "internal/compiler.h"

/* A number of bytes above any: the limit of the process's cgroup. */
#define NAR_LIMIT_CGROUP ((u64)1 << 62)

enum nar_mode { MODE_ARENA, MODE_BASELINE, MODE_SHARDED };
enum nar_huge { HUGE_AUTO, HUGE_THP, HUGE_HUGETLB, HUGE_OFF };
enum nar_purging { PURGE_AUTO, PURGE_STEP };
enum nar_binding { BIND_PREFERRED, BIND_STRICT, BIND_INTERLEAVE, BIND_INHERIT };

/* Where statistics go by themselves. */
enum nar_stats_outlet { OUTLET_EXIT, OUTLET_PAGE, OUTLET_SIGUSR1, OUTLET_SIGUSR2 };

/* A pattern of a path, with its end; empty: none. */
#define NAR_STATS_FILE_BYTES 512
extern char nar_opt_stats_file[NAR_STATS_FILE_BYTES];

struct nar_options {
	u64 mode;		/* enum nar_mode */
	u64 huge;		/* enum nar_huge */
	u64 policy;		/* enum nar_binding: how memory is bound to its node */
	u64 harden;		/* check every free against an out-of-line bit */
	u64 decay_ms;		/* a free huge page older than this is purged; 0: at once */
	u64 scope_keep;		/* bytes that a thread keeps of scopes that have ended */
	u64 limit;		/* bytes of slabs and large blocks; 0: none */
	u64 purge;		/* enum nar_purging: when maintenance happens */
	u64 fork_rcu;		/* call liburcu's fork functions from our handlers */
	u64 abort_conf;		/* a setting that cannot be used is fatal */
	u64 stats;		/* bits, 1 << enum nar_stats_outlet */
	u64 stats_format;	/* enum numarena_stats_format, for all but the page */
};

extern struct nar_options nar_opt;

#endif /* NAR_OPTION_H */
