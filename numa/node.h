/* SPDX-License-Identifier: MIT */
/*
 * Which NUMA nodes there are, how far apart, and where this thread runs.
 *
 * Nodes that have memory are numbered densely here, 0 to nr - 1, whatever the
 * kernel calls them; the rest of numarena knows these numbers only.  A CPU whose
 * own node has no memory counts for the nearest node that has.
 */
#ifndef NAR_NODE_H
#define NAR_NODE_H

#include "internal/compiler.h"

#define NAR_MAX_NODES 64
#define NAR_MAX_CPUS 8192

struct nar_nodes {
	unsigned int nr;			/* nodes with memory, at least 1 */
	u16 id[NAR_MAX_NODES];			/* the kernel's number of each */
	u8 order[NAR_MAX_NODES][NAR_MAX_NODES];	/* all nodes by distance from each */
	u8 distance[NAR_MAX_NODES][NAR_MAX_NODES];
	u8 of_cpu[NAR_MAX_CPUS];
};

extern struct nar_nodes nar_nodes;

/* First use: which nodes have memory, by two system calls and no allocation. */
void nar_nodes_early(void);

/* In the constructor: distances and CPUs, from libnuma (which allocates). */
void nar_nodes_probe(void);

/* The dense number of the node this thread runs on now.  0.3 ns with rseq. */
unsigned int nar_node_current(void);

#endif /* NAR_NODE_H */
