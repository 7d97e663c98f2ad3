// SPDX-License-Identifier: MIT
/*
 * NUMA topology.
 *
 * It is learnt in two steps because the first malloc of a process must be quick.  The
 * first step reads one line of sysfs with plain system calls: the windows of the address
 * space need the number of nodes.  The second reads distances.
 *
 * All of it comes from sysfs, as in libnuma, which in containers takes get_mempolicy's
 * refusal for a machine without nodes.
 *
 * Which node a CPU belongs to is asked of the kernel when a thread is first seen on it:
 * CPUs come and go, and only that answer holds for those that were offline at start.
 */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node.h"
#include "pages.h"
#include "text.h"

#define NODES_WITH_MEMORY "/sys/devices/system/node/has_memory"
#define NODES_ONLINE "/sys/devices/system/node/online"
#define NODE_FILE "/sys/devices/system/node/node%u/%s"

/* The longest of them: CPUs or nodes, none next to another. */
#define LIST_BYTES 4096

/* A look at the cpuset is one system call; it does not change every day. */
#define LOOK_MS 100

struct nar_nodes nar_nodes;

/* struct rseq of <linux/rseq.h>: cpu_id is its second word, negative if unset. */
#define RSEQ_CPU_ID 4

extern const ptrdiff_t __rseq_offset __attribute__((__weak__));
extern const unsigned int __rseq_size __attribute__((__weak__));

/* Dense numbers plus one, 0 where nothing is known yet; relaxed, each right by itself. */
static u8 node_of_cpu[NAR_MAX_CPUS];
static u8 nearest_of_id[NAR_MAX_KERNEL_NODES];

/* ---- Where a thread runs ---- */

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

static int rseq_cpu(void)
{
	const void *cpu_id;

	if (!&__rseq_size || !__rseq_size)
		return -1;
	cpu_id = (const char *)thread_pointer() + __rseq_offset + RSEQ_CPU_ID;
	return *(const volatile int *)cpu_id;
}

/* A node that came after start has no window: the first stands for it. */
static unsigned int nearest(unsigned int id)
{
	u8 known = id < NAR_MAX_KERNEL_NODES ? READ_ONCE(nearest_of_id[id]) : 0;

	return known ? known - 1u : 0;
}

/* Without rseq each time, at 3 to 4 ns; with it once a CPU. */
static noinline unsigned int ask_kernel(void)
{
	unsigned int cpu, id, node;

	if (getcpu(&cpu, &id))
		return 0;
	node = nearest(id);
	if (cpu < NAR_MAX_CPUS)
		WRITE_ONCE(node_of_cpu[cpu], (u8)(node + 1));
	return node;
}

static unsigned int node_here(void)
{
	int cpu = rseq_cpu();
	u8 known = cpu >= 0 && cpu < NAR_MAX_CPUS ? READ_ONCE(node_of_cpu[cpu]) : 0;

	return likely(known) ? known - 1u : ask_kernel();
}

unsigned int nar_node_current(void)
{
	return nar_nodes.nr == 1 ? 0 : READ_ONCE(nar_nodes.home[node_here()]);
}

int nar_node_find(int id)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		if (nar_nodes.id[node] == id)
			return (int)node;
	return -1;
}

/* ---- First step ---- */

static ssize_t read_node_text(unsigned int id, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), NODE_FILE, id, name);
	return nar_text_read(path, buf, size);
}

/* The kernel's list format: "0-1,4\n".  A number that the buffer has cut is none. */
static void parse_list(const char *s, void (*add)(void *arg, unsigned int nr), void *arg)
{
	while (*s >= '0' && *s <= '9') {
		char *end;
		unsigned long lo = strtoul(s, &end, 10), hi = lo;

		if (*end == '-')
			hi = strtoul(end + 1, &end, 10);
		if (*end != ',' && *end != '\n')
			return;
		for (; lo <= hi; lo++)
			add(arg, (unsigned int)lo);
		s = end + 1;
	}
}

static void node_add(void *arg, unsigned int id)
{
	(void)arg;
	if (nar_nodes.nr == NAR_MAX_NODES || id >= NAR_MAX_KERNEL_NODES)
		return;
	nar_nodes.id[nar_nodes.nr++] = (u16)id;
	nearest_of_id[id] = (u8)nar_nodes.nr;
}

static void mask_set(unsigned long *mask, unsigned int first, unsigned int value)
{
	unsigned int bit;

	for (bit = 0; bit < 32 && first + bit < NAR_MAX_KERNEL_NODES; bit++)
		if (value >> bit & 1)
			mask[(first + bit) / 64] |= 1ul << ((first + bit) % 64);
}

/* "Mems_allowed:\t00000000,00000003\n": words of 32 bits, the highest first. */
static bool parse_mems(const char *s, unsigned long *mask)
{
	unsigned int words = 1, value;
	const char *at;

	s = strstr(s, "\nMems_allowed:");
	if (!s)
		return false;
	s += strlen("\nMems_allowed:");
	for (at = s; *at && *at != '\n'; at++)
		words += *at == ',';
	/* Cut: what is missing is the low end. */
	if (!*at)
		return false;
	for (; words; words--) {
		value = (unsigned int)strtoul(s, NULL, 16);
		mask_set(mask, (words - 1) * 32, value);
		s += strcspn(s, ",\n");
		s += *s == ',';
	}
	return true;
}

