/* SPDX-License-Identifier: MIT */
/*
 * Slabs: same-size objects in one to sixteen slices, and the map from a pointer to
 * its slab, class and owner.
 *
 * A slab always has one owner, an arena or a shard, and is in one of the owner's
 * lists.  Its descriptor, bitmap and map entries change under that owner's lock; the
 * map is read by anyone, at any time.
 */
#ifndef NAR_SLAB_H
#define NAR_SLAB_H

#include "internal/option.h"

#include "chunk.h"
#include "meta.h"

/* Classes are numbered below this: 96 built in, the rest for the program's own. */
#define NAR_MAX_CLASSES 128

/*
 * A map entry is the owner's id above, the class below.  24 bits of owner name 16M;
 * ids are (thread, heap, node) arenas, reused when a thread ends, and NAR_MAX_IDS is
 * how many may exist at once.
 */
#define ENTRY_CLASS_BITS 8
#define NAR_MAX_IDS (1u << 20)
#define OWNER_NONE 0u		/* no slab */
#define OWNER_SHARD 1u		/* on the shelf of its (node, class) shard */
#define OWNER_FIRST_ARENA 2u
#define OWNER_SCOPE 0xfffffdu	/* no slab, but a region of a scope: see region.h */
#define OWNER_TOMB 0xfffffeu	/* of a heap that was destroyed: see tomb.h */
#define OWNER_NOBODY 0xffffffu	/* the empty arena: owns nothing */

static inline u32 nar_entry(u32 owner, u32 class)
{
	return owner << ENTRY_CLASS_BITS | class;
}

static inline u32 nar_entry_owner(u32 entry)
{
	return entry >> ENTRY_CLASS_BITS;
}

static inline u32 nar_entry_class(u32 entry)
{
	return entry & ((1u << ENTRY_CLASS_BITS) - 1);
}

static inline bool nar_entry_is_scope(u32 entry)
{
	return nar_entry_owner(entry) == OWNER_SCOPE;
}

/* @p is ours.  Acquire: pairs with the release that published the slab. */
static inline u32 nar_entry_of(const void *p)
{
	return load_acquire(&nar_mem.map[nar_offset(p) >> SLICE_SHIFT]);
}

/* Slabs of one class and owner by how full they are; 0 is an empty list. */
enum nar_bin {
	BIN_FULL,	/* nothing to hand out */
	BIN_DENSE,	/* at most a quarter to hand out */
	BIN_HALF_FULL,
	BIN_HALF_EMPTY,
	BIN_SPARSE,
	BIN_EMPTY,	/* nothing in use */
	NR_SLAB_BINS,
};

struct nar_bins {
	u32 head[NR_SLAB_BINS];
	/* Of the slabs in them.  The owner's lock; relaxed reads. */
	u32 nr_slabs;
	u32 nr_slices;
	u64 nr_objects;		/* that fit */
	u64 nr_out;		/* in use or in a magazine */
};

/* What a slab is made of. */
struct nar_slab_shape {
	u32 size;
	u32 recip;
	u16 nr_objects;
	u8 nr_slices;
	u8 class;
};

/*
 * A slab of @place, in no list yet.  May map memory; hold no lock.
 * Return: its first slice's number, 0 if there is no memory.
 */
u32 nar_slab_create(struct nar_place place, enum nar_pool pool, const struct nar_slab_shape *shape,
		    u32 owner, u16 heap);

/* The same from memory that chunks have already; 0 also where a limit would count it. */
u32 nar_slab_try_create(struct nar_place place, enum nar_pool pool, const struct nar_slab_shape *shape,
			u32 owner, u16 heap);

/* All its objects are free and it is in no list. */
void nar_slab_destroy(u32 slab);
/* ... those linked by their next. */
void nar_slabs_destroy(u32 slabs);

/*
 * Slabs of a class owned by an arena or a shard of a heap that is destroyed, objects and all:
 * OWNER_TOMB has them from now on.  The owner's lock is held.  Return: @slabs with those of
 * @bins before them, linked by their next; *@bytes more by what they have.
 */
u32 nar_slabs_bury(struct nar_bins *bins, u32 slabs, size_t *bytes);

/* The same slabs, later: they go, whatever is in use in them. */
void nar_slabs_destroy_buried(u32 slabs);

/* ---- The owner's lock is held from here on ---- */

void nar_slab_link(struct nar_bins *bins, u32 slab);
void nar_slab_unlink(struct nar_bins *bins, u32 slab);
void nar_slab_set_owner(u32 slab, u32 owner);

/* The fullest slab that has something to hand out; 0. */
u32 nar_slab_densest(const struct nar_bins *bins);

/*
 * Up to @nr objects into @to, the lowest address last, as a magazine pops it.
 * Return: how many.
 */
unsigned int nar_slab_take(struct nar_bins *bins, u32 slab, void **to, unsigned int nr);

/*
 * Put @p back.  It must lie in @slab; dies if it is not an object's start, was never
 * handed out or is free already.
 */
void nar_slab_give(struct nar_bins *bins, u32 slab, void *p);

/* As many of the first of @p as lie in @slab, which the first does.  Return: how many. */
unsigned int nar_slab_give_run(struct nar_bins *bins, u32 slab, void *const *p, unsigned int nr);

/* ---- No lock needed ---- */

/* The slab around @p, whose entry is not OWNER_NONE. */
u32 nar_slab_around(const void *p);

static inline struct nar_slab *nar_slab_at(u32 slab)
{
	return &nar_mem.slab[slab];
}

static inline unsigned int nar_slab_node(u32 slab)
{
	return (unsigned int)(((size_t)slab << SLICE_SHIFT) >> nar_mem.window_shift);
}

static inline char *nar_slab_base(u32 slab)
{
	return nar_at((size_t)slab << SLICE_SHIFT);
}

static inline size_t nar_slab_bytes(u32 slab)
{
	return (size_t)nar_slab_at(slab)->nr_slices << SLICE_SHIFT;
}

/* Of all slabs in @bins. */
static inline size_t nar_bins_bytes(const struct nar_bins *bins)
{
	return (size_t)READ_ONCE(bins->nr_slices) << SLICE_SHIFT;
}

static inline bool nar_slab_is_empty(u32 slab)
{
	return nar_slab_at(slab)->bin == BIN_EMPTY;
}

/* Whether @p starts an object of @slab. */
bool nar_slab_is_object(u32 slab, const void *p);

/* Harden: the bit an object that says "in the user's hands".  Dies if it is set already. */
void nar_live_set(void *p);
/* Return: false if it was clear already. */
bool nar_live_try_clear(void *p);

/* Of what is handed out, if anybody looks at it; @p may be NULL. */
static inline void *nar_live_mark(void *p)
{
	if (p && nar_opt.harden)
		nar_live_set(p);
	return p;
}

/* One line each, naming pointer, class and owner. */
__attribute__((__noreturn__)) void nar_die_double_free(const void *p);
__attribute__((__noreturn__)) void nar_die_interior(const void *p);

#endif /* NAR_SLAB_H */
