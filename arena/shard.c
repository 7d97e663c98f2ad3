// SPDX-License-Identifier: MIT
/*
 * The shelf of slabs of one class on one node.
 *
 * Off the hot path arenas trade whole slabs with it.  Where there is no arena (before
 * start-up is done, after a thread's end, under mode:baseline and mode:sharded) it
 * serves single objects: the same slab code, batch one.
 */
#include "internal/option.h"

#include "account.h"
#include "shard.h"

/*
 * Who adds a slab writes the number, then reads the handle; who destroys the heap writes the
 * handle, then reads the number: in the one order of all such accesses, one sees the other.
 */
static void shelf_link(struct nar_shard *s, u32 slab)
{
	nar_slab_link(&s->bins, slab);
	__atomic_store_n(&s->nr_slabs, s->nr_slabs + 1, __ATOMIC_SEQ_CST);
}

static void shelf_unlink(struct nar_shard *s, u32 slab)
{
	nar_slab_unlink(&s->bins, slab);
	WRITE_ONCE(s->nr_slabs, s->nr_slabs - 1);
}

u32 nar_shard_adopt(struct nar_shard *s, u32 owner)
{
	u32 slab;

	/* A look without the lock: mostly the shelf is empty. */
	if (!READ_ONCE(s->nr_slabs))
		return 0;
	nar_lock(s->lock);
	slab = nar_slab_densest(&s->bins);
	if (slab) {
		s->nr_empty -= nar_slab_is_empty(slab);
		shelf_unlink(s, slab);
		nar_slab_set_owner(slab, owner);
		WRITE_ONCE(s->nr_adopted, s->nr_adopted + 1);
	}
	nar_unlock(s->lock);
	return slab;
}

/*
 * Return: @slab, unlinked, if it is one empty slab too many.  One is kept, since the shelf
 * serves single objects, and the next allocation would make it anew.
 */
static u32 settle_empty(struct nar_shard *s, u32 slab)
{
	if (!nar_slab_is_empty(slab))
		return 0;
	if (!s->nr_empty) {
		s->nr_empty++;
		return 0;
	}
	shelf_unlink(s, slab);
	return slab;
}

void nar_shard_shelve(struct nar_shard *s, u32 slab)
{
	nar_lock(s->lock);
	nar_slab_set_owner(slab, OWNER_SHARD);
	shelf_link(s, slab);
	s->nr_empty += nar_slab_is_empty(slab);
	WRITE_ONCE(s->nr_shelved, s->nr_shelved + 1);
	nar_unlock(s->lock);
}

static void *take_from(struct nar_shard *s, u32 slab)
{
	void *p = NULL;

	s->nr_empty -= nar_slab_is_empty(slab);
	nar_slab_take(&s->bins, slab, &p, 1);
	return p;
}

void *nar_shard_take(struct nar_shard *s)
{
	void *p = NULL;
	u32 slab;

	nar_lock(s->lock);
	slab = nar_slab_densest(&s->bins);
	if (slab)
		p = take_from(s, slab);
	nar_unlock(s->lock);
	return p;
}

void *nar_shard_take_new(struct nar_shard *s, u32 slab)
{
	void *p = NULL;

	nar_lock(s->lock);
	shelf_link(s, slab);
	s->nr_empty++;
	if (__atomic_load_n(s->handle, __ATOMIC_SEQ_CST) != HANDLE_DEAD) {
		p = take_from(s, slab);
	} else {
		s->nr_empty--;
		shelf_unlink(s, slab);
	}
	nar_unlock(s->lock);
	if (!p)
		nar_slab_destroy(slab);
	return p;
}

/* Return: an empty slab to destroy once unlocked; 0. */
static u32 give(struct nar_shard *s, void *p) __must_hold(s->lock)
{
	u32 slab = nar_slab_around(p);

	nar_slab_give(&s->bins, slab, p);
	return settle_empty(s, slab);
}

bool nar_shard_try_give_of(struct nar_shard *s, void *p, u64 handle)
{
	bool is_mine, is_alive;
	u32 doomed = 0;

	nar_lock(s->lock);
	is_mine = nar_entry_owner(nar_entry_of(p)) == OWNER_SHARD;
	/* A heap forgets its handle before its shards are buried, so under the lock this holds. */
	is_alive = READ_ONCE(*s->handle) == handle;
	if (is_mine && is_alive)
		doomed = give(s, p);
	nar_unlock(s->lock);
	if (doomed)
		nar_slab_destroy(doomed);
	return is_mine || !is_alive;
}

/* Those of policies are never destroyed. */
bool nar_shard_try_give(struct nar_shard *s, void *p)
{
	return nar_shard_try_give_of(s, p, READ_ONCE(*s->handle));
}

u32 nar_shard_bury(struct nar_shard *s, u32 slabs, size_t *bytes)
{
	if (!__atomic_load_n(&s->nr_slabs, __ATOMIC_SEQ_CST))
		return slabs;
	nar_lock(s->lock);
	slabs = nar_slabs_bury(&s->bins, slabs, bytes);
	s->nr_empty = 0;
	WRITE_ONCE(s->nr_slabs, 0);
	nar_unlock(s->lock);
	return slabs;
}

void nar_shard_trim(struct nar_shard *s)
{
	u32 slab, doomed = 0;

	if (!READ_ONCE(s->nr_slabs))
		return;
	nar_lock(s->lock);
	while ((slab = s->bins.head[BIN_EMPTY])) {
		shelf_unlink(s, slab);
		nar_slab_at(slab)->next = doomed;
		doomed = slab;
	}
	s->nr_empty = 0;
	nar_unlock(s->lock);
	nar_slabs_destroy(doomed);
}
