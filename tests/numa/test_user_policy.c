// SPDX-License-Identifier: MIT
/*
 * Memory policies that the program sets for itself, at any time, stand above numarena's.
 *
 *	thread on A:	1,000 mallocs | set_mempolicy(BIND, B) | ... | MPOL_DEFAULT
 *	memory on:	A	      | B: blocks at once,     | A
 *					new slabs
 *
 *	test_user_policy		the suite
 *	test_user_policy on N		under numactl: all that it has lies on node N
 *	test_user_policy for N		... and is meant for N, for no policy is set
 *	test_user_policy spread		... on all nodes
 */
#include "arena/arena.h"

#include "guest.h"

#define NR_BEFORE 1000
#define BLOCK MIB(4)
#define USED_SIZE 256		/* of a class that has slabs when the policy comes ... */
#define FRESH_SIZE 1536		/* ... and that has none, one a policy */
#define FRESH_STEP 256
#define NR_SMALL 500

/* What the memory of a policy looks like. */
struct expectation {
	int mode;
	uint64_t nodes;
	int on;			/* all of it; -1: spread */
};

static void require_looks(void *p, size_t size, const struct expectation *e)
{
	int mode = -1;

	memset(p, 1, size);
	if (e->on >= 0)
		require_on(p, size, e->on, "memory under the program's policy");
	else if (size == SPREAD_BYTES)
		require_spread(p, size);
	if (e->mode == MPOL_DEFAULT) {
		require(numarena_node_of(p) == e->on, "meant for %d", numarena_node_of(p));
		return;
	}
	require_no_node(p);
	require(!get_mempolicy(&mode, NULL, 0, page_start(p), MPOL_F_ADDR) && mode == MPOL_DEFAULT,
		"the library has bound it: mode %d", mode);
}

static void require_block(size_t size, const struct expectation *e)
{
	void *p = must_malloc(size);

	require_looks(p, size, e);
	numarena_free(p);
}

static void require_small(size_t size, const struct expectation *e)
{
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++)
		require_looks(must_malloc(size), size, e);
}

/*
 * Of a class in use, what its slabs and its magazine have comes first.  Two slabs: one from
 * before a fork.
 */
static void require_small_in_time(const struct expectation *e)
{
	const struct nar_class *c = &nar_class[nar_class_builtin(USED_SIZE)];
	uint64_t before = stats_now().policy_switches;
	unsigned int nr = 0;

	while (stats_now().policy_switches == before) {
		must_malloc(USED_SIZE);
		require(nr++ <= 2u * c->shape.nr_objects + c->cap, "%u objects under the old policy", nr);
	}
	printf("# the policy was seen after %u objects of a class in use\n", nr);
	require_small(USED_SIZE, e);
}

/* ---- Policies that come and go ---- */

/* Tables follow the program's policy too, where they were needed under it. */
static void require_nothing_misplaced(void)
{
	const struct numarena_audit *audit = audit_now();

	require(!audit->misplaced, "%" PRIu64 " of %" PRIu64 " pages are misplaced", audit->misplaced,
		audit->resident);
}

struct change {
	struct expectation policies[6];
	bool is_small_first;
};

static void *change_run(void *arg)
{
	const struct change *c = arg;
	size_t i, fresh = FRESH_SIZE;

	for (i = 0; i < NR_BEFORE; i++)
		must_malloc(USED_SIZE);
	for (i = 0; i < ARRAY_SIZE(c->policies); i++, fresh += FRESH_STEP) {
		const struct expectation *e = &c->policies[i];

		set_policy(e->mode, e->nodes);
		if (c->is_small_first)
			require_small_in_time(e);
		else
			require_block(e->on < 0 ? SPREAD_BYTES : BLOCK, e);
		require_small(fresh, e);
		require_block(e->on < 0 ? SPREAD_BYTES : BLOCK, e);
	}
	return NULL;
}

