// SPDX-License-Identifier: MIT
/*
 * The class table.
 *
 * Built in: steps of 16 bytes to 512, 8 a doubling to 1 KiB, 16 a doubling to 4 KiB
 * (where uniform sizes are common and waste is dear), 8 a doubling to 32 KiB.  Above
 * 512 all are multiples of 64, so that a 64-aligned request takes the normal path.
 *
 * A writer copies the published map, changes the copy and publishes it.  Arenas copy
 * the map in a read section at the refill that sees a new version, so the fast path
 * pays nothing.  A map that was replaced waits on a list until a grace period has
 * passed and is then used for the next version.  Nobody waits for a grace period
 * under a lock, or inside malloc and free.
 */
#include <errno.h>
#include <string.h>
#include <urcu-bp.h>

#include "class.h"

/*
 * The smallest slab wins that has so many objects and loses at most one part in so many
 * at its end.  Small slabs matter: most classes of an arena have one or two that are
 * half empty.  Of large objects a program has few, so what waits in half-empty slabs
 * outweighs what is lost at the ends of small ones (doc/measurements.md).
 */
#define SLAB_OBJECTS_MIN 4
#define WASTE_PART 32
#define BIG_OBJECT KIB(8)
#define BIG_SLAB_OBJECTS_MIN 2
#define BIG_WASTE_PART 8

#define SLAB_SLICES_MAX 16

/* A slab more is this part of what there is of its class, up to so many objects. */
#define GROWN_PART 8
#define GROWN_OBJECTS 32

/* What liburcu's registry may want at once: it doubles, 128 bytes a thread. */
#define REGISTRY_ROOM MIB(1)

struct class_map {
	u32 version;
	u32 nr_classes;			/* of which it knows */
	u8 of_size[NAR_SIZE_STEPS];
	struct class_map *next;		/* retired or spare; table_lock */
};

struct nar_class nar_class[NAR_MAX_CLASSES];

static struct class_map first_map;
static struct class_map *published = &first_map;	/* rcu */
static u32 version;			/* of published, for a look without a read section */
static u8 builtin_of_size[NAR_SIZE_STEPS];
static u8 builtin_of_lines[NAR_SIZE_LINES];

static struct nar_lock table_lock = NAR_LOCK_INIT(RANK_TABLE);
static unsigned int nr_classes;		/* table_lock; only grows */
static struct class_map *retired;	/* table_lock: readers may be inside */
static struct class_map *spare;		/* table_lock: none are */

static bool is_good_shape(size_t size, size_t slab_bytes)
{
	size_t nr = slab_bytes / size, lost = slab_bytes % size;

	if (size > BIG_OBJECT)
		return nr >= BIG_SLAB_OBJECTS_MIN && lost <= slab_bytes / BIG_WASTE_PART;
	return nr >= SLAB_OBJECTS_MIN && lost <= slab_bytes / WASTE_PART;
}

/* The smallest slab that wastes little, or the largest. */
static u8 slices_for(size_t size)
{
	u8 nr = 1;

	while (nr < SLAB_SLICES_MAX && !is_good_shape(size, nr * SLICE_BYTES))
		nr++;
	return nr;
}

static void class_fill(unsigned int id, size_t size)
{
	struct nar_class *c = &nar_class[id];
	size_t cap = min_of((size_t)NAR_MAG_MAX, NAR_MAG_BYTES / size);
	u8 slices = slices_for(size);

	c->shape = (struct nar_slab_shape){
		.size = (u32)size,
		.recip = (u32)DIV_ROUND_UP(1ull << 32, size),
		.nr_objects = (u16)(slices * SLICE_BYTES / size),
		.nr_slices = slices,
		.class = (u8)id,
	};
	c->cap = (u16)max_of(cap, (size_t)NAR_MAG_MIN);
	c->batch = c->cap / 2;
}

struct nar_slab_shape nar_class_grown_shape(unsigned int class, u32 nr_slices)
{
	struct nar_slab_shape shape = nar_class[class].shape;
	u32 slices = min_of(nr_slices / GROWN_PART, DIV_ROUND_UP(GROWN_OBJECTS * shape.size, (u32)SLICE_BYTES));

	slices = min_of(slices, (u32)SLAB_SLICES_MAX);
	if (slices > shape.nr_slices) {
		shape.nr_slices = (u8)slices;
		shape.nr_objects = (u16)(slices * SLICE_BYTES / shape.size);
	}
	return shape;
}

static size_t builtin_step(size_t size)
{
	if (size < 512)
		return 16;
	if (size < 1024)
		return 64;
	/* A doubling's share of the power of two below. */
	return ((size_t)1 << log2_floor(size)) / (size < KIB(4) ? 16 : 8);
}

void nar_class_init(void)
{
	size_t size, step = 0;
	unsigned int id = 0;

	for (size = 16; size <= NAR_SMALL_MAX; size += builtin_step(size)) {
		class_fill(id, size);
		for (; step <= nar_size_step(size); step++)
			builtin_of_size[step] = (u8)id;
		id++;
	}
	memcpy(first_map.of_size, builtin_of_size, sizeof(builtin_of_size));
	for (step = 0; step < NAR_SIZE_LINES; step++)
		builtin_of_lines[step] = builtin_of_size[nar_size_step(max_of(step, (size_t)1) * NAR_LINE)];
	first_map.nr_classes = id;
	nr_classes = id;
	NAR_ASSERT(id == NAR_NR_BUILTIN);
}

