// SPDX-License-Identifier: MIT
/*
 * Chunks of a place, by how many slices they have left: the fullest that can serve is
 * taken, so that sparse ones drain and whole 2 MiB go back.
 *
 * A thread takes from its own lot; what that lacks is taken from another before there is one
 * more chunk.
 *
 * Where small objects have given way to large ones, sparse chunks would wait for their
 * last slab for ever, and what is free in them would be lost to large blocks.  So when
 * a large block finds nothing else, a sparse chunk is dissolved: its free slices go
 * back to the extents now, those in use when their slab goes.
 */
#include "chunk.h"
#include "extent.h"
#include "unit.h"

/* Collapsing pays for what is not touched yet: at three quarters it is worth it. */
#define COLLAPSE_BYTES (HUGE_BYTES / 4 * 3)

/* A chunk is sparse with a quarter of its slices free ... */
#define SPARSE_FREE (SLICES_PER_UNIT / 4)

/* ... and may be dissolved if more is free in all chunks than this part of what is used. */
#define DISSOLVE_PART 8

/* Filled chunks are looked for in this many at a time. */
#define COLLAPSE_LOOK 64

/* One that was parted has filled when nothing is free: sooner it would be whole again at once. */
static bool is_filled(const struct nar_unit *u)
{
	return READ_ONCE(u->used_bytes) >= COLLAPSE_BYTES && !(u->is_parted && u->nr_free);
}

/* Release: pairs with the acquire in collapse(). */
static void note_filled(struct nar_lot *l)
{
	__atomic_fetch_add(&l->nr_filled, 1, __ATOMIC_RELEASE);
}

/* Of either kind of page. */
static u32 take_locked(struct nar_lot *l, enum nar_pool pool, unsigned int nr) __must_hold(&l->lock)
{
	u32 unit = nar_lot_find(l, pool, nr), slice;
	const struct nar_unit *u;

	if (!unit)
		unit = nar_lot_find(l, pool == POOL_SMALL ? POOL_HUGE : POOL_SMALL, nr);
	if (!unit)
		return 0;
	slice = nar_lot_take(l, unit, nr);
	u = &nar_mem.unit[unit];
	/* With so much in use when it was parted, it crosses no mark any more. */
	if (unlikely(u->is_parted) && u->pool == POOL_SMALL && is_filled(u))
		note_filled(l);
	return slice;
}

static u32 take_of_lot(struct nar_lot *l, enum nar_pool pool, unsigned int nr)
{
	u32 slice;

	if (!l || READ_ONCE(l->nr_free) < nr)
		return 0;
	nar_lock(&l->lock);
	slice = take_locked(l, pool, nr);
	nar_unlock(&l->lock);
	return slice;
}

/* Slices that are there already come before another chunk. */
static u32 take_slices(struct nar_place place, enum nar_pool pool, unsigned int nr) __no_lock_analysis
{
	struct nar_lot *l = nar_lot_lock_own(place);
	unsigned int lot;
	u32 slice;

	if (unlikely(!l))
		return 0;
	slice = take_locked(l, pool, nr);
	nar_unlock(&l->lock);
	for (lot = 0; !slice && lot < nar_lot_count(); lot++)
		if (lot != l->number)
			slice = take_of_lot(nar_lot_at(place, lot), pool, nr);
	return slice;
}

/* A new chunk serves its maker first: nobody else has seen it yet. */
static u32 cut_chunk(struct nar_lot *l, void *p, unsigned int nr)
{
	u32 unit = (u32)(nar_offset(p) >> HUGE_SHIFT), slice;
	struct nar_unit *u = &nar_mem.unit[unit];

	u->free_mask = ~0ull;
	u->nr_free = SLICES_PER_UNIT;
	/* What there was, which is not always what was asked for. */
	u->pool = READ_ONCE(u->backing) == BACKING_SMALL ? POOL_SMALL : POOL_HUGE;
	u->start_mask = 0;
	u->lot = l->number;
	u->is_dissolved = false;
	WRITE_ONCE(u->is_parted, false);
	WRITE_ONCE(u->used_bytes, 0);
	WRITE_ONCE(u->nr_tries, 0);
	nar_lock(&l->lock);
	nar_lot_count_free(l, (long)SLICES_PER_UNIT);
	nar_lot_add(l, unit);
	slice = nar_lot_take(l, unit, nr);
	nar_unlock(&l->lock);
	return slice;
}

static void release_extent(void *p)
{
	/* It was in no list: nobody else can have freed it. */
	if (nar_extent_free(p, EXTENT_CHUNK))
		nar_die("no chunk begins at %p: memory is corrupt", p);
}

