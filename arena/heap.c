// SPDX-License-Identifier: MIT
/*
 * A heap as a set of shards, and the way to allocate from it without an arena.
 */
#include <errno.h>

#include "internal/option.h"

#include "heap.h"

struct nar_heap nar_heap_default;
struct nar_heap *nar_heaps[NAR_MAX_HEAPS];

/* Heap @i is that of policy @i; the first is the default heap itself. */
static struct nar_heap of_policy[NAR_MAX_POLICIES];
static struct nar_lock make_lock = NAR_LOCK_INIT(RANK_INIT);

static void shards_init(struct nar_heap *h, struct nar_shard *shards)
{
	unsigned int class;

	for (class = 0; class < NAR_MAX_CLASSES; class++) {
		struct nar_shard *s = &shards[class];

		s->own = (struct nar_lock)NAR_LOCK_INIT(RANK_SHARD);
		s->lock = nar_opt.mode == MODE_BASELINE ? &h->one_lock : &s->own;
	}
}

int nar_heap_init(struct nar_heap *h, u16 id, unsigned int policy)
{
	unsigned int node;

	h->id = id;
	h->policy = (u8)policy;
	h->one_lock = (struct nar_lock)NAR_LOCK_INIT(RANK_SHARD);
	for (node = 0; node < nar_nodes.nr; node++) {
		size_t bytes = NAR_MAX_CLASSES * sizeof(struct nar_shard);

		if (h->shard[node])
			continue;	/* an earlier try ran out of memory after this one */
		h->shard[node] = nar_meta_alloc(node, bytes);
		if (!h->shard[node])
			return -ENOMEM;
		shards_init(h, h->shard[node]);
	}
	store_release(&nar_heaps[id], h);
	return 0;
}

struct nar_shard *nar_heap_shard_of(u32 slab)
{
	const struct nar_slab *s = nar_slab_at(slab);

	return nar_heap_shard(nar_heaps[s->heap], nar_slab_node(slab), s->class);
}

static noinline struct nar_heap *make_slow(unsigned int policy)
{
	nar_lock(&make_lock);
	if (!nar_heaps[policy])
		nar_heap_init(&of_policy[policy], (u16)policy, policy);
	nar_unlock(&make_lock);
	return load_acquire(&nar_heaps[policy]);
}

struct nar_heap *nar_heap_of_policy(unsigned int policy)
{
	struct nar_heap *h = load_acquire(&nar_heaps[policy]);

	return likely(h) ? h : make_slow(policy);
}

struct nar_heap *nar_heap_current(void)
{
	return nar_heap_of_policy(nar_policy_current());
}

void *nar_heap_take(struct nar_heap *h, unsigned int node, unsigned int class)
{
	return nar_shard_take(nar_heap_shard(h, node, class));
}

/*
 * There is no arena that could have outgrown its youth.  A full node's slab comes from a
 * neighbour, whose shelf may have some that were made in the same need.
 */
void *nar_heap_grow(struct nar_heap *h, unsigned int node, unsigned int class)
{
	u32 slab = nar_slab_create(nar_heap_place(h, node), nar_pool_for(true),
				   &nar_class[class].shape, OWNER_SHARD, h->id);
	struct nar_shard *shelf;
	void *p;

	if (!slab)
		return NULL;
	shelf = nar_heap_shard(h, nar_slab_node(slab), class);
	p = nar_slab_node(slab) == node ? NULL : nar_shard_take(shelf);
	if (!p)
		return nar_shard_take_new(shelf, slab);
	nar_slab_destroy(slab);
	return p;
}

bool nar_heap_try_free(void *p)
{
	return nar_shard_try_give(nar_heap_shard_of(nar_slab_around(p)), p);
}

void nar_heap_trim(struct nar_heap *h)
{
	unsigned int node, class;

	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < NAR_MAX_CLASSES; class++)
			nar_shard_trim(nar_heap_shard(h, node, class));
}

static void each_lock(struct nar_heap *h, void (*fn)(struct nar_lock *))
{
	unsigned int node, class;

	fn(&h->one_lock);
	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < NAR_MAX_CLASSES; class++)
			fn(&h->shard[node][class].own);
}

void nar_heap_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int id;

	for (id = 0; id < NAR_MAX_HEAPS; id++)
		if (nar_heaps[id])
			each_lock(nar_heaps[id], fn);
}

void nar_heap_each_make_lock(void (*fn)(struct nar_lock *))
{
	fn(&make_lock);
}