unsigned int nar_class_builtin(size_t size)
{
	return builtin_of_size[nar_size_step(size)];
}

/*
 * Slabs start at slices, so objects of a multiple of the alignment are aligned.  Past
 * a quarter of waste a large block is better.
 */
unsigned int nar_class_aligned(size_t size, size_t alignment)
{
	size_t need = ALIGN_UP(max_of(size, (size_t)1), alignment), limit = need + need / 4;
	unsigned int id;

	if (alignment > SLICE_BYTES || need > NAR_SMALL_MAX)
		return NAR_MAX_CLASSES;
	for (id = nar_class_builtin(need); id < NAR_NR_BUILTIN; id++) {
		size_t object = nar_class[id].shape.size;

		if (object > limit)
			break;
		if (!(object % alignment))
			return id;
	}
	return NAR_MAX_CLASSES;
}

u32 nar_class_version(void)
{
	return READ_ONCE(version);
}

static void copy_map(struct nar_class_view *view, const struct class_map *map)
{
	memcpy(view->of_size, map->of_size, sizeof(map->of_size));
	view->nr_classes = map->nr_classes;
	view->version = map->version;
}

static void copy_map_rcu(struct nar_class_view *view)
{
	const struct class_map *map;

	rcu_read_lock();
	map = rcu_dereference(published);
	nar_tsan_consume(&published);	/* after the read: it may be a later one than was there before */
	copy_map(view, map);
	nar_tsan_publish(&spare);	/* this reader is done; see reclaim_retired() */
	rcu_read_unlock();
}

static void copy_map_locked(struct nar_class_view *view)
{
	nar_lock(&table_lock);
	copy_map(view, published);
	nar_unlock(&table_lock);
}

void nar_class_first_view(struct nar_class_view *view)
{
	copy_map_locked(view);
	memcpy(view->of_lines, builtin_of_lines, sizeof(view->of_lines));
}

/* liburcu makes its thread known at the first read lock, and aborts if it cannot. */
static bool is_known_to_rcu(void)
{
	static __thread bool is_known;

	if (!is_known)
		is_known = nar_pages_can_map(REGISTRY_ROOM);
	return is_known;
}

void nar_class_update_view(struct nar_class_view *view)
{
	if (likely(is_known_to_rcu()))
		copy_map_rcu(view);
	else
		copy_map_locked(view);
}

unsigned int nar_class_count(void)
{
	return READ_ONCE(nr_classes);
}

static bool has_size(size_t size)
{
	unsigned int id;

	for (id = 0; id < nr_classes; id++)
		if (nar_class[id].shape.size == size)
			return true;
	return false;
}

/* @size becomes the class of all sizes that had to take a larger one. */
static void map_insert(struct class_map *map, unsigned int id, size_t size)
{
	unsigned int step = nar_size_step(size);

	for (; nar_class[map->of_size[step]].shape.size > size; step--) {
		map->of_size[step] = (u8)id;
		if (!step)
			break;
	}
}

static int add_locked(size_t size)
{
	struct class_map *old = published, *map;
	unsigned int id = nr_classes;

	if (has_size(size))
		return -EEXIST;
	if (id == NAR_MAX_CLASSES)
		return -ENOSPC;
	map = spare;
	if (!map)
		return -EAGAIN;
	spare = map->next;
	class_fill(id, size);
	memcpy(map->of_size, old->of_size, sizeof(map->of_size));
	map_insert(map, id, size);
	map->nr_classes = id + 1;
	map->version = old->version + 1;
	WRITE_ONCE(nr_classes, id + 1);
	/* The class and the map are filled; pairs with rcu_dereference() in copy_map_rcu(). */
	nar_tsan_publish(&published);
	rcu_assign_pointer(published, map);
	WRITE_ONCE(version, map->version);
	old->next = retired;
	retired = old;
	return (int)id;
}

static void maps_put(struct class_map *maps)
{
	struct class_map *last;

	for (last = maps; last->next; last = last->next)
		;
	nar_lock(&table_lock);
	last->next = spare;
	spare = maps;
	nar_unlock(&table_lock);
}

/* Readers that began before now may hold what was retired before now. */
static void reclaim_retired(void)
{
	struct class_map *maps;

	nar_lock(&table_lock);
	maps = retired;
	retired = NULL;
	nar_unlock(&table_lock);
	if (!maps)
		return;
	synchronize_rcu();
	nar_tsan_consume(&spare);
	maps_put(maps);
}

/* Outside the lock: it may map memory. */
static int make_spare(void)
{
	struct class_map *map = nar_meta_alloc(0, sizeof(*map));

	if (!map)
		return -ENOMEM;
	maps_put(map);
	return 0;
}

static int try_add(size_t size)
{
	int id;

	nar_lock(&table_lock);
	id = add_locked(size);
	nar_unlock(&table_lock);
	return id;
}

int nar_class_add(size_t size)
{
	int id;

	if (!size || size > NAR_SMALL_MAX || size % NAR_GRAIN)
		return -EINVAL;
	while ((id = try_add(size)) == -EAGAIN)
		if (make_spare())
			return -ENOMEM;
	/* A caller inside a read section would wait for itself; a later call reclaims. */
	if (id >= 0 && !rcu_read_ongoing())
		reclaim_retired();
	return id;
}

void nar_class_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&table_lock);
}
