// SPDX-License-Identifier: MIT
/*
 * Slabs.
 *
 * A slab hands out memory from two places: objects freed before, one bit each in a
 * bitmap beside the chunk, and fresh ones at its end that were never handed out, so
 * that memory is touched only as far as it is used.  Lowest address first, so that
 * neighbours in time are neighbours in space.
 *
 * The bitmap is also what catches a double free when objects come home: a bit that is
 * set already, an object beyond the fresh mark, or an address between two objects.
 */
#include <stdio.h>

#include "internal/option.h"

#include "account.h"
#include "limit.h"
#include "slab.h"

static unsigned int nr_left(const struct nar_slab *s)
{
	return s->nr_free + s->nr_fresh;
}

/* Quarters of what is left to hand out; the ends have bins of their own. */
static unsigned int bin_for(const struct nar_slab *s)
{
	unsigned int left = nr_left(s), all = s->nr_objects;

	if (!left)
		return BIN_FULL;
	if (left == all)
		return BIN_EMPTY;
	return BIN_DENSE + (4 * left > all) + (2 * left > all) + (4 * left > 3 * all);
}

static void list_add(struct nar_bins *bins, u32 slab)
{
	struct nar_slab *s = nar_slab_at(slab);
	u32 *head;

	s->bin = (u8)bin_for(s);
	head = &bins->head[s->bin];
	s->prev = 0;
	s->next = *head;
	if (s->next)
		nar_slab_at(s->next)->prev = slab;
	*head = slab;
}

static void list_del(struct nar_bins *bins, u32 slab)
{
	struct nar_slab *s = nar_slab_at(slab);

	if (s->next)
		nar_slab_at(s->next)->prev = s->prev;
	if (s->prev)
		nar_slab_at(s->prev)->next = s->next;
	else
		bins->head[s->bin] = s->next;
}

static void rebin(struct nar_bins *bins, u32 slab)
{
	if (bin_for(nar_slab_at(slab)) == nar_slab_at(slab)->bin)
		return;
	list_del(bins, slab);
	list_add(bins, slab);
}

/* @sign: 1 or -1, for one slab more or less. */
static void count(struct nar_bins *bins, const struct nar_slab *s, int sign)
{
	count_own(bins->nr_slabs, (u32)sign);
	count_own(bins->nr_slices, (u32)(sign * s->nr_slices));
	count_own(bins->nr_objects, (u64)(sign * s->nr_objects));
	count_own(bins->nr_out, (u64)(sign * (int)(s->nr_objects - nr_left(s))));
}

void nar_slab_link(struct nar_bins *bins, u32 slab)
{
	list_add(bins, slab);
	count(bins, nar_slab_at(slab), 1);
}

void nar_slab_unlink(struct nar_bins *bins, u32 slab)
{
	list_del(bins, slab);
	count(bins, nar_slab_at(slab), -1);
}

u32 nar_slab_densest(const struct nar_bins *bins)
{
	unsigned int bin;

	for (bin = BIN_DENSE; bin < NR_SLAB_BINS; bin++)
		if (bins->head[bin])
			return bins->head[bin];
	return 0;
}

/* Each entry is one store; a reader of another slice needs no order between them. */
void nar_slab_set_owner(u32 slab, u32 owner)
{
	const struct nar_slab *s = nar_slab_at(slab);
	u32 i, entry = owner ? nar_entry(owner, s->class) : 0;

	/* Release: pairs with the acquire in nar_entry_of(). */
	for (i = 0; i < s->nr_slices; i++)
		store_release(&nar_mem.map[slab + i], entry);
}

static u32 slices_within_limit(struct nar_place place, enum nar_pool pool, unsigned int nr)
{
	struct nar_claim claim;
	u32 slice;

	if (!nar_limit_try_claim(&claim, nr * SLICE_BYTES))
		return 0;
	slice = nar_slices_alloc(place, pool, nr);
	nar_limit_settle(&claim);
	return slice;
}

/* Of slices that @alloc has; the heap is charged before. */
static u32 create(struct nar_place place, enum nar_pool pool, const struct nar_slab_shape *shape, u32 owner,
		  u16 heap, u32 (*alloc)(struct nar_place place, enum nar_pool pool, unsigned int nr))
{
	size_t bytes = (size_t)shape->nr_slices << SLICE_SHIFT;
	u32 i, slab;

	if (!nar_account_try_take(heap, bytes))
		return 0;
	slab = alloc(place, pool, shape->nr_slices);
	if (!slab)
		return nar_account_give(heap, bytes), 0;
	/* Slices after the first lead back to it: see nar_slab_around(). */
	for (i = 1; i < shape->nr_slices; i++)
		*nar_slab_at(slab + i) = (struct nar_slab){ .prev = slab };
	*nar_slab_at(slab) = (struct nar_slab){
		.nr_objects = shape->nr_objects,
		.nr_fresh = shape->nr_objects,
		.class = shape->class,
		.nr_slices = shape->nr_slices,
		.heap = heap,
		.size = shape->size,
		.recip = shape->recip,
	};
	nar_slab_set_owner(slab, owner);
	return slab;
}