static enum nar_backing backing_for(struct nar_place place, enum nar_pool pool)
{
	if (pool == POOL_SMALL)
		return BACKING_SMALL;
	return nar_kind_huge(place.policy) == HUGE_HUGETLB ? BACKING_HUGETLB : BACKING_HUGE;
}

/* What a full node has from its neighbours is used up before another chunk of theirs is cut. */
static u32 cut_new(struct nar_place place, enum nar_pool pool, unsigned int nr)
{
	struct nar_want want = { .nr_pages = PAGES_PER_UNIT, .align_pages = PAGES_PER_UNIT,
				 .backing = backing_for(place, pool), .state = EXTENT_CHUNK };
	unsigned int home = place.node;
	u32 slice = 0;
	struct nar_lot *l;
	bool is_zero;
	void *p;

	p = nar_extent_alloc(place, &want, &is_zero);
	if (!p)
		return 0;
	place.node = (u8)nar_node_of(p);
	if (place.node != home)
		slice = take_slices(place, pool, nr);
	/* The neighbour may have none of this policy yet. */
	l = nar_lot_own(place);
	if (!l || slice)
		return release_extent(p), slice;
	return cut_chunk(l, p, nr);
}

/* What was given back in need would be faulted in anywhere. */
static u32 prove(struct nar_place place, u32 slice, unsigned int nr)
{
	void *p = nar_at((size_t)slice << SLICE_SHIFT);
	size_t bytes = nr * SLICE_BYTES;

	if (likely(!nar_policy_is_strict(place.policy)) ||
	    !READ_ONCE(nar_mem.unit[slice / SLICES_PER_UNIT].is_parted) ||
	    !nar_extent_enforce(place, p, bytes >> PAGE_SHIFT))
		return slice;
	nar_node_event(place.node, strict_failed, 1);
	nar_pages_purge(p, bytes);
	nar_slices_free(slice, nr);
	return 0;
}

u32 nar_slices_try_alloc(struct nar_place place, enum nar_pool pool, unsigned int nr)
{
	u32 slice = take_slices(place, pool, nr);

	return slice ? prove(place, slice, nr) : 0;
}

u32 nar_slices_alloc(struct nar_place place, enum nar_pool pool, unsigned int nr)
{
	u32 slice = take_slices(place, pool, nr);

	return slice ? prove(place, slice, nr) : cut_new(place, pool, nr);
}

/* Return: whether the chunk is in no list any more and to be released. */
static bool put_row(struct nar_lot *l, u32 unit, unsigned int first, unsigned int nr)
	__must_hold(&l->lock)
{
	struct nar_unit *u = &nar_mem.unit[unit];

	nar_lot_del(l, unit);
	u->free_mask |= nar_row_mask(first, nr);
	u->start_mask &= ~(1ull << first);
	u->nr_free = (u8)(u->nr_free + nr);
	nar_lot_count_free(l, (long)nr);
	/* One empty chunk a pool waits for the next slab. */
	if (u->nr_free == SLICES_PER_UNIT && l->bin[u->pool][NAR_BIN_WHOLE]) {
		nar_lot_count_free(l, -(long)SLICES_PER_UNIT);
		return true;
	}
	nar_lot_add(l, unit);
	return false;
}

static u32 pop_empty(struct nar_lot *l, enum nar_pool pool)
{
	u32 unit;

	nar_lock(&l->lock);
	unit = l->bin[pool][NAR_BIN_WHOLE];
	if (unit) {
		nar_lot_del(l, unit);
		nar_lot_count_free(l, -(long)SLICES_PER_UNIT);
	}
	nar_unlock(&l->lock);
	return unit;
}

static bool trim(struct nar_lot *l)
{
	unsigned int pool;
	bool was_any = false;
	u32 unit;

	for (pool = 0; pool < NR_POOLS; pool++) {
		while ((unit = pop_empty(l, (enum nar_pool)pool))) {
			release_extent(nar_at((size_t)unit << HUGE_SHIFT));
			was_any = true;
		}
	}
	return was_any;
}

void nar_slices_free(u32 slice, unsigned int nr)
{
	u32 unit = slice / (u32)SLICES_PER_UNIT;
	struct nar_unit *u = &nar_mem.unit[unit];
	struct nar_lot *l = nar_lot_of(unit);
	bool is_spare = false, stands_alone, is_over;

	nar_lock(&l->lock);
	stands_alone = u->is_dissolved;
	if (!stands_alone)
		is_spare = put_row(l, unit, slice % SLICES_PER_UNIT, nr);
	WRITE_ONCE(l->nr_slices, l->nr_slices - nr);
	is_over = l->number && !l->nr_slices;
	nar_unlock(&l->lock);
	if (stands_alone)
		release_extent(nar_at((size_t)slice << SLICE_SHIFT));
	else if (is_spare)
		release_extent(nar_at((size_t)unit << HUGE_SHIFT));
	/* Only the first lot's waits when nobody has any. */
	if (is_over)
		trim(l);
}

