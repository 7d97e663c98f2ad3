// SPDX-License-Identifier: MIT
/*
 * The queue of remote frees.
 *
 *	head -> [ message 3 ] -> [ message 2 ] -> [ message 1 ]		newest first
 *	            |
 *	          object, object, object
 */
#include <pthread.h>

#include "arena/remote.h"
#include "arena/start.h"

#include "fake_numa.h"
#include "tap.h"

#define NR_PRODUCERS 4u
#define NR_MESSAGES 20000u
#define SIZE 32u
#define NODE 2u
#define OTHER 1u

/* Who posted it. */
struct object {
	void *link;
	u32 producer, batch, index;
};

static struct nar_queue queue;

static struct nar_message *message_get(unsigned int node)
{
	struct nar_message *m = nar_messages_get(node), *rest;

	ck_assert_ptr_nonnull(m);
	rest = m->next;
	m->next = NULL;
	nar_messages_put(rest);
	return m;
}

static struct nar_message *message_new(struct object *first, unsigned int nr)
{
	struct nar_message *m = message_get(NODE);
	unsigned int i;

	for (i = 0; i < nr; i++)
		nar_message_add(m, &first[i], SIZE);
	return m;
}

static void post(struct object *first, unsigned int nr)
{
	nar_queue_post(&queue, message_new(first, nr));
}

static void message_empty(struct nar_message *m)
{
	m->nr = 0;
	m->bytes = 0;
	m->next = NULL;
	nar_messages_put(m);
}

/* Return: the next message, after this one was found to be @nr objects from @first on. */
static struct nar_message *check_message(struct nar_message *m, struct object *first, unsigned int nr)
{
	struct nar_message *next = m->next;
	unsigned int i;

	ck_assert_uint_eq(m->nr, nr);
	ck_assert_uint_eq(m->bytes, nr * SIZE);
	for (i = 0; i < nr; i++)
		ck_assert_ptr_eq(m->object[i], &first[i]);
	message_empty(m);
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
 * Expect: one take has all, the newest message first, each in the order it was filled
 * in; bytes are summed; then the queue is empty and works again.
 */
START_TEST(all_at_once_newest_first)
{
	static struct object a[1], b[3], c[NAR_MESSAGE_MAX];
	struct nar_message *m;

	post(a, 1);
	post(b, 3);
	post(c, NAR_MESSAGE_MAX);
	ck_assert(!nar_queue_is_empty(&queue));
	ck_assert_uint_eq(queue.bytes, (1 + 3 + NAR_MESSAGE_MAX) * SIZE + 3 * sizeof(struct nar_message));
	m = nar_queue_take_all(&queue);
	ck_assert(nar_queue_is_empty(&queue));
	m = check_message(m, c, NAR_MESSAGE_MAX);
	m = check_message(m, b, 3);
	ck_assert_ptr_null(check_message(m, a, 1));
	post(b, 2);
	ck_assert_ptr_null(check_message(nar_queue_take_all(&queue), b, 2));
}
END_TEST

/*
 *	message: | NULL NULL | a | b | ...
 *
 * Expect: the newest two, or NULL where there are none.
 */
START_TEST(newest_of_a_message)
{
	struct nar_message *m = message_get(NODE);
	struct object a, b;

	ck_assert_ptr_null(nar_message_newest(m, 1));
	ck_assert_ptr_null(nar_message_newest(m, 2));
	nar_message_add(m, &a, SIZE);
	ck_assert_ptr_eq(nar_message_newest(m, 1), &a);
	ck_assert_ptr_null(nar_message_newest(m, 2));
	nar_message_add(m, &b, SIZE);
	ck_assert_ptr_eq(nar_message_newest(m, 1), &b);
	ck_assert_ptr_eq(nar_message_newest(m, 2), &a);
	message_empty(m);
}
END_TEST

/*
 *	pool of NODE -> m -> queue -> pool of NODE, whoever empties it
 *
 * Expect: a message's memory is on the node it is from, it goes back there, and what has
 * come back is used again before more memory is.
 */
START_TEST(pools_are_nodes_own)
{
	struct nar_message *m = message_get(NODE), *other = message_get(OTHER);
	size_t bytes;
	unsigned int i;

	ck_assert_uint_eq(fake_bound_node(m), NODE);
	ck_assert_uint_eq(fake_bound_node(other), OTHER);
	m->next = other;
	other->next = NULL;
	nar_messages_put(m);
	bytes = nar_meta_bytes();
	for (i = 0; i < 100; i++) {
		m = message_get(NODE);
		ck_assert_uint_eq(m->node, NODE);
		nar_messages_put(m);
	}
	ck_assert_uint_eq(nar_meta_bytes(), bytes);
}
END_TEST

/* ---- Several producers ---- */

/* One to three objects a message. */
#define MESSAGE_OBJECTS(batch) (1 + (batch) % 3)

static struct object posted[NR_PRODUCERS][NR_MESSAGES][3];

static void *producer_thread(void *arg)
{
	u32 producer = *(const u32 *)arg, batch, i;

	for (batch = 0; batch < NR_MESSAGES; batch++) {
		struct object *o = posted[producer][batch];

		for (i = 0; i < MESSAGE_OBJECTS(batch); i++) {
			o[i].producer = producer;
			o[i].batch = batch;
			o[i].index = i;
		}
		post(o, MESSAGE_OBJECTS(batch));
	}
	return NULL;
}

/* Newest first, so each producer's messages come in falling order within one take. */
static unsigned int collect(struct nar_message *m, u8 (*seen)[NR_MESSAGES])
{
	u32 last[NR_PRODUCERS] = { 0 };
	unsigned int nr;

	for (nr = 0; m; nr++) {
		const struct object *o = m->object[0];
		u32 i, producer = o->producer;
		struct nar_message *next = m->next;

		ck_assert(m->nr == MESSAGE_OBJECTS(o->batch) && !seen[producer][o->batch]++);
		ck_assert(!last[producer] || o->batch + 1 < last[producer]);
		last[producer] = o->batch + 1;
		for (i = 0; i < m->nr; i++) {
			o = m->object[i];
			ck_assert(o->producer == producer && o->index == i);
		}
		message_empty(m);
		m = next;
	}
	return nr;
}

/*
 *	producer 0 \
 *	producer 1  > queue -> one collector, meanwhile
 *	...        /
 *
 * Expect: each message arrives once and whole, and those of one producer in its order.
 */
START_TEST(several_producers)
{
	static u8 seen[NR_PRODUCERS][NR_MESSAGES];
	u32 name[NR_PRODUCERS], i, nr = 0;
	pthread_t thread[NR_PRODUCERS];

	for (i = 0; i < NR_PRODUCERS; i++) {
		name[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, producer_thread, &name[i]), 0);
	}
	while (nr < NR_PRODUCERS * NR_MESSAGES)
		nr += collect(nar_queue_take_all(&queue), seen);
	for (i = 0; i < NR_PRODUCERS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_uint_eq(nr, NR_PRODUCERS * NR_MESSAGES);
	ck_assert(nar_queue_is_empty(&queue));
}
END_TEST

static void queue_clear(void)
{
	ck_assert(nar_start_early());
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
	tcase_add_test(tc, newest_of_a_message);
	tcase_add_test(tc, pools_are_nodes_own);
	tcase_add_test(tc, several_producers);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
