/* SPDX-License-Identifier: MIT */
/*
 * Nodes and their processors, and where threads run on them.
 *
 * Read from /sys and /proc rather than through libnuma, which would allocate from the
 * allocator under test before the first measured call.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#define MAX_NODES	64
#define MAX_CPUS	1024	/* what cpu_set_t holds */

/* Finds the nodes that have processors this process may use; at least one. */
void machine_read(void);

/* As if those processors belonged to @nr nodes: a test of the rest on a small machine. */
void machine_pretend(unsigned int nr);

/* Nodes are numbered from 0 here, without the kernel's gaps. */
unsigned int machine_nr_nodes(void);

/* What the kernel calls @node. */
unsigned int node_id(unsigned int node);

/* The @i-th processor of @node, round and round. */
unsigned int node_cpu(unsigned int node, unsigned int i);

/* Keep the calling thread on @cpu. */
void cpu_pin(unsigned int cpu);

/* Seconds that the processors marked in @used (by number) were busy or stolen since boot. */
double cpus_busy_seconds(const unsigned char *used, unsigned int nr);

#endif
