// SPDX-License-Identifier: MIT
/*
 * A thread's life with its arena.
 *
 *	THREAD_NEW    first allocation or free gives it an arena	-> LIVE
 *	THREAD_LIVE   magazines; follows its CPU to another node	-> RELEASED
 *	THREAD_RELEASED   late destructors still allocate and free: by the shards
 *
 * Before start-up is done, without memory for an arena, and in the ablation modes a
 * thread stays NEW and uses the shards.
 */
#include <limits.h>
#include <pthread.h>

#include "internal/option.h"
#include "internal/stat.h"

#include "large.h"
#include "maint.h"
#include "start.h"
#include "thread.h"

/* Refills on another node, and time, before a thread's memory follows it there. */
#define AWAY_REFILLS 2
#define AWAY_MS 10

/*
 * libnuma before 2.0.19 writes up to 8 bytes past a buffer of its own constructor
 * (its pull request 230): requests before ours are padded.
 */
#define EARLY_PAD 16

enum thread_state { THREAD_NEW, THREAD_LIVE, THREAD_RELEASED };

struct thread {
	u64 away_since_ms;
	u32 away_refills;
	u8 state;
};

__thread struct nar_arena *nar_self = &nar_arena_none;
static __thread struct thread self;

static pthread_key_t exit_key;

/* Destructors of other keys may run after ours: what they free goes by the shards. */
static void thread_exit(void *arg)
{
	struct nar_arena *a = nar_arena_own;

	(void)arg;
	if (self.state != THREAD_LIVE)
		return;
	/* First: what the end itself frees must not come back here. */
	self.state = THREAD_RELEASED;
	nar_self = &nar_arena_none;
	nar_arena_own = NULL;
	nar_arena_end(a);
}

void nar_thread_init(void)
{
	if (pthread_key_create(&exit_key, thread_exit))
		nar_die("no thread-specific key is left: numarena needs one of %d", PTHREAD_KEYS_MAX);
}

/* The arena in nar_self is what switches the fast paths on. */
static void thread_use(struct nar_arena *a)
{
	nar_arena_own = a;
	nar_self = nar_opt.harden ? &nar_arena_none : a;
}

static struct nar_arena *thread_begin(void)
{
	struct nar_arena *a;

	if (self.state != THREAD_NEW || !load_acquire(&nar_is_started) || nar_opt.mode != MODE_ARENA)
		return NULL;
	a = nar_arena_begin(&nar_heap_default, nar_node_current());
	if (!a)
		return NULL;
	self.state = THREAD_LIVE;
	thread_use(a);
	/* It may allocate for a high key: by now that works.  An arena must have an end. */
	if (pthread_setspecific(exit_key, &self))
		thread_exit(NULL);
	return nar_arena_own;
}

static struct nar_arena *thread_arena(void)
{
	return likely(nar_arena_own) ? nar_arena_own : thread_begin();
}

/* ---- Following the CPU ---- */

static bool has_moved(const struct nar_arena *a)
{
	if (likely(nar_node_current() == a->member.node)) {
		self.away_refills = 0;
		return false;
	}
	if (!self.away_refills++)
		self.away_since_ms = nar_clock_ms();
	return self.away_refills > AWAY_REFILLS && nar_clock_ms() - self.away_since_ms >= AWAY_MS;
}

/* Its old objects stay where they are and look remote from now on. */
static struct nar_arena *thread_move(struct nar_arena *old)
{
	struct nar_arena *a = nar_arena_begin(old->heap, nar_node_current());

	self.away_refills = 0;
	if (!a)
		return old;
	thread_use(a);
	nar_arena_end(old);
	nar_event(node_switches, 1);
	return a;
}

/* ---- malloc ---- */

static void *mark_live(void *p)
{
	if (p && nar_opt.harden)
		nar_live_set(p);
	return p;
}

/* Without an arena: built-in classes, batch one. */
static void *alloc_shared_class(unsigned int class)
{
	nar_maint_poll();
	return mark_live(nar_heap_alloc(&nar_heap_default, nar_node_current(), class));
}

