/* SPDX-License-Identifier: MIT */
/*
 * Which NUMA nodes there are, how far apart, and where this thread runs.
 *
 * Nodes that have memory are numbered densely here, 0 to nr - 1, whatever the
 * kernel calls them; the rest of numarena knows these numbers only.  A CPU whose
 * own node has no memory, or none that the cpuset allows, counts for the nearest node
 * that has.
 */
#ifndef NAR_NODE_H
#define NAR_NODE_H

#include "internal/compiler.h"
#include "internal/stat.h"

#define NAR_MAX_CPUS 8192

/* The kernel's numbers lie below this (CONFIG_NODES_SHIFT is 10 at most). */
#define NAR_MAX_KERNEL_NODES 1024

struct nar_nodes {
	unsigned int nr;			/* nodes with memory, at least 1 */
	u16 id[NAR_MAX_NODES];			/* the kernel's number of each */
	u8 order[NAR_MAX_NODES][NAR_MAX_NODES];	/* all nodes by distance from each */
	u8 distance[NAR_MAX_NODES][NAR_MAX_NODES];
	u64 allowed;				/* relaxed; by the cpuset, a bit a node */
	u8 home[NAR_MAX_NODES];			/* relaxed; the nearest that is allowed */
};

extern struct nar_nodes nar_nodes;

/* First use: which nodes have memory, by two system calls and no allocation. */
void nar_nodes_early(void);

/* In the constructor: distances, a file a node. */
void nar_nodes_probe(void);

/* Look which nodes the cpuset allows; it may change at any time.  Poll: if a look is due. */
void nar_nodes_look(void);
void nar_nodes_poll(void);

/* The dense number of the node this thread runs on now.  0.3 ns with rseq. */
unsigned int nar_node_current(void);

/* The dense number of the kernel's @id; -1 if that has no memory. */
int nar_node_find(int id);

static inline bool nar_node_is_allowed(unsigned int node)
{
	return READ_ONCE(nar_nodes.allowed) >> node & 1;
}

/* The cpuset leaves @node out, but not all: for now nothing can be bound to it. */
static inline bool nar_node_is_left_out(unsigned int node)
{
	return READ_ONCE(nar_nodes.allowed) && !nar_node_is_allowed(node);
}

/* Whether @bytes more would find room on @node, by what the kernel says is free there. */
bool nar_node_has_room(unsigned int node, size_t bytes);

/* Memory was given back there: a no just before is of no use any more. */
void nar_node_ask_anew(unsigned int node);

/* Run the calling thread on the CPUs of @node, as far as it may. */
void nar_node_run_on(unsigned int node);
unsigned int nar_node_nr_cpus(unsigned int node);

/* Of the node that has most: a node's memory is wanted by threads of others, too. */
static inline unsigned int nar_node_most_cpus(void)
{
	unsigned int node, most = 1;

	for (node = 0; node < nar_nodes.nr; node++)
		most = max_of(most, nar_node_nr_cpus(node));
	return most;
}

#endif /* NAR_NODE_H */
