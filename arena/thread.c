// SPDX-License-Identifier: MIT
/*
 * A thread's life with its arena.
 *
 *	THREAD_NEW    first allocation or free gives it an arena; where there
 *		      are many already, the first after a few		-> LIVE
 *	THREAD_LIVE   magazines; follows its CPU to another node, and the
 *		      program's memory policy to another heap		-> RELEASED
 *	THREAD_RELEASED   late destructors still allocate and free: by the shards
 *
 * Before start-up is done, without memory for an arena, and in the ablation modes a
 * thread stays NEW and uses the shards.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "internal/option.h"
#include "internal/stat.h"

#include "large.h"
#include "limit.h"
#include "maint.h"
#include "own.h"
#include "post.h"
#include "scope.h"
#include "start.h"
#include "thread.h"
#include "tomb.h"

/*
 * An arena costs some 16 KiB.  Where there are many, most threads sleep or do little: a new
 * one has to show that it is not of those.  Until then the shards serve it.
 */
#define MANY_ARENAS 16
#define FIRST_STEPS 16

/*
 * A slab of one's own for each class that is used now and then would be most of what a small
 * thread has: classes from so many bytes on are had from the shards at first, so many times.
 */
#define RARE_BYTES 512
#define RARE_TIMES 16

/* What was gathered other threads may have by now: so often it is tried again. */
#define GATHER_TRIES 16

/*
 * libnuma before 2.0.19 writes up to 8 bytes past a buffer of its own constructor
 * (its pull request 230): requests before ours are padded.
 */
#define EARLY_PAD 16

enum thread_state { THREAD_NEW, THREAD_LIVE, THREAD_RELEASED };

struct thread {
	u8 state;
	u8 nr_steps;		/* allocations and frees without an arena, as far as they count */
	bool has_end;		/* thread_exit() will be called */
};

__thread struct nar_arena *nar_self = &nar_arena_none;
static __thread struct thread self;

static pthread_key_t exit_key;

/*
 * The arena in nar_self is what switches the fast paths on.  While a scope captures, the
 * thread seems to have none, and what it then does to allocate leads to the scope.
 */
static void thread_use(struct nar_arena *a)
{
	nar_arena_own = nar_scope_captor ? NULL : a;
	nar_arena_aside = nar_scope_captor ? a : NULL;
	nar_laps_own = a ? &a->count.laps : NULL;
	nar_self = nar_arena_own && !nar_opt.harden ? a : &nar_arena_none;
}

/* Destructors of other keys may run after ours: what they free goes by the shards. */
static void thread_exit(void *arg)
{
	struct nar_arena *a;

	(void)arg;
	self.has_end = false;
	nar_scope_thread_end();
	a = nar_arena_mine();
	if (self.state != THREAD_LIVE)
		return;
	/* First: what the end itself frees must not come back here. */
	self.state = THREAD_RELEASED;
	thread_use(NULL);
	nar_own_end_all();
	nar_arena_pass_on(a);
}

void nar_thread_init(void)
{
	if (pthread_key_create(&exit_key, thread_exit))
		nar_die("no thread-specific key is left: numarena needs one of %d", PTHREAD_KEYS_MAX);
}

/* Whatever has no arena of its own: under the policy that the thread is under now. */
struct nar_place nar_thread_place(void)
{
	return (struct nar_place){ (u8)nar_wanted_node(), (u8)nar_policy_current() };
}

static bool is_early(void)
{
	/* Under policy:strict arenas know better what to do when a node is full. */
	return nar_arena_nr_live() >= MANY_ARENAS && !nar_policy_is_strict(POLICY_OURS) &&
	       self.nr_steps++ < FIRST_STEPS;
}

/* It may allocate for a high key: by then that works. */
static bool thread_try_have_end(void)
{
	self.has_end = self.has_end || !pthread_setspecific(exit_key, &self);
	return self.has_end;
}

static struct nar_arena *thread_begin(void)
{
	struct nar_heap *heap;
	struct nar_arena *a;

	if (self.state != THREAD_NEW || !load_acquire(&nar_is_started) || nar_opt.mode != MODE_ARENA)
		return NULL;
	if (nar_scope_captor || is_early())
		return NULL;
	/* The constructor may have had no memory for the first stage. */
	if (!nar_start_early())
		return NULL;
	heap = nar_heap_current();
	a = heap ? nar_arena_begin(heap, HANDLE_NONE, nar_wanted_node()) : NULL;
	if (!a)
		return NULL;
	self.state = THREAD_LIVE;
	thread_use(a);
	/* An arena must have an end. */
	if (!thread_try_have_end())
		thread_exit(NULL);
	return nar_arena_own;
}

/* To allocate in; what a scope is to capture has none. */
static struct nar_arena *thread_arena(void)
{
	return likely(nar_arena_own) ? nar_arena_own : thread_begin();
}

