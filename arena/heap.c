// SPDX-License-Identifier: MIT
/*
 * A heap as a set of shards, and the way to allocate from it without an arena.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal/option.h"

#include "heap.h"
#include "unit.h"

struct nar_heap nar_heap_default;
struct nar_heap *nar_heaps[NAR_MAX_HEAPS];
bool nar_has_heaps;

/* Heap @i is that of policy @i; the first is the default heap itself. */
static struct nar_heap of_policy[NAR_SYSTEM_POLICIES];
static struct nar_lock make_lock = NAR_LOCK_INIT(RANK_INIT);

static struct nar_heap *free_heaps;	/* make_lock */
static u32 next_id = NAR_FIRST_HEAP;	/* make_lock; numbers that were never given out */

static void shards_init(struct nar_heap *h, struct nar_shard *shards)
{
	unsigned int class;

	for (class = 0; class < NAR_MAX_CLASSES; class++) {
		struct nar_shard *s = &shards[class];

		s->own = (struct nar_lock)NAR_LOCK_INIT(RANK_SHARD);
		s->handle = &h->handle;
		s->lock = nar_opt.mode == MODE_BASELINE ? &h->one_lock : &s->own;
	}
}

/* Tried again, what has been done is not done twice. */
static int make_shards(struct nar_heap *h)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		size_t bytes = NAR_MAX_CLASSES * sizeof(struct nar_shard);

		if (h->shard[node])
			continue;	/* an earlier try ran out of memory after this one */
		h->shard[node] = nar_meta_alloc(node, bytes);
		if (!h->shard[node])
			return -ENOMEM;
		shards_init(h, h->shard[node]);
	}
	return 0;
}

int nar_heap_init(struct nar_heap *h, u16 id, unsigned int policy)
{
	h->id = id;
	h->policy = (u8)policy;
	h->one_lock = (struct nar_lock)NAR_LOCK_INIT(RANK_SHARD);
	if (make_shards(h))
		return -ENOMEM;
	store_release(&nar_heaps[id], h);
	return 0;
}

/* ---- The program's ---- */

static struct nar_heap *take_free(u16 *id)
{
	struct nar_heap *h;

	nar_lock(&make_lock);
	h = free_heaps;
	if (h)
		free_heaps = h->next_free;
	else if (next_id < NAR_MAX_HEAPS)
		*id = (u16)next_id++;
	nar_unlock(&make_lock);
	return h;
}

/* For want of memory.  If others have been given out since, it is lost: that is bounded. */
static struct nar_heap *return_id(u16 id)
{
	nar_lock(&make_lock);
	next_id -= next_id == id + 1u;
	nar_unlock(&make_lock);
	return NULL;
}

static struct nar_heap *heap_new(u16 id)
{
	struct nar_heap *h = nar_meta_alloc(0, sizeof(*h));

	if (!h)
		return return_id(id);
	h->id = id;
	h->handle = HANDLE_DEAD;
	h->one_lock = (struct nar_lock)NAR_LOCK_INIT(RANK_SHARD);
	h->lock = (struct nar_lock)NAR_LOCK_INIT(RANK_HEAP);
	return h;
}

/*
 * Fork takes the locks of heaps it can find, so one is to be found under a lock of fork's.  In
 * the parent it may meet new ones as it lets go: those it has not taken.
 */
static void publish(struct nar_heap *h)
{
	WRITE_ONCE(nar_has_heaps, true);
	nar_lock(&make_lock);
	store_release(&nar_heaps[h->id], h);
	nar_unlock(&make_lock);
}

int nar_heap_make(struct nar_heap **to)
{
	u16 id = 0;
	struct nar_heap *h = take_free(&id);

	if (!h && !id)
		return -ENOSPC;
	h = h ? h : heap_new(id);
	if (!h)
		return -ENOMEM;
	if (make_shards(h)) {
		nar_heap_unmake(h);
		return -ENOMEM;
	}
	publish(h);
	*to = h;
	return 0;
}