static void change_policies(bool is_small_first)
{
	int home = home_of_cpu(next_cpu(0)), other = nearest_but(home, 1ull << home);
	struct change c = {
		{
			{ MPOL_BIND, 1ull << other, other },
			{ MPOL_DEFAULT, 0, home },
			{ MPOL_INTERLEAVE, all_nodes_mask(), -1 },
			{ MPOL_PREFERRED, 1ull << other, other },
			{ MPOL_BIND, 1ull << home, home },
			{ MPOL_DEFAULT, 0, home },
		},
		is_small_first,
	};

	run_on(next_cpu(0), change_run, &c);
	require_nothing_misplaced();
}

/*
 *	set_mempolicy -> block
 *
 * Expect: the first block and every block follows, and so does what is small from then on.
 */
START_TEST(blocks_follow_at_once)
{
	change_policies(false);
}
END_TEST

/*
 *	set_mempolicy -> | slab of before: rest | -> new slab
 *
 * Expect: small objects follow with the first new slab, and that comes in time.
 */
START_TEST(small_objects_follow_with_new_slabs)
{
	change_policies(true);
}
END_TEST

/* ---- Memory of one policy is never that of another ---- */

#define NR_POLICIES 4
#define NR_ROUNDS 3
#define NR_BLOCKS 40
#define NR_OBJECTS 2000
#define MAX_PAGES 16384

struct page_set {
	size_t nr;
	const char *page[MAX_PAGES];
};

static struct page_set sets[NR_POLICIES];

static int by_address(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	return (x > y) - (x < y);
}

static bool set_has(const struct page_set *set, const char *page)
{
	return bsearch(&page, set->page, set->nr, sizeof(page), by_address) != NULL;
}

static void set_add(struct page_set *set, const char *p, size_t bytes)
{
	const char *page;

	for (page = page_start(p); page < p + bytes; page += PAGE_BYTES) {
		require(set->nr < MAX_PAGES, "too many pages");
		set->page[set->nr++] = page;
	}
}

/* Blocks first: with them the thread sees its policy. */
static void fill_set(struct page_set *set, struct rng *rng)
{
	static void *p[NR_BLOCKS + NR_OBJECTS];
	unsigned int i;

	for (i = 0; i < NR_BLOCKS + NR_OBJECTS; i++) {
		size_t size = i < NR_BLOCKS ? rng_between(rng, NAR_SMALL_MAX + 1, MIB(1)) :
			rng_log_size(rng, 4, 12);

		p[i] = must_malloc(size);
		memset(p[i], 1, size);
		set_add(set, p[i], size);
	}
	for (i = 0; i < NR_BLOCKS + NR_OBJECTS; i++)
		numarena_free(p[i]);
	qsort(set->page, set->nr, sizeof(set->page[0]), by_address);
}

static size_t nr_common(const struct page_set *a, const struct page_set *b)
{
	size_t i, nr = 0;

	for (i = 0; i < a->nr; i++)
		nr += set_has(b, a->page[i]);
	return nr;
}

/* The rest of the process is under the default policy too, which is set here last. */
static void *sets_run(void *arg)
{
	const struct expectation *policies = arg;
	static struct page_set before;
	struct rng rng = rng_seeded(1);
	unsigned int i, k, round;

	for (round = 0; round < NR_ROUNDS; round++) {
		for (i = 0; i < NR_POLICIES; i++) {
			before = sets[i];
			sets[i].nr = 0;
			set_policy(policies[i].mode, policies[i].nodes);
			fill_set(&sets[i], &rng);
			for (k = 0; k < NR_POLICIES; k++)
				require(k == i || !nr_common(&sets[i], &sets[k]),
					"policies %u and %u share", i, k);
			require(!round || nr_common(&sets[i], &before),
				"policy %u never uses its own again", i);
			if (round == 1)
				numarena_malloc_trim(0);
		}
	}
	return NULL;
}

/*
 *	| pages of default | pages of BIND | pages of INTERLEAVE | ...	all freed, each time
 *
 * Expect: each policy uses its own pages again, and none of another's.
 */
START_TEST(policies_share_no_page)
{
	int home = home_of_cpu(next_cpu(0)), other = nearest_but(home, 1ull << home);
	struct expectation policies[NR_POLICIES] = {
		{ MPOL_BIND, 1ull << other, other },
		{ MPOL_INTERLEAVE, all_nodes_mask(), -1 },
		{ MPOL_PREFERRED, 1ull << home, home },
		{ MPOL_DEFAULT, 0, home },
	};

	run_on(next_cpu(0), sets_run, policies);
}
END_TEST

