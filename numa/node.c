// SPDX-License-Identifier: MIT
/*
 * NUMA topology.
 *
 * It is learnt in two steps because the first malloc of a process may come from
 * libnuma's own constructor.  The first step reads one line of sysfs with plain
 * system calls: the windows of the address space need the number of nodes.  The
 * second asks libnuma for distances and CPUs once it is ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node.h"

#define NODES_WITH_MEMORY "/sys/devices/system/node/has_memory"

struct nar_nodes nar_nodes;

/* struct rseq of <linux/rseq.h>: cpu_id is its second word, negative if unset. */
#define RSEQ_CPU_ID 4

extern const ptrdiff_t __rseq_offset __attribute__((__weak__));
extern const unsigned int __rseq_size __attribute__((__weak__));

static inline const void *thread_pointer(void)
{
	const void *tp;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(tp));
#elif defined(__aarch64__)
	__asm__("mrs %0, tpidr_el0" : "=r"(tp));
#else
#error "numarena runs on x86-64 and aarch64"
#endif
	return tp;
}

static int current_cpu(void)
{
	if (&__rseq_size && __rseq_size) {
		const void *cpu_id = (const char *)thread_pointer() + __rseq_offset + RSEQ_CPU_ID;
		int cpu = *(const volatile int *)cpu_id;

		if (cpu >= 0)
			return cpu;
	}
	return sched_getcpu();
}

unsigned int nar_node_current(void)
{
	int cpu;

	if (nar_nodes.nr == 1)
		return 0;
	cpu = current_cpu();
	return cpu >= 0 && cpu < NAR_MAX_CPUS ? nar_nodes.of_cpu[cpu] : 0;
}

static void node_add(unsigned int id)
{
	if (nar_nodes.nr < NAR_MAX_NODES)
		nar_nodes.id[nar_nodes.nr++] = (u16)id;
}

/* The kernel's list format: "0-1,4\n". */
static void parse_list(const char *s)
{
	while (*s >= '0' && *s <= '9') {
		char *end;
		unsigned long lo = strtoul(s, &end, 10), hi = lo;

		if (*end == '-')
			hi = strtoul(end + 1, &end, 10);
		for (; lo <= hi; lo++)
			node_add((unsigned int)lo);
		s = *end == ',' ? end + 1 : end;
	}
}

static void order_by_number(void)
{
	unsigned int from, to;

	for (from = 0; from < nar_nodes.nr; from++)
		for (to = 0; to < nar_nodes.nr; to++)
			nar_nodes.order[from][to] = (u8)((from + to) % nar_nodes.nr);
}

void nar_nodes_early(void)
{
	char line[256];
	int fd = open(NODES_WITH_MEMORY, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0) {
		line[n] = '\0';
		parse_list(line);
	}
	if (!nar_nodes.nr)
		node_add(0);
	order_by_number();
}

/* Insertion sort: a few nodes, once.  Readers see the old order or the new, entry by entry. */
static void order_by_distance(unsigned int from)
{
	u8 order[NAR_MAX_NODES];
	const u8 *far = nar_nodes.distance[from];
	unsigned int i, j;

	memcpy(order, nar_nodes.order[from], sizeof(order));
	for (i = 1; i < nar_nodes.nr; i++) {
		u8 node = order[i];

		for (j = i; j && far[order[j - 1]] > far[node]; j--)
			order[j] = order[j - 1];
		order[j] = node;
	}
	for (i = 0; i < nar_nodes.nr; i++)
		WRITE_ONCE(nar_nodes.order[from][i], order[i]);
}

static u8 dense_of(int id)
{
	unsigned int i, best = 0;
	int best_distance = 256;

	for (i = 0; i < nar_nodes.nr; i++) {
		int d = nar_nodes.id[i] == id ? 0 : numa_distance(id, nar_nodes.id[i]);

		if (d < best_distance) {
			best_distance = d;
			best = i;
		}
	}
	return (u8)best;
}

static void probe_cpus(void)
{
	int cpu, nr_cpus = numa_num_possible_cpus();

	for (cpu = 0; cpu < nr_cpus && cpu < NAR_MAX_CPUS; cpu++) {
		int id = numa_node_of_cpu(cpu);

		WRITE_ONCE(nar_nodes.of_cpu[cpu], id < 0 ? 0 : dense_of(id));
	}
}

/*
 * Runs while other threads may already allocate: each entry is one byte, right
 * before and after, so a racing reader takes at worst a farther node.
 */
void nar_nodes_probe(void)
{
	unsigned int from, to;

	if (nar_nodes.nr == 1 || numa_available() < 0)
		return;
	for (from = 0; from < nar_nodes.nr; from++) {
		for (to = 0; to < nar_nodes.nr; to++) {
			int d = numa_distance(nar_nodes.id[from], nar_nodes.id[to]);

			/* A distance that is not known (0) is far. */
			nar_nodes.distance[from][to] = (u8)(d > 0 && d < 255 ? d : 255);
		}
		nar_nodes.distance[from][from] = 0;
		order_by_distance(from);
	}
	probe_cpus();
}
