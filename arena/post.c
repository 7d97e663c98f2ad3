// SPDX-License-Identifier: MIT
/*
 * Frees of what is another's.  The thread that frees collects them by owner and posts a
 * message of many; the owner drains its queue under its own lock, at a refill, and so does
 * whoever finds the queue long or the owner gone.  An object whose slab has changed hands
 * meanwhile is a stray: it is freed once the lock is let go, under its new owner's.
 */
#include <string.h>

#include "internal/probe.h"
#include "internal/stat.h"

#include "post.h"

/* Objects that a stranger collects at once, who helps because the queue is long. */
#define HELP_MAX 4096

/* A thread that only frees never refills: it sends after so many posts. */
#define POSTS_MAX 1024

/* ---- Drain ---- */

static struct nar_message *next_message(struct nar_arena *a) __must_hold(&a->lock)
{
	if (!a->inbox)
		a->inbox = nar_queue_take_all(&a->queue);
	return a->inbox;
}

/*
 * The first @nr of @from, which lie where all has been collected, are another's by now.  They
 * wait at the message's end, where there is room for all that it brought.
 */
static void note_strays(struct nar_message *m, void *const *from, unsigned int nr)
{
	m->nr_strays += nr;
	memmove(&m->object[NAR_MESSAGE_MAX - m->nr_strays], from, nr * sizeof(*from));
}

/*
 * What is still the arena's goes back, for its own thread into magazines that have room; the
 * rest is strays.
 */
static void give_posted(struct nar_arena *a, struct nar_message *m, unsigned int nr, bool is_own)
	__must_hold(&a->lock)
{
	void **from = &m->object[m->nr], **p, **end = from + nr;
	unsigned int nr_strays = 0, n;

	for (p = from; p < end; p += n) {
		u32 entry = nar_entry_of(*p);

		n = 1;
		if (unlikely(nar_entry_owner(entry) != a->member.id))
			from[nr_strays++] = *p;
		else if (!is_own || !nar_mag_try_push(&a->mag, nar_entry_class(entry), *p))
			n = nar_stock_give_run(a, p, (unsigned int)(end - p));
	}
	note_strays(m, from, nr_strays);
}

/* Up to @max of its objects; all at once if they are of another heap than the arena is in now. */
static unsigned int collect(struct nar_arena *a, struct nar_message *m, unsigned int max, bool is_own)
	__must_hold(&a->lock)
{
	bool is_for_us = m->handle == READ_ONCE(a->handle);
	unsigned int nr = is_for_us ? min_of(max, m->nr) : m->nr;

	WRITE_ONCE(m->nr, m->nr - nr);
	if (likely(is_for_us))
		give_posted(a, m, nr, is_own);
	else
		note_strays(m, m->object, nr);
	return nr;
}

static bool has_enough(const struct nar_arena *a, unsigned int class)
{
	return class != NAR_BY_A_STRANGER && nar_mag_nr(&a->mag, class) >= nar_class[class].batch;
}

static struct nar_message *drain_locked(struct nar_arena *a, unsigned int max, unsigned int class)
	__must_hold(&a->lock)
{
	struct nar_message *m, *done = NULL;

	while (max && !has_enough(a, class) && (m = next_message(a))) {
		unsigned int nr = collect(a, m, max, class != NAR_BY_A_STRANGER);

		nar_probe(remote_drain, a->member.node, nr);
		max -= min_of(max, nr);
		if (m->nr)
			break;
		sub_relaxed(&a->queue.bytes, nar_message_weight(m));
		WRITE_ONCE(m->bytes, 0);
		a->inbox = m->next;
		m->next = done;
		done = m;
	}
	return done;
}

static bool has_posts(const struct nar_arena *a)
{
	return a->inbox || !nar_queue_is_empty(&a->queue);
}

struct nar_message *nar_post_drain(struct nar_arena *a, unsigned int max, unsigned int class)
{
	struct nar_message *done;
	u64 begun;

