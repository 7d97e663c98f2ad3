/* SPDX-License-Identifier: MIT */
/*
 * The address space and the tables beside it.
 *
 *	base                                              base + span_bytes
 *	| window of node 0                              | window of node 1 ...
 *	| pane 0                | pane 1 | ... | pane 8 | pane 0
 *	  guard  committed ->     guard  committed ->
 *
 * Windows lie a power of two apart, so "is it ours", "which node", "which slice" are
 * arithmetic on the pointer, and so is the pane: half a window or a sixteenth of it.  Units
 * of three sizes are counted from base:
 *
 *	page	4 KiB	grain of extents		nar_mem.extent[]
 *	slice	32 KiB	grain of slabs			nar_mem.map[], slab[], bits[]
 *	unit	2 MiB	a huge page			nar_mem.unit[]
 *
 * The tables are dense arrays over the whole span, writable as far as their part
 * of a window is committed and on that window's node.  Nothing in them is ever
 * unmapped, so any number a reader finds leads somewhere.  map[] is readable over
 * the whole span: looking up a foreign pointer cannot fault.
 */
#ifndef NAR_META_H
#define NAR_META_H

#include "internal/compiler.h"
#include "internal/lock.h"
#include "numa/bind.h"
#include "numa/node.h"
#include "numa/pages.h"

#define SLICE_SHIFT 15
#define SLICE_BYTES ((size_t)1 << SLICE_SHIFT)
#define SLICES_PER_UNIT (HUGE_BYTES / SLICE_BYTES)
#define PAGES_PER_UNIT (HUGE_BYTES / PAGE_BYTES)

/* 16-byte objects fill a slice with 2048 bits; larger slabs have larger objects. */
#define BITS_WORDS (SLICE_BYTES / 16 / 64)

/*
 * The first unit of a pane is never committed.  It is a guard, and makes number
 * 0 free to mean "none" in every link.
 */
#define GUARD_BYTES HUGE_BYTES

enum nar_extent_state {
	EXTENT_NONE,	/* not an extent's first page */
	EXTENT_FREE,	/* in the tree of its backing */
	EXTENT_LARGE,	/* a large block */
	EXTENT_RECENT,	/* one that is free and waits for its thread to want it again */
	EXTENT_SCOPE,	/* a region of a scope, or kept for one */
	EXTENT_REPLICA,	/* one that is a read-only copy, and not for free() */
	EXTENT_CHUNK,	/* cut into slices */
	EXTENT_HELD,	/* between two states, in the hands of one thread */
	EXTENT_GIVEN,	/* free, but not in the tree yet: the lock was held by another */
	EXTENT_TOMB,	/* a large block of a heap that was destroyed */
};

/* Free neighbours become one only if both have the same, and the same policy. */
enum nar_backing {
	BACKING_NONE,	/* address space without memory: refused, or given back */
	BACKING_SMALL,	/* 4 KiB pages, unless collapsed */
	BACKING_HUGE,	/* advised huge on first touch */
	BACKING_HUGETLB,	/* from a pool, and all there */
	NR_BACKINGS,
};

/*
 * One a page, meaningful at the first page of an extent; @back also at the last
 * page of a free one.  Node's extent lock.
 */
struct nar_extent {
	u32 nr_pages;
	u32 left, right;	/* tree of free extents; pages of the window, 0 none */
	u32 back;		/* at a free extent's last page: its first; else 0 */
	u8 state;		/* enum nar_extent_state */
	u8 backing;		/* enum nar_backing */
	u8 policy;		/* with the window's node its place */
	u8 nr_grown;		/* times it has grown; at the last page, too, once it is known to; a hint */
	u8 away;		/* of a block that was moved by hand: the node it is meant for, plus 1 */
	bool is_moving;		/* ... or is being moved */
	u16 heap;		/* of a large block: the number of its heap, if that is the program's; else 0 */
	u32 next_block, prev_block;	/* ... and others of it: see block.c */
};

/*
 * One a unit.  The second half is of any unit and belongs to the node's extent lock; the
 * first is of a unit that is a chunk, under its chunk lock.
 */
struct nar_unit {
	u32 next, prev;		/* chunks of like fullness */
	u64 free_mask;		/* slices in no slab */
	u64 start_mask;		/* first slices of those taken together */
	u8 nr_free;
	u8 bin;
	u8 pool;		/* enum nar_pool */
	u8 lot;			/* constant while it is a chunk: see lot.h */
	bool is_dissolved;	/* its slabs are extents of their own */
	u32 used_bytes;		/* relaxed; what the slabs it has now have handed out */

