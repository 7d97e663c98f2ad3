// SPDX-License-Identifier: MIT
/*
 * Chunks of a place, by how many slices they have left: the fullest that can serve is
 * taken, so that sparse ones drain and whole 2 MiB go back.
 *
 * Threads that are in each other's way part: chunks are in lots, each with a lock, and who
 * finds its lot busy takes from the next from then on (as ptmalloc does with its arenas:
 * Gloger, 1996).  What one lot lacks is taken from another before there is one more chunk.
 *
 * Where small objects have given way to large ones, sparse chunks would wait for their
 * last slab for ever, and what is free in them would be lost to large blocks.  So when
 * a large block finds nothing else, a sparse chunk is dissolved: its free slices go
 * back to the extents now, those in use when their slab goes.
 */
#include "chunk.h"
#include "extent.h"
#include "unit.h"

/* Full, then one bin for each number of free slices; the last is empty chunks. */
#define NR_BINS (SLICES_PER_UNIT + 1)
#define BIN_WHOLE SLICES_PER_UNIT

/* Collapsing pays for what is not touched yet: at three quarters it is worth it. */
#define COLLAPSE_BYTES (HUGE_BYTES / 4 * 3)

/* Chunks of a bin that have slices enough, but not in a row. */
#define ROW_TRIES 8

/* A chunk is sparse with a quarter of its slices free ... */
#define SPARSE_FREE (SLICES_PER_UNIT / 4)

/* ... and may be dissolved if more is free in all chunks than this part of what is used. */
#define DISSOLVE_PART 8

/* Filled chunks are looked for in this many at a time. */
#define COLLAPSE_LOOK 64

/* Lots of a place at most; a power of two. */
#define NR_LOTS 8

struct chunks {
	struct nar_lock lock;
	u8 policy;			/* constant */
	u8 lot;				/* constant */
	u32 bin[NR_POOLS][NR_BINS];	/* units */
	u64 has[NR_POOLS];		/* bit n - 1: bin n is not empty; of full chunks nobody asks */
	size_t nr_slices;		/* in slabs; relaxed reads */
	size_t nr_free;			/* slices of chunks that are in no slab; relaxed reads */
	u64 nr_slabs_made;		/* relaxed reads */
	u32 nr_filled;			/* relaxed: small chunks that have filled */
} __shared_line;

static struct chunks ours[NAR_MAX_NODES];	/* the first lot of ours */
static struct chunks *chunks[NAR_MAX_NODES][NAR_MAX_POLICIES][NR_LOTS];	/* release-stored when needed */
static u32 nr_lots;				/* 0: two have not met yet; written once */
static __thread u8 own_lot;

void nar_chunk_init(void)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		ours[node].lock = (struct nar_lock)NAR_LOCK_INIT(RANK_CHUNK);
		chunks[node][POLICY_OURS][0] = &ours[node];
	}
}

static unsigned int lots(void)
{
	return max_of(READ_ONCE(nr_lots), 1u);
}

