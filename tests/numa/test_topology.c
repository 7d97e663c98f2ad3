// SPDX-License-Identifier: MIT
/*
 * What numarena knows of the machine, against sysfs.
 *
 *	/sys/devices/system/node/
 *	| node0: cpus, memory | node1: cpus | node2: memory | ...
 *	    distance 10 31 21    31 10 16      21 16 10
 *	  dense 0               (nearest: 1)   dense 1
 *
 * sysfs is read here in another way than numarena's: stdio, a question a fact.
 */
#include "guest.h"

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
	int cpu = *(int *)arg;

	ck_assert_int_eq(sched_getcpu(), cpu);
	check_nearest((unsigned int)machine.node_of_cpu[cpu], nar_node_current());
	return NULL;
}

/*
 *	thread on a CPU of node 1, which has no memory	-> node 2, at 16, not 0, at 31
 *
 * Expect: a thread on any CPU is on that CPU's node, or on the nearest with memory.
 */
START_TEST(thread_is_on_its_cpus_node)
{
	int cpu, nr = 0;

	for_each_cpu(cpu) {
		run_on(cpu, pinned_thread, &cpu);
		nr++;
	}
	ck_assert_int_eq(nr, sysconf(_SC_NPROCESSORS_ONLN));
}
END_TEST

/*
 *	one thread: CPU 0 -> 1 -> 2 -> ... -> 0
 *
 * Expect: it is known at once where a thread has gone.
 */
START_TEST(thread_that_moves_is_followed)
{
	int cpu, round;

	for (round = 0; round < 2; round++) {
		for_each_cpu(cpu) {
			move_to(cpu);
			check_nearest((unsigned int)machine.node_of_cpu[cpu], nar_node_current());
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topology");
	TCase *tc = guest_case(suite, "this machine");

	guest_begin();
	tcase_add_test(tc, nodes_are_those_with_memory);
	tcase_add_test(tc, order_is_by_distance);
	tcase_add_test(tc, thread_is_on_its_cpus_node);
	tcase_add_test(tc, thread_that_moves_is_followed);
	return tap_run(suite);
}
