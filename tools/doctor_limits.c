// SPDX-License-Identifier: MIT
/* Limits: of the process (ulimit), of the machine's memory, and of the cgroup. */
#include "finding.h"
#include "text.h"
#include "tool.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MIB (UINT64_C(1) << 20)

/* ---- ulimit ---- */

struct limit {
	const char *id, *why;
	__rlimit_resource_t resource;
	rlim_t enough;			/* RLIM_INFINITY: any limit is too low */
	uint64_t unit;			/* of what ulimit prints */
	const char *unit_name;
	enum finding_level level;	/* below that */
	const char *mend;
};

static const struct limit limits[] = {
	{ "rlimit_as", "numarena reserves a quarter of what address space is left and can use no more",
	  RLIMIT_AS, RLIM_INFINITY, MIB, " MiB", FINDING_MEND, "ulimit -v unlimited" },
	{ "rlimit_data", "the kernel counts all memory that numarena has made writable",
	  RLIMIT_DATA, RLIM_INFINITY, MIB, " MiB", FINDING_MEND, "ulimit -d unlimited" },
	{ "rlimit_memlock", "mlockall() by a program without CAP_IPC_LOCK fails: it counts reserved space too",
	  RLIMIT_MEMLOCK, 0, MIB, " MiB", FINDING_FINE, "" },
	{ "rlimit_nofile", "each file and socket of the program counts, and few are left for reading /proc",
	  RLIMIT_NOFILE, 256, 1, " files", FINDING_NOTE, "ulimit -n 1024" },
};

static void look_at_limit(const struct limit *l)
{
	struct rlimit now;
	struct finding *f;

	if (getrlimit(l->resource, &now))
		return;
	f = finding_add(l->id, l->why, "limit: ");
	if (now.rlim_cur == RLIM_INFINITY) {
		finding_more(f, "none");
		return;
	}
	finding_more(f, "%" PRIu64 "%s", (uint64_t)now.rlim_cur / l->unit, l->unit_name);
	if (now.rlim_cur < l->enough)
		finding_set(f, l->level, "%s", l->mend);
}

/* ---- The machine ---- */

static void look_at_overcommit(void)
{
	uint64_t value;
	struct finding *f;

	if (!text_number(&value, "/proc/sys/vm/overcommit_memory"))
		return;
	f = finding_add("overcommit",
			"under 2 every byte that may be written is charged, touched or not, and huge pages "
			"are given where the charge allows",
			"vm.overcommit_memory is %" PRIu64, value);
	if (value == 2)
		finding_set(f, FINDING_MEND, "sysctl vm.overcommit_memory=0");
}

static void look_at_map_count(void)
{
	uint64_t value;
	struct finding *f;

	if (!text_number(&value, "/proc/sys/vm/max_map_count"))
		return;
	f = finding_add("max_map_count",
			"numarena keeps below 1,000 mappings, but each thread's stack is two and each "
			"library four or more",
			"vm.max_map_count is %" PRIu64, value);
	if (value < 65530)
		finding_set(f, FINDING_MEND, "sysctl vm.max_map_count=65530");
}

/* ---- The cgroup ---- */

/* The lowest memory.max from the process's own cgroup upward, and which one has it. */
static uint64_t cgroup_limit(char *group, char *lowest, size_t size)
{
	uint64_t limit = UINT64_MAX, one;

	for (;;) {
		char *slash = strrchr(group, '/');

		if (text_number(&one, "/sys/fs/cgroup%s/memory.max", group) && one < limit) {
			limit = one;
			snprintf(lowest, size, "%s", group);
		}
		if (!slash)
			return limit;
		*slash = '\0';
	}
}

static void look_at_cgroup(void)
{
	static const char why[] = "what goes beyond it ends in the kernel's out-of-memory killer, not in NULL";
	char groups[16384], group[PATH_MAX], lowest[PATH_MAX] = "";
	struct finding *f;
	uint64_t limit, used;

	text_read(groups, sizeof(groups), "/proc/self/cgroup");
	if (!text_field(groups, "0::", group, sizeof(group))) {
		finding_add("cgroup_memory", why, "no cgroup2 here: its limit was not looked at");
		return;
	}
	limit = cgroup_limit(group, lowest, sizeof(lowest));
	if (limit == UINT64_MAX) {
		finding_add("cgroup_memory", why, "the cgroup has no memory.max");
		return;
	}
	if (!text_number(&used, "/sys/fs/cgroup%s/memory.current", lowest))
		used = 0;
	f = finding_add("cgroup_memory", why, "memory.max is %" PRIu64 " MiB, %" PRIu64 " MiB are used",
			limit / MIB, used / MIB);
	/* Caches count too, and go when they must: nine tenths may still be fine. */
	if (used > limit / 10 * 9)
		finding_set(f, FINDING_MEND, "echo %" PRIu64 "M > /sys/fs/cgroup%.300s/memory.max",
			    2 * (limit / MIB), lowest);
}

void doctor_limits(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++)
		look_at_limit(&limits[i]);
	look_at_overcommit();
	look_at_map_count();
	look_at_cgroup();
}
