/* SPDX-License-Identifier: MIT */
/*
 * Free extents by size, then address.  The caller holds the lock of the pane the tree
 * belongs to.
 */
#ifndef NAR_TREE_H
#define NAR_TREE_H

#include "meta.h"

/* Extents of fewer pages than a unit have a tree a size. */
#define NR_EXACT PAGES_PER_UNIT

struct nar_tree {
	struct nar_extent *table;	/* descriptors of the node's window */
	u64 has[NR_EXACT / 64];		/* sizes whose tree is not empty */
	u32 exact[NR_EXACT];		/* roots: pages of the window; 0 is none */
	u32 large;
	u32 nr;			/* extents in all of them */
};

void nar_tree_insert(struct nar_tree *t, u32 page);
void nar_tree_remove(struct nar_tree *t, u32 page);

/* The least extent of at least (@nr_pages, @page); 0 if there is none. */
u32 nar_tree_at_least(const struct nar_tree *t, u32 nr_pages, u32 page);

/* The greatest extent of a unit or more below (@nr_pages, @page); 0 if there is none. */
u32 nar_tree_below(const struct nar_tree *t, u32 nr_pages, u32 page);

#endif /* NAR_TREE_H */
