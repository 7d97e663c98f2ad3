// SPDX-License-Identifier: MIT
/*
 * Everything an arena does with slabs, under its lock and a batch at a time.
 *
 * Locked steps: refill, flush, drain, adopt, shelve.  What needs a system call or a
 * second lock of the same rank is done after the unlock: creating and destroying
 * slabs, and freeing objects that turn out to be another arena's by now.
 */
#include <string.h>

#include "internal/probe.h"
#include "internal/stat.h"

#include "arena.h"
#include "lobby.h"
#include "pane.h"

/* Refills on another node, and time, before a thread's memory follows it there. */
#define AWAY_REFILLS 2
#define AWAY_MS 10

/* Objects that a refill takes at most: the few microseconds that others wait. */
#define REFILL_MAX 128u
#define FIRST_REFILL 8u
#define REFILL_FEW 32u

/* All that fits is little beside so many times as much in use. */
#define REFILL_PART 8u

/* What magazines may hold beyond their first room: a part of the arena, and so much in any case. */
#define MAG_PART 8
#define MAG_MIN_BYTES KIB(128)

/*
 * With fewer slabs an arena is young: huge pages would cost more than it uses.  Below a
 * small program's memory each is.
 */
#define YOUNG_BYTES MIB(1)

static u32 nr_live;				/* relaxed */

static void *none_slots[NAR_MAG_GUARDS + 1];

/* All its magazines are one, empty and without room. */
struct nar_arena nar_arena_none = {
	.tag = OWNER_NOBODY << ENTRY_CLASS_BITS,
	.member = { .id = OWNER_NOBODY },
	.mag.top[0 ... NAR_MAX_CLASSES - 1] = &none_slots[NAR_MAG_GUARDS],
	.mag.end[0 ... NAR_MAX_CLASSES - 1] = &none_slots[NAR_MAG_GUARDS],
};

__thread struct nar_arena *nar_arena_own;
__thread struct nar_arena *nar_arena_aside;
__thread u8 nar_bound_to;

/* ---- Begin ---- */

u32 nar_arena_nr_live(void)
{
	return READ_ONCE(nr_live);
}

/* What they held, if anything, is nobody's. */
static void close_outboxes(struct nar_arena *a)
{
	unsigned int i;

	for (i = 0; i < NR_ALL_OUTBOXES; i++)
		WRITE_ONCE(a->outbox[i], &nar_message_none);
	a->spare = NULL;
	a->nr_posts = 0;
}

/* Whatever state it is in: a fork may have cut short what its thread did. */
static void begin_anew(struct nar_arena *a)
{
	nar_mags_init(&a->mag, a->slot);
	close_outboxes(a);
	nar_class_first_view(&a->view);
	nar_mags_open(&a->mag, a->view.nr_classes);
}

static struct nar_arena *arena_create(unsigned int node, bool is_of_heaps)
{
	struct nar_arena *a = nar_meta_alloc(node, sizeof(*a) + nar_mags_nr_slots() * sizeof(a->slot[0]));

	if (!a)
		return NULL;
	a->base = nar_mem.base;
	a->span_bytes = nar_mem.span_bytes;
	a->map = nar_mem.map;
	a->member.node = (u16)node;
	a->member.is_of_heaps = is_of_heaps;
	a->handle = is_of_heaps ? HANDLE_DEAD : HANDLE_NONE;
	a->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_ARENA);
	a->is_gone = true;
	begin_anew(a);
	return a;
}

void nar_arena_update_classes(struct nar_arena *a)
{
	if (likely(a->view.version == nar_class_version()))
		return;
	nar_class_update_view(&a->view);
	nar_mags_open(&a->mag, a->view.nr_classes);
}

/* Return: false if the heap was destroyed: then its end has not seen the arena. */
static bool try_enter(struct nar_arena *a, struct nar_heap *heap, u64 handle)
{
	bool is_alive;

	nar_lock(&heap->lock);
	is_alive = load_acquire(&heap->handle) == handle;
	if (is_alive) {
		a->prev_in_heap = NULL;
		a->next_in_heap = heap->arenas;
		if (heap->arenas)
			heap->arenas->prev_in_heap = a;
		heap->arenas = a;
		/* Release: who reads it sees what the last heap's end has done to the map. */
		store_release(&a->handle, handle);
	}
	nar_unlock(&heap->lock);
	return is_alive;
}

