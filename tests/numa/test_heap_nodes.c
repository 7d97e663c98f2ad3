// SPDX-License-Identifier: MIT
/*
 * Where the memory of heaps lies that name their nodes.
 *
 *	thread on a CPU of 0	-> | heap of node 0: window of 0 | heap of node 1: window of 1 |
 *	thread on a CPU of 1	-> | the same						       |
 *
 * Page by page, by move_pages.
 */
#include "guest.h"

#define NR_OBJECTS 600
#define BLOCK MIB(16)
#define MAX_BLOCKS 256

/* Two nodes that have memory. */
static int node_a, node_b;

static struct numarena_heap *heap_on(uint64_t nodes, uint32_t policy)
{
	struct numarena_heap_attr attr = { .size = sizeof(attr), .name = "placed", .policy = policy };
	struct numarena_heap *heap;

	attr.nodes[0] = nodes;
	heap = numarena_heap_create(&attr);
	require(heap, "nodes %#" PRIx64 ": %s", nodes, strerror(errno));
	return heap;
}

static void check_in(struct numarena_heap *heap, int id, const char *what)
{
	struct rng rng = rng_seeded((uint64_t)id);
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		size_t size = rng_log_size(&rng, 3, i % 64 ? 14 : 21);
		char *p = numarena_heap_alloc(heap, size);

		require(p, "%zu bytes: %s", size, strerror(errno));
		memset(p, 1, size);
		require_on(p, size, id, what);
		require(numarena_node_of(p) == id, "%p is meant for node %d", p, numarena_node_of(p));
		if (i % 3)
			numarena_free(p);
	}
}

struct pair {
	struct numarena_heap *a, *b;
};

static void *use_both(void *arg)
{
	struct pair *pair = arg;

	check_in(pair->a, node_a, "the heap of a");
	check_in(pair->b, node_b, "the heap of b");
	check_in(pair->a, node_a, "the heap of a, again");
	return NULL;
}

static void on_every_cpu(uint32_t policy)
{
	struct pair pair = { heap_on(1ull << node_a, policy), heap_on(1ull << node_b, policy) };
	int cpu;

	for_each_cpu(cpu)
		run_on(cpu, use_both, &pair);
	numarena_heap_destroy(pair.a);
	numarena_heap_destroy(pair.b);
}

/* Expect: wherever the thread runs, each heap's memory is on its node. */
START_TEST(two_heaps_on_two_nodes)
{
	on_every_cpu(NUMARENA_HEAP_POLICY_DEFAULT);
	on_every_cpu(NUMARENA_HEAP_STRICT);
}
END_TEST

static void *use_own(void *arg)
{
	int home = home_of_cpu(sched_getcpu());
	uint64_t nodes = 1ull << node_a | 1ull << node_b;

	check_in(arg, nodes >> home & 1 ? home : nearest_but(home, ~nodes), "a heap of two nodes");
	return NULL;
}

/* Expect: of the heap's nodes the thread's own, else the nearest. */
START_TEST(set_of_nodes)
{
	struct numarena_heap *heap = heap_on(1ull << node_a | 1ull << node_b, NUMARENA_HEAP_PREFERRED);
	int cpu;

	for_each_cpu(cpu)
		run_on(cpu, use_own, heap);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: what the program has set for the thread does not touch a heap that names its node. */
START_TEST(heap_stands_above_the_threads_policy)
{
	struct numarena_heap *heap;

	set_policy(MPOL_BIND, 1ull << node_a);
	heap = heap_on(1ull << node_b, NUMARENA_HEAP_POLICY_DEFAULT);
	check_in(heap, node_b, "a heap under a policy");
	set_policy(MPOL_DEFAULT, 0);
	numarena_heap_destroy(heap);
}
END_TEST

START_TEST(interleaved)
{
	struct numarena_heap *heap = heap_on(0, NUMARENA_HEAP_INTERLEAVE);
	char *p = numarena_heap_alloc(heap, SPREAD_BYTES);

	require(p, "%s", strerror(errno));
	memset(p, 1, SPREAD_BYTES);
	require_spread(p, SPREAD_BYTES);
	require_no_node(p);
	numarena_heap_destroy(heap);
}
END_TEST

/* Until NULL, which has to come.  Return: blocks. */
static unsigned int fill(struct numarena_heap *heap, uint64_t nodes)
{
	unsigned int nr = 0;
	char *p;

	while ((p = numarena_heap_alloc(heap, BLOCK))) {
		require(++nr < MAX_BLOCKS, "full, and goes on giving");
		require(nodes >> page_node(p) & 1, "block %u is on node %d", nr, page_node(p));
		memset(p, 1, BLOCK);
		require_on(p, BLOCK, page_node(p), "a strict block");
	}
	require(errno == ENOMEM, "%s", strerror(errno));
	return nr;
}

/* Expect: NULL when its node is full, others go on; all of it is there again afterwards. */
START_TEST(strict_and_full)
{
	unsigned int turn, nr[2];

	for (turn = 0; turn < 2; turn++) {
		struct numarena_heap *strict = heap_on(1ull << node_b, NUMARENA_HEAP_STRICT);
		struct numarena_heap *other = heap_on(1ull << node_a, NUMARENA_HEAP_STRICT);

		nr[turn] = fill(strict, 1ull << node_b);
		printf("# %u blocks of 16 MiB on node %d\n", nr[turn], node_b);
		require(numarena_heap_alloc(other, BLOCK), "the other node: %s", strerror(errno));
		numarena_heap_destroy(strict);
		numarena_heap_destroy(other);
	}
	require(nr[1] + 4 >= nr[0] && nr[0] > 4, "%u blocks, then %u", nr[0], nr[1]);
}
END_TEST

START_TEST(node_that_is_not_there)
{
	struct numarena_heap_attr attr = { .size = sizeof(attr) };

	attr.nodes[0] = 1ull << machine.nr_ids;
	errno = 0;
	require(!numarena_heap_create(&attr) && errno == EINVAL, "%s", strerror(errno));
	attr.nodes[0] = 1ull << node_a;
	attr.nodes[NUMARENA_NODE_MASK_WORDS - 1] = 1;
	errno = 0;
	require(!numarena_heap_create(&attr) && errno == EINVAL, "%s", strerror(errno));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heaps on nodes");
	TCase *tc = guest_case(suite, "two nodes");

	guest_begin();
	node_a = nearest_but(0, 0);
	node_b = node_a < 0 ? -1 : nearest_but(node_a, 1ull << node_a);
	if (node_b < 0)
		tap_skip_all("one node has all the memory");
	tcase_add_test(tc, two_heaps_on_two_nodes);
	tcase_add_test(tc, set_of_nodes);
	tcase_add_test(tc, heap_stands_above_the_threads_policy);
	tcase_add_test(tc, interleaved);
	tcase_add_test(tc, strict_and_full);
	tcase_add_test(tc, node_that_is_not_there);
	return tap_run(suite);
}
