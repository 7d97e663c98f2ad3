// SPDX-License-Identifier: MIT
/* Nodes, what a cpuset leaves of them, and what the kernel does with pages by itself. */
#include "finding.h"
#include "text.h"
#include "tool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES "/sys/devices/system/node"

struct machine {
	struct ids online, has_memory, has_cpu;
	struct ids mems, cpus;		/* that this process may use */
};

static bool read_ids(struct ids *ids, const char *name)
{
	char text[4096];

	return text_read(text, sizeof(text), NODES "/%s", name) && ids_parse(ids, text);
}

static bool read_allowed(struct ids *ids, const char *status, const char *label)
{
	char value[4096];

	return text_field(status, label, value, sizeof(value)) && ids_parse(ids, value);
}

/* A kernel without NUMA has one node, 0. */
static void machine_read(struct machine *m)
{
	char status[16384];

	text_read(status, sizeof(status), "/proc/self/status");
	if (!read_ids(&m->online, "online"))
		ids_parse(&m->online, "0");
	if (!read_ids(&m->has_memory, "has_memory"))
		m->has_memory = m->online;
	if (!read_ids(&m->has_cpu, "has_cpu"))
		m->has_cpu = m->online;
	if (!read_allowed(&m->mems, status, "Mems_allowed_list:"))
		m->mems = m->online;
	if (!read_allowed(&m->cpus, status, "Cpus_allowed_list:"))
		memset(&m->cpus, 0xff, sizeof(m->cpus));
}

static void look_at_nodes(const struct machine *m)
{
	char online[256], memory[256], cpu[256];

	ids_format(&m->online, online, sizeof(online));
	ids_format(&m->has_memory, memory, sizeof(memory));
	ids_format(&m->has_cpu, cpu, sizeof(cpu));
	finding_add("nodes", "memory of another node is slower to reach, by half or more",
		    "nodes %s; with memory %s, with CPUs %s", online, memory, cpu);
}

/* Where the cpuset's file is: cgroup2, or the cpuset hierarchy of cgroup1. */
static void cpuset_file(char *path, size_t size)
{
	char groups[16384], group[PATH_MAX], *at;

	text_read(groups, sizeof(groups), "/proc/self/cgroup");
	/* "11:cpuset:/..." where there are both. */
	if ((at = strstr(groups, ":cpuset:")))
		snprintf(path, size, "/sys/fs/cgroup/cpuset%.*s/cpuset.mems",
			 (int)strcspn(at + 8, "\n"), at + 8);
	else if (text_field(groups, "0::", group, sizeof(group)))
		snprintf(path, size, "/sys/fs/cgroup%.4000s/cpuset.mems", strcmp(group, "/") ? group : "");
	else
		snprintf(path, size, "the cgroup's cpuset.mems");
}

static bool may_run_on(const struct machine *m, unsigned int node)
{
	struct ids cpus;
	char text[4096];

	if (!text_read(text, sizeof(text), NODES "/node%u/cpulist", node) || !ids_parse(&cpus, text))
		return false;
	ids_keep(&cpus, &m->cpus);
	return ids_count(&cpus);
}

static void look_at_cpuset(const struct machine *m)
{
	char mems[256], file[PATH_MAX], wanted[256];
	struct ids needed = m->mems;
	unsigned int node;
	struct finding *f;

	ids_format(&m->mems, mems, sizeof(mems));
	f = finding_add("cpuset",
			"a thread whose node's memory is not allowed lives on memory of another node",
			"memory of nodes %s is allowed", mems);
	ids_for_each(node, &m->has_memory) {
		struct ids one = { { 0 } };

		if (ids_has(&m->mems, node) || !may_run_on(m, node))
			continue;
		finding_more(f, ", but CPUs of node %u too", node);
		one.word[node / 64] = UINT64_C(1) << node % 64;
		ids_add_all(&needed, &one);
	}
	if (ids_count(&needed) == ids_count(&m->mems))
		return;
	ids_format(&needed, wanted, sizeof(wanted));
	cpuset_file(file, sizeof(file));
	finding_set(f, FINDING_MEND, "echo %s > %.400s", wanted, file);
}

/* What is best 0 where there are nodes. */
struct knob {
	const char *name, *path;
	const char *key;		/* sysctl's name of it */
	enum finding_level level;	/* otherwise */
	const char *why;
	const char *condition;		/* behind the command that mends it */
};

static const struct knob knobs[] = {
	{ "numa_balancing", "/proc/sys/kernel/numa_balancing", "kernel.numa_balancing", FINDING_NOTE,
	  "the kernel unmaps pages to see who uses them; what numarena has bound stays, but "
	  "stacks, files and memory that could not be bound fault and move",
	  "   # if the program's threads are pinned" },
	{ "zone_reclaim", "/proc/sys/vm/zone_reclaim_mode", "vm.zone_reclaim_mode", FINDING_MEND,
	  "a node that is full drops its file pages, at the fault, before another node with "
	  "room is asked", "" },
};

static void look_at_knob(const struct knob *k, bool is_numa)
{
	uint64_t value;
	struct finding *f;

	if (!text_number(&value, "%s", k->path))
		return;
	f = finding_add(k->name, k->why, "%s is %llu%s", k->key, (unsigned long long)value,
			is_numa ? "" : ", without effect on one node");
	if (value && is_numa)
		finding_set(f, k->level, "sysctl %s=0%s", k->key, k->condition);
}

void doctor_nodes(void)
{
	struct machine m;
	bool is_numa;
	size_t i;

	machine_read(&m);
	is_numa = ids_count(&m.has_memory) > 1;
	look_at_nodes(&m);
	look_at_cpuset(&m);
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		look_at_knob(&knobs[i], is_numa);
}