/* What the cpuset allows, as proc tells it. */
static bool read_mems(unsigned long *mask)
{
	char text[4096];

	return nar_text_read("/proc/self/status", text, sizeof(text)) > 0 && parse_mems(text, mask);
}

/* What the cpuset allows.  Return: whether anybody tells. */
static bool ask_mems(unsigned long *mask)
{
	if (!nar_is_missing(MISSING_GET_MEMPOLICY) &&
	    !get_mempolicy(NULL, mask, NAR_MAX_KERNEL_NODES, NULL, MPOL_F_MEMS_ALLOWED))
		return true;
	if (errno == EPERM || errno == ENOSYS)
		nar_note_missing(MISSING_GET_MEMPOLICY);
	return read_mems(mask);
}

/* Without sysfs only those nodes are known that the cpuset allows now. */
static void add_allowed(void)
{
	unsigned long mask[NAR_MAX_KERNEL_NODES / 64 + 1] = { 0 };
	unsigned int id;

	nar_note_missing(MISSING_SYSFS);
	if (!ask_mems(mask))
		return;
	for (id = 0; id < NAR_MAX_KERNEL_NODES; id++)
		if (mask[id / 64] >> (id % 64) & 1)
			node_add(NULL, id);
}

static void order_by_number(void)
{
	unsigned int from, to;

	for (from = 0; from < nar_nodes.nr; from++) {
		nar_nodes.home[from] = (u8)from;
		for (to = 0; to < nar_nodes.nr; to++)
			nar_nodes.order[from][to] = (u8)((from + to) % nar_nodes.nr);
	}
	nar_nodes.allowed = ~0ull >> (NAR_MAX_NODES - nar_nodes.nr);
}

void nar_nodes_early(void)
{
	char list[LIST_BYTES];

	if (nar_text_read(NODES_WITH_MEMORY, list, sizeof(list)) > 0)
		parse_list(list, node_add, NULL);
	else
		add_allowed();
	if (!nar_nodes.nr)
		node_add(NULL, 0);
	order_by_number();
	if (rseq_cpu() < 0)
		nar_note_missing(MISSING_RSEQ);
	nar_nodes_look();
}

/* ---- Second step ---- */

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

/* From one node to all, by the kernel's numbers.  One that is not known is far. */
struct row {
	const char *text;		/* what is not parsed yet */
	u8 to[NAR_MAX_KERNEL_NODES];
};

static void row_add(void *arg, unsigned int id)
{
	struct row *row = arg;
	char *end;
	unsigned long distance = strtoul(row->text, &end, 10);

	if (end > row->text && id < NAR_MAX_KERNEL_NODES)
		row->to[id] = (u8)min_of(distance, 255ul);
	row->text = end;
}

/* "10 21 31\n": a number for each node that is @online, in order. */
static void row_read(struct row *row, unsigned int id, const char *online)
{
	char text[LIST_BYTES];

	memset(row->to, 255, sizeof(row->to));
	row->text = text;
	if (read_node_text(id, "distance", text, sizeof(text)) > 0)
		parse_list(online, row_add, row);
}

static void take_distances(unsigned int from, const struct row *row)
{
	unsigned int to;

	for (to = 0; to < nar_nodes.nr; to++)
		nar_nodes.distance[from][to] = row->to[nar_nodes.id[to]];
	nar_nodes.distance[from][from] = 0;
	order_by_distance(from);
}

/* For CPUs on a node without memory. */
static void take_nearest(unsigned int id, const struct row *row)
{
	unsigned int node, best = 0;

	for (node = 1; node < nar_nodes.nr; node++)
		if (row->to[nar_nodes.id[node]] < row->to[nar_nodes.id[best]])
			best = node;
	WRITE_ONCE(nearest_of_id[id], (u8)(best + 1));
}

static void node_probe(void *online, unsigned int id)
{
	int node = nar_node_find((int)id);
	struct row row;

	if (id >= NAR_MAX_KERNEL_NODES)
		return;
	row_read(&row, id, online);
	if (node >= 0)
		take_distances((unsigned int)node, &row);
	else
		take_nearest(id, &row);
}

/*
 * Runs while other threads may already allocate: each entry is one byte, right
 * before and after, so a racing reader takes at worst a farther node.
 */
void nar_nodes_probe(void)
{
	char online[LIST_BYTES];

	/* For who wonders why the program's own use of it fails. */
	if (numa_available() < 0)
		nar_note_missing(MISSING_LIBNUMA);
	if (nar_nodes.nr == 1)
		return;
	if (nar_text_read(NODES_ONLINE, online, sizeof(online)) > 0)
		parse_list(online, node_probe, online);
	/* What was guessed of CPUs so far is asked again. */
	memset(node_of_cpu, 0, sizeof(node_of_cpu));
	nar_nodes_look();
}

