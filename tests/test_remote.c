// SPDX-License-Identifier: MIT
/*
 * The queue of remote frees.
 *
 *	head -> [ batch 3 ] -> [ batch 2 ] -> [ batch 1 ]	newest first
 *	            |
 *	          object -> object -> object -> NULL
 */
#include <pthread.h>

#include "arena/remote.h"

#include "tap.h"

#define NR_PRODUCERS 4u
#define NR_BATCHES 20000u
#define SIZE 32u

/* An object: two words of links, and who posted it. */
struct object {
	void *link[2];
	u32 producer, batch, index, reserved;
};

_Static_assert(sizeof(struct object) == SIZE, "bytes that the queue is told");

static struct nar_queue queue;

static void post(struct object *first, unsigned int nr)
{
	void *batch[NAR_BATCH_MAX];
	unsigned int i;

	for (i = 0; i < nr; i++)
		batch[i] = &first[i];
	nar_queue_post(&queue, batch, nr, nr * SIZE);
}

/* Return: the next batch, after this one was found to be @nr objects from @first on. */
static void *check_batch(void *taken, struct object *first, unsigned int nr)
{
	unsigned int said = 0, i;
	void *p = taken, *next = nar_batch_next(taken, &said);

	ck_assert_uint_eq(said, nr);
	for (i = 0; i < nr; i++, p = nar_chain_next(p))
		ck_assert_ptr_eq(p, &first[i]);
	ck_assert_ptr_null(p);
	return next;
}

/*
 *	head -> NULL
 *
 * Expect: empty to whoever looks, nothing to take.
 */
START_TEST(empty_queue)
{
	ck_assert(nar_queue_is_empty(&queue));
	ck_assert_ptr_null(nar_queue_take_all(&queue));
}
END_TEST

/*
 *	post 1, 3, 64 objects	->	64, 3, 1
 *
 * Expect: one take has all, the newest batch first, each in the order it was posted
 * in and with its number; bytes are summed; then the queue is empty and works again.
 */
START_TEST(all_at_once_newest_first)
{
	static struct object a[1], b[3], c[NAR_BATCH_MAX];
	void *batch;

	post(a, 1);
	post(b, 3);
	post(c, NAR_BATCH_MAX);
	ck_assert(!nar_queue_is_empty(&queue));
	ck_assert_uint_eq(queue.bytes, (1 + 3 + NAR_BATCH_MAX) * SIZE);
	batch = nar_queue_take_all(&queue);
	ck_assert(nar_queue_is_empty(&queue));
	batch = check_batch(batch, c, NAR_BATCH_MAX);
	batch = check_batch(batch, b, 3);
	ck_assert_ptr_null(check_batch(batch, a, 1));
	post(b, 2);
	ck_assert_ptr_null(check_batch(nar_queue_take_all(&queue), b, 2));
}
END_TEST

/*
 *	a -> b -> c -> NULL, made by hand
 *
 * Expect: it is walked as one that was posted.
 */
START_TEST(chains_made_by_hand)
{
	static struct object o[3];

	nar_chain_link(&o[2], NULL);
	nar_chain_link(&o[1], &o[2]);
	nar_chain_link(&o[0], &o[1]);
	ck_assert_ptr_eq(nar_chain_next(&o[0]), &o[1]);
	ck_assert_ptr_eq(nar_chain_next(nar_chain_next(&o[0])), &o[2]);
	ck_assert_ptr_null(nar_chain_next(&o[2]));
}
END_TEST

/* ---- Several producers ---- */

/* One to three objects a batch. */
#define BATCH_OBJECTS(batch) (1 + (batch) % 3)

static struct object posted[NR_PRODUCERS][NR_BATCHES][3];

static void *producer_thread(void *arg)
{
	u32 producer = *(const u32 *)arg, batch, i;

	for (batch = 0; batch < NR_BATCHES; batch++) {
		struct object *o = posted[producer][batch];

		for (i = 0; i < BATCH_OBJECTS(batch); i++) {
			o[i].producer = producer;
			o[i].batch = batch;
			o[i].index = i;
		}
		post(o, BATCH_OBJECTS(batch));
	}
	return NULL;
}

/* Newest first, so each producer's batches come in falling order within one take. */
static unsigned int collect(void *batch, u8 (*seen)[NR_BATCHES])
{
	u32 last[NR_PRODUCERS] = { 0 };
	unsigned int nr_batches = 0, nr;

	for (; batch; nr_batches++) {
		const struct object *o = batch;
		u32 i, producer = o->producer;
		void *next = nar_batch_next(batch, &nr);

		ck_assert(nr == BATCH_OBJECTS(o->batch) && !seen[producer][o->batch]++);
		ck_assert(!last[producer] || o->batch + 1 < last[producer]);
		last[producer] = o->batch + 1;
		for (i = 0; i < nr; i++, o = nar_chain_next(o))
			ck_assert(o && o->producer == producer && o->index == i);
		ck_assert_ptr_null(o);
		batch = next;
	}
	return nr_batches;
}

/*
 *	producer 0 \
 *	producer 1  > queue -> one collector, meanwhile
 *	...        /
 *
 * Expect: each batch arrives once and whole, and those of one producer in its order.
 */
START_TEST(several_producers)
{
	static u8 seen[NR_PRODUCERS][NR_BATCHES];
	u32 name[NR_PRODUCERS], i, nr = 0;
	pthread_t thread[NR_PRODUCERS];

	for (i = 0; i < NR_PRODUCERS; i++) {
		name[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, producer_thread, &name[i]), 0);
	}
	while (nr < NR_PRODUCERS * NR_BATCHES)
		nr += collect(nar_queue_take_all(&queue), seen);
	for (i = 0; i < NR_PRODUCERS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_uint_eq(nr, NR_PRODUCERS * NR_BATCHES);
	ck_assert(nar_queue_is_empty(&queue));
}
END_TEST

static void queue_clear(void)
{
	queue = (struct nar_queue){ 0 };
}

int main(void)
{
	Suite *suite = suite_create("remote");
	TCase *tc = tcase_create("queue");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, queue_clear, NULL);
	tcase_add_test(tc, empty_queue);
	tcase_add_test(tc, all_at_once_newest_first);
	tcase_add_test(tc, chains_made_by_hand);
	tcase_add_test(tc, several_producers);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
