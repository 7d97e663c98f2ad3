// SPDX-License-Identifier: MIT
/*
 * What numarena knows of the machine, against sysfs.
 *
 *	/sys/devices/system/node/
 *	| node0: cpus, memory | node1: cpus | node2: memory | ...
 *	    distance 10 31 21    31 10 16      21 16 10
 *	  dense 0               (nearest: 1)   dense 1
 *
 * sysfs is read here by file, not through libnuma, from which numarena has it.
 */
#include <numarena.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "numa/node.h"

#include "tests/tap.h"

#define NODES "/sys/devices/system/node"

/* The kernel's default; NAR_MAX_NODES are those that have memory. */
#define MAX_IDS 1024

/* By the kernel's numbers. */
static struct machine {
	unsigned int nr_ids;		/* the highest number, plus one */
	bool is_online[MAX_IDS];
	bool has_memory[MAX_IDS];
	int distance[MAX_IDS][MAX_IDS];
	int node_of_cpu[NAR_MAX_CPUS];	/* -1: offline, or there is none */
} machine;

static FILE *open_file(unsigned int id, const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), NODES "/node%u/%s", id, name);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "cannot read %s", path);
	return file;
}

static bool has_memory(unsigned int id)
{
	FILE *file = open_file(id, "meminfo");
	unsigned long kib = 0;
	char line[128];

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Node %*u MemTotal: %lu", &kib) == 1)
			break;
	fclose(file);
	return kib != 0;
}

/* A distance for each node that is online, in order. */
static void read_distances(unsigned int id)
{
	FILE *file = open_file(id, "distance");
	unsigned int to;

	for (to = 0; to < machine.nr_ids; to++)
		if (machine.is_online[to])
			ck_assert_int_eq(fscanf(file, "%d", &machine.distance[id][to]), 1);
	fclose(file);
}

/* Of those that are online: "0-1,4\n". */
static void read_cpus(unsigned int id)
{
	FILE *file = open_file(id, "cpulist");
	unsigned int first, last;

	while (fscanf(file, "%u", &first) == 1) {
		last = first;
		if (getc(file) == '-') {
			ck_assert_int_eq(fscanf(file, "%u", &last), 1);
			getc(file);
		}
		ck_assert_uint_lt(last, NAR_MAX_CPUS);
		for (; first <= last; first++)
			machine.node_of_cpu[first] = (int)id;
	}
	fclose(file);
}

static void read_machine(void)
{
	char path[64];
	unsigned int id;

	memset(machine.node_of_cpu, -1, sizeof(machine.node_of_cpu));
	for (id = 0; id < MAX_IDS; id++) {
		snprintf(path, sizeof(path), NODES "/node%u", id);
		machine.is_online[id] = !access(path, F_OK);
		if (machine.is_online[id])
			machine.nr_ids = id + 1;
	}
	for (id = 0; id < machine.nr_ids; id++) {
		if (!machine.is_online[id])
			continue;
		machine.has_memory[id] = has_memory(id);
		read_distances(id);
		read_cpus(id);
	}
}

/* The kernel's distance between nodes of numarena's numbers. */
static int kernel_distance(unsigned int from, unsigned int to)
{
	return machine.distance[nar_nodes.id[from]][nar_nodes.id[to]];
}

/*
 *	kernel:   0 (memory)  1 (none)  2 (memory)
 *	numarena: 0                     1
 *
 * Expect: all nodes that have memory and no others, in the kernel's order.
 */
START_TEST(nodes_are_those_with_memory)
{
	unsigned int id, nr = 0;

	for (id = 0; id < machine.nr_ids; id++) {
		if (!machine.has_memory[id])
			continue;
		ck_assert_uint_lt(nr, nar_nodes.nr);
		ck_assert_uint_eq(nar_nodes.id[nr], id);
		nr++;
	}
	ck_assert_uint_eq(nar_nodes.nr, nr);
}
END_TEST