static noinline struct nar_arena *thread_arena_slow(void)
{
	return nar_arena_aside ? nar_arena_aside : thread_begin();
}

struct nar_arena *nar_thread_arena(void)
{
	return likely(nar_arena_own) ? nar_arena_own : thread_arena_slow();
}

/* ---- Following the CPU, and the program ---- */

/* Its old objects stay where they are and look remote from now on.  NULL: no memory. */
static struct nar_arena *thread_switch(struct nar_arena *old, struct nar_heap *heap, unsigned int node)
{
	struct nar_arena *a = nar_arena_begin(heap, HANDLE_NONE, node);

	old->away_refills = 0;
	if (!a)
		return NULL;
	thread_use(a);
	nar_arena_end(old);
	return a;
}

static struct nar_arena *thread_move(struct nar_arena *old)
{
	struct nar_arena *a = thread_switch(old, old->heap, nar_wanted_node());

	nar_event(node_switches, a != NULL);
	return a ? a : old;
}

/*
 * Before memory is had that the program has not seen yet: it may have set a policy since
 * the last time, and what it sets in main() comes after a thousand mallocs.
 */
static struct nar_arena *follow_policy(struct nar_arena *old)
{
	struct nar_heap *heap = nar_heap_current();
	struct nar_arena *a;

	if (likely(!heap || heap == old->heap))
		return old;
	a = thread_switch(old, heap, old->member.node);
	nar_event(policy_switches, a != NULL);
	return a ? a : old;
}

int nar_thread_bind(int node)
{
	struct nar_arena *a = nar_thread_arena();
	u8 before = nar_bound_to;

	nar_bound_to = (u8)(node + 1);
	if (!a || nar_wanted_node() == a->member.node || thread_switch(a, a->heap, nar_wanted_node()))
		return 0;
	nar_bound_to = before;
	return -ENOMEM;
}

/* ---- malloc ---- */

/*
 * In the ablation modes and before start-up is done what the default heap's shelf has
 * serves everybody; which policy the thread is under is only asked when it is empty.
 */
static void *take_from_default(unsigned int node, unsigned int class)
{
	if (nar_opt.mode == MODE_ARENA && load_acquire(&nar_is_started))
		return NULL;
	return nar_heap_take(&nar_heap_default, node, class);
}

/* What its objects are aligned to in a slab is what they were asked for to be aligned to. */
static void *capture_class(unsigned int class)
{
	size_t size = nar_class[class].shape.size;

	return nar_scope_alloc_slow(nar_scope_captor, size, size & -size);
}

static void *take_or_grow(struct nar_heap *heap, unsigned int node, unsigned int class)
{
	void *p = nar_heap_take(heap, node, class);

	return p ? p : nar_heap_grow(heap, node, class);
}

/* Without an arena: built-in classes, batch one. */
static void *alloc_shared_class(unsigned int class)
{
	unsigned int node = nar_wanted_node();
	unsigned int tries = 0;
	struct nar_heap *heap;
	void *p;

	if (nar_scope_captor)
		return capture_class(class);
	nar_maint_poll();
	p = take_from_default(node, class);
	if (p)
		return nar_live_mark(p);
	heap = nar_heap_current();
	if (!heap)
		return NULL;
	do
		p = take_or_grow(heap, node, class);
	while (unlikely(!p) && tries++ < GATHER_TRIES && nar_maint_gather());
	/* Other classes' empty slabs, one each. */
	if (unlikely(!p) && nar_limit_is_set() && nar_thread_give_up())
		p = nar_heap_grow(heap, node, class);
	return nar_live_mark(p);
}

static void *alloc_shared(size_t size)
{
	bool is_zero;

	if (!nar_start_early())
		return NULL;
	size += load_acquire(&nar_is_started) ? 0 : EARLY_PAD;
	if (size > NAR_SMALL_MAX)
		return nar_large_alloc(nar_thread_place(), &(struct nar_block){ .size = size, .alignment = 1 }, &is_zero);
	return alloc_shared_class(nar_class_builtin(size));
}

static struct nar_arena *before_refill(struct nar_arena *a)
{
	nar_maint_poll();
	nar_scope_poll();
	nar_arena_adopt_orphan();
	nar_post_send_all(a);
	return nar_arena_is_left(a, nar_wanted_node()) ? thread_move(a) : a;
}

static bool grow(struct nar_arena *a, unsigned int class)
{
	return nar_arena_grow(a, class, a->member.node);
}

/*
 * Under policy:strict a node that is full may be full of what nobody uses; and below the
 * limit of the process there may be room that this thread keeps.
 */
static bool try_grow_in_need(struct nar_arena *a, unsigned int class)
{
	return (nar_policy_is_strict(a->heap->policy) && nar_maint_reclaim(a->member.node) &&
		grow(a, class)) ||
	       (nar_limit_is_set() && nar_thread_give_up() && grow(a, class));
}