void nar_heap_set_name(struct nar_heap *h, const char *name)
{
	size_t i;

	WRITE_ONCE(h->name_life, 0);
	/* Not whole from here on; pairs with the fence in nar_heap_try_name(). */
	nar_fence_release();
	for (i = 0; i < NUMARENA_HEAP_NAME_MAX && name[i]; i++)
		WRITE_ONCE(h->name[i], name[i]);
	WRITE_ONCE(h->name[i], '\0');
	/* All of it is there; pairs with nar_heap_try_name(). */
	store_release(&h->name_life, h->nr_lives + 1);
}

u64 nar_heap_open(struct nar_heap *h)
{
	u64 handle = ++h->nr_lives << HANDLE_ID_BITS | h->id;

	/* All of it is filled in; pairs with nar_heap_find(). */
	store_release(&h->handle, handle);
	return handle;
}

void nar_heap_unmake(struct nar_heap *h)
{
	nar_lock(&make_lock);
	h->next_free = free_heaps;
	free_heaps = h;
	nar_unlock(&make_lock);
}

/* Whatever it is now. */
static struct nar_heap *of_number(u64 handle)
{
	u32 id = nar_handle_number(handle);

	if (id < NAR_FIRST_HEAP || id >= NAR_MAX_HEAPS)
		return NULL;
	return load_acquire(&nar_heaps[id]);
}

struct nar_heap *nar_heap_find(u64 handle)
{
	struct nar_heap *h = of_number(handle);

	return h && load_acquire(&h->handle) == handle ? h : NULL;
}

bool nar_heap_try_name(u64 handle, char name[NUMARENA_HEAP_NAME_MAX + 1])
{
	const struct nar_heap *h = of_number(handle);
	u64 life = handle >> HANDLE_ID_BITS;
	size_t i;

	if (!h || !life || load_acquire(&h->name_life) != life)
		return false;
	for (i = 0; i < NUMARENA_HEAP_NAME_MAX && (name[i] = READ_ONCE(h->name[i])); i++)
		;
	memset(name + i, 0, NUMARENA_HEAP_NAME_MAX + 1 - i);
	nar_fence_acquire();
	return READ_ONCE(h->name_life) == life;
}

const char *nar_heap_label(u64 handle, char label[NAR_HEAP_LABEL_BYTES])
{
	char name[NUMARENA_HEAP_NAME_MAX + 1];

	*label = '\0';
	if (nar_heap_try_name(handle, name))
		snprintf(label, NAR_HEAP_LABEL_BYTES, " (\"%s\")", name);
	return label;
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

/* ---- Without an arena ---- */

void *nar_heap_take(struct nar_heap *h, unsigned int node, unsigned int class)
{
	return nar_shard_take(nar_heap_shard(h, node, class));
}

/*
 * No arena could have outgrown its youth, but the process may have.  A full node's slab comes from a
 * neighbour, whose shelf may have some that were made in the same need.
 */
void *nar_heap_grow(struct nar_heap *h, unsigned int node, unsigned int class)
{
	u32 slab = nar_slab_create(nar_heap_place(h, node), nar_pool_for(h->policy, !nar_unit_is_grown(node)),
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

/* The slab around @p does not change its heap while that is alive. */
bool nar_heap_try_free_of(void *p, u64 handle)
{
	u32 slab = nar_slab_around(p), id = nar_slab_at(slab)->heap;
	struct nar_heap *h = nar_heap_find(handle);

	if (!h || h->id != id)
		return true;
	return nar_shard_try_give_of(nar_heap_shard(h, nar_slab_node(slab), nar_slab_at(slab)->class), p, handle);
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
	struct nar_heap *h;
	unsigned int id;

	for (id = 0; id < NAR_MAX_HEAPS; id++)
		if ((h = load_acquire(&nar_heaps[id])))
			each_lock(h, fn);
}

/* Of the program's heaps. */
void nar_heap_each_list_lock(void (*fn)(struct nar_lock *))
{
	struct nar_heap *h;
	unsigned int id;

	for (id = NAR_FIRST_HEAP; id < NAR_MAX_HEAPS; id++)
		if ((h = load_acquire(&nar_heaps[id])))
			fn(&h->lock);
}

void nar_heap_each_make_lock(void (*fn)(struct nar_lock *))
{
	fn(&make_lock);
}