/* It has no slabs, or they have been buried: then the heap knows it no longer. */
static void leave(struct nar_arena *a)
{
	struct nar_heap *heap = a->heap;

	if (!a->member.is_of_heaps)
		return;
	WRITE_ONCE(a->keeper, NULL);
	nar_lock(&heap->lock);
	if (READ_ONCE(a->handle) != HANDLE_DEAD) {
		if (a->next_in_heap)
			a->next_in_heap->prev_in_heap = a->prev_in_heap;
		if (a->prev_in_heap)
			a->prev_in_heap->next_in_heap = a->next_in_heap;
		else
			heap->arenas = a->next_in_heap;
		store_release(&a->handle, HANDLE_DEAD);
	}
	nar_unlock(&heap->lock);
}

/* From here on its queue is its thread's to drain. */
static struct nar_arena *arena_open(struct nar_arena *a)
{
	a->away_refills = 0;
	nar_arena_update_classes(a);
	__atomic_store_n(&a->is_gone, false, __ATOMIC_SEQ_CST);
	add_relaxed(&nr_live, 1);
	return a;
}

/* One that has nothing. */
static struct nar_arena *arena_begin(struct nar_heap *heap, u64 handle, unsigned int node)
{
	bool is_of_heaps = handle != HANDLE_NONE;
	struct nar_member *m = nar_registry_take(node, is_of_heaps);
	struct nar_arena *a = m ? nar_arena_of_member(m) : arena_create(node, is_of_heaps);

	if (!a)
		return NULL;
	/*
	 * Before it can be found: a fork may make an orphan of it at any step, which leaves its heap.
	 * Release: pairs with the acquire of who looks from outside, for the heap's number.
	 */
	store_release(&a->heap, heap);
	if (!nar_registry_try_name(&a->member) || (is_of_heaps && !try_enter(a, heap, handle)))
		return nar_registry_put(&a->member), NULL;
	WRITE_ONCE(a->keeper, is_of_heaps ? nar_keeper_self() : NULL);
	a->tag = nar_entry(a->member.id, 0);
	nar_mags_restart(&a->mag);
	memset(a->nr_wanted, 0, sizeof(a->nr_wanted));
	return arena_open(a);
}

struct nar_arena *nar_arena_begin(struct nar_heap *heap, u64 handle, unsigned int node)
{
	struct nar_arena *a = handle == HANDLE_NONE ? nar_lobby_call(heap, node) : NULL;

	return a ? arena_open(a) : arena_begin(heap, handle, node);
}

bool nar_arena_is_left(struct nar_arena *a, unsigned int node)
{
	if (likely(node == a->member.node)) {
		a->away_refills = 0;
		return false;
	}
	if (!a->away_refills++)
		a->away_since_ms = nar_clock_ms();
	return a->away_refills > AWAY_REFILLS && nar_clock_ms() - a->away_since_ms >= AWAY_MS;
}

/* ---- Refill and flush ---- */

static unsigned int take_some(struct nar_arena *a, unsigned int class, void **to, unsigned int nr)
	__must_hold(&a->lock)
{
	struct nar_bins *bins = &a->bins[class];
	unsigned int n = 0;
	u32 slab;

	while (n < nr && (slab = nar_slab_densest(bins))) {
		nar_stock_unkeep(a, slab);
		n += nar_slab_take(bins, slab, to + n, nr - n);
	}
	return n;
}

static bool adopt(struct nar_arena *a, unsigned int class) __must_hold(&a->lock)
{
	u32 slab = nar_shard_adopt(nar_heap_shard(a->heap, a->member.node, class), a->member.id);

	if (slab)
		nar_stock_link(a, class, slab);
	return slab != 0;
}

static bool is_dead(const struct nar_arena *a)
{
	return unlikely(READ_ONCE(a->handle) == HANDLE_DEAD);
}

