// SPDX-License-Identifier: MIT
/*
 * Prototype: where free() finds a pointer's class and owner, and how a thread
 * caches free objects.
 *
 * Both choices freeze the metadata layout, so they are measured before there is
 * an allocator to change.  This is the hot path of one and no more: real slabs
 * of 64 KiB slices cut from one window of 2 MiB chunks, 32 classes, free
 * bitmaps out of line, one thread.  No locks, no remote frees, no purge: they
 * are the same whatever wins here.
 *
 * Layouts, the one lookup free() makes:
 *	dense4	table of 4 bytes a slice, owner:24 class:8
 *	dense8	table of 8 bytes a slice, owner:32 flags:24 class:8
 *	header	a 64-byte line in the chunk's first bytes
 *	line	the same line, in a dense table outside the chunks
 * A 64-byte line has room for 32 class bytes and one owner: the last two layouts
 * give a chunk to one arena, the first two give it slice by slice.
 *
 * Caches, how a free object waits for its next user:
 *	magazine	array of pointers a class; the object is not touched
 *	list		one list a class, threaded through the objects
 *	slablist	one list a slab, threaded through the objects; a class
 *			allocates from one slab until that slab's list is empty
 * The first two hold at most CACHE_MAX objects a class and trade half of that
 * with the slabs' free bitmaps.  The third has no bitmap: its lists are the slabs.
 * A fourth, "floor", is the workload with no allocator in it: the object freed is
 * handed out again by the next operation.
 *
 * Workload: rl_small.  Sizes uniform 16..512 B; an operation frees one live object
 * at random and allocates its successor, whose first and last byte it writes.
 *
 * Every layout and cache is compiled as its own pair of functions, so a variant
 * pays for no choice at run time.  scripts/proto_layout.sh interleaves processes
 * of this program and tabulates medians.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SLICE_SHIFT	16
#define SLICE_BYTES	(1UL << SLICE_SHIFT)
#define CHUNK_SHIFT	21
#define CHUNK_BYTES	(1UL << CHUNK_SHIFT)
#define CHUNK_SLICES	(CHUNK_BYTES / SLICE_BYTES)
#define WINDOW_BYTES	(16UL << 30)		/* 1M live take 0.27 GiB, 32M 8.6 */
#define NR_SLICES	(WINDOW_BYTES >> SLICE_SHIFT)
#define NR_CHUNKS	(WINDOW_BYTES >> CHUNK_SHIFT)

#define GRAIN_SHIFT	4
#define GRAIN		(1U << GRAIN_SHIFT)
#define SIZE_MIN	16U
#define SIZE_MAX_SMALL	512U
#define NR_CLASSES	(SIZE_MAX_SMALL / GRAIN)
#define CLASS_BITS	8			/* of a slice map entry */
#define NR_CLASS_IDS	(1U << CLASS_BITS)

#define CACHE_MAX	64
#define CACHE_BATCH	(CACHE_MAX / 2)
#define SLAB_OBJECTS	(SLICE_BYTES / GRAIN)
#define BITMAP_WORDS	(SLAB_OBJECTS / 64)
#define NR_BINS		16			/* fullness; see class_init() */
#define NO_SLAB		UINT32_MAX
#define NOT_QUEUED	NR_BINS
#define OWNER_ID	0x5a17U			/* any id but 0, which means unowned */

#define __inline_always	inline __attribute__((always_inline))
#define __slow		__attribute__((noinline, cold))
#define __variant	__attribute__((noinline, noclone))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

enum layout { LAYOUT_DENSE4, LAYOUT_DENSE8, LAYOUT_HEADER, LAYOUT_LINE };
enum cache { CACHE_MAGAZINE, CACHE_LIST, CACHE_SLABLIST, CACHE_FLOOR };

struct chunk_line {
	uint32_t owner;
	uint32_t flags;
	uint8_t class[CHUNK_SLICES];
} __attribute__((aligned(64)));

