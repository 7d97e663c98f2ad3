// SPDX-License-Identifier: MIT
/*
 * A heap's large blocks are a list a node through their extents, so that destroying the heap
 * finds them and nothing else.
 *
 * A block's state and heap number change under its heap's lock.  Who frees one reads the
 * number without it, and asks again under the lock: the heap may have been destroyed since,
 * and its blocks be buried, gone, or another heap's.
 */
#include "block.h"
#include "extent.h"
#include "pane.h"

static struct nar_extent *extent_of(const void *p)
{
	return nar_extent_at(p);
}

static void block_link(struct nar_heap *h, void *p) __must_hold(&h->lock)
{
	const struct nar_pane *x = nar_pane_at(p);
	u32 page = nar_page_of(p), *first = &h->first_block[nar_node_of(p)];
	struct nar_extent *e = extent_of(p);

	e->next_block = *first;
	e->prev_block = 0;
	if (*first)
		x->table[*first].prev_block = page;
	*first = page;
	WRITE_ONCE(e->heap, h->id);
	WRITE_ONCE(h->block_bytes, h->block_bytes + nar_large_bytes(p));
}

static void block_unlink(struct nar_heap *h, void *p) __must_hold(&h->lock)
{
	const struct nar_pane *x = nar_pane_at(p);
	struct nar_extent *e = extent_of(p);

	if (e->next_block)
		x->table[e->next_block].prev_block = e->prev_block;
	if (e->prev_block)
		x->table[e->prev_block].next_block = e->next_block;
	else
		h->first_block[nar_node_of(p)] = e->next_block;
	WRITE_ONCE(e->heap, 0);
	WRITE_ONCE(h->block_bytes, h->block_bytes - nar_large_bytes(p));
}

u32 nar_block_heap_id_slow(const void *p)
{
	const struct nar_pane *x = nar_pane_at(p);

	if (nar_offset(p) % PAGE_BYTES || !nar_pane_has(x, nar_page_of(p)))
		return 0;
	return READ_ONCE(extent_of(p)->heap);
}

bool nar_block_is_buried(const void *p)
{
	return nar_extent_pages(p, EXTENT_TOMB);
}

static bool try_enter(struct nar_heap *h, u64 handle, void *p)
{
	bool is_alive;

	nar_lock(&h->lock);
	is_alive = READ_ONCE(h->handle) == handle;
	if (is_alive)
		block_link(h, p);
	nar_unlock(&h->lock);
	return is_alive;
}

/* What a block of so much is going to have. */
static u64 charge_for(size_t size)
{
	return max_of(ALIGN_UP((u64)size, PAGE_BYTES), (u64)PAGE_BYTES);
}

void *nar_block_alloc(struct nar_heap *h, u64 handle, unsigned int node, const struct nar_block *block,
		      bool *is_zero)
{
	void *p;

	if (block->size > PTRDIFF_MAX || !nar_account_try_take(h->id, charge_for(block->size)))
		return NULL;
	p = nar_large_alloc(nar_heap_place(h, node), block, is_zero);
	if (p && try_enter(h, handle, p))
		return p;
	/* The program destroys a heap while it allocates in it. */
	if (p)
		nar_large_free(p);
	nar_account_give(h->id, charge_for(block->size));
	return NULL;
}

/* Return: its bytes; 0 if it is not the heap's, or not the start of a live block. */
static size_t try_leave(struct nar_heap *h, u64 handle, void *p)
{
	size_t bytes = 0;

	nar_lock(&h->lock);
	if (READ_ONCE(h->handle) == handle && nar_block_heap_id(p) == h->id &&
	    nar_extent_pages(p, EXTENT_LARGE)) {
		bytes = nar_large_bytes(p);
		block_unlink(h, p);
	}
	nar_unlock(&h->lock);
	return bytes;
}

void nar_block_free(void *p, u32 id)
{
	struct nar_heap *h = nar_heaps[id];
	u64 handle = load_acquire(&h->handle);
	size_t bytes;

	/* The handle is that of the heap the block was in, if it still says so. */
	if (handle == HANDLE_DEAD || nar_block_heap_id(p) != id)
		return;
	bytes = try_leave(h, handle, p);
	if (!bytes)
		return;
	nar_large_free(p);
	nar_account_give(id, bytes);
}

