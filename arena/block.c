// SPDX-License-Identifier: MIT
/*
 * A heap's large blocks are a list through their extents, so that destroying the heap finds
 * them and nothing else.  Blocks are numbered by the page they start at, counted from the
 * base of the span: 34 bits, of which the links keep 32 and 8.
 *
 * A block's state and heap number change under its heap's lock.  Who frees one reads the
 * number without it, and asks again under the lock: the heap may have been destroyed since,
 * and its blocks be buried, gone, or another heap's.
 */
#include "block.h"
#include "extent.h"
#include "window.h"

static u64 number_of(const void *p)
{
	return nar_offset(p) >> PAGE_SHIFT;
}

static void *block_at(u64 number)
{
	return nar_at(number << PAGE_SHIFT);
}

static struct nar_extent *extent_of(const void *p)
{
	return &nar_window_of(nar_node_of(p))->table[nar_page_of(p)];
}

static u64 next_of(const struct nar_extent *e)
{
	return (u64)e->next_far << 32 | e->next_near;
}

static u64 prev_of(const struct nar_extent *e)
{
	return (u64)e->prev_far << 32 | e->prev_near;
}

static void set_next(struct nar_extent *e, u64 number)
{
	e->next_far = (u8)(number >> 32);
	e->next_near = (u32)number;
}

static void set_prev(struct nar_extent *e, u64 number)
{
	e->prev_far = (u8)(number >> 32);
	e->prev_near = (u32)number;
}

static void block_link(struct nar_heap *h, void *p) __must_hold(&h->lock)
{
	struct nar_extent *e = extent_of(p);

	set_next(e, h->first_block);
	set_prev(e, 0);
	if (h->first_block)
		set_prev(extent_of(block_at(h->first_block)), number_of(p));
	h->first_block = number_of(p);
	WRITE_ONCE(e->heap, h->id);
	WRITE_ONCE(h->block_bytes, h->block_bytes + nar_large_bytes(p));
}

static void block_unlink(struct nar_heap *h, void *p) __must_hold(&h->lock)
{
	struct nar_extent *e = extent_of(p);
	u64 next = next_of(e), prev = prev_of(e);

	if (next)
		set_prev(extent_of(block_at(next)), prev);
	if (prev)
		set_next(extent_of(block_at(prev)), next);
	else
		h->first_block = next;
	WRITE_ONCE(e->heap, 0);
	WRITE_ONCE(h->block_bytes, h->block_bytes - nar_large_bytes(p));
}

u32 nar_block_heap_id_slow(const void *p)
{
	const struct nar_window *x = nar_window_of(nar_node_of(p));

	if (nar_offset(p) % PAGE_BYTES || !nar_window_has(x, nar_page_of(p)))
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
static bool resize(void *p, size_t size, size_t *bytes)
{
	bool done = nar_large_try_resize(p, size);

	*bytes = nar_large_bytes(p);
	return done;
}

/* Growing may take an eighth more than is asked for. */
bool nar_block_try_resize(void *p, size_t size)
{
	u32 id = nar_block_heap_id(p);
	size_t before = nar_large_bytes(p), now;
	u64 most = charge_for(size + size / NAR_LARGE_SLACK) + PAGE_BYTES, more = most > before ? most - before : 0;
	struct nar_heap *h = nar_heaps[id];
	bool done;

	if (more && !nar_account_try_take(id, more))
		return false;
	done = resize(p, size, &now);
	nar_account_give(id, before + more - now);
	nar_lock(&h->lock);
	WRITE_ONCE(h->block_bytes, h->block_bytes + now - before);
	nar_unlock(&h->lock);
	return done;
}

/* ---- The end of a heap ---- */

u64 nar_blocks_bury(struct nar_heap *h, size_t *bytes)
{
	u64 first = h->first_block, number, next;

	for (number = first; number; number = next) {
		void *p = block_at(number);

		next = next_of(extent_of(p));
		*bytes += nar_large_bytes(p);
		nar_poison(p, nar_large_bytes(p));
		nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_TOMB);
	}
	h->first_block = 0;
	WRITE_ONCE(h->block_bytes, 0);
	return first;
}

void nar_blocks_destroy_buried(u64 first)
{
	u64 next;

	for (; first; first = next) {
		void *p = block_at(first);

		next = next_of(extent_of(p));
		WRITE_ONCE(extent_of(p)->heap, 0);
		if (nar_extent_free(p, EXTENT_TOMB))
			nar_die("large block %p of a destroyed heap was lost: a bug in numarena, please report it", p);
	}
}