u32 nar_slab_create(struct nar_place place, enum nar_pool pool, const struct nar_slab_shape *shape,
		    u32 owner, u16 heap)
{
	return create(place, pool, shape, owner, heap, slices_within_limit);
}

u32 nar_slab_try_create(struct nar_place place, enum nar_pool pool, const struct nar_slab_shape *shape,
			u32 owner, u16 heap)
{
	if (nar_limit_is_set() || nar_account_is_limited(heap))
		return 0;
	return create(place, pool, shape, owner, heap, nar_slices_try_alloc);
}

u32 nar_slab_around(const void *p)
{
	u32 slice = (u32)(nar_offset(p) >> SLICE_SHIFT);

	return nar_slab_at(slice)->nr_slices ? slice : nar_slab_at(slice)->prev;
}

/* Harden: none of its objects is in anybody's hands. */
static void live_forget(u32 slab)
{
	unsigned int i;

	if (nar_opt.harden)
		for (i = 0; i < DIV_ROUND_UP(nar_slab_at(slab)->nr_objects, 64u); i++)
			WRITE_ONCE(nar_mem.live[slab][i], 0);
}

void nar_slab_destroy(u32 slab)
{
	struct nar_slab *s = nar_slab_at(slab);
	unsigned int i, nr_slices = s->nr_slices;

	nar_slab_set_owner(slab, OWNER_NONE);
	nar_chunk_note_unused(slab, (u32)(s->nr_objects - s->nr_fresh) * s->size);
	/* Later slabs here begin with no bit set. */
	for (i = 0; i < DIV_ROUND_UP(s->nr_objects, 64u); i++)
		nar_mem.bits[slab][i] = 0;
	nar_account_give(s->heap, nr_slices * SLICE_BYTES);
	s->nr_slices = 0;
	nar_slices_free(slab, nr_slices);
}

void nar_slabs_destroy(u32 slabs)
{
	while (slabs) {
		u32 next = nar_slab_at(slabs)->next;

		nar_slab_destroy(slabs);
		slabs = next;
	}
}

/* ---- Of destroyed heaps ---- */

u32 nar_slabs_bury(struct nar_bins *bins, u32 slabs, size_t *bytes)
{
	unsigned int bin;
	u32 slab;

	for (bin = 0; bin < NR_SLAB_BINS; bin++) {
		while ((slab = bins->head[bin])) {
			nar_slab_unlink(bins, slab);
			nar_slab_set_owner(slab, OWNER_TOMB);
			nar_poison(nar_slab_base(slab), nar_slab_bytes(slab));
			nar_slab_at(slab)->next = slabs;
			slabs = slab;
			*bytes += nar_slab_bytes(slab);
		}
	}
	return slabs;
}

void nar_slabs_destroy_buried(u32 slabs)
{
	u32 next;

	for (; slabs; slabs = next) {
		struct nar_slab *s = nar_slab_at(slabs);

		next = s->next;
		/* Its heap's account was closed, and is another's by now. */
		s->heap = 0;
		live_forget(slabs);
		nar_slab_destroy(slabs);
	}
}

/* ---- Objects out and in ---- */

static unsigned int take_freed(u32 slab, struct nar_slab *s, void **to, unsigned int nr)
{
	u64 *bits = nar_mem.bits[slab];
	char *base = nar_slab_base(slab);
	unsigned int i = s->first_word, left = nr;

	for (; left && s->nr_free; i++) {
		u64 word = bits[i];

		for (; left && word; word &= word - 1) {
			to[--left] = base + (size_t)(i * 64 + (u32)__builtin_ctzll(word)) * s->size;
			s->nr_free--;
		}
		bits[i] = word;
		if (word)
			break;
	}
	s->first_word = (u16)i;
	return nr - left;
}

static unsigned int take_fresh(u32 slab, struct nar_slab *s, void **to, unsigned int nr)
{
	unsigned int i, n = min_of(nr, s->nr_fresh);
	char *next = nar_slab_base(slab) + (size_t)(s->nr_objects - s->nr_fresh) * s->size;

	for (i = 0; i < n; i++, next += s->size)
		to[nr - 1 - i] = next;
	s->nr_fresh = (u16)(s->nr_fresh - n);
	if (n)
		nar_chunk_note_used(slab, n * s->size);
	return n;
}