	u16 touched_pages;	/* pages from here on are zero from the kernel; racy reads */
	u8 backing;		/* enum nar_backing: what the kernel was asked for; racy reads */
	u8 policy;		/* constant while it has memory */
	u32 free_since_ms;	/* wholly free since, low half of the clock */
	u32 look_ms;		/* when to look next where it is */
	bool is_reserved;	/* by the program: never given back; racy reads */
	bool is_parted;		/* of a chunk: free slices may have no pages; chunk lock, racy reads */
	u8 nr_tries;		/* relaxed: times it was not made huge, just then */
	bool is_collapsing;	/* so it cannot be purged */
	u8 nr_looks;		/* since it was handed out untouched: see home.c */
	bool is_away;		/* one of them has found it elsewhere */
	u8 nr_moved;		/* blocks moved by hand that have a part of it; racy reads */
	u8 reserved[9];
};

/*
 * One a slice, meaningful at a slab's first slice.  The lock of who owns the slab,
 * an arena or a shard; what never changes while the slab lives needs none.
 */
struct nar_slab {
	u32 next, prev;		/* slabs of like fullness of one class and owner */
	u16 nr_objects;		/* constant */
	u16 nr_free;		/* bits set */
	u16 nr_fresh;		/* objects at the end that were never handed out */
	u8 bin;
	u8 class;		/* constant */
	u8 nr_slices;		/* constant */
	bool is_kept;		/* counted as an empty slab kept for its owner */
	u16 heap;		/* constant */
	u16 first_word;		/* of the bitmap: no set bit below it */
	u32 size;		/* constant: bytes an object */
	u32 recip;		/* constant: ceil(2^32 / size) */
	u32 reserved[8];
};

struct nar_layout {
	uintptr_t base;
	size_t span_bytes;		/* 0 until the first malloc */
	u32 *map;			/* class and owner of each slice, 0 is no slab */
	struct nar_slab *slab;
	u64 (*bits)[BITS_WORDS];	/* 1: free, and handed out before */
	u64 (*live)[BITS_WORDS];	/* harden: 1 is in the user's hands; else NULL */
	struct nar_unit *unit;
	struct nar_extent *extent;
	unsigned int window_shift;
	size_t window_bytes;		/* usable of each; less than 1 << window_shift under a limit */
	unsigned int part_shift;	/* of a sixteenth, in pages; or beyond all pages: one pane */
	unsigned int nr_panes;		/* that a window may have */
};

#define NAR_MAX_PANES 9

extern struct nar_layout nar_mem;

static inline size_t nar_offset(const void *p)
{
	return (uintptr_t)p - nar_mem.base;
}

static inline bool nar_is_ours(const void *p)
{
	return nar_offset(p) < nar_mem.span_bytes;
}

static inline unsigned int nar_node_of(const void *p)
{
	return (unsigned int)(nar_offset(p) >> nar_mem.window_shift);
}

/* Of ours; there is one if it lies in a pane's used part. */
static inline struct nar_extent *nar_extent_at(const void *p)
{
	return &nar_mem.extent[nar_offset(p) >> PAGE_SHIFT];
}

static inline void *nar_at(size_t offset)
{
	return (void *)(nar_mem.base + offset);
}

static inline size_t nar_window_offset(unsigned int node)
{
	return (size_t)node << nar_mem.window_shift;
}

/* Of a page of a window. */
static inline unsigned int nar_pane_number(u32 page)
{
	return max_of(page >> nar_mem.part_shift, NAR_MAX_PANES - 2u) - (NAR_MAX_PANES - 2u);
}

/* Pages of a window: where a pane begins and the next would. */
static inline u32 nar_pane_first(unsigned int number)
{
	return number ? (number + NAR_MAX_PANES - 2u) << nar_mem.part_shift : 0;
}

static inline u32 nar_pane_end(unsigned int number)
{
	return nar_mem.nr_panes > 1 ? nar_pane_first(number + 1) : (u32)(nar_mem.window_bytes >> PAGE_SHIFT);
}

/* No block has as much. */
static inline size_t nar_pane_bytes(void)
{
	return (size_t)nar_pane_end(0) << PAGE_SHIFT;
}

/* Reserve the span.  Once, before anything else here.  Return: 0 or -ENOMEM. */
int nar_meta_init(void);

/* Make the tables of a pane of @node's writable up to page @end of the window. */
int nar_meta_cover(unsigned int node, unsigned int pane, u32 end);

/*
 * Zeroed memory of @node for arenas, heaps and class tables; never given back.
 * Aligned to a page if @bytes is at least one, else as __shared_line is.
 */
void *nar_meta_alloc(unsigned int node, size_t bytes);

/* So much of it, if there is memory, needs no system call later. */
void nar_meta_make_ready(unsigned int node, size_t bytes);

/* Each range of tables and areas that is writable for @node. */
void nar_meta_each_range(unsigned int node, void (*fn)(void *arg, const void *start, size_t bytes),
			 void *arg);

/*
 * Whether all of these were meant for @node.  Not so once some were made writable under a
 * policy of the program's, which has placed them; which ones is not remembered.
 */
bool nar_meta_is_bound(unsigned int node);

/* Bytes of tables and of nar_meta_alloc() made writable. */
size_t nar_meta_bytes(void);

/* For fork: every lock here, in the order of nodes. */
void nar_meta_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_META_H */
