/* SPDX-License-Identifier: MIT */
/*
 * Remote frees.  A thread that frees an object it does not own cannot touch the
 * owner's slabs, so it collects such objects by owner and posts them in messages.
 * Many post, one collects; posting never waits, and no state of the queue is half
 * made: a poster that is preempted or forked away blocks nobody.
 *
 *	outbox            queue of the owner           pool of a node
 *	| message | --->  message -> message -> ... --->  message -> message -> ...
 *	    ^---------------------------------------------------'
 *
 * A message lists its objects beside them: neither who frees nor who collects touches
 * an object, whose cache lines would travel for nothing.
 */
#ifndef NAR_REMOTE_H
#define NAR_REMOTE_H

#include "slab.h"

/* A message goes when it has so many objects or bytes. */
#define NAR_MESSAGE_MAX 64
#define NAR_MESSAGE_BYTES KIB(16)

/* A queue that holds more than this is drained by whoever posts next. */
#define NAR_QUEUE_BYTES KIB(512)

/* In an outbox its thread's, in a queue nobody's to change, once taken under the owner's lock. */
struct nar_message {
	struct nar_message *next;	/* in a queue or a pool */
	u32 owner;			/* whom it is for */
	u32 nr;				/* racy reads */
	size_t bytes;			/* racy reads */
	unsigned int node;		/* whose pool it is from; constant */
	u32 nr_strays;			/* at the end of object[]: collected, and another's by now */
	u64 handle;			/* of the heap that the objects are of; 0: of a policy's */
	void *guard[2];			/* NULL, below the oldest */
	void *object[NAR_MESSAGE_MAX];	/* racy reads */
};

/* Of nobody's and without room: stands for none. */
extern struct nar_message nar_message_none;

/* What others have posted to an arena. */
struct nar_queue {
	struct nar_message *head;	/* newest; compare-and-swap to post, exchange to take */
	size_t bytes;			/* relaxed: posted and not collected */
};

void nar_queue_post(struct nar_queue *q, struct nar_message *m);

/* All messages, newest first; NULL. */
struct nar_message *nar_queue_take_all(struct nar_queue *q);

static inline bool nar_queue_is_empty(const struct nar_queue *q)
{
	return !READ_ONCE(q->head);
}

/* What it holds back: its objects, and itself. */
static inline size_t nar_message_weight(const struct nar_message *m)
{
	return m->bytes + sizeof(*m);
}

static inline const void *nar_message_newest(const struct nar_message *m, unsigned int nth)
{
	return *(m->object + m->nr - nth);
}

/* Whether @p is one of the two newest. */
static inline bool nar_message_ends_with(const struct nar_message *m, const void *p)
{
	return p == nar_message_newest(m, 1) || p == nar_message_newest(m, 2);
}

static inline void nar_message_add(struct nar_message *m, void *p, size_t bytes)
{
	WRITE_ONCE(m->object[m->nr], p);
	WRITE_ONCE(m->bytes, m->bytes + bytes);
	WRITE_ONCE(m->nr, m->nr + 1);
}

/* A few empty ones of @node's pool, linked; NULL if there is no memory.  Hold no lock. */
struct nar_message *nar_messages_get(unsigned int node);
/* Linked ones go back, each to its node. */
void nar_messages_put(struct nar_message *m);

/* What lies in a message, by node.  A racing reader sees the latest or not. */
void nar_message_count(const struct nar_message *m, u64 *frees, u64 *bytes);

/* For fork. */
void nar_messages_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_REMOTE_H */