/* As many as CPUs: more threads do not run at once. */
static noinline void count_lots(unsigned int node)
{
	u32 none = 0, nr = min_of(nar_node_nr_cpus(node), NR_LOTS);

	__atomic_compare_exchange_n(&nr_lots, &none, nr, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static struct chunks *chunks_at(struct nar_place place, unsigned int lot)
{
	return load_acquire(&chunks[place.node][place.policy][lot]);
}

/*
 * A lot's first on a node.  Published under the lock of ours, which fork takes before
 * it looks for others.  NULL if there is no memory.
 */
static noinline struct chunks *chunks_make(struct nar_place place, unsigned int lot)
{
	struct chunks *c = nar_meta_alloc(place.node, sizeof(*c));

	if (!c)
		return NULL;
	c->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_CHUNK);
	c->policy = place.policy;
	c->lot = (u8)lot;
	nar_lock(&ours[place.node].lock);
	if (!chunks[place.node][place.policy][lot])
		store_release(&chunks[place.node][place.policy][lot], c);
	nar_unlock(&ours[place.node].lock);
	return chunks_at(place, lot);
}

static struct chunks *chunks_ready(struct nar_place place, unsigned int lot)
{
	struct chunks *c = chunks_at(place, lot);

	return likely(c) ? c : chunks_make(place, lot);
}

/* The calling thread's lot, locked; another from now on if that is busy.  NULL: no memory. */
static struct chunks *lock_own(struct nar_place place)
{
	struct chunks *c = chunks_ready(place, own_lot);

	if (unlikely(!c) || nar_trylock(&c->lock))
		return c;
	if (!READ_ONCE(nr_lots))
		count_lots(place.node);
	own_lot = (u8)((own_lot + 1u) % lots());
	c = chunks_ready(place, own_lot);
	if (likely(c))
		nar_lock(&c->lock);
	return c;
}

static unsigned int node_of_unit(u32 unit)
{
	return (unsigned int)(((size_t)unit << HUGE_SHIFT) >> nar_mem.window_shift);
}

static struct chunks *chunks_of(u32 unit)
{
	const struct nar_unit *u = &nar_mem.unit[unit];

	return chunks_at((struct nar_place){ (u8)node_of_unit(unit), u->policy }, u->lot);
}

static void count_free(struct chunks *c, long nr)
{
	WRITE_ONCE(c->nr_free, c->nr_free + (size_t)nr);
}

static u64 bin_bit(unsigned int bin)
{
	return bin ? 1ull << (bin - 1) : 0;
}

/* The first bin from @bin (at least 1) on that has chunks. */
static unsigned int next_bin(const struct chunks *c, enum nar_pool pool, unsigned int bin)
{
	u64 left = bin < NR_BINS ? c->has[pool] >> (bin - 1) : 0;

	return left ? bin + (unsigned int)__builtin_ctzll(left) : NR_BINS;
}

static void bin_add(struct chunks *c, u32 unit)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 *head = &c->bin[u->pool][u->nr_free];

	u->bin = u->nr_free;
	u->prev = 0;
	u->next = *head;
	if (u->next)
		nar_mem.unit[u->next].prev = unit;
	*head = unit;
	c->has[u->pool] |= bin_bit(u->bin);
}

static void bin_del(struct chunks *c, u32 unit)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 *head = &c->bin[u->pool][u->bin];

	if (u->next)
		nar_mem.unit[u->next].prev = u->prev;
	if (u->prev)
		nar_mem.unit[u->prev].next = u->next;
	else
		*head = u->next;
	if (!*head)
		c->has[u->pool] &= ~bin_bit(u->bin);
}

/* Where @nr free slices in a row begin: bit i survives if i + 1 to i + nr - 1 are set too. */
static u64 rows(u64 mask, unsigned int nr)
{
	unsigned int have = 1, more;

	for (; have < nr; have += more) {
		more = min_of(have, nr - have);
		mask &= mask >> more;
	}
	return mask;
}

static u32 find_row_in_bin(const struct chunks *c, unsigned int pool, unsigned int bin,
			   unsigned int nr)
{
	u32 unit = c->bin[pool][bin];
	int tries;

	for (tries = 0; unit && tries < ROW_TRIES; tries++) {
		if (rows(nar_mem.unit[unit].free_mask, nr))
			return unit;
		unit = nar_mem.unit[unit].next;
	}
	return 0;
}

/* A bin's number is how many slices are free: bins below @nr cannot serve. */
static u32 find_row(const struct chunks *c, enum nar_pool pool, unsigned int nr)
{
	unsigned int bin;
	u32 unit;

	for (bin = next_bin(c, pool, nr); bin < NR_BINS; bin = next_bin(c, pool, bin + 1)) {
		unit = find_row_in_bin(c, pool, bin, nr);
		if (unit)
			return unit;
	}
	return 0;
}

static u64 row_mask(unsigned int first, unsigned int nr)
{
	NAR_ASSERT(nr && nr < SLICES_PER_UNIT);
	return ((1ull << nr) - 1) << first;
}

static u32 take_row(struct chunks *c, u32 unit, unsigned int nr)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	unsigned int first = (unsigned int)__builtin_ctzll(rows(u->free_mask, nr));

	bin_del(c, unit);
	u->free_mask &= ~row_mask(first, nr);
	u->start_mask |= 1ull << first;
	count_free(c, -(long)nr);
	u->nr_free = (u8)(u->nr_free - nr);
	bin_add(c, unit);
	WRITE_ONCE(c->nr_slices, c->nr_slices + nr);
	WRITE_ONCE(c->nr_slabs_made, c->nr_slabs_made + 1);
	return unit * (u32)SLICES_PER_UNIT + first;
}

