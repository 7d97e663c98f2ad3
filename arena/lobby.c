// SPDX-License-Identifier: MIT
#include "numa/kind.h"

#include "lobby.h"

/* As many of one node wait, and with so many bytes of slabs each. */
#define WAIT_MAX 16
#define WAIT_BYTES MIB(1)

static struct nar_lock lock = NAR_LOCK_INIT(RANK_REGISTRY);
static struct nar_arena *newest[NAR_MAX_NODES];	/* lock */
static u32 nr_waiting[NAR_MAX_NODES];		/* lock */
static u32 nr_all;				/* lock; racy reads */

static u64 decay_ms(const struct nar_arena *a)
{
	return nar_kind_decay_ms(a->heap->policy);
}

bool nar_lobby_try_enter(struct nar_arena *a)
{
	unsigned int node = a->member.node;
	u64 now = nar_clock_ms();
	bool has_room;

	if (a->member.is_of_heaps || READ_ONCE(a->slab_bytes) > WAIT_BYTES || !decay_ms(a))
		return false;
	nar_lock(&lock);
	has_room = nr_waiting[node] < WAIT_MAX;
	if (has_room) {
		a->member.is_free = true;
		a->waits_since_ms = now;
		a->next_waiting = newest[node];
		newest[node] = a;
		nr_waiting[node]++;
		WRITE_ONCE(nr_all, nr_all + 1);
	}
	nar_unlock(&lock);
	return has_room;
}

/* The one that @link leads to leaves. */
static struct nar_arena *leave(struct nar_arena **link)
{
	struct nar_arena *a = *link;

	*link = a->next_waiting;
	a->member.is_free = false;
	WRITE_ONCE(a->member.tid, nar_tid());
	nr_waiting[a->member.node]--;
	WRITE_ONCE(nr_all, nr_all - 1);
	return a;
}

struct nar_arena *nar_lobby_call(const struct nar_heap *heap, unsigned int node)
{
	struct nar_arena **link = &newest[node], *a;

	if (!READ_ONCE(nr_all))
		return NULL;
	nar_lock(&lock);
	while (*link && (*link)->heap != heap)
		link = &(*link)->next_waiting;
	a = *link ? leave(link) : NULL;
	nar_unlock(&lock);
	return a;
}

static bool has_waited(const struct nar_arena *a, u64 now_ms)
{
	return now_ms > a->waits_since_ms && now_ms - a->waits_since_ms >= decay_ms(a);
}

/* The oldest come last. */
static struct nar_arena *turn_out_of(unsigned int node, u64 now_ms, bool any)
{
	struct nar_arena **link, **found = NULL;

	for (link = &newest[node]; *link; link = &(*link)->next_waiting)
		if (any ? (*link)->waits_since_ms <= now_ms : has_waited(*link, now_ms))
			found = link;
	return found ? leave(found) : NULL;
}

struct nar_arena *nar_lobby_turn_out(u64 now_ms, bool any)
{
	struct nar_arena *a = NULL;
	unsigned int node;

	if (!READ_ONCE(nr_all))
		return NULL;
	nar_lock(&lock);
	for (node = 0; node < nar_nodes.nr && !a; node++)
		a = turn_out_of(node, now_ms, any);
	nar_unlock(&lock);
	return a;
}

void nar_lobby_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&lock);
}
