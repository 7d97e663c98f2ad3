// SPDX-License-Identifier: MIT
/*
 * The best-fit tree.
 *
 * A treap (Seidel and Aragon, "Randomized search trees", 1996): a search tree by
 * key and a heap by priority, with the priority a hash of the page number.  So a
 * descriptor carries two 4-byte links and nothing else, and both changes are one
 * descent: insert splits the subtree it displaces, remove merges the two it
 * leaves.  Red-black macros want three pointers and a colour, 32 bytes a page.
 */
#include "tree.h"

/* Fibonacci hashing (Knuth, TAOCP 6.4): neighbours get unrelated priorities. */
static inline u32 priority(u32 page)
{
	return page * 2654435769u;
}

/* One number to compare: size above, address below. */
static inline u64 key(u32 nr_pages, u32 page)
{
	return (u64)nr_pages << 32 | page;
}

static inline u64 key_of(const struct nar_tree *t, u32 page)
{
	return key(t->table[page].nr_pages, page);
}

/* The subtree at @page, parted at @at: the lower half under *lo, the upper under *hi. */
static void split(struct nar_tree *t, u32 page, u64 at, u32 *lo, u32 *hi)
{
	while (page) {
		if (key_of(t, page) < at) {
			*lo = page;
			lo = &t->table[page].right;
			page = *lo;
		} else {
			*hi = page;
			hi = &t->table[page].left;
			page = *hi;
		}
	}
	*lo = *hi = 0;
}

/* All keys under @lo are below those under @hi. */
static void merge(struct nar_tree *t, u32 *link, u32 lo, u32 hi)
{
	while (lo && hi) {
		if (priority(lo) > priority(hi)) {
			*link = lo;
			link = &t->table[lo].right;
			lo = *link;
		} else {
			*link = hi;
			link = &t->table[hi].left;
			hi = *link;
		}
	}
	*link = lo ? lo : hi;
}

void nar_tree_insert(struct nar_tree *t, u32 page)
{
	struct nar_extent *e = &t->table[page];
	u64 k = key_of(t, page);
	u32 *link = &t->root;

	while (*link && priority(*link) >= priority(page))
		link = key_of(t, *link) < k ? &t->table[*link].right : &t->table[*link].left;
	split(t, *link, k, &e->left, &e->right);
	*link = page;
}

void nar_tree_remove(struct nar_tree *t, u32 page)
{
	u64 k = key_of(t, page);
	u32 *link = &t->root;

	while (*link != page) {
		NAR_ASSERT(*link);
		link = key_of(t, *link) < k ? &t->table[*link].right : &t->table[*link].left;
	}
	merge(t, link, t->table[page].left, t->table[page].right);
}

u32 nar_tree_at_least(const struct nar_tree *t, u32 nr_pages, u32 page)
{
	u64 k = key(nr_pages, page);
	u32 at = t->root, best = 0;

	while (at) {
		if (key_of(t, at) >= k) {
			best = at;
			at = t->table[at].left;
		} else {
			at = t->table[at].right;
		}
	}
	return best;
}

u32 nar_tree_below(const struct nar_tree *t, u32 nr_pages, u32 page)
{
	u64 k = key(nr_pages, page);
	u32 at = t->root, best = 0;

	while (at) {
		if (key_of(t, at) < k) {
			best = at;
			at = t->table[at].right;
		} else {
			at = t->table[at].left;
		}
	}
	return best;
}
