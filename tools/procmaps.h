/* SPDX-License-Identifier: MIT */
/*
 * Another process's mappings, with what is resident of each, on which nodes and pages: smaps
 * and numa_maps side by side.  The library has a reader of its own files of this kind, which
 * may not allocate and knows its own nodes only; this one may, and knows them by the kernel's
 * numbers.
 */
#ifndef TOOL_PROCMAPS_H
#define TOOL_PROCMAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Nodes that are told apart; further ones are counted with the last. */
#define MAX_PLACES 64

struct procmap {
	uintptr_t start, end;
	char name[256];			/* of a file, or "[heap]"; empty for plain memory; cut */
	char policy[64];		/* "default", "prefer:0", ...; empty if numa_maps has it not */
	uint64_t resident_kib, huge_kib;
	uint64_t on_kib[MAX_PLACES];	/* by place; by numa_maps, which may have looked later */
};

struct procmaps {
	FILE *smaps, *nodes;
	char *line;			/* of smaps, read ahead */
	size_t line_size;
	bool has_line;
	char *nodes_line;
	size_t nodes_size;
	bool has_nodes_line;
	unsigned int node[MAX_PLACES];	/* the kernel's number of each place */
	unsigned int nr_places;
};

/* Return: 0 or the errno. */
int procmaps_open(struct procmaps *m, pid_t pid);
void procmaps_close(struct procmaps *m);

/* The next mapping, in ascending order.  Return: false at the end. */
bool procmaps_next(struct procmaps *m, struct procmap *at);

/* The place of a node. */
unsigned int procmaps_place(struct procmaps *m, unsigned int node);

#endif /* TOOL_PROCMAPS_H */