	if (!has_posts(a))
		return NULL;
	begun = nar_lap_begin();
	done = drain_locked(a, max, class);
	nar_lap_end(LAP_DRAIN, begun);
	return done;
}

static void free_direct(void *p, u64 handle)
{
	if (handle == HANDLE_NONE)
		nar_post_free_direct(p);
	else
		nar_post_free_direct_of(p, handle);
}

static void free_strays(struct nar_message *m)
{
	void **stray = &m->object[NAR_MESSAGE_MAX - m->nr_strays];

	for (; m->nr_strays; m->nr_strays--, stray++)
		free_direct(*stray, m->handle);
}

void nar_post_finish(struct nar_message *done)
{
	struct nar_message *m;

	for (m = done; m; m = m->next)
		free_strays(m);
	nar_messages_put(done);
}

void nar_post_drain_all(struct nar_arena *a)
{
	bool more = true;

	while (more) {
		struct nar_message *done;

		nar_lock(&a->lock);
		done = nar_post_drain(a, HELP_MAX, NAR_BY_A_STRANGER);
		more = has_posts(a);
		nar_stock_unlock(a);
		nar_post_finish(done);
	}
}

bool nar_post_drain_some(struct nar_arena *a)
{
	struct nar_message *done = NULL;
	bool had_any;

	nar_lock(&a->lock);
	had_any = has_posts(a);
	if (had_any)
		done = drain_locked(a, NAR_DRAIN_MAX, NAR_BY_A_STRANGER);
	nar_stock_unlock(a);
	nar_post_finish(done);
	return had_any;
}

static void try_help(struct nar_arena *owner)
{
	struct nar_message *done;

	if (!nar_trylock(&owner->lock))
		return;
	done = nar_post_drain(owner, HELP_MAX, NAR_BY_A_STRANGER);
	nar_stock_unlock(owner);
	nar_post_finish(done);
}

/* ---- Remote frees ---- */

/* Its owner has left the heap: each object has another owner by now, or none. */
static void deliver_by_hand(struct nar_message *m)
{
	unsigned int nr = m->nr;

	WRITE_ONCE(m->nr, 0);
	WRITE_ONCE(m->bytes, 0);
	note_strays(m, m->object, nr);
	m->next = NULL;
	nar_post_finish(m);
}

static void send(struct nar_arena *a, struct nar_message **box)
{
	struct nar_message *m = *box;
	struct nar_arena *owner = nar_arena_of(m->owner);

	WRITE_ONCE(*box, &nar_message_none);
	nar_message_count(m, a->count.frees_to, a->count.bytes_to);
	count_own(a->count.nr_remote_frees, m->nr);
	count_own(a->count.nr_remote_batches, 1);
	nar_probe(remote_send, a->member.node, owner->member.node, m->nr, m->bytes);
	if (unlikely(m->handle != READ_ONCE(owner->handle)))
		return deliver_by_hand(m);
	nar_queue_post(&owner->queue, m);
	/* Posted, then looked; its thread marks, then drains: one of us sees the other. */
	if (unlikely(__atomic_load_n(&owner->is_gone, __ATOMIC_SEQ_CST)))
		nar_post_drain_all(owner);
	else if (unlikely(READ_ONCE(owner->queue.bytes) > NAR_QUEUE_BYTES))
		try_help(owner);
}

void nar_post_send_all(struct nar_arena *a)
{
	unsigned int i;

	if (!a->nr_posts)
		return;
	for (i = 0; i < NR_ALL_OUTBOXES; i++)
		if (a->outbox[i] != &nar_message_none)
			send(a, &a->outbox[i]);
	a->nr_posts = 0;
}

bool nar_post_send_one(struct nar_arena *a)
{
	unsigned int i;

	for (i = 0; i < NR_ALL_OUTBOXES && a->nr_posts; i++) {
		if (a->outbox[i] != &nar_message_none) {
			send(a, &a->outbox[i]);
			return true;
		}
	}
	a->nr_posts = 0;
	return false;
}

