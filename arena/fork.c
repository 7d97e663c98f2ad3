// SPDX-License-Identifier: MIT
/*
 * Around a fork nobody is inside a locked step: RCU first, then the C library's list of
 * streams, then all our locks in rank order.  The other way round deadlocks: a synchronizer
 * holds RCU's lock and waits for a reader, who may wait for any of the others.
 *
 * The child has one thread.  Its locks begin anew, RCU forgets the other readers, and
 * the arenas of lost threads are orphans: their slabs are shelved when somebody
 * refills, and what lay in their magazines counts as allocated for ever, since it may
 * have been half written when the world stopped.
 *
 * A fork in a signal handler that interrupted one of our locked steps leaves those
 * locks to the interrupted holder, and waits for no other: whoever has that may wait for
 * one of these.  The parent goes on; such a child may exec or _exit and nothing else.
 */
#include <pthread.h>
#include <urcu-bp.h>

#include "internal/option.h"
#include "numa/cancel.h"
#include "numa/mask.h"
#include "numa/streams.h"

#include "arena.h"
#include "extent.h"
#include "fork.h"
#include "forkpool.h"
#include "life.h"
#include "limit.h"
#include "lobby.h"
#include "scope.h"
#include "tomb.h"
#include "unit.h"

static struct nar_lock *start_lock;

/* In rank order. */
static void each_lock(void (*fn)(struct nar_lock *))
{
	fn(start_lock);
	nar_heap_each_make_lock(fn);
	nar_class_each_lock(fn);
	nar_registry_each_lock(fn);
	nar_lobby_each_lock(fn);
	nar_heap_each_list_lock(fn);
	nar_tomb_each_lock(fn);
	nar_arena_each_lock(fn);
	nar_heap_each_lock(fn);
	nar_chunk_each_lock(fn);
	nar_extent_each_lock(fn);
	nar_messages_each_lock(fn);
	nar_scope_each_lock(fn);
	nar_meta_each_lock(fn);
	nar_policy_each_lock(fn);
	nar_kind_each_lock(fn);
}

static __thread bool holds_any;

static void look_at_lock(struct nar_lock *l)
{
	holds_any |= nar_lock_is_mine(l);
}

bool nar_fork_is_locked_by_me(void)
{
	holds_any = false;
	each_lock(look_at_lock);
	return holds_any;
}

/*
 * A fork inside a read section cannot wait for RCU's lock: whoever has it may be waiting
 * for this reader.  Such a child must not use RCU until it execs, as with liburcu alone.
 */
static __thread bool holds_rcu;
static __thread bool holds_streams;

/* Parent and child talk with all locks held. */
static __thread int cancel_before;
static __thread sigset_t mask_before;

static void before_fork(void)
{
	bool is_amid;

	nar_mask_all(&mask_before);
	cancel_before = nar_cancel_forbid();
	is_amid = nar_fork_is_locked_by_me();
	holds_rcu = nar_opt.fork_rcu && !is_amid && !rcu_read_ongoing();
	if (holds_rcu)
		urcu_bp_before_fork();
	holds_streams = nar_streams_try_hold();
	each_lock(is_amid ? nar_trylock_for_fork : nar_lock_for_fork);
	nar_forkpool_open();
}

static void after_fork_parent(void)
{
	nar_forkpool_parent();
	nar_unit_note_fork();
	each_lock(nar_unlock_after_fork);
	if (holds_rcu)
		urcu_bp_after_fork_parent();
	nar_cancel_restore(cancel_before);
	/* Before signals: a handler may fork, or jump away. */
	if (holds_streams)
		_IO_list_unlock();
	nar_mask_restore(&mask_before);
}

/* Of a lock that fork did not take what it protects may be half done. */
static bool is_amid_step;

static void reset(struct nar_lock *l)
{
	is_amid_step |= !l->is_held_for_fork;
	nar_lock_reset(l);
}

static void after_fork_child(void)
{
	u32 tid_before = nar_tid_cached;

	nar_forkpool_child();
	nar_tid_cached = 0;
	nar_unit_note_fork();
	nar_unit_forget_threads();
	is_amid_step = false;
	each_lock(reset);
	nar_tomb_forget_threads();
	nar_limit_forget_threads();
	nar_scope_forget_threads();
	if (!is_amid_step)
		nar_heaps_forget_threads();
	nar_arenas_orphan(tid_before);
	if (holds_rcu)
		urcu_bp_after_fork_child();
	nar_cancel_restore(cancel_before);
	/* The C library may have done so already. */
	if (holds_streams)
		_IO_list_resetlock();
	nar_mask_restore(&mask_before);
}

void nar_fork_init(struct nar_lock *start)
{
	start_lock = start;
	if (pthread_atfork(before_fork, after_fork_parent, after_fork_child))
		nar_warn("no memory for fork handlers: a fork while threads run may hang the child");
}