/* ---- The cpuset ---- */

static unsigned int home_of(unsigned int node, u64 allowed)
{
	unsigned int i;

	for (i = 0; i < nar_nodes.nr; i++)
		if (allowed >> nar_nodes.order[node][i] & 1)
			return nar_nodes.order[node][i];
	return node;
}

/* Two threads may look at once, and the one with the older answer be last: LOOK_MS later it is mended. */
void nar_nodes_look(void)
{
	unsigned long mask[NAR_MAX_KERNEL_NODES / 64 + 1] = { 0 };
	unsigned int node;
	u64 allowed = 0;

	if (nar_nodes.nr == 1 || !ask_mems(mask))
		return;
	for (node = 0; node < nar_nodes.nr; node++)
		if (mask[nar_nodes.id[node] / 64] >> (nar_nodes.id[node] % 64) & 1)
			allowed |= 1ull << node;
	WRITE_ONCE(nar_nodes.allowed, allowed);
	for (node = 0; node < nar_nodes.nr; node++)
		WRITE_ONCE(nar_nodes.home[node], (u8)home_of(node, allowed));
}

void nar_nodes_poll(void)
{
	static u64 last_ms;	/* relaxed */
	u64 now = nar_clock_ms();

	if (now - READ_ONCE(last_ms) < LOOK_MS)
		return;
	WRITE_ONCE(last_ms, now);
	nar_nodes_look();
}

/* ---- What a node has ---- */

/* "Node 0 MemFree:  12345 kB" of a node's meminfo; bytes. */
static size_t meminfo_bytes(const char *text, const char *field)
{
	const char *at = strstr(text, field);

	return at ? strtoul(at + strlen(field), NULL, 10) * 1024 : 0;
}

/*
 * What is not used at all and what the page cache would give up.  The kernel keeps reserves
 * and turns to other nodes above them (seen: 42 MiB of a node of 768), and what was
 * committed last is not touched yet: so some stays, of small nodes a quarter at most.
 */
#define ROOM_PART 64
#define ROOM_LEAST MIB(96)

static size_t room_to_leave(size_t total)
{
	return min_of(max_of(total / ROOM_PART, ROOM_LEAST), total / 4);
}

static bool ask_room(unsigned int node, size_t bytes)
{
	char text[2048];
	size_t total, room;

	if (read_node_text(nar_nodes.id[node], "meminfo", text, sizeof(text)) <= 0)
		return true;
	total = meminfo_bytes(text, " MemTotal:");
	room = meminfo_bytes(text, " MemFree:") + meminfo_bytes(text, " Active(file):") +
	       meminfo_bytes(text, " Inactive(file):");
	return room >= bytes + room_to_leave(total);
}

/*
 * A full node is asked for each block and slab it should have had, and the answer takes
 * 20 us and more.  So a no holds for a while, for as much and more.
 */
#define FULL_MS 10

static struct full {
	u64 until_ms;		/* relaxed, both: a mixture is as good as either */
	u64 bytes;
} full[NAR_MAX_NODES];

bool nar_node_has_room(unsigned int node, size_t bytes)
{
	u64 now = nar_clock_ms();

	if (nar_is_missing(MISSING_SYSFS))
		return true;
	if (now < READ_ONCE(full[node].until_ms) && bytes >= READ_ONCE(full[node].bytes))
		return false;
	if (ask_room(node, bytes))
		return true;
	WRITE_ONCE(full[node].bytes, bytes);
	WRITE_ONCE(full[node].until_ms, now + FULL_MS);
	return false;
}

void nar_node_ask_anew(unsigned int node)
{
	WRITE_ONCE(full[node].until_ms, 0);
}

/* ---- A node's CPUs ---- */

struct cpus {
	unsigned int nr;
	unsigned long mask[NAR_MAX_CPUS / 64];
};

static void cpu_add(void *arg, unsigned int cpu)
{
	struct cpus *cpus = arg;

	if (cpu >= NAR_MAX_CPUS)
		return;
	cpus->mask[cpu / 64] |= 1ul << (cpu % 64);
	cpus->nr++;
}

/* Those that are online. */
static void cpus_read(struct cpus *cpus, unsigned int node)
{
	char list[LIST_BYTES];

	*cpus = (struct cpus){ 0 };
	if (read_node_text(nar_nodes.id[node], "cpulist", list, sizeof(list)) > 0)
		parse_list(list, cpu_add, cpus);
}

void nar_node_run_on(unsigned int node)
{
	struct cpus cpus;

	cpus_read(&cpus, node);
	if (cpus.nr)
		sched_setaffinity(0, sizeof(cpus.mask), (const cpu_set_t *)cpus.mask);
}

unsigned int nar_node_nr_cpus(unsigned int node)
{
	struct cpus cpus;

	cpus_read(&cpus, node);
	return max_of(cpus.nr, 1u);
}
