/* SPDX-License-Identifier: MIT */
/*
 * Size classes.
 *
 * What a class is (its slab's shape) lies in an array that only grows: a number
 * never changes its meaning, so live slabs stay valid whatever is added.  What may
 * change is which class serves a size; that map is versioned and published by RCU.
 */
#ifndef NAR_CLASS_H
#define NAR_CLASS_H

#include "slab.h"

#define NAR_SMALL_MAX KIB(32)
#define NAR_GRAIN 16
#define NAR_NR_BUILTIN 96
#define NAR_SIZE_STEPS (NAR_SMALL_MAX / NAR_GRAIN + 1)

/* Classes of a multiple of a cache line serve requests aligned to it, or to half of it. */
#define NAR_LINE 64
#define NAR_SIZE_LINES (NAR_SMALL_MAX / NAR_LINE + 1)

/* Objects a magazine holds: 64, or what 32 KiB are of them, and at least 4. */
#define NAR_MAG_MAX 64
#define NAR_MAG_BYTES KIB(32)
#define NAR_MAG_MIN 4

struct nar_class {
	struct nar_slab_shape shape;
	u16 cap;		/* objects a magazine holds */
	u16 batch;		/* ... and takes or returns at once */
};

extern struct nar_class nar_class[NAR_MAX_CLASSES];

/* What slabs of @class have handed out. */
static inline size_t nar_class_out_bytes(unsigned int class, const struct nar_bins *bins)
{
	return READ_ONCE(bins->nr_out) * nar_class[class].shape.size;
}

static inline size_t nar_size_step(size_t size)
{
	return (size + NAR_GRAIN - 1) / NAR_GRAIN;
}

static inline size_t nar_size_lines(size_t size)
{
	return (size + NAR_LINE - 1) / NAR_LINE;
}

void nar_class_init(void);

/* The shape of one more slab of @class for an owner that has @nr_slices in such slabs. */
struct nar_slab_shape nar_class_grown_shape(unsigned int class, u32 nr_slices);

/* The built-in class of @size (at most NAR_SMALL_MAX), whatever was added since. */
unsigned int nar_class_builtin(size_t size);

/*
 * The least built-in class of @size or more whose objects are all aligned to
 * @alignment (a power of two).  Return: NAR_MAX_CLASSES if there is none.
 */
unsigned int nar_class_aligned(size_t size, size_t alignment);

/* Version of the map that is published now; changes rarely. */
u32 nar_class_version(void);

/* An arena's copy of the published map. */
struct nar_class_view {
	u32 version;
	u32 nr_classes;		/* that of_size may name */
	u8 of_size[NAR_SIZE_STEPS];
	u8 of_lines[NAR_SIZE_LINES];	/* built-in classes aligned to a line; never changes */
};

/*
 * Fill a new view, or bring it up to date.  The first takes the writers' lock, since the
 * thread may not be known to RCU yet; the second reads under RCU.  Hold no lock of ours.
 */
void nar_class_first_view(struct nar_class_view *view);
void nar_class_update_view(struct nar_class_view *view);

/*
 * Add a class of exactly @size bytes.  Waits for readers unless it is called by one.
 * Return: its number, or -EINVAL, -EEXIST, -ENOSPC, -ENOMEM.
 */
int nar_class_add(size_t size);

unsigned int nar_class_count(void);

void nar_class_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_CLASS_H */