static bool is_young(const struct nar_arena *a)
{
	return READ_ONCE(a->slab_bytes) < YOUNG_BYTES || nar_window_committed_all() <= NAR_SMALL_PROGRAM_BYTES;
}

/* Of what there is much of a slab is larger, if that takes no more memory from elsewhere. */
static u32 make_slab(struct nar_arena *a, unsigned int class, unsigned int node)
{
	enum nar_pool pool = nar_pool_for(a->heap->policy, is_young(a));
	struct nar_slab_shape grown = nar_class_grown_shape(class, READ_ONCE(a->bins[class].nr_slices));
	const struct nar_slab_shape *plain = &nar_class[class].shape;
	struct nar_place place = nar_heap_place(a->heap, node);
	u32 slab = 0;

	if (grown.nr_slices > plain->nr_slices)
		slab = nar_slab_try_create(place, pool, &grown, a->member.id, a->heap->id);
	return slab ? slab : nar_slab_create(place, pool, plain, a->member.id, a->heap->id);
}

/*
 * Of a magazine half, of one that has grown a quarter, but all of one that holds few or of
 * whose objects there is much in use; at first only some, then twice as many each time, until
 * what is freed has to go back, too: a thread that wants few gives back the rest at its end.
 */
static unsigned int refill_batch(const struct nar_arena *a, unsigned int class)
{
	unsigned int cap = nar_mag_cap(&a->mag, class);
	unsigned int most = max_of((unsigned int)nar_class[class].batch, min_of(cap / 4, REFILL_MAX));
	unsigned int last = a->mag.refilled[class];

	most = max_of(most, min_of(cap, REFILL_FEW));
	if (a->bins[class].nr_out >= (u64)REFILL_PART * cap)
		most = max_of(most, min_of(cap, REFILL_MAX));
	return min_of(most, last ? last * 2 : FIRST_REFILL);
}

/* From the arena's own slabs, else from one left on the shelf. */
static unsigned int refill_locked(struct nar_arena *a, unsigned int class) __must_hold(&a->lock)
{
	unsigned int batch = refill_batch(a, class), n;
	void **to = a->mag.top[class];

	if (is_dead(a))
		return 0;
	n = take_some(a, class, to, batch);
	if (!n && adopt(a, class))
		n = take_some(a, class, to, batch);
	if (n)
		a->mag.refilled[class] = (u8)batch;
	a->mag.top[class] += n;
	return n;
}

/* What all magazines together may hold beyond what they do at first. */
static size_t mag_budget(const struct nar_arena *a)
{
	return max_of(READ_ONCE(a->slab_bytes) / MAG_PART, MAG_MIN_BYTES);
}

static bool try_grow_magazine(struct nar_arena *a, unsigned int class)
{
	return nar_mags_try_grow(&a->mag, class, a->member.node, mag_budget(a));
}

/* @n objects more are in the magazine, since @begun. */
static void note_refill(struct nar_arena *a, unsigned int class, unsigned int n, u64 begun)
{
	count_own(a->count.nr_refills, 1);
	nar_lap_end(LAP_REFILL, begun);
	nar_probe(refill, class, n, a->member.node, n * nar_class[class].shape.size);
}

bool nar_arena_refill(struct nar_arena *a, unsigned int class)
{
	u64 begun = nar_lap_begin();
	struct nar_message *done;
	unsigned int n;

	/* All that fits was used up, and nothing came back. */
	if (a->mag.refilled[class] >= nar_mag_cap(&a->mag, class))
		try_grow_magazine(a, class);
	nar_lock(&a->lock);
	done = nar_post_drain(a, NAR_DRAIN_MAX, class);
	n = nar_mag_nr(&a->mag, class);
	if (!n)
		n = refill_locked(a, class);
	nar_stock_unlock(a);
	nar_post_finish(done);
	a->mag.ran_dry[class] = true;
	if (n)
		note_refill(a, class, n, begun);
	return n;
}

