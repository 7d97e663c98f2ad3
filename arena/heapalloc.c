// SPDX-License-Identifier: MIT
/*
 * The slow paths of heaps, like thread.c's for the default one, and what happens when there
 * is no memory: what nobody uses is given up, then the program is asked to free something,
 * and after each the allocation is tried once more.
 */
#include "block.h"
#include "heapalloc.h"
#include "life.h"
#include "limit.h"
#include "maint.h"
#include "post.h"
#include "thread.h"

void nar_heap_die(u64 handle, const char *call, const char *when)
{
	char label[NAR_HEAP_LABEL_BYTES];

	nar_heap_label(handle, label);
	nar_die("%s of heap %p%s, which was destroyed%s%s", call, (void *)nar_handle_to_heap(handle), label, when,
		*label ? "" : " or never made");
}

struct nar_heap *nar_heap_or_die(u64 handle)
{
	struct nar_heap *h = nar_heap_find(handle);

	if (unlikely(!h))
		nar_heap_die(handle, "use", "");
	return h;
}

/* ---- Where from ---- */

/* The nearest to the thread of those that the heap may use. */
static unsigned int node_for(const struct nar_heap *h)
{
	unsigned int wanted = nar_wanted_node(), i;

	for (i = 0; h->nodes && i < nar_nodes.nr; i++)
		if (h->nodes >> nar_nodes.order[wanted][i] & 1)
			return nar_nodes.order[wanted][i];
	return wanted;
}

/* The @nth nearest to @node that may stand in for it, where memory must not lie elsewhere. */
static int stand_in(const struct nar_heap *h, unsigned int node, unsigned int *nth)
{
	while (nar_policy_is_strict(h->policy) && *nth < nar_nodes.nr) {
		unsigned int other = nar_nodes.order[node][(*nth)++];

		if (other != node && h->nodes >> other & 1)
			return (int)other;
	}
	return -1;
}

/*
 * Its objects stay where they are, and are the shards'.  NULL: the program destroys the heap just
 * now, and the arena has ended with others that are dead.
 */
static struct nar_arena *follow(struct nar_heap *h, u64 handle, struct nar_arena *a)
{
	unsigned int node = node_for(h);
	struct nar_arena *next;

	if (!nar_arena_is_left(a, node))
		return a;
	next = nar_own_begin(h, handle, node);
	if (!next)
		return nar_own_find(handle);
	nar_own_end(a);
	return next;
}

/* NULL: the thread has no main arena, which it needs to free what is another's; or no memory. */
static struct nar_arena *own_arena(struct nar_heap *h, u64 handle)
{
	struct nar_arena *a = nar_own_find(handle);

	if (a || !nar_thread_arena())
		return a;
	return nar_own_begin(h, handle, node_for(h));
}

/* ---- Small objects ---- */

static void before_refill(void)
{
	nar_maint_poll();
	nar_arena_adopt_orphan();
	nar_post_send_all(nar_arena_mine());
}

static bool grow(struct nar_heap *h, struct nar_arena *a, unsigned int class)
{
	unsigned int nth = 0;
	int node = (int)a->member.node;

	for (; node >= 0; node = stand_in(h, a->member.node, &nth))
		if (nar_arena_grow(a, class, (unsigned int)node))
			return true;
	return false;
}

static void *take(struct nar_heap *h, u64 handle, struct nar_arena *a, unsigned int class)
{
	void *p = nar_mag_try_pop(&a->mag, class);

	if (p)
		return p;
	before_refill();
	a = follow(h, handle, a);
	if (unlikely(!a))
		return NULL;
	if (!nar_arena_refill(a, class) && !grow(h, a, class))
		return NULL;
	return nar_mag_try_pop(&a->mag, class);
}

/* Without an arena, from the shelf. */
static void *take_shared(struct nar_heap *h, unsigned int class)
{
	unsigned int home = node_for(h), nth = 0;
	void *p = nar_heap_take(h, home, class);
	int node = (int)home;

	nar_maint_poll();
	for (; !p && node >= 0; node = stand_in(h, home, &nth))
		p = nar_heap_grow(h, (unsigned int)node, class);
	return p;
}

/* What is wanted, in whichever way. */
struct wish {
	size_t size;
	unsigned int class;		/* NAR_MAX_CLASSES: by size */
	const struct nar_block *block;	/* NULL: a small object */
	bool is_zero;
};