/* Cold half of a slab: what refill and flush need, and free() doesn't. */
struct slab {
	void *free;		/* CACHE_SLABLIST: objects freed or yet to be reused */
	uint32_t nr_free;	/* set bits, or length of the list */
	uint32_t nr_fresh;	/* objects never handed out, at the slab's end */
	uint32_t nr_objects;
	uint32_t header_bytes;	/* before the first object */
	uint32_t next, prev;	/* slices, in the class's bin */
	uint8_t class, bin;
} __attribute__((aligned(64)));

struct class_info {
	uint32_t object_bytes;
	uint32_t reciprocal;	/* ceil(2^32 / object_bytes) */
	uint32_t bin_shift;
	uint32_t bin[NR_BINS];	/* heads; bin 0 has the fewest free */
	uint32_t tail;		/* CACHE_SLABLIST uses bin 0 alone, as a queue */
};

struct magazine { uint32_t nr, max; };
struct freelist { void *head; uint32_t nr, max; };

struct arena {
	uint32_t id;
	uint32_t tag4;		/* id as it stands in a dense4 entry */
	uint64_t tag8;
	struct magazine magazine[NR_CLASSES];
	struct freelist list[NR_CLASSES];
	struct slab *current[NR_CLASSES];
	void *object[NR_CLASSES][CACHE_MAX];
} __attribute__((aligned(64)));

static struct {
	uintptr_t base;
	uint32_t *slice4;
	uint64_t *slice8;
	struct chunk_line *line;
	struct slab *slab;
	uint64_t (*bitmap)[BITMAP_WORDS];
	uint32_t nr_slices;	/* cut so far, from the window's start */
	enum layout layout;
} window;

static struct class_info class_info[NR_CLASSES];
static uint8_t class_of_grains[SIZE_MAX_SMALL / GRAIN + 1];
static struct arena first_arena;
static struct slab no_slab;	/* always empty: a first malloc falls into the slow path */
static __thread struct arena *my_arena __attribute__((tls_model("initial-exec")));

static __slow __attribute__((noreturn)) void die(const char *what, const void *p)
{
	fprintf(stderr, "proto_layout: %s (%p)\n", what, p);
	exit(1);
}

static void *map_bytes(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap failed", NULL);
	return p;
}

