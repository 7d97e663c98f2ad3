// SPDX-License-Identifier: MIT
#include "lot.h"

/* Of a place, at most. */
#define NR_LOTS 8

/* Chunks of a bin that have slices enough, but not in a row. */
#define ROW_TRIES 8

static struct nar_lot ours[NAR_MAX_NODES];	/* the first of our own policy */
static struct nar_lot *lots[NAR_MAX_NODES][NAR_MAX_POLICIES][NR_LOTS];	/* release-stored when needed */
static u32 nr_lots;				/* 0: no two have met yet; written once */
static __thread u8 own;

void nar_lot_init(void)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		ours[node].lock = (struct nar_lock)NAR_LOCK_INIT(RANK_CHUNK);
		lots[node][POLICY_OURS][0] = &ours[node];
	}
}

/* ---- Which there are ---- */

unsigned int nar_lot_count(void)
{
	return max_of(READ_ONCE(nr_lots), 1u);
}

/* As many as a node has CPUs: more threads do not run at once. */
static noinline void count_lots(void)
{
	u32 none = 0, nr = min_of(nar_node_most_cpus(), NR_LOTS);

	__atomic_compare_exchange_n(&nr_lots, &none, nr, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

struct nar_lot *nar_lot_at(struct nar_place place, unsigned int number)
{
	return load_acquire(&lots[place.node][place.policy][number]);
}

/* Published under the lock of the node's first, which fork takes before it looks for others. */
static noinline struct nar_lot *lot_make(struct nar_place place, unsigned int number)
{
	struct nar_lot *l = nar_meta_alloc(place.node, sizeof(*l));

	if (!l)
		return NULL;
	l->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_CHUNK);
	l->policy = place.policy;
	l->number = (u8)number;
	nar_lock(&ours[place.node].lock);
	if (!lots[place.node][place.policy][number]) {
		l->next = ours[place.node].next;
		store_release(&ours[place.node].next, l);
		store_release(&lots[place.node][place.policy][number], l);
	}
	nar_unlock(&ours[place.node].lock);
	return nar_lot_at(place, number);
}

/* Where there is no memory for one more the first does. */
struct nar_lot *nar_lot_own(struct nar_place place)
{
	struct nar_lot *l = nar_lot_at(place, own);

	l = likely(l) ? l : lot_make(place, own);
	return likely(l) ? l : nar_lot_at(place, 0);
}

struct nar_lot *nar_lot_lock_own(struct nar_place place) __no_lock_analysis
{
	struct nar_lot *l = nar_lot_own(place);

	if (unlikely(!l) || nar_trylock(&l->lock))
		return l;
	if (!READ_ONCE(nr_lots))
		count_lots();
	own = (u8)((own + 1u) % nar_lot_count());
	l = nar_lot_own(place);
	if (likely(l))
		nar_lock(&l->lock);
	return l;
}

struct nar_lot *nar_lot_of(u32 unit)
{
	unsigned int node = (unsigned int)(((size_t)unit << HUGE_SHIFT) >> nar_mem.window_shift);
	const struct nar_unit *u = &nar_mem.unit[unit];

	return nar_lot_at((struct nar_place){ (u8)node, u->policy }, u->lot);
}

struct nar_lot *nar_lot_first(unsigned int node)
{
	return &ours[node];
}

/* ---- Bins ---- */

static u64 bin_bit(unsigned int bin)
{
	return bin ? 1ull << (bin - 1) : 0;
}

/* The first bin from @bin (at least 1) on that has chunks. */
static unsigned int next_bin(const struct nar_lot *l, enum nar_pool pool, unsigned int bin)
{
	u64 left = bin < NAR_NR_BINS ? l->has[pool] >> (bin - 1) : 0;

	return left ? bin + (unsigned int)__builtin_ctzll(left) : NAR_NR_BINS;
}

void nar_lot_add(struct nar_lot *l, u32 unit)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 *head = &l->bin[u->pool][u->nr_free];

	u->bin = u->nr_free;
	u->prev = 0;
	u->next = *head;
	if (u->next)
		nar_mem.unit[u->next].prev = unit;
	*head = unit;
	l->has[u->pool] |= bin_bit(u->bin);
}

void nar_lot_del(struct nar_lot *l, u32 unit)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	u32 *head = &l->bin[u->pool][u->bin];

	if (u->next)
		nar_mem.unit[u->next].prev = u->prev;
	if (u->prev)
		nar_mem.unit[u->prev].next = u->next;
	else
		*head = u->next;
	if (!*head)
		l->has[u->pool] &= ~bin_bit(u->bin);
}

/* ---- Rows ---- */

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

u32 nar_lot_find_in_bin(const struct nar_lot *l, unsigned int pool, unsigned int bin, unsigned int nr)
{
	u32 unit = l->bin[pool][bin];
	int tries;

	for (tries = 0; unit && tries < ROW_TRIES; tries++) {
		if (rows(nar_mem.unit[unit].free_mask, nr))
			return unit;
		unit = nar_mem.unit[unit].next;
	}
	return 0;
}

/* A bin's number is how many slices are free: bins below @nr cannot serve. */
u32 nar_lot_find(const struct nar_lot *l, enum nar_pool pool, unsigned int nr)
{
	unsigned int bin;
	u32 unit;

	for (bin = next_bin(l, pool, nr); bin < NAR_NR_BINS; bin = next_bin(l, pool, bin + 1)) {
		unit = nar_lot_find_in_bin(l, pool, bin, nr);
		if (unit)
			return unit;
	}
	return 0;
}

u32 nar_lot_take(struct nar_lot *l, u32 unit, unsigned int nr)
{
	struct nar_unit *u = &nar_mem.unit[unit];
	unsigned int first = (unsigned int)__builtin_ctzll(rows(u->free_mask, nr));

	nar_lot_del(l, unit);
	u->free_mask &= ~nar_row_mask(first, nr);
	u->start_mask |= 1ull << first;
	nar_lot_count_free(l, -(long)nr);
	u->nr_free = (u8)(u->nr_free - nr);
	nar_lot_add(l, unit);
	WRITE_ONCE(l->nr_slices, l->nr_slices + nr);
	WRITE_ONCE(l->nr_slabs_made, l->nr_slabs_made + 1);
	return unit * (u32)SLICES_PER_UNIT + first;
}