static unsigned int class_of(struct wish *w, struct nar_arena *a)
{
	if (w->class != NAR_MAX_CLASSES)
		return w->class;
	if (!a)
		return nar_class_builtin(w->size);
	nar_arena_update_classes(a);
	return a->view.of_size[nar_size_step(w->size)];
}

static void *try_small(struct nar_heap *h, u64 handle, struct wish *w)
{
	struct nar_arena *a = own_arena(h, handle);
	unsigned int class = class_of(w, a);

	return nar_live_mark(a ? take(h, handle, a, class) : take_shared(h, class));
}

static void *try_large(struct nar_heap *h, u64 handle, struct wish *w)
{
	unsigned int home = node_for(h), nth = 0;
	int node = (int)home;
	void *p = NULL;

	nar_maint_poll();
	for (; !p && node >= 0; node = stand_in(h, home, &nth))
		p = nar_block_alloc(h, handle, (unsigned int)node, w->block, &w->is_zero);
	return p;
}

static void *try_wish(struct nar_heap *h, u64 handle, struct wish *w)
{
	return w->block ? try_large(h, handle, w) : try_small(h, handle, w);
}

/* ---- In need ---- */

/* Arenas that wait have nothing of it: if it is its own limit that is met, they may go on. */
static bool may_take(const struct nar_heap *h, struct wish *w, struct nar_arena *a)
{
	if (w->block)
		return nar_account_may_take(h->id, w->size);
	return nar_account_may_take(h->id, (u64)nar_class[class_of(w, a)].shape.nr_slices << SLICE_SHIFT);
}

static void give_up(struct nar_heap *h, u64 handle, struct wish *w)
{
	struct nar_arena *a = nar_own_find(handle);

	if (a)
		nar_arena_flush_all(a);
	if (nar_arena_mine())
		nar_post_send_all(nar_arena_mine());
	nar_heap_give_up(h);
	if (nar_limit_is_set() || nar_policy_is_strict(h->policy))
		nar_thread_give_up();
	else if (may_take(h, w, a))
		nar_maint_gather();
}

/* Return: whether the program was asked. */
static bool ask_program(struct nar_heap *h, u64 handle, size_t bytes)
{
	static __thread bool is_asking;

	if (!h->low_memory || is_asking)
		return false;
	is_asking = true;
	add_relaxed(&h->nr_low_memory, 1);
	h->low_memory(nar_handle_to_heap(handle), bytes, h->low_memory_arg);
	is_asking = false;
	return true;
}

static noinline void *wish_in_need(struct nar_heap *h, u64 handle, struct wish *w)
{
	void *p;

	give_up(h, handle, w);
	p = try_wish(h, handle, w);
	if (p || !ask_program(h, handle, w->size))
		return p;
	give_up(h, handle, w);
	return try_wish(h, handle, w);
}

static void *grant(u64 handle, struct wish *w)
{
	struct nar_heap *h = nar_heap_or_die(handle);
	void *p = try_wish(h, handle, w);

	return likely(p) ? p : wish_in_need(h, handle, w);
}

void *nar_heap_alloc_slow(u64 handle, size_t size)
{
	return grant(handle, &(struct wish){ .size = size, .class = NAR_MAX_CLASSES });
}

void *nar_heap_alloc_class(u64 handle, unsigned int class)
{
	return grant(handle, &(struct wish){ .size = nar_class[class].shape.size, .class = class });
}

void *nar_heap_alloc_large(u64 handle, const struct nar_block *block, bool *is_zero)
{
	struct wish w = { .size = block->size, .block = block };
	void *p = NULL;

	/* What cannot be is not asked for. */
	if (nar_large_is_absurd(block))
		nar_heap_or_die(handle);
	else
		p = grant(handle, &w);
	*is_zero = w.is_zero;
	return p;
}

/* ---- Whose ---- */

u64 nar_heap_handle_of(const void *p)
{
	u32 entry = nar_entry_of(p), id;

	if (nar_entry_is_scope(entry))
		return HANDLE_NONE;
	/* Its heap's number may be another's by now. */
	if (nar_entry_owner(entry) == OWNER_TOMB)
		return HANDLE_DEAD;
	id = entry ? nar_heap_id_around(p) : nar_block_heap_id(p);
	return id < NAR_FIRST_HEAP ? HANDLE_NONE : load_acquire(&nar_heaps[id]->handle);
}
