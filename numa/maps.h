/* SPDX-License-Identifier: MIT */
/*
 * The process's mappings as /proc tells of them: how much of each is resident, how
 * much of that on huge pages, and on which nodes.
 *
 * The kernel looks at every page of a mapping to write its lines, lowest address first.
 * So a cursor is kept: who asks in ascending order has the files written once.
 */
#ifndef NAR_MAPS_H
#define NAR_MAPS_H

#include "internal/compiler.h"

#include "node.h"

/* Where resident pages lie, in pages of 4 KiB. */
struct nar_where {
	u64 on_node[NAR_MAX_NODES];	/* by dense number */
	u64 elsewhere;			/* on a node that has no dense number */
	u64 huge;			/* of all these: mapped as 2 MiB or more */
	u64 undivided;			/* in none of these: see VERIFY_NUMA_MAPS */
};

/* The dense number of the node the kernel calls @id, or -ENODEV. */
int nar_where_node(unsigned int id);

/* @nr_pages more on the node the kernel calls @id. */
void nar_where_add(struct nar_where *w, unsigned int id, u64 nr_pages);

/* As it was when its lines were written; counts in pages of 4 KiB. */
struct nar_mapping {
	uintptr_t start, end;
	u64 nr_resident;
	u64 nr_huge;
	u64 nr_huge_left;		/* nr_huge at first; for the reader to take from */
};

/* No read() of these files gives more than a page at a time unless a line is longer. */
#define PROC_BUFFER_BYTES 4096

struct nar_proc_file {
	int fd;				/* -1: not open */
	int err;			/* 0 or the -errno that ended it */
	unsigned int pos, end;		/* what of buffer[] is yet to be read */
	char buffer[PROC_BUFFER_BYTES];
};

struct nar_maps {
	struct nar_mapping at;		/* the one found last */
	uintptr_t asked;		/* ... for this address */
	uintptr_t next_start, next_end;	/* the one after, if its first line is read; else 0 */
	uintptr_t nodes_start;		/* of the line of numa_maps that is begun; 0: none is */
	struct nar_proc_file smaps, nodes;
};

/* Return: 0 or -errno.  Close it in either case. */
int nar_maps_open(struct nar_maps *m);
void nar_maps_close(struct nar_maps *m);

/*
 * Make m->at the lowest mapping that ends above @addr.  Going down in addresses costs a
 * reading from the start.  Return: 0; -ENOENT if there is none; or another -errno.
 */
int nar_maps_find(struct nar_maps *m, uintptr_t addr);

/* Add what lies where of m->at, once after it was found.  Return: 0 or -errno. */
int nar_maps_count_nodes(struct nar_maps *m, struct nar_where *w);

#endif /* NAR_MAPS_H */