bool nar_arena_grow(struct nar_arena *a, unsigned int class, unsigned int node)
{
	u32 slab = make_slab(a, class, node);
	unsigned int n = 0;
	bool was_alive;
	u64 begun;

	if (!slab)
		return false;
	begun = nar_lap_begin();
	nar_lock(&a->lock);
	was_alive = !is_dead(a);
	if (was_alive) {
		NAR_ASSERT(!nar_mag_nr(&a->mag, class));
		nar_stock_link(a, class, slab);
		n = refill_locked(a, class);
	}
	nar_stock_unlock(a);
	/* The program destroys a heap while it allocates in it. */
	if (!was_alive)
		nar_slab_destroy(slab);
	if (n)
		note_refill(a, class, n, begun);
	return was_alive;
}

/* Put the @nr oldest objects of a magazine back into slabs. */
static void flush(struct nar_arena *a, unsigned int class, unsigned int nr)
{
	unsigned int left = nar_mag_nr(&a->mag, class) - nr;
	void **oldest = a->mag.start[class];
	u64 begun = nar_lap_begin();

	nar_lock(&a->lock);
	/* What was of a heap that has been destroyed is nobody's. */
	if (!is_dead(a))
		nar_stock_give_all(a, oldest, nr);
	nar_stock_unlock(a);
	nar_probe(flush, class, nr, a->member.node, nr * nar_class[class].shape.size);
	memmove(oldest, oldest + nr, left * sizeof(*oldest));
	a->mag.top[class] = oldest + left;
	nar_lap_end(LAP_FLUSH, begun);
}

/* Another class had its time: what its magazine holds beyond half of what is left to it goes. */
static void shrink_another(struct nar_arena *a, unsigned int but)
{
	unsigned int class = nar_mags_shrink_next(&a->mag, but), nr, keep;

	if (class == NAR_MAX_CLASSES)
		return;
	nr = nar_mag_nr(&a->mag, class);
	keep = nar_class[class].batch;
	if (nr > keep)
		flush(a, class, nr - keep);
}

static unsigned int flush_batch(const struct nar_arena *a, unsigned int class)
{
	return max_of((unsigned int)nar_class[class].batch, nar_mag_cap(&a->mag, class) / 2);
}

void nar_arena_make_room(struct nar_arena *a, unsigned int class)
{
	u8 *refilled = &a->mag.refilled[class];

	if (nar_mags_wants_more(&a->mag, class)) {
		if (try_grow_magazine(a, class))
			return;
		shrink_another(a, class);
		if (try_grow_magazine(a, class))
			return;
	}
	*refilled = (u8)min_of((unsigned int)*refilled, flush_batch(a, class));
	flush(a, class, flush_batch(a, class));
	count_own(a->count.nr_flushes, 1);
}

void nar_arena_flush_all(struct nar_arena *a)
{
	unsigned int class, nr;

	for (class = 0; class < nar_class_count(); class++) {
		nr = nar_mag_nr(&a->mag, class);
		if (nr)
			flush(a, class, nr);
	}
}

void nar_arena_trim(struct nar_arena *a)
{
	unsigned int class;
	u32 slab;

	nar_post_drain_all(a);
	nar_lock(&a->lock);
	for (class = 0; class < nar_class_count(); class++) {
		while ((slab = a->bins[class].head[BIN_EMPTY])) {
			nar_stock_unlink(a, class, slab);
			nar_stock_doom(a, slab);
		}
	}
	nar_stock_unlock(a);
}

/* ---- The end of an arena ---- */

static void shelve_class(struct nar_arena *a, unsigned int class) __must_hold(&a->lock)
{
	unsigned int bin;
	u32 slab;

	for (bin = 0; bin < NR_SLAB_BINS; bin++) {
		while ((slab = a->bins[class].head[bin])) {
			nar_stock_unlink(a, class, slab);
			if (bin == BIN_EMPTY)
				nar_stock_doom(a, slab);
			else
				nar_shard_shelve(nar_heap_shard_of(slab), slab);
		}
	}
}

static void shelve_all(struct nar_arena *a)
{
	unsigned int class;

	nar_lock(&a->lock);
	for (class = 0; class < nar_class_count(); class++)
		shelve_class(a, class);
	nar_stock_unlock(a);
}