/* Return: the arena whose magazine has something now; NULL if there is no memory. */
static struct nar_arena *refill(struct nar_arena *a, unsigned int class)
{
	unsigned int tries = 0;
	struct nar_arena *old;

	a = before_refill(a);
	while (!nar_arena_refill(a, class)) {
		old = a;
		a = follow_policy(old);
		/* Another heap may have some on its shelf ... */
		if (a != old)
			continue;
		if (grow(a, class))
			break;
		/* ... and so may this one once no arena waits. */
		if (tries++ == GATHER_TRIES || !nar_maint_gather())
			return try_grow_in_need(a, class) ? a : NULL;
	}
	return a;
}

static bool is_rare(struct nar_arena *a, unsigned int class)
{
	return nar_class[class].shape.size >= RARE_BYTES && a->nr_wanted[class] < RARE_TIMES &&
	       !nar_policy_is_strict(a->heap->policy);
}

/* One from the shelf, whose slabs serve everybody. */
static void *alloc_rare(struct nar_arena *a, unsigned int class)
{
	void *p;

	a->nr_wanted[class]++;
	a = before_refill(a);
	p = nar_heap_take(a->heap, a->member.node, class);
	if (p)
		return p;
	a = follow_policy(a);
	return nar_heap_grow(a->heap, a->member.node, class);
}

/* @class is one that @a knows, and so does any arena that begins after it. */
static void *alloc_class(struct nar_arena *a, unsigned int class)
{
	void *p = nar_mag_try_pop(&a->mag, class);

	if (!p && is_rare(a, class))
		p = alloc_rare(a, class);
	if (!p) {
		a = refill(nar_arena_own, class);
		p = a ? nar_mag_try_pop(&a->mag, class) : NULL;
	}
	return nar_live_mark(p);
}

void *nar_thread_alloc_class_slow(unsigned int class)
{
	struct nar_arena *a = thread_arena();

	return a ? alloc_class(a, class) : alloc_shared_class(class);
}

void *nar_thread_alloc_slow(size_t size)
{
	struct nar_arena *a;

	/* Where there is an arena nothing captures. */
	if (unlikely(!nar_arena_own && nar_scope_captor))
		return nar_scope_capture(size);
	a = thread_arena();
	if (!a)
		return alloc_shared(size);
	nar_arena_update_classes(a);
	return alloc_class(a, a->view.of_size[nar_size_step(size)]);
}

/* Before there is no memory, none waits here, nor on a strict node. */
static void *alloc_large_in_need(struct nar_arena *a, const struct nar_block *block, bool *is_zero)
{
	struct nar_place place = nar_heap_place(a->heap, a->member.node);
	bool is_more = a->recent.sum_pages;

	/* For what cannot be nobody gives anything up. */
	if (nar_large_is_absurd(block))
		return NULL;
	nar_recent_flush(&a->recent);
	is_more |= nar_maint_gather();
	if (nar_policy_is_strict(place.policy))
		is_more |= nar_maint_reclaim(place.node);
	if (nar_limit_is_set())
		is_more |= nar_thread_give_up();
	return is_more ? nar_large_alloc(place, block, is_zero) : NULL;
}

static bool may_be_recent(const struct nar_block *block)
{
	return block->alignment <= PAGE_BYTES && block->size <= NAR_RECENT_BYTES && !block->is_grown;
}

static void *alloc_large(struct nar_arena *a, const struct nar_block *block, bool *is_zero)
{
	struct nar_block b = *block;
	void *p = NULL;

	if (may_be_recent(block))
		p = nar_recent_take(&a->recent, DIV_ROUND_UP(block->size, PAGE_BYTES));
	b.near = block->is_grown ? a->recent.grown : NULL;
	return p ? p : nar_large_alloc(nar_heap_place(a->heap, a->member.node), &b, is_zero);
}

static noinline void *alloc_shared_large(const struct nar_block *block, bool *is_zero)
{
	void *p;

	if (nar_scope_captor)
		return nar_scope_alloc_slow(nar_scope_captor, block->size, block->alignment);
	p = nar_large_alloc(nar_thread_place(), block, is_zero);
	return p || nar_large_is_absurd(block) || !nar_maint_gather() ? p : nar_large_alloc(nar_thread_place(), block, is_zero);
}

void *nar_thread_alloc_large(const struct nar_block *block, bool *is_zero)
{
	struct nar_arena *a = thread_arena();
	void *p;

	nar_maint_poll();
	*is_zero = false;
	if (!a)
		return alloc_shared_large(block, is_zero);
	a = follow_policy(a);
	p = alloc_large(a, block, is_zero);
	return likely(p) ? p : alloc_large_in_need(a, block, is_zero);
}

/* ---- free ---- */