/* ---- Threads that differ ---- */

#define NR_TURNS 20
#define NR_EACH 64

struct side {
	pthread_barrier_t *barrier;
	struct side *other;
	struct expectation policy;
	void *p[NR_EACH];
};

static size_t size_of_turn(unsigned int i)
{
	return i % 8 ? USED_SIZE : MIB(1);
}

static void *side_run(void *arg)
{
	struct side *s = arg;
	unsigned int turn, i;

	set_policy(s->policy.mode, s->policy.nodes);
	for (turn = 0; turn < NR_TURNS; turn++) {
		for (i = 0; i < NR_EACH; i++) {
			s->p[i] = must_malloc(size_of_turn(i));
			require_looks(s->p[i], size_of_turn(i), &s->policy);
		}
		pthread_barrier_wait(s->barrier);	/* the other has allocated */
		for (i = 0; i < NR_EACH; i++)
			numarena_free(s->other->p[i]);
		pthread_barrier_wait(s->barrier);	/* and freed */
	}
	return NULL;
}

/*
 *	thread: BIND, A		both on one CPU; each frees what the other has allocated
 *	thread: BIND, B
 *
 * Expect: each has memory of its own policy, turn after turn.
 */
START_TEST(threads_differ)
{
	int cpu = next_cpu(0), home = home_of_cpu(cpu), other = nearest_but(home, 1ull << home);
	pthread_barrier_t barrier;
	struct side a = { &barrier, NULL, { MPOL_BIND, 1ull << home, home }, { NULL } };
	struct side b = { &barrier, &a, { MPOL_BIND, 1ull << other, other }, { NULL } };
	pthread_t thread;

	a.other = &b;
	pthread_barrier_init(&barrier, NULL, 2);
	thread = thread_start_on(cpu, side_run, &a);
	run_on(cpu, side_run, &b);
	thread_join(thread);
}
END_TEST

/* ---- Under numactl ---- */

static void require_range_on(void *arg, const void *start, size_t bytes)
{
	require(!look_at(start, bytes, *(int *)arg).misplaced, "a table is not on node %d", *(int *)arg);
}

/*
 * The policy was there before the first malloc: not a page is elsewhere.  Without one, other
 * nodes have tables of their own.
 */
static void require_all_on(int id, bool has_policy)
{
	unsigned int dense, other;

	for (dense = 0; dense < nar_nodes.nr; dense++) {
		const char *start = nar_at(nar_window_offset(dense));
		struct by_node seen = maps_of(start, start + nar_mem.window_bytes);

		for (other = 0; other < machine.nr_ids; other++)
			require((int)other == id || !seen.on[other], "%" PRIu64 " pages on node %u",
				seen.on[other], other);
		if (has_policy || nar_nodes.id[dense] == id)
			nar_meta_each_range(dense, require_range_on, &id);
	}
}

static int under_numactl(const char *what, int id)
{
	struct expectation e = { MPOL_BIND, 0, id };

	if (!strcmp(what, "for"))
		e.mode = MPOL_DEFAULT;
	require_block(id < 0 ? SPREAD_BYTES : BLOCK, &e);
	require_small(FRESH_SIZE, &e);
	require_nothing_misplaced();
	if (id >= 0)
		require_all_on(id, e.mode != MPOL_DEFAULT);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("user policy");
	TCase *tc = guest_case(suite, "set_mempolicy");

	guest_begin();
	if (argc > 1)
		return under_numactl(argv[1], argc > 2 ? atoi(argv[2]) : -1);
	if (nar_nodes.nr == 1)
		tap_skip_all("on one node all policies are the same");
	tcase_add_test(tc, blocks_follow_at_once);
	tcase_add_test(tc, small_objects_follow_with_new_slabs);
	tcase_add_test(tc, policies_share_no_page);
	tcase_add_test(tc, threads_differ);
	return tap_run(suite);
}