void nar_post_note_free(struct nar_arena *a, const void *p, size_t bytes)
{
	unsigned int node = nar_node_of(p);

	count_own(a->count.frees_to[node], 1);
	count_own(a->count.bytes_to[node], bytes);
}

void nar_post_count_unsent(const struct nar_arena *a, u64 *frees, u64 *bytes)
{
	unsigned int i;

	for (i = 0; i < NR_ALL_OUTBOXES; i++) {
		const struct nar_message *m = READ_ONCE(a->outbox[i]);

		if (m && m != &nar_message_none)
			nar_message_count(m, frees, bytes);
	}
}

static struct nar_message **box_for(struct nar_arena *a, u32 owner, u64 handle)
{
	return &a->outbox[handle == HANDLE_NONE ? owner % NR_OUTBOXES : NR_OUTBOXES + owner % NR_HEAP_OUTBOXES];
}

/* The one being filled for @owner, or a new one; NULL if there is no memory. */
static struct nar_message *message_for(struct nar_arena *a, u32 owner, u64 handle)
{
	struct nar_message **box = box_for(a, owner, handle), *m = *box;

	if (m->owner == owner && m->handle == handle)
		return m;
	if (m != &nar_message_none)
		send(a, box);
	if (!a->spare)
		a->spare = nar_messages_get(a->member.node);
	m = a->spare;
	if (!m)
		return NULL;
	a->spare = m->next;
	m->owner = owner;
	m->handle = handle;
	WRITE_ONCE(*box, m);
	return m;
}

void nar_post_add(struct nar_arena *a, void *p, u32 owner, u64 handle)
{
	size_t bytes = nar_class[nar_entry_class(nar_entry_of(p))].shape.size;
	struct nar_message *m = message_for(a, owner, handle);

	if (unlikely(!m)) {
		nar_post_note_free(a, p, bytes);
		free_direct(p, handle);
		return;
	}
	/* As in a magazine, the newest two: the rest is found when the message is drained. */
	if (unlikely(nar_message_ends_with(m, p)))
		nar_die_double_free(p);
	nar_message_add(m, p, bytes);
	a->nr_posts++;
	if (m->nr == NAR_MESSAGE_MAX || m->bytes >= NAR_MESSAGE_BYTES)
		send(a, box_for(a, owner, handle));
	if (a->nr_posts >= POSTS_MAX)
		nar_post_send_all(a);
}

/* Return: false if @a does not own it any more. */
static bool try_give(struct nar_arena *a, void *p, u32 entry, u64 handle)
{
	bool is_mine;

	nar_lock(&a->lock);
	is_mine = nar_entry_of(p) == entry;
	if (is_mine && likely(READ_ONCE(a->handle) == handle))
		nar_stock_give_run(a, &p, 1);
	nar_stock_unlock(a);
	return is_mine;
}

/* The owner may change until its lock is held: then ask the map again. */
void nar_post_free_direct(void *p)
{
	for (;;) {
		u32 entry = nar_entry_of(p), owner = nar_entry_owner(entry);

		if (owner == OWNER_NONE || owner == OWNER_SCOPE)
			nar_die("double free of %p (its slab is gone)", p);
		if (owner == OWNER_SHARD ? nar_heap_try_free(p) :
		    try_give(nar_arena_of(owner), p, entry, HANDLE_NONE))
			return;
	}
}

/* Under the owner's lock a heap is alive or not; before it, it may end between any two steps. */
void nar_post_free_direct_of(void *p, u64 handle)
{
	bool is_done = false;

	while (!is_done && nar_heap_is_alive(handle)) {
		u32 entry = nar_entry_of(p), owner = nar_entry_owner(entry);

		if (owner == OWNER_SHARD)
			is_done = nar_heap_try_free_of(p, handle);
		else if (owner == OWNER_NONE || owner == OWNER_TOMB)
			is_done = true;
		else
			is_done = try_give(nar_arena_of(owner), p, entry, handle);
	}
}