/* Who posts puts it back from here on. */
static void arena_close(struct nar_arena *a)
{
	/* First: to a fork in a signal handler here it is one too many, never too few. */
	sub_relaxed(&nr_live, 1);
	/* Sequentially consistent: a poster that does not see this is seen by the drain. */
	__atomic_store_n(&a->is_gone, true, __ATOMIC_SEQ_CST);
	nar_post_drain_all(a);
}

static void arena_dissolve(struct nar_arena *a)
{
	nar_arena_flush_all(a);
	nar_mags_give_back(&a->mag);
	shelve_all(a);
	leave(a);
	nar_registry_put(&a->member);
}

/* What is on its way to others goes now. */
static void settle_up(struct nar_arena *a)
{
	nar_post_send_all(a);
	nar_messages_put(a->spare);
	a->spare = NULL;
	nar_recent_flush(&a->recent);
}

void nar_arena_end(struct nar_arena *a)
{
	settle_up(a);
	arena_close(a);
	arena_dissolve(a);
}

void nar_arena_pass_on(struct nar_arena *a)
{
	settle_up(a);
	arena_close(a);
	if (!nar_lobby_try_enter(a))
		arena_dissolve(a);
}

bool nar_arena_turn_out(u64 now_ms, bool any)
{
	struct nar_arena *a = nar_lobby_turn_out(now_ms, any);

	if (!a)
		return false;
	/* A fork may have lost who had posted here and was about to put it back. */
	nar_post_drain_all(a);
	arena_dissolve(a);
	return true;
}

u32 nar_arena_bury(struct nar_arena *a, u32 slabs, size_t *bytes)
{
	unsigned int class;

	nar_lock(&a->lock);
	store_release(&a->handle, HANDLE_DEAD);
	for (class = 0; class < nar_class_count(); class++)
		slabs = nar_slabs_bury(&a->bins[class], slabs, bytes);
	a->kept_bytes = 0;
	WRITE_ONCE(a->slab_bytes, 0);
	nar_stock_unlock(a);
	/* What is in the queue is of no heap now. */
	nar_post_drain_all(a);
	return slabs;
}

size_t nar_arena_live_bytes(const struct nar_arena *a)
{
	unsigned int class;
	size_t sum = 0;

	for (class = 0; class < nar_class_count(); class++)
		sum += nar_class_out_bytes(class, &a->bins[class]);
	return sum;
}

/* ---- After a fork ---- */

/* What lies in magazines and outboxes of lost threads may be half written: never read. */
static void forget_thread(struct nar_arena *a)
{
	begin_anew(a);
	a->recent = (struct nar_recent){ 0 };
}

/*
 * One thread there is: nothing changes meanwhile.  What it had in hand when a signal handler
 * forked, not begun yet or all but ended, is its own still.
 */
void nar_arenas_orphan(u32 tid_before)
{
	u32 id, nr = 0;

	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++) {
		struct nar_arena *a = nar_arena_of(id);

		if (a->member.is_free)
			continue;
		if (a->member.tid == tid_before && !a->member.is_orphan) {
			WRITE_ONCE(a->member.tid, nar_tid());
			nr += !a->is_gone;
			continue;
		}
		nr++;
		nar_registry_orphan(&a->member);
		a->is_gone = true;
		WRITE_ONCE(a->keeper, NULL);
		nar_event(fork_leaked, 1);
	}
	/* What threads were about to count, or had counted. */
	WRITE_ONCE(nr_live, nr);
}

bool nar_arena_adopt_orphan(void)
{
	struct nar_member *m = nar_registry_take_orphan();

	if (likely(!m))
		return false;
	forget_thread(nar_arena_of_member(m));
	arena_close(nar_arena_of_member(m));
	arena_dissolve(nar_arena_of_member(m));
	return true;
}

void nar_arena_each_lock(void (*fn)(struct nar_lock *))
{
	u32 id;

	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++)
		fn(&nar_arena_of(id)->lock);
}
