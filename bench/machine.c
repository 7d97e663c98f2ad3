// SPDX-License-Identifier: MIT
#include "machine.h"
#include "process.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(MAX_CPUS == CPU_SETSIZE, "a cpu_set_t holds other numbers");

#define NODE_DIR	"/sys/devices/system/node"

struct node {
	unsigned int id;		/* the kernel's */
	unsigned int nr_cpus;
	unsigned short cpu[MAX_CPUS];
};

static struct node nodes[MAX_NODES];
static unsigned int nr_nodes;

/* ---- Nodes and processors ---- */

/* Calls @add for each number of a list as the kernel writes it: "0-3,8,10-11". */
static void list_each(const char *list, void (*add)(unsigned int number, void *arg), void *arg)
{
	char *end;

	for (;; list = end + 1) {
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last; first++)
			add((unsigned int)first, arg);
		if (*end != ',')
			return;
	}
}

static void node_add_cpu(unsigned int cpu, void *arg)
{
	struct node *node = arg;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("sched_getaffinity failed");
	if (cpu < MAX_CPUS && CPU_ISSET(cpu, &allowed))
		node->cpu[node->nr_cpus++] = (unsigned short)cpu;
}

/* A node without a processor for us runs no thread, so it is not one of ours. */
static void node_add(unsigned int id, void *unused)
{
	char path[64], list[4096];
	struct node *node = &nodes[nr_nodes];

	(void)unused;
	if (nr_nodes == MAX_NODES)
		return;
	snprintf(path, sizeof(path), NODE_DIR "/node%u/cpulist", id);
	*node = (struct node){ .id = id };
	if (!file_read(path, list, sizeof(list)))
		list_each(list, node_add_cpu, node);
	if (node->nr_cpus)
		nr_nodes++;
}

void machine_read(void)
{
	char list[4096];

	if (!file_read(NODE_DIR "/online", list, sizeof(list)))
		list_each(list, node_add, NULL);
	if (nr_nodes)
		return;
	/* A kernel without NUMA, or a container that hides it. */
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		node_add_cpu(cpu, &nodes[0]);
	nr_nodes = 1;
}

void machine_pretend(unsigned int nr)
{
	struct node all = nodes[0];

	if (nr < 1 || nr > MAX_NODES || nr > all.nr_cpus)
		die("node 0 has %u processors, too few for %u nodes", all.nr_cpus, nr);
	memset(nodes, 0, sizeof(nodes));
	for (unsigned int i = 0; i < all.nr_cpus; i++)
		node_add_cpu(all.cpu[i], &nodes[i % nr]);
	for (unsigned int i = 0; i < nr; i++)
		nodes[i].id = i;
	nr_nodes = nr;
}

unsigned int machine_nr_nodes(void)
{
	return nr_nodes;
}

unsigned int node_id(unsigned int node)
{
	return nodes[node].id;
}

unsigned int node_cpu(unsigned int node, unsigned int i)
{
	return nodes[node].cpu[i % nodes[node].nr_cpus];
}

void cpu_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot run on processor %u", cpu);
}

/* A line "cpuN user nice system idle iowait irq softirq steal ..."; idle and iowait rest. */
static double busy_ticks(const char *line)
{
	static const bool is_busy[] = { true, true, true, false, false, true, true, true };
	double sum = 0;
	char *at;

	strtoul(line, &at, 10);
	for (unsigned int i = 0; i < ARRAY_SIZE(is_busy); i++) {
		double ticks = (double)strtoull(at, &at, 10);

		if (is_busy[i])
			sum += ticks;
	}
	return sum;
}

double cpus_busy_seconds(const unsigned char *used, unsigned int nr)
{
	static char text[MAX_CPUS * 160];
	const char *line = text;
	unsigned long cpu;
	double ticks = 0;

	if (file_read("/proc/stat", text, sizeof(text)))
		return NOT_MEASURED;
	while ((line = strstr(line, "\ncpu"))) {
		line += strlen("\ncpu");
		cpu = strtoul(line, NULL, 10);
		if (cpu < nr && used[cpu])
			ticks += busy_ticks(line);
	}
	return ticks / (double)sysconf(_SC_CLK_TCK);
}
