// SPDX-License-Identifier: MIT
/*
 * The queue: a stack of messages (Treiber, "Systems programming: coping with
 * parallelism", 1986), emptied as a whole, so that no node is ever taken from under
 * another taker and its ABA problem cannot arise.  One message a batch of frees is
 * snmalloc's idea (Lietar et al., "snmalloc: a message passing allocator", ISMM 2019);
 * there it is chained through the objects.
 *
 * Messages that are not under way wait in their node's pool.  They are taken a few at a
 * time and come back as many as a drain has emptied, so its lock is rarely met.
 */
#include "class.h"
#include "remote.h"

/* Taken from a pool at once; what a thread that frees for one owner sends in 512 frees. */
#define GET_MAX 8

struct pool {
	struct nar_lock lock __shared_line;
	struct nar_message *head;
};

static struct pool pool[NAR_MAX_NODES] = {
	[0 ... NAR_MAX_NODES - 1] = { .lock = NAR_LOCK_INIT(RANK_MESSAGE) },
};

struct nar_message nar_message_none = {
	.owner = OWNER_NOBODY,
	.nr = NAR_MESSAGE_MAX,
};

/* ---- The queue ---- */

void nar_queue_post(struct nar_queue *q, struct nar_message *m)
{
	struct nar_message *seen = READ_ONCE(q->head);

	add_relaxed(&q->bytes, nar_message_weight(m));
	/*
	 * Release: the message is written; pairs with the exchange in nar_queue_take_all().
	 * Sequentially consistent, since the poster then looks whether the owner is gone;
	 * pairs with arena_close().
	 */
	do
		WRITE_ONCE(m->next, seen);
	while (!__atomic_compare_exchange_n(&q->head, &seen, m, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

struct nar_message *nar_queue_take_all(struct nar_queue *q)
{
	/*
	 * Acquire: pairs with nar_queue_post().  The look is sequentially consistent too:
	 * an owner that has just said it is gone relies on it.
	 */
	if (!__atomic_load_n(&q->head, __ATOMIC_SEQ_CST))
		return NULL;
	return __atomic_exchange_n(&q->head, NULL, __ATOMIC_SEQ_CST);
}

/* ---- Pools ---- */

/* Metadata is not given back, so they come by the page. */
static struct nar_message *messages_new(unsigned int node)
{
	const unsigned int nr = PAGE_BYTES / sizeof(struct nar_message);
	struct nar_message *m = nar_meta_alloc(node, PAGE_BYTES);
	unsigned int i;

	for (i = 0; m && i < nr; i++) {
		m[i].node = node;
		m[i].next = i + 1 < nr ? &m[i + 1] : NULL;
	}
	return m;
}

static struct nar_message *take_some(struct pool *from)
{
	struct nar_message *first, *last;
	unsigned int i;

	nar_lock(&from->lock);
	first = last = from->head;
	for (i = 1; last && last->next && i < GET_MAX; i++)
		last = last->next;
	if (last) {
		WRITE_ONCE(from->head, last->next);
		last->next = NULL;
	}
	nar_unlock(&from->lock);
	return first;
}

struct nar_message *nar_messages_get(unsigned int node)
{
	struct nar_message *m = READ_ONCE(pool[node].head) ? take_some(&pool[node]) : NULL;

	return m ? m : messages_new(node);
}

/* As many of the first of @m as are of one node.  Return: the rest. */
static struct nar_message *put_some(struct nar_message *m)
{
	struct pool *to = &pool[m->node];
	struct nar_message *last = m, *rest;

	while (last->next && last->next->node == m->node)
		last = last->next;
	rest = last->next;
	nar_lock(&to->lock);
	last->next = to->head;
	WRITE_ONCE(to->head, m);
	nar_unlock(&to->lock);
	return rest;
}

void nar_messages_put(struct nar_message *m)
{
	while (m)
		m = put_some(m);
}

void nar_messages_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		fn(&pool[node].lock);
}

/* ---- What lies in one ---- */

void nar_message_count(const struct nar_message *m, u64 *frees, u64 *bytes)
{
	unsigned int i, nr = min_of(READ_ONCE(m->nr), (u32)NAR_MESSAGE_MAX);

	if (nar_nodes.nr == 1) {
		count_own(frees[0], nr);
		count_own(bytes[0], READ_ONCE(m->bytes));
		return;
	}
	for (i = 0; i < nr; i++) {
		const void *p = READ_ONCE(m->object[i]);

		if (!p)
			continue;
		count_own(frees[nar_node_of(p)], 1);
		count_own(bytes[nar_node_of(p)], nar_class[nar_entry_class(nar_entry_of(p))].shape.size);
	}
}
