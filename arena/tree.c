// SPDX-License-Identifier: MIT
/*
 * The best-fit tree: treaps (Seidel and Aragon, "Randomized search trees", 1996).
 * Each is a search tree by key and a heap by priority, with the priority a hash of the
 * page number.  So a descriptor carries two 4-byte links and nothing else, and both
 * changes are one descent: insert splits the subtree it displaces, remove merges the
 * two it leaves.  Red-black macros want three pointers and a colour, 32 bytes a page.
 *
 * Sizes up to a unit, which come and go most, have a treap each and a bitmap over
 * them: a descent through a few extents of equal size instead of all extents.  It is
 * still one order, by size and then address; see doc/measurements.md.
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

static u32 *root_of(struct nar_tree *t, u32 nr_pages)
{
	return nr_pages < NR_EXACT ? &t->exact[nr_pages] : &t->large;
}

static void note_size(struct nar_tree *t, u32 nr_pages)
{
	u64 bit = 1ull << (nr_pages % 64);

	if (nr_pages >= NR_EXACT)
		return;
	if (t->exact[nr_pages])
		t->has[nr_pages / 64] |= bit;
	else
		t->has[nr_pages / 64] &= ~bit;
}

void nar_tree_insert(struct nar_tree *t, u32 page)
{
	struct nar_extent *e = &t->table[page];
	u32 *link = root_of(t, e->nr_pages);
	u64 k = key_of(t, page);

	while (*link && priority(*link) >= priority(page))
		link = key_of(t, *link) < k ? &t->table[*link].right : &t->table[*link].left;
	split(t, *link, k, &e->left, &e->right);
	*link = page;
	t->nr++;
	note_size(t, e->nr_pages);
}

void nar_tree_remove(struct nar_tree *t, u32 page)
{
	struct nar_extent *e = &t->table[page];
	u32 *link = root_of(t, e->nr_pages);
	u64 k = key_of(t, page);

	while (*link != page) {
		NAR_ASSERT(*link);
		link = key_of(t, *link) < k ? &t->table[*link].right : &t->table[*link].left;
	}
	merge(t, link, e->left, e->right);
	t->nr--;
	note_size(t, e->nr_pages);
}

static u32 least_from(const struct nar_tree *t, u32 at, u64 k)
{
	u32 best = 0;

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

/* The first size from @nr_pages on that has an extent; NR_EXACT if none of a tree its own. */
static u32 next_size(const struct nar_tree *t, u32 nr_pages)
{
	u32 word = nr_pages / 64;
	u64 left;

	if (nr_pages >= NR_EXACT)
		return NR_EXACT;
	for (left = t->has[word] >> (nr_pages % 64) << (nr_pages % 64); !left; left = t->has[word])
		if (++word == NR_EXACT / 64)
			return NR_EXACT;
	return word * 64 + (u32)__builtin_ctzll(left);
}

u32 nar_tree_at_least(const struct nar_tree *t, u32 nr_pages, u32 page)
{
	u32 best = 0, size = nr_pages;

	if (nr_pages < NR_EXACT && page) {
		best = least_from(t, t->exact[nr_pages], key(nr_pages, page));
		size++;
	}
	if (best)
		return best;
	size = next_size(t, size);
	if (size < NR_EXACT)
		return least_from(t, t->exact[size], 0);
	return least_from(t, t->large, key(nr_pages, page));
}

u32 nar_tree_below(const struct nar_tree *t, u32 nr_pages, u32 page)
{
	u64 k = key(nr_pages, page);
	u32 at = t->large, best = 0;

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
