// SPDX-License-Identifier: MIT
#include "own.h"
#include "post.h"
#include "tomb.h"

__thread struct nar_arena *nar_own[NR_OWN] = {
	[0 ... NR_OWN - 1] = &nar_arena_none,
};

static bool is_dead(const struct nar_arena *a)
{
	return READ_ONCE(a->handle) == HANDLE_DEAD;
}

/* ---- The table ---- */

static struct nar_arena **place_for(u64 handle)
{
	return &nar_own[handle % NR_OWN];
}

static void link_first(struct nar_arena **place, struct nar_arena *a)
{
	a->next_own = *place;
	*place = a;
}

/* The link that leads to the first in @place that is @wanted; to nar_arena_none if none is. */
static struct nar_arena **find_link(struct nar_arena **place, bool (*is_wanted)(const struct nar_arena *, u64), u64 arg)
{
	while (*place != &nar_arena_none && !is_wanted(*place, arg))
		place = &(*place)->next_own;
	return place;
}

static bool is_of(const struct nar_arena *a, u64 handle)
{
	return READ_ONCE(a->handle) == handle;
}

static bool is_gone(const struct nar_arena *a, u64 unused)
{
	(void)unused;
	return is_dead(a);
}

static bool is_it(const struct nar_arena *a, u64 id)
{
	return a->member.id == id;
}

noinline struct nar_arena *nar_own_find_slow(u64 handle)
{
	struct nar_arena **place = place_for(handle), **link = find_link(place, is_of, handle), *a = *link;

	if (a == &nar_arena_none)
		return NULL;
	*link = a->next_own;
	link_first(place, a);
	return a;
}

static void end_at(struct nar_arena **link)
{
	struct nar_arena *a = *link;

	*link = a->next_own;
	nar_arena_end(a);
}

/* Those of heaps that were destroyed go to others first. */
static void end_dead(void)
{
	struct nar_arena **link;
	unsigned int i;

	for (i = 0; i < NR_OWN; i++)
		while (*(link = find_link(&nar_own[i], is_gone, 0)) != &nar_arena_none)
			end_at(link);
}

struct nar_arena *nar_own_begin(struct nar_heap *h, u64 handle, unsigned int node)
{
	struct nar_arena *a;

	end_dead();
	a = nar_arena_begin(h, handle, node);
	if (a)
		link_first(place_for(handle), a);
	return a;
}

void nar_own_end(struct nar_arena *a)
{
	unsigned int i;

	/* It may be dead by now, and not say where it is. */
	for (i = 0; i < NR_OWN; i++) {
		struct nar_arena **link = find_link(&nar_own[i], is_it, a->member.id);

		if (*link != &nar_arena_none)
			return end_at(link);
	}
}

void nar_own_end_all(void)
{
	unsigned int i;

	for (i = 0; i < NR_OWN; i++)
		while (nar_own[i] != &nar_arena_none)
			end_at(&nar_own[i]);
}

void nar_own_trim(void)
{
	struct nar_arena *a;
	unsigned int i;

	end_dead();
	for (i = 0; i < NR_OWN; i++) {
		for (a = nar_own[i]; a != &nar_arena_none; a = a->next_own) {
			nar_arena_flush_all(a);
			nar_arena_trim(a);
		}
	}
}

/* ---- Free ---- */

bool nar_is_of_heap_slow(const void *p, u32 entry)
{
	u32 owner = nar_entry_owner(entry);

	if (owner == OWNER_SHARD)
		return nar_heap_id_around(p) >= NAR_FIRST_HEAP;
	return owner == OWNER_TOMB || (owner >= OWNER_FIRST_ARENA && nar_arena_of(owner)->member.is_of_heaps);
}

/* Too late, if not by much: see tomb.c. */
static void free_buried(void *p)
{
	char label[NAR_HEAP_LABEL_BYTES];

	if (nar_opt.harden && !nar_tomb_is_busy())
		nar_die("free of %p (class %u bytes), whose heap%s was destroyed", p,
			nar_slab_at(nar_slab_around(p))->size, nar_tomb_label(p, label));
}

/* Return: false if the object has another owner by now. */
static bool try_free_shelved(void *p, u32 entry)
{
	const struct nar_heap *h = nar_heaps[nar_heap_id_around(p)];
	u64 handle = load_acquire(&h->handle);

	return nar_entry_of(p) == entry && nar_heap_try_free_of(p, handle);
}

static bool try_free_remote(struct nar_arena *main, void *p, u32 entry)
{
	u32 owner = nar_entry_owner(entry);
	/* Acquire: pairs with those that change it, after the map. */
	u64 handle = load_acquire(&nar_arena_of(owner)->handle);

	if (nar_entry_of(p) != entry)
		return false;
	if (handle == HANDLE_DEAD)
		return true;
	if (main)
		nar_post_add(main, p, owner, handle);
	else
		nar_post_free_direct_of(p, handle);
	return true;
}

/* Once more if it has changed hands; what has become another heap's was destroyed with its own. */
struct nar_arena *nar_own_free(struct nar_arena *main, void *p, u32 entry)
{
	bool is_done = false;

	for (; !is_done && nar_is_of_heap(p, entry); entry = nar_entry_of(p)) {
		u32 owner = nar_entry_owner(entry);

		if (owner == OWNER_TOMB)
			return free_buried(p), NULL;
		if (owner == OWNER_SHARD) {
			is_done = try_free_shelved(p, entry);
		} else {
			struct nar_arena *a = nar_arena_of(owner);

			if (READ_ONCE(a->keeper) == nar_keeper_self())
				return a;
			is_done = try_free_remote(main, p, entry);
		}
	}
	return NULL;
}

bool nar_own_try_free_block(void *p)
{
	u32 id = nar_block_heap_id(p);
	char label[NAR_HEAP_LABEL_BYTES];

	/* Its heap, or its slab's, has gone while it came here. */
	if (!id)
		return nar_tomb_is_busy() && !nar_extent_pages(p, EXTENT_LARGE);
	if (nar_opt.harden && nar_block_is_buried(p) && !nar_tomb_is_busy())
		nar_die("free of %p (large block), whose heap%s was destroyed", p,
			nar_tomb_label(p, label));
	nar_block_free(p, id);
	return true;
}