/* Both fill from the end of what they are given; a gap at the front is closed. */
unsigned int nar_slab_take(struct nar_bins *bins, u32 slab, void **to, unsigned int nr)
{
	struct nar_slab *s = nar_slab_at(slab);
	unsigned int n = s->nr_free ? take_freed(slab, s, to, nr) : 0;

	if (n < nr)
		n += take_fresh(slab, s, to, nr - n);
	count_own(bins->nr_out, n);
	rebin(bins, slab);
	if (n < nr)
		__builtin_memmove(to, to + (nr - n), n * sizeof(*to));
	return n;
}

/*
 * Multiplying by the rounded-up reciprocal divides exactly where an object starts: the
 * error is below 2^19 / 2^32, less than 1.  Inside an object it may give the next index,
 * whose start then differs from the offset.
 */
static u32 object_index(const struct nar_slab *s, size_t offset)
{
	return (u32)((offset * s->recip) >> 32);
}

bool nar_slab_is_object(u32 slab, const void *p)
{
	const struct nar_slab *s = nar_slab_at(slab);
	size_t offset = (size_t)((const char *)p - nar_slab_base(slab));
	u32 index = object_index(s, offset);

	return index < s->nr_objects && (size_t)index * s->size == offset;
}

/* @index is not that of an object to take back: why. */
static noinline void __cold die_of(const struct nar_slab *s, const void *p, size_t offset, u32 index)
{
	if (index >= s->nr_objects || (size_t)index * s->size != offset)
		nar_die_interior(p);
	nar_die_double_free(p);
}

unsigned int nar_slab_give_run(struct nar_bins *bins, u32 slab, void *const *p, unsigned int nr)
{
	struct nar_slab *s = nar_slab_at(slab);
	const u32 nr_used = (u32)(s->nr_objects - s->nr_fresh);
	const size_t bytes = (size_t)s->nr_slices << SLICE_SHIFT;
	char *base = nar_slab_base(slab);
	u32 at = object_index(s, (size_t)((char *)p[0] - base)) / 64, lowest = min_of(at, (u32)s->first_word);
	u64 *bits = nar_mem.bits[slab], word = bits[at];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		size_t offset = (size_t)((char *)p[i] - base);
		u32 index = object_index(s, offset);

		if (offset >= bytes)
			break;
		if (index / 64 != at) {
			bits[at] = word;
			at = index / 64;
			word = bits[at];
			lowest = min_of(lowest, at);
		}
		if (unlikely(index >= nr_used || (size_t)index * s->size != offset || word >> index % 64 & 1))
			die_of(s, p[i], offset, index);
		word |= 1ull << index % 64;
	}
	bits[at] = word;
	s->first_word = (u16)lowest;
	s->nr_free = (u16)(s->nr_free + i);
	count_own(bins->nr_out, -(u64)i);
	rebin(bins, slab);
	return i;
}

void nar_slab_give(struct nar_bins *bins, u32 slab, void *p)
{
	nar_slab_give_run(bins, slab, &p, 1);
}

/* ---- Harden ---- */

static u64 *live_word(void *p, u64 *bit)
{
	u32 slab = nar_slab_around(p);
	const struct nar_slab *s = nar_slab_at(slab);
	u32 index = object_index(s, (size_t)((char *)p - nar_slab_base(slab)));

	if (!nar_slab_is_object(slab, p))
		nar_die_interior(p);
	*bit = 1ull << (index % 64);
	return &nar_mem.live[slab][index / 64];
}

void nar_live_set(void *p)
{
	u64 bit, *word = live_word(p, &bit);

	if (__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit)
		nar_die("object %p was handed out twice: a bug in numarena, please report it", p);
}

bool nar_live_try_clear(void *p)
{
	u64 bit, *word = live_word(p, &bit);

	return __atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED) & bit;
}

/* ---- Last words ---- */

static void owner_name(char *to, size_t room, u32 owner)
{
	if (owner == OWNER_SHARD)
		snprintf(to, room, "the shard");
	else if (owner == OWNER_TOMB)
		snprintf(to, room, "a heap that was destroyed");
	else
		snprintf(to, room, "arena %u", owner);
}

void nar_die_double_free(const void *p)
{
	u32 entry = nar_entry_of(p);
	char owner[32];

	owner_name(owner, sizeof(owner), nar_entry_owner(entry));
	nar_die("double free of %p (class %u bytes, owner %s, node %u)", p,
		nar_slab_at(nar_slab_around(p))->size, owner, nar_node_of(p));
}

void nar_die_interior(const void *p)
{
	u32 entry = nar_entry_of(p), slab = nar_slab_around(p);
	const struct nar_slab *s = nar_slab_at(slab);
	size_t offset = (size_t)((const char *)p - nar_slab_base(slab));
	char owner[32];

	owner_name(owner, sizeof(owner), nar_entry_owner(entry));
	nar_die("free of %p, which is inside an object (class %u bytes, owner %s, object at %p)",
		p, s->size, owner, (void *)(nar_slab_base(slab) + offset / s->size * s->size));
}