/* Of either kind of page. */
static u32 take_locked(struct chunks *c, enum nar_pool pool, unsigned int nr) __must_hold(&c->lock)
{
	u32 unit = find_row(c, pool, nr);

	if (!unit)
		unit = find_row(c, pool == POOL_SMALL ? POOL_HUGE : POOL_SMALL, nr);
	return unit ? take_row(c, unit, nr) : 0;
}

static u32 take_of_lot(struct chunks *c, enum nar_pool pool, unsigned int nr)
{
	u32 slice;

	if (!c || READ_ONCE(c->nr_free) < nr)
		return 0;
	nar_lock(&c->lock);
	slice = take_locked(c, pool, nr);
	nar_unlock(&c->lock);
	return slice;
}

/* Slices that are there already come before another chunk. */
static u32 take_slices(struct nar_place place, enum nar_pool pool, unsigned int nr)
{
	struct chunks *c = lock_own(place);
	unsigned int lot;
	u32 slice;

	if (unlikely(!c))
		return 0;
	slice = take_locked(c, pool, nr);
	nar_unlock(&c->lock);
	for (lot = 0; !slice && lot < lots(); lot++)
		if (lot != c->lot)
			slice = take_of_lot(chunks_at(place, lot), pool, nr);
	return slice;
}

/* A new chunk serves its maker first: nobody else has seen it yet. */
static u32 cut_chunk(struct chunks *c, void *p, unsigned int nr)
{
	u32 unit = (u32)(nar_offset(p) >> HUGE_SHIFT), slice;
	struct nar_unit *u = &nar_mem.unit[unit];

	u->free_mask = ~0ull;
	u->nr_free = SLICES_PER_UNIT;
	/* What there was, which is not always what was asked for. */
	u->pool = READ_ONCE(u->backing) == BACKING_SMALL ? POOL_SMALL : POOL_HUGE;
	u->start_mask = 0;
	u->lot = c->lot;
	u->is_dissolved = false;
	WRITE_ONCE(u->is_parted, false);
	WRITE_ONCE(u->used_bytes, 0);
	WRITE_ONCE(u->nr_tries, 0);
	nar_lock(&c->lock);
	count_free(c, (long)SLICES_PER_UNIT);
	bin_add(c, unit);
	slice = take_row(c, unit, nr);
	nar_unlock(&c->lock);
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
	struct chunks *c;
	bool is_zero;
	void *p;

	p = nar_extent_alloc(place, &want, &is_zero);
	if (!p)
		return 0;
	place.node = (u8)nar_node_of(p);
	if (place.node != home)
		slice = take_slices(place, pool, nr);
	/* The neighbour may have none of this policy yet. */
	c = chunks_ready(place, own_lot);
	if (!c || slice)
		return release_extent(p), slice;
	return cut_chunk(c, p, nr);
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
static bool put_row(struct chunks *c, u32 unit, unsigned int first, unsigned int nr)
	__must_hold(&c->lock)
{
	struct nar_unit *u = &nar_mem.unit[unit];

	bin_del(c, unit);
	u->free_mask |= row_mask(first, nr);
	u->start_mask &= ~(1ull << first);
	u->nr_free = (u8)(u->nr_free + nr);
	count_free(c, (long)nr);
	/* One empty chunk a pool waits for the next slab. */
	if (u->nr_free == SLICES_PER_UNIT && c->bin[u->pool][BIN_WHOLE]) {
		count_free(c, -(long)SLICES_PER_UNIT);
		return true;
	}
	bin_add(c, unit);
	return false;
}

static u32 pop_empty(struct chunks *c, enum nar_pool pool)
{
	u32 unit;

	nar_lock(&c->lock);
	unit = c->bin[pool][BIN_WHOLE];
	if (unit) {
		bin_del(c, unit);
		count_free(c, -(long)SLICES_PER_UNIT);
	}
	nar_unlock(&c->lock);
	return unit;
}

static void trim(struct chunks *c)
{
	unsigned int pool;
	u32 unit;

	for (pool = 0; pool < NR_POOLS; pool++)
		while ((unit = pop_empty(c, (enum nar_pool)pool)))
			release_extent(nar_at((size_t)unit << HUGE_SHIFT));
}

void nar_slices_free(u32 slice, unsigned int nr)
{
	u32 unit = slice / (u32)SLICES_PER_UNIT;
	struct nar_unit *u = &nar_mem.unit[unit];
	struct chunks *c = chunks_of(unit);
	bool is_spare = false, stands_alone, is_over;

	nar_lock(&c->lock);
	stands_alone = u->is_dissolved;
	if (!stands_alone)
		is_spare = put_row(c, unit, slice % SLICES_PER_UNIT, nr);
	WRITE_ONCE(c->nr_slices, c->nr_slices - nr);
	is_over = c->lot && !c->nr_slices;
	nar_unlock(&c->lock);
	if (stands_alone)
		release_extent(nar_at((size_t)slice << SLICE_SHIFT));
	else if (is_spare)
		release_extent(nar_at((size_t)unit << HUGE_SHIFT));
	/* Only the first lot's waits when nobody has any. */
	if (is_over)
		trim(c);
}

/* Under the chunk lock, so that who frees its slabs next finds them parted. */
static void dissolve(struct chunks *c, u32 unit) __must_hold(&c->lock)
{
	struct nar_unit *u = &nar_mem.unit[unit];

	bin_del(c, unit);
	u->is_dissolved = true;
	count_free(c, -(long)u->nr_free);
	nar_extent_part_chunk(unit, u->free_mask, u->start_mask);
}

/* The sparsest first.  Chunks need some slack: slabs come and go. */
static u32 find_sparse(const struct chunks *c, unsigned int nr)
{
	unsigned int pool, bin;
	u32 unit;

	if (c->nr_free <= c->nr_slices / DISSOLVE_PART + SLICES_PER_UNIT)
		return 0;
	for (bin = BIN_WHOLE; bin >= SPARSE_FREE; bin--) {
		for (pool = 0; pool < NR_POOLS; pool++) {
			unit = find_row_in_bin(c, pool, bin, nr);
			if (unit)
				return unit;
		}
	}
	return 0;
}

static bool dissolve_one(struct chunks *c, unsigned int nr)
{
	u32 unit;

	if (!c)
		return false;
	nar_lock(&c->lock);
	unit = find_sparse(c, nr);
	if (unit)
		dissolve(c, unit);
	nar_unlock(&c->lock);
	return unit != 0;
}

bool nar_chunk_dissolve(struct nar_place place, unsigned int nr)
{
	unsigned int lot;

	for (lot = 0; lot < lots(); lot++)
		if (dissolve_one(chunks_at(place, lot), nr))
			return true;
	return false;
}

/* The @nth there is of a node's; NULL past the last. */
static struct chunks *nth_of(unsigned int node, unsigned int nth)
{
	unsigned int i, nr = lots();

	for (i = 0; i < NAR_MAX_POLICIES * nr; i++) {
		struct chunks *c = chunks_at((struct nar_place){ (u8)node, (u8)(i / nr) }, i % nr);

		if (c && !nth--)
			return c;
	}
	return NULL;
}

#define for_each_of_node(c, node, nth) \
	for ((nth) = 0; ((c) = nth_of((node), (nth))); (nth)++)

void nar_chunk_trim(unsigned int node)
{
	struct chunks *c;
	unsigned int nth;

	for_each_of_node(c, node, nth)
		trim(c);
}

void nar_chunk_note_used(u32 slice, u32 bytes)
{
	u32 unit = slice / (u32)SLICES_PER_UNIT;
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 before = add_relaxed(&u->used_bytes, bytes);

	/* The pool changes once, under the chunk lock. */
	if (READ_ONCE(u->pool) == POOL_SMALL && before < COLLAPSE_BYTES && before + bytes >= COLLAPSE_BYTES)
		add_relaxed(&chunks_of(unit)->nr_filled, 1);
}

void nar_chunk_note_unused(u32 slice, u32 bytes)
{
	sub_relaxed(&nar_mem.unit[slice / (u32)SLICES_PER_UNIT].used_bytes, bytes);
}

/* It counts as huge from then on.  If it is not just yet, nar_unit_collapse() tries again. */
static u32 find_filled(struct chunks *c)
{
	unsigned int bin, looked = 0;
	u32 unit;

	for (bin = 0; bin < NR_BINS; bin++) {
		for (unit = c->bin[POOL_SMALL][bin]; unit; unit = nar_mem.unit[unit].next) {
			if (READ_ONCE(nar_mem.unit[unit].used_bytes) >= COLLAPSE_BYTES)
				return unit;
			if (++looked == COLLAPSE_LOOK)
				return 0;
		}
	}
	return 0;
}

static bool collapse(struct chunks *c)
{
	u32 unit;

	if (!READ_ONCE(c->nr_filled))
		return false;
	nar_lock(&c->lock);
	unit = find_filled(c);
	if (unit) {
		bin_del(c, unit);
		WRITE_ONCE(nar_mem.unit[unit].pool, POOL_HUGE);
		bin_add(c, unit);
		sub_relaxed(&c->nr_filled, 1);
	} else {
		WRITE_ONCE(c->nr_filled, 0);
	}
	nar_unlock(&c->lock);
	if (unit)
		nar_unit_try_huge(unit);
	return unit != 0;
}

bool nar_chunk_collapse(unsigned int node)
{
	struct chunks *c;
	unsigned int nth;

	for_each_of_node(c, node, nth)
		if (nar_kind_huge(c->policy) != HUGE_OFF && collapse(c))
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

static u32 find_partible(const struct chunks *c)
{
	unsigned int bin;
	u32 unit;

	for (bin = 1; bin < BIN_WHOLE; bin++)
		for (unit = c->bin[POOL_HUGE][bin]; unit; unit = nar_mem.unit[unit].next)
			if (is_partible(&nar_mem.unit[unit]))
				return unit;
	return 0;
}

/*
 * A chunk whose free slices are to go, all of them taken, row by row, as if for slabs.  It
 * counts as small from then on: refilled after all huge ones, and collapsed once full.
 */
static u32 hold_free(struct chunks *c, u64 *mask)
{
	u32 unit;

	nar_lock(&c->lock);
	unit = find_partible(c);
	if (unit) {
		struct nar_unit *u = &nar_mem.unit[unit];

		bin_del(c, unit);
		*mask = u->free_mask;
		count_free(c, -(long)u->nr_free);
		u->free_mask = 0;
		u->nr_free = 0;
		u->start_mask |= starts_of(*mask);
		WRITE_ONCE(u->pool, POOL_SMALL);
		WRITE_ONCE(u->is_parted, true);
		bin_add(c, unit);
	}
	nar_unlock(&c->lock);
	return unit;
}

/* Return: false if the chunk was dissolved meanwhile, and each row stands alone. */
static bool try_return_free(struct chunks *c, u32 unit, u64 mask)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	bool is_chunk;

	nar_lock(&c->lock);
	is_chunk = !u->is_dissolved;
	if (is_chunk) {
		bin_del(c, unit);
		u->free_mask |= mask;
		u->start_mask &= ~starts_of(mask);
		u->nr_free = (u8)__builtin_popcountll(u->free_mask);
		count_free(c, (long)__builtin_popcountll(mask));
		bin_add(c, unit);
	}
	nar_unlock(&c->lock);
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

static size_t release_parts(struct chunks *c, unsigned int node)
{
	size_t sum = 0, bytes;
	u64 mask = 0;
	u32 unit;

	/* Each chunk leaves the huge ones, so there is an end. */
	while ((unit = hold_free(c, &mask))) {
		bytes = release_slices(unit, mask);
		if (!try_return_free(c, unit, mask))
			release_rows(unit, mask);
		nar_node_event(node, huge_parted, bytes != 0);
		sum += bytes;
	}
	return sum;
}

size_t nar_chunk_release_parts(unsigned int node)
{
	struct chunks *c;
	unsigned int nth;
	size_t sum = 0;

	for_each_of_node(c, node, nth)
		sum += release_parts(c, node);
	return sum;
}

/* ---- Sums ---- */

size_t nar_chunk_slab_bytes(unsigned int node)
{
	size_t nr_slices = 0;
	struct chunks *c;
	unsigned int nth;

	for_each_of_node(c, node, nth)
		nr_slices += READ_ONCE(c->nr_slices);
	return nr_slices << SLICE_SHIFT;
}

u64 nar_chunk_nr_slabs_made(unsigned int node)
{
	struct chunks *c;
	unsigned int nth;
	u64 nr = 0;

	for_each_of_node(c, node, nth)
		nr += READ_ONCE(c->nr_slabs_made);
	return nr;
}

void nar_chunk_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node, nth;
	struct chunks *c;

	for (node = 0; node < nar_nodes.nr; node++)
		for_each_of_node(c, node, nth)
			fn(&c->lock);
}