/* Return: whether it could; *@bytes is what it has now. */
static bool resize(void *p, size_t size, size_t most, size_t *bytes)
{
	bool done = nar_large_try_resize(p, size, most);

	*bytes = nar_large_bytes(p);
	return done;
}

static u64 more_than(u64 have, u64 bytes)
{
	return bytes > have ? bytes - have : 0;
}

/* Growing may take an eighth more than is asked for, where the limit has room for that. */
bool nar_block_try_resize(void *p, size_t size)
{
	u32 id = nar_block_heap_id(p);
	size_t before = nar_large_bytes(p), now;
	u64 most = charge_for(size + size / NAR_LARGE_SLACK) + PAGE_BYTES, more;
	struct nar_heap *h = nar_heaps[id];
	bool done;

	if (!nar_account_may_take(id, more_than(before, most)))
		most = charge_for(size);
	more = more_than(before, most);
	if (more && !nar_account_try_take(id, more))
		return false;
	done = resize(p, size, most, &now);
	nar_account_give(id, before + more - now);
	nar_lock(&h->lock);
	WRITE_ONCE(h->block_bytes, h->block_bytes + now - before);
	nar_unlock(&h->lock);
	return done;
}

/* A lost thread may have resized one and not said so. */
u64 nar_blocks_recount(struct nar_heap *h) __must_hold(&h->lock)
{
	unsigned int node;
	u64 sum = 0;
	u32 page;

	for (node = 0; node < nar_nodes.nr; node++) {
		const struct nar_extent *table = nar_pane_of(node)->table;

		for (page = h->first_block[node]; page; page = table[page].next_block)
			sum += (u64)table[page].nr_pages << PAGE_SHIFT;
	}
	WRITE_ONCE(h->block_bytes, sum);
	return sum;
}

/* ---- The end of a heap ---- */

/* Both links together lead to the next, on whichever node. */
static void *chain_next(const void *p)
{
	const struct nar_extent *e = extent_of(p);
	u64 offset = (u64)e->prev_block << 32 | e->next_block;

	return offset ? nar_at(offset << PAGE_SHIFT) : NULL;
}

static void *chain(void *p, const void *next)
{
	struct nar_extent *e = extent_of(p);
	u64 offset = next ? nar_offset(next) >> PAGE_SHIFT : 0;

	e->next_block = (u32)offset;
	e->prev_block = (u32)(offset >> 32);
	return p;
}

static void *bury_on_node(struct nar_heap *h, unsigned int node, void *buried, size_t *bytes)
	__must_hold(&h->lock)
{
	u32 page, next;

	for (page = h->first_block[node]; page; page = next) {
		void *p = nar_page_at(node, page);

		next = extent_of(p)->next_block;
		*bytes += nar_large_bytes(p);
		nar_poison(p, nar_large_bytes(p));
		nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_TOMB);
		buried = chain(p, buried);
	}
	h->first_block[node] = 0;
	return buried;
}

void *nar_blocks_bury(struct nar_heap *h, size_t *bytes) __must_hold(&h->lock)
{
	void *buried = NULL;
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		buried = bury_on_node(h, node, buried, bytes);
	WRITE_ONCE(h->block_bytes, 0);
	return buried;
}

bool nar_blocks_have_buried(const void *buried, const void *p)
{
	while (buried && buried != p)
		buried = chain_next(buried);
	return buried;
}

/* As a block they go, wherever they have been moved to. */
void nar_blocks_destroy_buried(void *buried)
{
	void *p, *next;

	for (p = buried; p; p = next) {
		next = chain_next(p);
		WRITE_ONCE(extent_of(p)->heap, 0);
		if (!nar_extent_try_mark(p, EXTENT_TOMB, EXTENT_LARGE))
			nar_die("large block %p of a destroyed heap was lost: a bug in numarena, please report it", p);
		nar_large_free(p);
	}
}