static void *alloc_shared(size_t size)
{
	bool is_zero;

	if (!nar_start_early())
		return NULL;
	size += load_acquire(&nar_is_started) ? 0 : EARLY_PAD;
	if (size > NAR_SMALL_MAX)
		return nar_large_alloc(nar_node_current(), size, 1, &is_zero);
	return alloc_shared_class(nar_class_builtin(size));
}

static struct nar_arena *before_refill(struct nar_arena *a)
{
	nar_maint_poll();
	nar_arena_adopt_orphan();
	nar_arena_send_all(a);
	return has_moved(a) ? thread_move(a) : a;
}

/* @class is one that @a knows, and so does any arena that begins after it. */
static void *alloc_class(struct nar_arena *a, unsigned int class)
{
	void *p = nar_mag_try_pop(&a->mag[class]);

	if (!p) {
		a = before_refill(a);
		if (!nar_arena_refill(a, class))
			return NULL;
		p = nar_mag_try_pop(&a->mag[class]);
	}
	return mark_live(p);
}

void *nar_thread_alloc_class_slow(unsigned int class)
{
	struct nar_arena *a = thread_arena();

	return a ? alloc_class(a, class) : alloc_shared_class(class);
}

void *nar_thread_alloc_slow(size_t size)
{
	struct nar_arena *a = thread_arena();

	if (!a)
		return alloc_shared(size);
	nar_arena_update_classes(a);
	return alloc_class(a, a->view.of_size[nar_size_step(size)]);
}

void *nar_thread_alloc_large(size_t size, size_t alignment, bool *is_zero)
{
	struct nar_arena *a = thread_arena();
	void *p = NULL;

	nar_maint_poll();
	if (a && alignment <= PAGE_BYTES && size <= NAR_RECENT_BYTES)
		p = nar_recent_take(&a->recent, DIV_ROUND_UP(size, PAGE_BYTES));
	*is_zero = false;
	if (!p)
		p = nar_large_alloc(a ? a->member.node : nar_node_current(), size, alignment, is_zero);
	/* Before there is no memory, none waits here. */
	if (unlikely(!p) && a && a->recent.sum_pages) {
		nar_recent_flush(&a->recent);
		p = nar_large_alloc(a->member.node, size, alignment, is_zero);
	}
	return p;
}

/* ---- free ---- */

static void push(struct nar_arena *a, unsigned int class, void *p)
{
	struct nar_mag *m = &a->mag[class];

	if (unlikely(p == m->top[-1] || p == m->top[-2]))
		nar_die_double_free(p);
	if (m->top == m->end) {
		nar_arena_update_classes(a);
		nar_arena_flush(a, class, nar_class[class].batch);
		count_own(a->count.nr_flushes, 1);
		nar_maint_poll();
	}
	*m->top++ = p;
}

static void free_small(void *p, u32 entry)
{
	u32 owner = nar_entry_owner(entry);
	struct nar_arena *a = thread_arena();

	if (nar_opt.harden)
		nar_live_clear(p);
	if (a && owner == a->member.id)
		push(a, nar_entry_class(entry), p);
	else if (a && owner != OWNER_SHARD)
		nar_arena_post(a, p, owner);
	else
		nar_arena_free_direct(p);
}

/* A block of another node goes home, where its neighbours are. */
static void free_large(void *p)
{
	struct nar_arena *a = thread_arena();

	nar_maint_poll();
	if (!a || nar_node_of(p) != a->member.node || !nar_recent_try_put(&a->recent, p))
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
	struct nar_arena *a = nar_arena_own;

	if (!a)
		return;
	nar_arena_flush_all(a);
	nar_arena_send_all(a);
	nar_recent_flush(&a->recent);
	nar_arena_trim(a);
}

void nar_thread_update_classes(void)
{
	if (nar_arena_own)
		nar_arena_update_classes(nar_arena_own);
}
