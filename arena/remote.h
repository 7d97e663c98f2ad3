/* SPDX-License-Identifier: MIT */
/*
 * Remote frees.  A thread that frees an object it does not own cannot touch the
 * owner's slabs, so it collects such objects by owner and posts them in batches.
 * Many post, one collects; posting never waits, and no state of the queue is half
 * made: a poster that is preempted or forked away blocks nobody.
 */
#ifndef NAR_REMOTE_H
#define NAR_REMOTE_H

#include "internal/compiler.h"

/* A batch goes when it has so many objects or bytes. */
#define NAR_BATCH_MAX 64
#define NAR_BATCH_BYTES KIB(16)

/* A queue that holds more than this is drained by whoever posts next. */
#define NAR_QUEUE_BYTES MIB(1)

/* Batches on their way, by owner; the thread's own. */
struct nar_outbox {
	u32 owner;
	u32 nr;
	size_t bytes;
	void *object[NAR_BATCH_MAX];
};

/* What others have posted to an arena. */
struct nar_queue {
	void *head;		/* newest batch; compare-and-swap to post, exchange to take */
	size_t bytes;		/* relaxed: posted and not collected */
};

/* Chain @nr objects through themselves and post them as one. */
void nar_queue_post(struct nar_queue *q, void *const *object, unsigned int nr, size_t bytes);

/* All batches, newest first; NULL. */
void *nar_queue_take_all(struct nar_queue *q);

static inline bool nar_queue_is_empty(const struct nar_queue *q)
{
	return !READ_ONCE(q->head);
}

/*
 * Walking what was taken: the next object of a batch, the next batch.  An object is
 * read before it is given back to its slab.  The caller checks what it gets before it
 * follows it: a program that writes to freed memory writes here.
 */
void *nar_chain_next(const void *object);
void *nar_batch_next(const void *first_object, unsigned int *nr_objects);

/* A chain made by hand, of objects that are to be sent elsewhere. */
void nar_chain_link(void *object, void *next);

#endif /* NAR_REMOTE_H */