static void push(struct nar_arena *a, unsigned int class, void *p)
{
	if (nar_mag_try_push(&a->mag, class, p))
		return;
	nar_arena_update_classes(a);
	nar_arena_make_room(a, class);
	nar_maint_poll();
	*a->mag.top[class]++ = p;
}

static void free_direct(struct nar_arena *a, void *p, u32 entry)
{
	if (a)
		nar_post_note_free(a, p, nar_class[nar_entry_class(entry)].shape.size);
	nar_post_free_direct(p);
}

static void free_small_of_heap(struct nar_arena *main, void *p, u32 entry)
{
	struct nar_arena *a = nar_own_free(main, p, entry);

	if (a)
		push(a, nar_entry_class(entry), p);
}

/* What is in a heap that is being destroyed may lose its bit at any time. */
static void clear_live(void *p)
{
	if (!nar_live_try_clear(p) && nar_entry_owner(nar_entry_of(p)) != OWNER_TOMB)
		nar_die_double_free(p);
}

static void free_small(void *p, u32 entry)
{
	u32 owner = nar_entry_owner(entry);
	struct nar_arena *a = nar_thread_arena();

	if (owner == OWNER_SCOPE)
		return nar_scope_free(p);
	if (nar_opt.harden)
		clear_live(p);
	if (nar_is_of_heap(p, entry))
		free_small_of_heap(a, p, entry);
	else if (a && owner == a->member.id)
		push(a, nar_entry_class(entry), p);
	else if (a && owner != OWNER_SHARD)
		nar_post_add(a, p, owner, HANDLE_NONE);
	else
		free_direct(a, p, entry);
}

static bool is_at_home(const struct nar_arena *a, const void *p)
{
	/* One node is one place. */
	if (nar_nodes.nr == 1)
		return true;
	return nar_node_of(p) == a->member.node && nar_extent_policy_at(p) == a->heap->policy;
}

/* A block of another place goes home, where its neighbours are. */
static void free_large(void *p)
{
	struct nar_arena *a = nar_thread_arena();

	nar_maint_poll();
	if (unlikely(READ_ONCE(nar_has_heaps)) && nar_own_try_free_block(p))
		return;
	if (a && is_at_home(a, p) && nar_recent_try_put(&a->recent, p))
		return;
	if (a && nar_node_of(p) != a->member.node)
		nar_post_note_free(a, p, nar_large_bytes(p));
	nar_large_free(p);
}

void nar_thread_free_slow(void *p)
{
	u32 entry;

	if (!p)
		return;
	if (unlikely(!nar_is_ours(p)))
		nar_die("free of %p, which numarena never allocated", p);
	entry = nar_entry_of(p);
	if (entry)
		free_small(p, entry);
	else
		free_large(p);
}

/* ---- Control ---- */

void nar_thread_trim(void)
{
	struct nar_arena *a = nar_arena_mine();

	nar_scope_trim();
	if (!a)
		return;
	nar_arena_flush_all(a);
	nar_post_send_all(a);
	nar_recent_flush(&a->recent);
	nar_arena_trim(a);
	nar_own_trim();
}

bool nar_thread_give_up(void)
{
	static __thread bool is_at_it;
	unsigned int node;

	/* What is freed here may need a message. */
	if (is_at_it)
		return false;
	is_at_it = true;
	nar_thread_trim();
	nar_heap_trim(nar_arena_mine() ? nar_arena_mine()->heap : &nar_heap_default);
	nar_tomb_empty();
	for (node = 0; node < nar_nodes.nr; node++)
		nar_maint_reclaim(node);
	is_at_it = false;
	return true;
}

void nar_thread_update_classes(void)
{
	if (nar_arena_mine())
		nar_arena_update_classes(nar_arena_mine());
}

/* ---- Scopes ---- */

/*
 * Where the outermost begins the thread's node and policy are asked for; those inside follow
 * its CPU alone.  A thread that has scopes must have an end, if it can have one.
 */
struct numarena_scope *nar_thread_scope_begin(const char *name, bool is_capturing)
{
	struct numarena_scope *s;
	struct nar_place place;

	if (!nar_start_early() || (load_acquire(&nar_is_started) && !thread_try_have_end()))
		return NULL;
	place = nar_scope_is_open() ? nar_scope_place() : nar_thread_place();
	place.node = (u8)nar_wanted_node();
	s = nar_scope_begin(name, is_capturing, place);
	thread_use(nar_arena_mine());
	return s;
}

void nar_thread_scope_end(struct numarena_scope *s)
{
	nar_scope_end(s);
	thread_use(nar_arena_mine());
}

struct numarena_scope *nar_thread_swap_captor(struct numarena_scope *captor)
{
	struct numarena_scope *before = nar_scope_captor;

	nar_scope_captor = captor;
	thread_use(nar_arena_mine());
	return before;
}