/*
 *	from 0:	10 12 21 31	-> 0 1 2 3
 *
 * Expect: from each node itself first, then each other once, none before a nearer one.
 * The distance counts from the node to the memory, which is a row of sysfs.
 */
START_TEST(order_is_by_distance)
{
	unsigned int from, i;

	for (from = 0; from < nar_nodes.nr; from++) {
		bool seen[NAR_MAX_NODES] = { false };
		const u8 *order = nar_nodes.order[from];

		ck_assert_uint_eq(order[0], from);
		for (i = 0; i < nar_nodes.nr; i++) {
			ck_assert_uint_lt(order[i], nar_nodes.nr);
			ck_assert(!seen[order[i]]);
			seen[order[i]] = true;
			if (i)
				ck_assert_int_le(kernel_distance(from, order[i - 1]),
						 kernel_distance(from, order[i]));
		}
	}
}
END_TEST

/* None with memory is nearer to @id, and a node that has memory is its own nearest. */
static void check_nearest(unsigned int id, unsigned int node)
{
	unsigned int other, found;

	ck_assert_uint_lt(node, nar_nodes.nr);
	found = nar_nodes.id[node];
	if (machine.has_memory[id])
		ck_assert_uint_eq(found, id);
	for (other = 0; other < machine.nr_ids; other++)
		if (machine.has_memory[other])
			ck_assert_int_le(machine.distance[id][found], machine.distance[id][other]);
}

static void *pinned_thread(void *arg)
{
	unsigned int *cpu = arg;

	ck_assert_uint_eq((unsigned int)sched_getcpu(), *cpu);
	check_nearest((unsigned int)machine.node_of_cpu[*cpu], nar_node_current());
	return NULL;
}

/*
 *	thread on a CPU of node 1, which has no memory	-> node 2, at 16, not 0, at 31
 *
 * Expect: a thread on any CPU is on that CPU's node, or on the nearest with memory.
 */
START_TEST(thread_is_on_its_cpus_node)
{
	unsigned int cpu, nr = 0;

	for (cpu = 0; cpu < NAR_MAX_CPUS && cpu < CPU_SETSIZE; cpu++) {
		pthread_attr_t attr;
		pthread_t thread;
		cpu_set_t set;

		if (machine.node_of_cpu[cpu] < 0)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_init(&attr);
		ck_assert_int_eq(pthread_attr_setaffinity_np(&attr, sizeof(set), &set), 0);
		ck_assert_int_eq(pthread_create(&thread, &attr, pinned_thread, &cpu), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		pthread_attr_destroy(&attr);
		nr++;
	}
	ck_assert_int_eq(nr, sysconf(_SC_NPROCESSORS_ONLN));
}
END_TEST

static unsigned int move_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	return nar_node_current();
}

/*
 *	one thread: CPU 0 -> 1 -> 2 -> ... -> 0
 *
 * Expect: it is known at once where a thread has gone.
 */
START_TEST(thread_that_moves_is_followed)
{
	unsigned int cpu;
	int round;

	for (round = 0; round < 2; round++)
		for (cpu = 0; cpu < NAR_MAX_CPUS && cpu < CPU_SETSIZE; cpu++)
			if (machine.node_of_cpu[cpu] >= 0)
				check_nearest((unsigned int)machine.node_of_cpu[cpu], move_to(cpu));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topology");
	TCase *tc = tcase_create("this machine");

	if (access(NODES "/node0", F_OK))
		tap_skip_all("the kernel shows no nodes");
	/* Brings the constructor along, which learns what all tests look at. */
	numarena_free(numarena_malloc(1));
	tcase_add_checked_fixture(tc, read_machine, NULL);
	tcase_add_test(tc, nodes_are_those_with_memory);
	tcase_add_test(tc, order_is_by_distance);
	tcase_add_test(tc, thread_is_on_its_cpus_node);
	tcase_add_test(tc, thread_that_moves_is_followed);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