/* Under the chunk lock, so that who frees its slabs next finds them parted. */
static void dissolve(struct nar_lot *l, u32 unit) __must_hold(&l->lock)
{
	struct nar_unit *u = &nar_mem.unit[unit];

	nar_lot_del(l, unit);
	u->is_dissolved = true;
	nar_lot_count_free(l, -(long)u->nr_free);
	nar_extent_part_chunk(unit, u->free_mask, u->start_mask);
}

/* The sparsest first.  Chunks need some slack: slabs come and go. */
static u32 find_sparse(const struct nar_lot *l, unsigned int nr)
{
	unsigned int pool, bin;
	u32 unit;

	if (l->nr_free <= l->nr_slices / DISSOLVE_PART + SLICES_PER_UNIT)
		return 0;
	for (bin = NAR_BIN_WHOLE; bin >= SPARSE_FREE; bin--) {
		for (pool = 0; pool < NR_POOLS; pool++) {
			unit = nar_lot_find_in_bin(l, pool, bin, nr);
			if (unit)
				return unit;
		}
	}
	return 0;
}

static bool dissolve_one(struct nar_lot *l, unsigned int nr)
{
	u32 unit;

	if (!l)
		return false;
	nar_lock(&l->lock);
	unit = find_sparse(l, nr);
	if (unit)
		dissolve(l, unit);
	nar_unlock(&l->lock);
	return unit != 0;
}

bool nar_chunk_dissolve(struct nar_place place, unsigned int nr)
{
	unsigned int lot;

	for (lot = 0; lot < nar_lot_count(); lot++)
		if (dissolve_one(nar_lot_at(place, lot), nr))
			return true;
	return false;
}

bool nar_chunk_trim(unsigned int node)
{
	struct nar_lot *l;
	bool was_any = false;

	nar_for_each_lot(l, node)
		was_any |= trim(l);
	return was_any;
}

void nar_chunk_note_used(u32 slice, u32 bytes)
{
	u32 unit = slice / (u32)SLICES_PER_UNIT;
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 before = add_relaxed(&u->used_bytes, bytes);

	/* The pool changes once, under the chunk lock. */
	if (READ_ONCE(u->pool) == POOL_SMALL && before < COLLAPSE_BYTES && before + bytes >= COLLAPSE_BYTES)
		note_filled(nar_lot_of(unit));
}

void nar_chunk_note_unused(u32 slice, u32 bytes)
{
	sub_relaxed(&nar_mem.unit[slice / (u32)SLICES_PER_UNIT].used_bytes, bytes);
}

/* It counts as huge from then on.  If it is not just yet, nar_unit_collapse() tries again. */
static u32 find_filled(struct nar_lot *l)
{
	unsigned int bin, looked = 0;
	u32 unit;

	for (bin = 0; bin < NAR_NR_BINS; bin++) {
		for (unit = l->bin[POOL_SMALL][bin]; unit; unit = nar_mem.unit[unit].next) {
			if (is_filled(&nar_mem.unit[unit]))
				return unit;
			if (++looked == COLLAPSE_LOOK)
				return 0;
		}
	}
	return 0;
}

static bool collapse(struct nar_lot *l)
{
	u32 unit;

	if (!READ_ONCE(l->nr_filled))
		return false;
	nar_lock(&l->lock);
	/* Acquire: pairs with note_filled().  Before the look: what fills meanwhile says so again. */
	__atomic_exchange_n(&l->nr_filled, 0, __ATOMIC_ACQUIRE);
	unit = find_filled(l);
	if (unit) {
		nar_lot_del(l, unit);
		WRITE_ONCE(nar_mem.unit[unit].pool, POOL_HUGE);
		nar_lot_add(l, unit);
		/* There may be more. */
		add_relaxed(&l->nr_filled, 1);
	}
	nar_unlock(&l->lock);
	if (unit)
		nar_unit_try_huge(unit);
	return unit != 0;
}

bool nar_chunk_collapse(unsigned int node)
{
	struct nar_lot *l;

	nar_for_each_lot(l, node)
		if (nar_kind_huge(l->policy) != HUGE_OFF && collapse(l))
			return true;
	return false;
}

/* ---- In need ---- */

/* First slices of the rows in @mask. */
static u64 starts_of(u64 mask)
{
	return mask & ~(mask << 1);
}

