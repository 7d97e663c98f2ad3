// SPDX-License-Identifier: MIT
/*
 * The memory of a destroyed heap is not used again at once, so that a free which comes too
 * late is seen to be one: OWNER_TOMB and EXTENT_TOMB say so.  While the heap is being
 * destroyed it is no mistake, but lost a race; later it is one, which harden:1 reports and
 * which does no harm otherwise.
 *
 * That nothing that was freed in time reaches memory that is used again does not depend on
 * this: see own.h.  So it need not last, and a program that makes and destroys heaps all the
 * time should find its memory warm.
 */
#include "tomb.h"

/* Kept so long and so much at most, whichever comes first. */
#define KEEP_MS 1000
#define KEEP_BYTES MIB(4)
#define KEEP_MAX 64

/* Who looks for mistakes has memory to spare. */
#define KEEP_BYTES_HARDEN MIB(64)

struct grave {
	struct nar_remains remains;
	u64 since_ms;
};

static struct nar_lock lock = NAR_LOCK_INIT(RANK_HEAP);
static struct grave graves[KEEP_MAX];	/* lock; a ring */
static u32 first, nr;			/* lock; a racy read of nr is a hint */
static size_t sum_bytes;		/* lock */
static u32 nr_busy;			/* sequentially consistent */

void nar_tomb_begin(void)
{
	__atomic_add_fetch(&nr_busy, 1, __ATOMIC_SEQ_CST);
}

bool nar_tomb_is_busy(void)
{
	return __atomic_load_n(&nr_busy, __ATOMIC_SEQ_CST);
}

static void destroy(const struct nar_remains *remains)
{
	nar_slabs_destroy_buried(remains->slabs);
	nar_blocks_destroy_buried(remains->blocks);
}

static size_t keep_bytes(void)
{
	return nar_opt.harden ? KEEP_BYTES_HARDEN : KEEP_BYTES;
}

static bool is_due(const struct grave *g, u64 now_ms)
{
	return nr == KEEP_MAX || sum_bytes > keep_bytes() || now_ms - g->since_ms >= KEEP_MS;
}

/* The oldest, if it is due or @must_go.  Return: whether there was one. */
static bool take_oldest(struct nar_remains *remains, bool must_go)
{
	struct grave *g;
	bool takes;

	nar_lock(&lock);
	g = &graves[first];
	takes = nr && (must_go || is_due(g, nar_clock_ms()));
	if (takes) {
		*remains = g->remains;
		sum_bytes -= remains->bytes;
		first = (first + 1) % KEEP_MAX;
		WRITE_ONCE(nr, nr - 1);
	}
	nar_unlock(&lock);
	return takes;
}

static bool let_one_go(bool must_go)
{
	struct nar_remains remains;

	if (!READ_ONCE(nr) || !take_oldest(&remains, must_go))
		return false;
	destroy(&remains);
	return true;
}

static bool try_keep(const struct nar_remains *remains)
{
	bool has_room;

	nar_lock(&lock);
	has_room = nr < KEEP_MAX;
	if (has_room) {
		graves[(first + nr) % KEEP_MAX] = (struct grave){ *remains, nar_clock_ms() };
		sum_bytes += remains->bytes;
		WRITE_ONCE(nr, nr + 1);
	}
	nar_unlock(&lock);
	return has_room;
}

void nar_tomb_end(const struct nar_remains *remains)
{
	if (remains->bytes && !try_keep(remains))
		destroy(remains);
	nar_tomb_poll();
	__atomic_sub_fetch(&nr_busy, 1, __ATOMIC_SEQ_CST);
}

static bool has_slab(const struct nar_remains *r, u32 wanted)
{
	u32 slab = r->slabs;

	while (slab && slab != wanted)
		slab = nar_slab_at(slab)->next;
	return slab;
}

/* HANDLE_NONE: it is here no more. */
static u64 handle_of(const void *p)
{
	u32 slab = nar_entry_of(p) ? nar_slab_around(p) : 0, i;
	u64 handle = HANDLE_NONE;

	nar_lock(&lock);
	for (i = 0; i < nr && handle == HANDLE_NONE; i++) {
		const struct nar_remains *r = &graves[(first + i) % KEEP_MAX].remains;

		if (slab ? has_slab(r, slab) : nar_blocks_have_buried(r->blocks, p))
			handle = r->handle;
	}
	nar_unlock(&lock);
	return handle;
}

const char *nar_tomb_label(const void *p, char label[NAR_HEAP_LABEL_BYTES])
{
	return nar_heap_label(handle_of(p), label);
}

bool nar_tomb_poll_one(void)
{
	return let_one_go(false);
}

void nar_tomb_poll(void)
{
	while (let_one_go(false))
		;
}

void nar_tomb_empty(void)
{
	while (let_one_go(true))
		;
}

void nar_tomb_forget_threads(void)
{
	nr_busy = 0;
}

void nar_tomb_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&lock);
}
