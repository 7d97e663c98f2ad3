// SPDX-License-Identifier: MIT
/*
 * The queue: a stack of batches (Treiber, "Systems programming: coping with
 * parallelism", 1986), emptied as a whole, so that no node is ever taken from under
 * another taker and its ABA problem cannot arise.  A batch is one node: its first
 * object carries the link to the next batch, and each object the link to the next
 * object (one message a batch of frees is snmalloc's idea: Lietar et al., "snmalloc:
 * a message passing allocator", ISMM 2019).
 *
 * Objects are at least 16 bytes: word 0 links batches, word 1 links objects.  The
 * links are written into freed memory, which sanitizers would object to.
 */
#include "remote.h"

/*
 * A batch's link also counts its objects, above the 47 bits of a user's address: mmap
 * gives out no others unless it is asked to.
 */
#define COUNT_SHIFT 48

#define WORD_BATCH 0
#define WORD_CHAIN 1

__no_asan void nar_chain_link(void *object, void *next)
{
	WRITE_ONCE(((void **)object)[WORD_CHAIN], next);
}

__no_asan void *nar_chain_next(const void *object)
{
	return READ_ONCE(((void *const *)object)[WORD_CHAIN]);
}

__no_asan void *nar_batch_next(const void *first_object, unsigned int *nr_objects)
{
	u64 word = READ_ONCE(((const u64 *)first_object)[WORD_BATCH]);

	*nr_objects = (unsigned int)(word >> COUNT_SHIFT);
	return (void *)(word & ((1ull << COUNT_SHIFT) - 1));
}

__no_asan void nar_queue_post(struct nar_queue *q, void *const *object, unsigned int nr, size_t bytes)
{
	void *seen = READ_ONCE(q->head);
	u64 *first = object[0];
	unsigned int i;

	for (i = 0; i + 1 < nr; i++)
		nar_chain_link(object[i], object[i + 1]);
	nar_chain_link(object[nr - 1], NULL);
	add_relaxed(&q->bytes, bytes);
	/*
	 * Release: the chain is written; pairs with the exchange in nar_queue_take_all().
	 * Sequentially consistent, since the poster then looks whether the owner is gone;
	 * pairs with arena_retire().
	 */
	do
		WRITE_ONCE(first[WORD_BATCH], (u64)nr << COUNT_SHIFT | (uintptr_t)seen);
	while (!__atomic_compare_exchange_n(&q->head, &seen, (void *)first, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

void *nar_queue_take_all(struct nar_queue *q)
{
	/*
	 * Acquire: pairs with nar_queue_post().  The look is sequentially consistent too:
	 * an owner that has just said it is gone relies on it.
	 */
	if (!__atomic_load_n(&q->head, __ATOMIC_SEQ_CST))
		return NULL;
	return __atomic_exchange_n(&q->head, NULL, __ATOMIC_SEQ_CST);
}