/* Tables are on 4 KiB pages and are touched as far as slices are cut. */
static void window_init(enum layout layout, bool huge)
{
	uintptr_t raw = (uintptr_t)map_bytes(WINDOW_BYTES + CHUNK_BYTES);

	window.base = (raw + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1);
	if (madvise((void *)window.base, WINDOW_BYTES, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise failed", (void *)window.base);
	window.slice4 = map_bytes(NR_SLICES * sizeof(*window.slice4));
	window.slice8 = map_bytes(NR_SLICES * sizeof(*window.slice8));
	window.line = map_bytes(NR_CHUNKS * sizeof(*window.line));
	window.slab = map_bytes(NR_SLICES * sizeof(*window.slab));
	window.bitmap = map_bytes(NR_SLICES * sizeof(*window.bitmap));
	window.layout = layout;
}

/*
 * The shift puts a slab of nr free objects into bin nr >> shift, with a whole slab
 * in the upper half of the bins: at least 8 grades of fullness for every class.
 */
static void class_init(unsigned int class)
{
	struct class_info *info = &class_info[class];
	unsigned int nr_objects, i;

	info->object_bytes = (class + 1) * GRAIN;
	info->reciprocal = UINT32_MAX / info->object_bytes + 1;
	nr_objects = SLICE_BYTES / info->object_bytes;
	while (nr_objects >> info->bin_shift >= NR_BINS)
		info->bin_shift++;
	for (i = 0; i < NR_BINS; i++)
		info->bin[i] = NO_SLAB;
	info->tail = NO_SLAB;
	class_of_grains[class + 1] = class;
}

static void arena_init(struct arena *a, uint32_t id)
{
	unsigned int class;

	a->id = id;
	a->tag4 = id << CLASS_BITS;
	a->tag8 = (uint64_t)id << 32;
	for (class = 0; class < NR_CLASSES; class++) {
		a->magazine[class].max = CACHE_MAX;
		a->list[class].max = CACHE_MAX;
		a->current[class] = &no_slab;
	}
	my_arena = a;
}

/* The lookup under test: below NR_CLASS_IDS it is the class of an object of ours. */
static __inline_always uint64_t class_if_mine(enum layout layout, const struct arena *a,
					      const void *p)
{
	uintptr_t offset = (uintptr_t)p - window.base;
	const struct chunk_line *line;

	if (unlikely(offset >= WINDOW_BYTES))
		return UINT64_MAX;
	switch (layout) {
	case LAYOUT_DENSE4:
		return window.slice4[offset >> SLICE_SHIFT] ^ a->tag4;
	case LAYOUT_DENSE8:
		return window.slice8[offset >> SLICE_SHIFT] ^ a->tag8;
	case LAYOUT_HEADER:
		line = (const void *)((uintptr_t)p & ~(CHUNK_BYTES - 1));
		break;
	default:
		line = &window.line[offset >> CHUNK_SHIFT];
		break;
	}
	if (unlikely(line->owner != a->id))
		return UINT64_MAX;
	return line->class[(offset >> SLICE_SHIFT) % CHUNK_SLICES];
}

/* Any layout, off the hot path. */
static uint64_t class_of_object(const void *p)
{
	return class_if_mine(window.layout, my_arena, p);
}

static void slice_publish(uint32_t slice, unsigned int class, const struct arena *a)
{
	uintptr_t chunk = window.base + ((uintptr_t)slice << SLICE_SHIFT & ~(CHUNK_BYTES - 1));
	struct chunk_line *line;

	switch (window.layout) {
	case LAYOUT_DENSE4:
		window.slice4[slice] = a->tag4 | class;
		return;
	case LAYOUT_DENSE8:
		window.slice8[slice] = a->tag8 | class;
		return;
	case LAYOUT_HEADER:
		line = (void *)chunk;
		break;
	default:
		line = &window.line[slice / CHUNK_SLICES];
		break;
	}
	line->owner = a->id;
	line->class[slice % CHUNK_SLICES] = class;
}

static void slab_unqueue(struct slab *s)
{
	struct class_info *info = &class_info[s->class];

	if (s->bin == NOT_QUEUED)
		return;
	if (s->prev == NO_SLAB)
		info->bin[s->bin] = s->next;
	else
		window.slab[s->prev].next = s->next;
	if (s->next == NO_SLAB)
		info->tail = s->prev;
	else
		window.slab[s->next].prev = s->prev;
	s->bin = NOT_QUEUED;
}

static void slab_queue_head(struct slab *s, unsigned int bin)
{
	struct class_info *info = &class_info[s->class];
	uint32_t slice = s - window.slab;

	s->bin = bin;
	s->prev = NO_SLAB;
	s->next = info->bin[bin];
	if (s->next != NO_SLAB)
		window.slab[s->next].prev = slice;
	info->bin[bin] = slice;
}

static void slab_queue_tail(struct slab *s)
{
	struct class_info *info = &class_info[s->class];
	uint32_t slice = s - window.slab;

	if (info->bin[0] == NO_SLAB) {
		slab_queue_head(s, 0);
	} else {
		s->bin = 0;
		s->next = NO_SLAB;
		s->prev = info->tail;
		window.slab[s->prev].next = slice;
	}
	info->tail = slice;
}

static void slab_rebin(struct slab *s)
{
	uint32_t nr_left = s->nr_free + s->nr_fresh;
	unsigned int bin = nr_left ? nr_left >> class_info[s->class].bin_shift : NOT_QUEUED;

	if (bin == s->bin)
		return;
	slab_unqueue(s);
	if (bin != NOT_QUEUED)
		slab_queue_head(s, bin);
}

static struct slab *slab_cut(unsigned int class, const struct arena *a)
{
	uint32_t slice = window.nr_slices++;
	struct slab *s = &window.slab[slice];
	bool has_header = window.layout == LAYOUT_HEADER && slice % CHUNK_SLICES == 0;

	if (slice == NR_SLICES)
		die("window is full", NULL);
	s->class = class;
	s->bin = NOT_QUEUED;
	s->header_bytes = has_header ? sizeof(struct chunk_line) : 0;
	s->nr_objects = (SLICE_BYTES - s->header_bytes) / class_info[class].object_bytes;
	s->nr_fresh = s->nr_objects;
	slice_publish(slice, class, a);
	return s;
}

static __inline_always char *slab_object(const struct slab *s, uint32_t index)
{
	uintptr_t slice = s - window.slab;

	return (char *)(window.base + (slice << SLICE_SHIFT) + s->header_bytes) +
	       (size_t)index * class_info[s->class].object_bytes;
}

static void *slab_take_fresh(struct slab *s)
{
	return slab_object(s, s->nr_objects - s->nr_fresh--);
}

static struct slab *fullest_slab(unsigned int class, const struct arena *a)
{
	const struct class_info *info = &class_info[class];
	unsigned int bin;

	for (bin = 0; bin < NR_BINS; bin++)
		if (info->bin[bin] != NO_SLAB)
			return &window.slab[info->bin[bin]];
	return slab_cut(class, a);
}

/* Fills to[] from the end, so that a magazine pops addresses upwards. */
static unsigned int slab_take(struct slab *s, void **to, unsigned int nr)
{
	uint64_t *word = window.bitmap[s - window.slab];
	unsigned int nr_want = nr;

	for (; nr && s->nr_free; word++) {
		for (; nr && *word; *word &= *word - 1, s->nr_free--) {
			uint32_t bit = __builtin_ctzll(*word);

			to[--nr] = slab_object(s, (word - window.bitmap[s - window.slab]) * 64 + bit);
		}
	}
	while (nr && s->nr_fresh)
		to[--nr] = slab_take_fresh(s);
	slab_rebin(s);
	return nr_want - nr;
}

static void class_take(unsigned int class, const struct arena *a, void **to, unsigned int nr)
{
	while (nr)
		nr -= slab_take(fullest_slab(class, a), to, nr);
}

static void slab_give(void *p)
{
	uintptr_t offset = (uintptr_t)p - window.base;
	uint32_t slice = offset >> SLICE_SHIFT;
	struct slab *s = &window.slab[slice];
	uint64_t in_slab = offset % SLICE_BYTES - s->header_bytes;
	uint32_t index = in_slab * class_info[s->class].reciprocal >> 32;
	uint64_t bit = 1ULL << index % 64;
	uint64_t *word = &window.bitmap[slice][index / 64];

	if (unlikely(*word & bit))
		die("double free", p);
	*word |= bit;
	s->nr_free++;
	slab_rebin(s);
}

/* Magazines. */

static __slow void *magazine_refill_slow(struct arena *a, unsigned int class)
{
	struct magazine *m = &a->magazine[class];

	class_take(class, a, a->object[class], CACHE_BATCH);
	m->nr = CACHE_BATCH - 1;
	return a->object[class][m->nr];
}

/* The oldest half goes: the newest is what cache lines are warm for. */
static __slow void magazine_flush_slow(struct arena *a, unsigned int class)
{
	struct magazine *m = &a->magazine[class];
	void **object = a->object[class];
	unsigned int i;

	for (i = 0; i < CACHE_BATCH; i++)
		slab_give(object[i]);
	m->nr -= CACHE_BATCH;
	memmove(object, object + CACHE_BATCH, m->nr * sizeof(*object));
}

static __inline_always void *magazine_pop(struct arena *a, unsigned int class)
{
	struct magazine *m = &a->magazine[class];

	if (unlikely(!m->nr))
		return magazine_refill_slow(a, class);
	return a->object[class][--m->nr];
}

static __inline_always void magazine_push(struct arena *a, unsigned int class, void *p)
{
	struct magazine *m = &a->magazine[class];

	if (unlikely(m->nr == m->max))
		magazine_flush_slow(a, class);
	a->object[class][m->nr++] = p;
}

/* Lists threaded through the objects, one a class. */

static __slow void *list_refill_slow(struct arena *a, unsigned int class)
{
	struct freelist *l = &a->list[class];
	void *batch[CACHE_BATCH];
	unsigned int i;

	class_take(class, a, batch, CACHE_BATCH);
	for (i = 0; i < CACHE_BATCH - 1; i++) {
		*(void **)batch[i] = l->head;
		l->head = batch[i];
	}
	l->nr = CACHE_BATCH - 1;
	return batch[i];
}

static __slow void list_flush_slow(struct arena *a, unsigned int class)
{
	struct freelist *l = &a->list[class];
	void **link = &l->head;
	void *p, *next;
	unsigned int i;

	for (i = 0; i < l->nr - CACHE_BATCH; i++)
		link = *link;
	p = *link;
	*link = NULL;
	l->nr -= CACHE_BATCH;
	for (; p; p = next) {
		next = *(void **)p;
		slab_give(p);
	}
}

static __inline_always void *list_pop(struct arena *a, unsigned int class)
{
	struct freelist *l = &a->list[class];
	void *p = l->head;

	if (unlikely(!p))
		return list_refill_slow(a, class);
	l->head = *(void **)p;
	l->nr--;
	return p;
}

static __inline_always void list_push(struct arena *a, unsigned int class, void *p)
{
	struct freelist *l = &a->list[class];

	if (unlikely(l->nr == l->max))
		list_flush_slow(a, class);
	*(void **)p = l->head;
	l->head = p;
	l->nr++;
}

/*
 * Lists threaded through the objects, one a slab.  A slab that the class allocates
 * from is in no queue, and neither is a full one: the first object freed into it
 * queues it again, at the tail, so that others gather in it before its turn comes.
 */

static void slab_link_fresh(struct slab *s, unsigned int nr)
{
	void *batch[CACHE_BATCH];
	unsigned int i;

	for (i = 0; i < nr && s->nr_fresh; i++)
		batch[i] = slab_take_fresh(s);
	s->nr_free += i;
	while (i) {
		*(void **)batch[--i] = s->free;
		s->free = batch[i];
	}
}

static __slow void *slablist_refill_slow(struct arena *a, unsigned int class)
{
	const struct class_info *info = &class_info[class];
	struct slab *s = a->current[class];
	void *p;

	if (!s->nr_fresh) {
		if (info->bin[0] == NO_SLAB) {
			s = slab_cut(class, a);
		} else {
			s = &window.slab[info->bin[0]];
			slab_unqueue(s);
		}
		a->current[class] = s;
	}
	if (!s->free)
		slab_link_fresh(s, CACHE_BATCH);
	p = s->free;
	s->free = *(void **)p;
	s->nr_free--;
	return p;
}

static __inline_always void *slablist_pop(struct arena *a, unsigned int class)
{
	struct slab *s = a->current[class];
	void *p = s->free;

	if (unlikely(!p))
		return slablist_refill_slow(a, class);
	s->free = *(void **)p;
	s->nr_free--;
	return p;
}

static __inline_always void slablist_push(struct arena *a, unsigned int class, void *p)
{
	struct slab *s = &window.slab[((uintptr_t)p - window.base) >> SLICE_SHIFT];

	*(void **)p = s->free;
	s->free = p;
	if (unlikely(!s->nr_free++) && s != a->current[class])
		slab_queue_tail(s);
}

static __inline_always void *variant_malloc(enum cache cache, size_t size)
{
	struct arena *a = my_arena;
	unsigned int class;

	if (unlikely(size > SIZE_MAX_SMALL))
		return NULL;
	class = class_of_grains[(size + GRAIN - 1) >> GRAIN_SHIFT];
	switch (cache) {
	case CACHE_LIST:
		return list_pop(a, class);
	case CACHE_SLABLIST:
		return slablist_pop(a, class);
	default:
		return magazine_pop(a, class);
	}
}

static __inline_always void variant_free(enum layout layout, enum cache cache, void *p)
{
	struct arena *a = my_arena;
	uint64_t class = class_if_mine(layout, a, p);

	if (unlikely(class >= NR_CLASS_IDS))
		die("not an object of this arena", p);
	switch (cache) {
	case CACHE_LIST:
		list_push(a, class, p);
		break;
	case CACHE_SLABLIST:
		slablist_push(a, class, p);
		break;
	default:
		magazine_push(a, class, p);
		break;
	}
}

/* splitmix64: one multiply chain a draw, and its 64 bits give both a slot and a size. */
static __inline_always uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static __inline_always uint32_t below(uint32_t random, uint32_t limit)
{
	return (uint64_t)random * limit >> 32;
}

static __inline_always uint32_t draw_size(uint64_t random)
{
	return SIZE_MIN + below(random >> 32, SIZE_MAX_SMALL - SIZE_MIN + 1);
}

static __inline_always void touch(void *p, uint32_t size)
{
	volatile char *c = p;

	c[0] = 1;
	c[size - 1] = 1;
}

struct workload {
	void **slot;
	uint32_t nr_live;
	uint64_t random;
};

/*
 * malloc and free stay calls, as they are in a program that links an allocator.
 * The floor makes the same draws and touches but its successor is the object
 * before last; it may write past an object, which nobody reads.
 */
#define DEFINE_VARIANT(name, layout, cache)						\
static __variant void *malloc_##name(size_t size)					\
{											\
	return variant_malloc(cache, size);						\
}											\
											\
static __variant void free_##name(void *p)						\
{											\
	variant_free(layout, cache, p);							\
}											\
											\
static __variant void fill_##name(struct workload *w)					\
{											\
	uint32_t i;									\
											\
	for (i = 0; i < w->nr_live; i++) {						\
		uint32_t size = draw_size(draw(&w->random));				\
											\
		w->slot[i] = malloc_##name(size);					\
		touch(w->slot[i], size);						\
	}										\
}											\
											\
static __variant void churn_##name(struct workload *w, uint64_t nr_ops)			\
{											\
	void *spare = (cache) == CACHE_FLOOR ? malloc_##name(SIZE_MAX_SMALL) : NULL;	\
	uint64_t random = w->random;							\
											\
	while (nr_ops--) {								\
		uint64_t r = draw(&random);						\
		void **slot = &w->slot[below(r, w->nr_live)];				\
		uint32_t size = draw_size(r);						\
		void *old = *slot;							\
											\
		if ((cache) == CACHE_FLOOR) {						\
			*slot = spare;							\
			spare = old;							\
		} else {								\
			free_##name(old);						\
			*slot = malloc_##name(size);					\
		}									\
		touch(*slot, size);							\
	}										\
	w->random = random;								\
	if ((cache) == CACHE_FLOOR)							\
		free_##name(spare);							\
}

#define FOR_EACH_VARIANT(do)						\
	do(dense4_magazine, LAYOUT_DENSE4, CACHE_MAGAZINE)		\
	do(dense8_magazine, LAYOUT_DENSE8, CACHE_MAGAZINE)		\
	do(header_magazine, LAYOUT_HEADER, CACHE_MAGAZINE)		\
	do(line_magazine, LAYOUT_LINE, CACHE_MAGAZINE)			\
	do(dense4_list, LAYOUT_DENSE4, CACHE_LIST)			\
	do(dense8_list, LAYOUT_DENSE8, CACHE_LIST)			\
	do(header_list, LAYOUT_HEADER, CACHE_LIST)			\
	do(line_list, LAYOUT_LINE, CACHE_LIST)				\
	do(dense4_slablist, LAYOUT_DENSE4, CACHE_SLABLIST)		\
	do(dense8_slablist, LAYOUT_DENSE8, CACHE_SLABLIST)		\
	do(header_slablist, LAYOUT_HEADER, CACHE_SLABLIST)		\
	do(line_slablist, LAYOUT_LINE, CACHE_SLABLIST)			\
	do(floor, LAYOUT_DENSE4, CACHE_FLOOR)

FOR_EACH_VARIANT(DEFINE_VARIANT)

struct variant {
	const char *name;
	enum layout layout;
	void (*fill)(struct workload *w);
	void (*churn)(struct workload *w, uint64_t nr_ops);
};

#define VARIANT_ROW(name, layout, cache)	{ #name, layout, fill_##name, churn_##name },
static const struct variant variants[] = { FOR_EACH_VARIANT(VARIANT_ROW) };
#define NR_VARIANTS	(sizeof(variants) / sizeof(variants[0]))

static const struct variant *find_variant(const char *name)
{
	size_t i;

	for (i = 0; i < NR_VARIANTS; i++)
		if (!strcmp(variants[i].name, name))
			return &variants[i];
	return NULL;
}

static int compare_pointers(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* A layout that is fast because it hands memory out twice would win: look. */
static void check_disjoint(struct workload *w)
{
	uint32_t i;

	qsort(w->slot, w->nr_live, sizeof(*w->slot), compare_pointers);
	for (i = 0; i + 1 < w->nr_live; i++) {
		uint64_t class = class_of_object(w->slot[i]);
		uintptr_t end;

		if (class >= NR_CLASSES)
			die("live object has no class", w->slot[i]);
		end = (uintptr_t)w->slot[i] + class_info[class].object_bytes;
		if (end > (uintptr_t)w->slot[i + 1])
			die("live objects overlap", w->slot[i]);
	}
}

static double now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Kibibytes of huge pages; -1 where the kernel has no such file. */
static long huge_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char text[128];
	long kib = -1;

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "AnonHugePages: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Two numbers: a busy neighbour shows as wall time above processor time. */
static void run(const struct variant *v, struct workload *w, uint64_t nr_ops, bool huge)
{
	double cpu_ns, wall_ns;

	v->fill(w);
	v->churn(w, nr_ops / 2);	/* warm: magazines at their level, lists mixed */
	cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
	wall_ns = now_ns(CLOCK_MONOTONIC);
	v->churn(w, nr_ops);
	wall_ns = now_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	check_disjoint(w);
	printf("%s,%s,%u,%llu,%.3f,%.3f,%u,%ld\n", v->name, huge ? "huge" : "small",
	       w->nr_live, (unsigned long long)nr_ops, cpu_ns / nr_ops, wall_ns / nr_ops,
	       window.nr_slices, huge_kib());
}

static int usage(void)
{
	size_t i;

	fprintf(stderr, "usage: proto_layout VARIANT NR_LIVE NR_OPS huge|small [SEED]\n"
		"prints: variant,pages,live,ops,cpu_ns_per_op,wall_ns_per_op,slices,huge_kib\n"
		"variants:");
	for (i = 0; i < NR_VARIANTS; i++)
		fprintf(stderr, " %s", variants[i].name);
	fputc('\n', stderr);
	return 2;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *value >= min && *value <= max;
}

int main(int argc, char **argv)
{
	const struct variant *v;
	uint64_t nr_live, nr_ops, seed = 1;
	struct workload w;
	unsigned int class;
	bool huge;

	if (argc < 5 || argc > 6)
		return usage();
	v = find_variant(argv[1]);
	huge = !strcmp(argv[4], "huge");
	if (!v || (!huge && strcmp(argv[4], "small")) ||
	    !parse_number(argv[2], 1, 32 << 20, &nr_live) ||
	    !parse_number(argv[3], 1, 1ULL << 40, &nr_ops) ||
	    (argc == 6 && !parse_number(argv[5], 0, UINT64_MAX, &seed)))
		return usage();

	for (class = 0; class < NR_CLASSES; class++)
		class_init(class);
	window_init(v->layout, huge);
	arena_init(&first_arena, OWNER_ID);
	w.slot = map_bytes(nr_live * sizeof(*w.slot));
	w.nr_live = nr_live;
	w.random = seed;
	run(v, &w, nr_ops, huge);
	return 0;
}