/* A page of a hugetlb pool has no parts: the kernel says yes and gives nothing back. */
static bool is_partible(const struct nar_unit *u)
{
	return READ_ONCE(u->backing) != BACKING_HUGETLB && !u->is_reserved;
}

static u32 find_partible(const struct nar_lot *l)
{
	unsigned int bin;
	u32 unit;

	for (bin = 1; bin < NAR_BIN_WHOLE; bin++)
		for (unit = l->bin[POOL_HUGE][bin]; unit; unit = nar_mem.unit[unit].next)
			if (is_partible(&nar_mem.unit[unit]))
				return unit;
	return 0;
}

/*
 * A chunk whose free slices are to go, all of them taken, row by row, as if for slabs.  Once
 * they are back it counts as small: refilled after all huge ones, and collapsed once full.
 */
static u32 hold_free(struct nar_lot *l, u64 *mask)
{
	u32 unit;

	nar_lock(&l->lock);
	unit = find_partible(l);
	if (unit) {
		struct nar_unit *u = &nar_mem.unit[unit];

		nar_lot_del(l, unit);
		*mask = u->free_mask;
		nar_lot_count_free(l, -(long)u->nr_free);
		u->free_mask = 0;
		u->nr_free = 0;
		u->start_mask |= starts_of(*mask);
		WRITE_ONCE(u->is_parted, true);
		nar_lot_add(l, unit);
	}
	nar_unlock(&l->lock);
	return unit;
}

/* Return: false if the chunk was dissolved meanwhile, and each row stands alone. */
static bool try_return_free(struct nar_lot *l, u32 unit, u64 mask)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	bool is_chunk;

	nar_lock(&l->lock);
	is_chunk = !u->is_dissolved;
	if (is_chunk) {
		nar_lot_del(l, unit);
		WRITE_ONCE(u->pool, POOL_SMALL);
		u->free_mask |= mask;
		u->start_mask &= ~starts_of(mask);
		u->nr_free = (u8)__builtin_popcountll(u->free_mask);
		nar_lot_count_free(l, (long)__builtin_popcountll(mask));
		nar_lot_add(l, unit);
	}
	nar_unlock(&l->lock);
	return is_chunk;
}

static void release_rows(u32 unit, u64 mask)
{
	u64 left = starts_of(mask);

	for (; left; left &= left - 1)
		release_extent(nar_at(((size_t)unit << HUGE_SHIFT) +
				      (size_t)__builtin_ctzll(left) * SLICE_BYTES));
}

/* Return: bytes of the slices in @mask that the kernel took. */
static size_t release_slices(u32 unit, u64 mask)
{
	char *base = nar_at((size_t)unit << HUGE_SHIFT);
	unsigned int first, nr;
	size_t sum = 0;

	for (first = 0; first < SLICES_PER_UNIT; first += nr) {
		u64 left = mask >> first, gap = ~left;

		nr = left & 1 ? (gap ? (unsigned int)__builtin_ctzll(gap) : 64) : 1;
		if (left & 1 && !nar_pages_purge(base + first * SLICE_BYTES, nr * SLICE_BYTES))
			sum += nr * SLICE_BYTES;
	}
	return sum;
}

static size_t release_parts(struct nar_lot *l, unsigned int node)
{
	size_t sum = 0, bytes;
	u64 mask = 0;
	u32 unit;

	/* Each chunk leaves the huge ones, so there is an end. */
	while ((unit = hold_free(l, &mask))) {
		bytes = release_slices(unit, mask);
		if (!try_return_free(l, unit, mask))
			release_rows(unit, mask);
		nar_node_event(node, huge_parted, bytes != 0);
		sum += bytes;
	}
	/* Some may have become empty while their rows were held. */
	trim(l);
	return sum;
}

size_t nar_chunk_release_parts(unsigned int node)
{
	struct nar_lot *l;
	size_t sum = 0;

	nar_for_each_lot(l, node)
		sum += release_parts(l, node);
	return sum;
}

/* ---- Sums ---- */

size_t nar_chunk_slab_bytes(unsigned int node)
{
	size_t nr_slices = 0;
	struct nar_lot *l;

	nar_for_each_lot(l, node)
		nr_slices += READ_ONCE(l->nr_slices);
	return nr_slices << SLICE_SHIFT;
}

u64 nar_chunk_nr_slabs_made(unsigned int node)
{
	struct nar_lot *l;
	u64 nr = 0;

	nar_for_each_lot(l, node)
		nr += READ_ONCE(l->nr_slabs_made);
	return nr;
}

void nar_chunk_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node;
	struct nar_lot *l;

	for (node = 0; node < nar_nodes.nr; node++)
		nar_for_each_lot(l, node)
			fn(&l->lock);
}
