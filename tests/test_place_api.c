// SPDX-License-Identifier: MIT
/*
 * Placement by hand, on the pretend machine of fake_numa.h.
 *
 *	thread on 0	alloc_on(2)	-> window of 2, bound to 2
 *			malloc		-> window of 0, as before
 *
 * Each test wants a process of its own, which Check gives it: windows are empty at first.
 */
#include <errno.h>
#include <limits.h>
#include <numarena.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arena/home.h"
#include "arena/thread.h"
#include "internal/option.h"

#include "contract.h"
#include "fake_numa.h"

/* Small ones, the largest class, large ones; and sizes in between. */
static const size_t sizes[] = { 0, 1, 24, 100, 520, 4096, 30000, MAX_CLASS_BYTES, MAX_CLASS_BYTES + 1,
				MIB(1), MIB(5) };
static const size_t alignments[] = { 0, 1, 16, 64, 4096, MIB(2) };

static struct numarena_node_stats node_now(unsigned int node)
{
	struct numarena_node_stats stats;

	ck_assert_int_eq(numarena_node_stats_get(node, &stats, sizeof(stats)), 0);
	return stats;
}

static void *alloc_on(int node, size_t size, size_t alignment)
{
	void *p = must_give(numarena_alloc_on(node, size, alignment));

	expect(is_aligned(p, alignment ? alignment : 16), "%p of alignment %zu", p, alignment);
	memset(p, 0x5a, size);
	return p;
}

struct visit {
	unsigned int node;
	void *(*fn)(void *);
	void *arg;
};

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	fake_node = v->node;
	return v->fn(v->arg);
}

static void on_node(unsigned int node, void *(*fn)(void *), void *arg)
{
	struct visit v = { node, fn, arg };

	thread_join(thread_start(visit_thread, &v));
}

/* ---- alloc_on ---- */

static void try_sizes(int node)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(alignments); j++) {
			void *p = alloc_on(node, sizes[i], alignments[j]);

			ck_assert_int_eq(numarena_node_of(p), node);
			ck_assert_uint_eq(nar_node_of(p), (unsigned int)node);
			ck_assert_uint_eq(fake_bound_node(p), (unsigned int)node);
			ck_assert_uint_ge(numarena_malloc_usable_size(p), sizes[i]);
			must_keep_errno(numarena_free(p));
		}
	}
}

/*
 * Expect: each node has what was named for it, whatever size and alignment; the thread's own
 * memory stays where it was, and so does the thread.
 */
START_TEST(memory_is_on_the_node_that_was_named)
{
	int node;

	numarena_free(must_give(numarena_malloc(100)));
	for (node = 0; node < (int)FAKE_NODES; node++)
		try_sizes(node);
	ck_assert_uint_eq(nar_arena_own ? nar_arena_own->member.node : 0, 0);
	ck_assert_int_eq(numarena_node_of(must_give(numarena_malloc(100))), 0);
	ck_assert_int_eq(numarena_node_of(must_give(numarena_alloc_on(NUMARENA_NODE_FOLLOW, 100, 0))), 0);
	ck_assert_int_eq(numarena_node_of(must_give(numarena_alloc_on(NUMARENA_NODE_FOLLOW, MIB(1), 0))), 0);
}
END_TEST

/* Own node: from the magazine that malloc has too. */
START_TEST(own_node_is_as_malloc)
{
	void *p = must_give(numarena_malloc(100));

	if (nar_opt.harden || nar_opt.mode != MODE_ARENA)
		return;
	numarena_free(p);
	ck_assert_ptr_eq(alloc_on(0, 100, 0), p);
	ck_assert_uint_eq(nar_entry_owner(nar_entry_of(p)), nar_arena_own->member.id);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	static const int nodes[] = { -2, INT_MIN, INT_MAX, (int)FAKE_NODES, 256, 65536 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		must_refuse(numarena_alloc_on(nodes[i], 100, 0), EINVAL);
	must_refuse(numarena_alloc_on(1, 100, 3), EINVAL);
	must_refuse(numarena_alloc_on(NUMARENA_NODE_FOLLOW, 100, 48), EINVAL);
	must_refuse(numarena_alloc_on(1, SIZE_MAX, 0), ENOMEM);
	must_refuse(numarena_alloc_on(1, (size_t)PTRDIFF_MAX + 1, 64), ENOMEM);
	must_refuse(numarena_alloc_on(1, 100, (size_t)1 << 63), ENOMEM);
	must_refuse(numarena_alloc_on(1, FAKE_BYTES * 5, 0), ENOMEM);
	fake.forbid = 1u << 3;
	must_refuse(numarena_alloc_on(3, 100, 0), EINVAL);
	fake.forbid = 0;
	numarena_free(alloc_on(3, 100, 0));
}
END_TEST

#define NR_OBJECTS 1000

struct objects {
	int node;
	size_t size;
	void *at[NR_OBJECTS];
};

static void *alloc_many(void *arg)
{
	struct objects *o = arg;
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		o->at[i] = alloc_on(o->node, o->size, 0);
		expect(numarena_node_of(o->at[i]) == o->node, "object %u is not on %d", i, o->node);
	}
	return NULL;
}

static void *free_many(void *arg)
{
	struct objects *o = arg;
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++)
		numarena_free(o->at[i]);
	return NULL;
}

/*
 *	thread on 0: 1,000 objects on 3	-> freed by itself, by one on 3, by one on 1
 *
 * Expect: all come back, whoever frees them; a thread of that node adopts their slabs.
 */
START_TEST(anybody_may_free)
{
	static const unsigned int freers[] = { 0, 3, 1 };
	static struct objects o;
	size_t i, before;

	o = (struct objects){ .node = 3, .size = 200 };
	for (i = 0; i < ARRAY_SIZE(freers); i++) {
		alloc_many(&o);
		on_node(freers[i], free_many, &o);
	}
	numarena_malloc_trim(0);
	before = node_now(3).slab_bytes;
	ck_assert_uint_eq(before, 0);
}
END_TEST

/* One object that comes and goes does not make a slab each time. */
START_TEST(a_shelf_keeps_its_last_slab)
{
	struct numarena_stats stats;
	u64 before;
	int i;

	numarena_free(alloc_on(2, 100, 0));
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	before = stats.nr_slabs_made;
	for (i = 0; i < 100; i++)
		numarena_free(alloc_on(2, 100, 0));
	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	ck_assert_uint_eq(stats.nr_slabs_made, before);
	numarena_malloc_trim(0);
	ck_assert_uint_eq(node_now(2).slab_bytes, 0);
}
END_TEST

/*
 *	node 2 full	-> 3, the nearest; counted
 *	strict		-> NULL
 */
START_TEST(full_node_falls_over_or_fails)
{
	fake.is_full = 1u << 2;
	ck_assert_int_eq(numarena_node_of(alloc_on(2, 100, 0)), 3);
	ck_assert_int_eq(numarena_node_of(alloc_on(2, MIB(1), 0)), 3);
	ck_assert_uint_ge(node_now(2).node_fallback, 2);
}
END_TEST

START_TEST(strict_node_fails_when_full)
{
	nar_opt.policy = BIND_STRICT;
	numarena_free(alloc_on(2, 100, 0));
	numarena_malloc_trim(0);
	fake.is_full = 1u << 2;
	must_refuse(numarena_alloc_on(2, MIB(1), 0), ENOMEM);
	ck_assert_uint_ge(node_now(2).strict_failed, 1);
	fake.is_full = 0;
	numarena_free(alloc_on(2, MIB(1), 0));
}
END_TEST

/*
 *	policy:interleave, inherit	malloc is for no node, alloc_on is
 *	a policy of the program's	likewise
 *
 * Expect: memory named by hand is bound to its node, and none of it is used for the others.
 */
static void try_beside(int policy)
{
	void *p, *q;

	nar_opt.policy = (u64)policy;
	try_sizes(2);
	p = alloc_on(0, 100, 0);
	q = must_give(numarena_malloc(100));
	ck_assert_int_eq(numarena_node_of(p), 0);
	ck_assert_int_eq(numarena_node_of(q), -1);
	ck_assert_uint_ne(nar_slab_around(p), nar_slab_around(q));
	numarena_free(p);
	numarena_free(q);
}

START_TEST(hand_stands_above_interleave)
{
	try_beside(BIND_INTERLEAVE);
}
END_TEST

START_TEST(hand_stands_above_inherit)
{
	try_beside(BIND_INHERIT);
}
END_TEST

START_TEST(hand_stands_above_the_threads_policy)
{
	fake_policy = 3;
	try_sizes(2);
	ck_assert_int_eq(numarena_node_of(must_give(numarena_malloc(MIB(1)))), -1);
	ck_assert_int_eq(numarena_node_of(must_give(numarena_alloc_on(NUMARENA_NODE_FOLLOW, MIB(1), 0))), -1);
}
END_TEST

/* ---- migrate ---- */

#define BLOCK MIB(3)

static void *block_here(size_t size)
{
	void *p = must_give(numarena_malloc(size));

	memset(p, 0x5a, size);
	return p;
}

static void migrate(void *p, int node)
{
	int result;

	must_keep_errno(result = numarena_migrate(p, node));
	ck_assert_int_eq(result, 0);
}

#define must_not_migrate(p, node, code)						\
	do {									\
		errno = ERRNO_MARK;						\
		ck_assert_int_eq(numarena_migrate((p), (node)), -1);		\
		ck_assert_int_eq(errno, (code));				\
	} while (0)

/*
 *	node 0: | block |	-> 2, 3, "here", 2
 *
 * Expect: the address stays, node_of and the binding follow, all of the block is bound; home
 * again it is bound as its window.
 */
START_TEST(a_block_moves_at_its_address)
{
	char *p = block_here(BLOCK);

	migrate(p, 2);
	ck_assert_int_eq(numarena_node_of(p), 2);
	ck_assert_int_eq(numarena_node_of(p + BLOCK - 1), 2);
	ck_assert_uint_eq(fake_bound_node(p), 2);
	ck_assert_uint_eq(fake_bound_node(p + BLOCK - 1), 2);
	ck_assert_uint_ne(fake_bound_node(p + BLOCK), 2);
	migrate(p, 3);
	ck_assert_int_eq(numarena_node_of(p), 3);
	migrate(p, NUMARENA_NODE_FOLLOW);
	ck_assert_int_eq(numarena_node_of(p), 0);
	ck_assert_uint_eq(fake_bound_node(p), 0);
	ck_assert_uint_eq(fake_bound_policy(p), POLICY_OURS);
	migrate(p, 2);
	numarena_free(p);
}
END_TEST

/*
 *	node 0: | 1 MiB | moved to 2 | 1 MiB |	freed
 *
 * Expect: purged and bound to 0 before anybody else has it; so whoever has it next has memory
 * of node 0, and it is one with its neighbours again.
 */
START_TEST(a_freed_block_goes_home)
{
	static const size_t block_sizes[] = { KIB(40), KIB(200), MIB(1), BLOCK };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		size_t size = block_sizes[i];
		void *before = block_here(size), *p = block_here(size), *after = block_here(size);
		u32 purges = fake_calls.purge[0];
		unsigned int node;

		migrate(p, 2);
		numarena_free(p);
		ck_assert_uint_eq(fake_calls.purge[0], purges + 1);
		for (node = 0; node < 2; node++)
			ck_assert_uint_eq(fake_bound_node((char *)p + node * (size - 1)), 0);
		numarena_free(before);
		numarena_free(after);
		p = block_here(size);
		ck_assert_int_eq(numarena_node_of(p), 0);
		numarena_free(p);
	}
}
END_TEST

/* Expect: smaller stays, and is no smaller; larger is a copy where the thread is. */
START_TEST(realloc_of_a_moved_block)
{
	char *p = block_here(BLOCK), *q;

	migrate(p, 2);
	q = must_give(numarena_realloc(p, BLOCK / 2));
	ck_assert_int_eq(numarena_node_of(q), 2);
	ck_assert_ptr_eq(q, p);
	ck_assert_uint_eq(numarena_malloc_usable_size(q), BLOCK);
	/* Not to be taken for a mistake by harden:1, once it is freed with its size. */
	q = block_here(BLOCK);
	migrate(q, 2);
	q = must_give(numarena_realloc(q, BLOCK / 2));
	nar_opt.harden = true;
	numarena_free_sized(q, BLOCK / 2);
	nar_opt.harden = false;
	q = must_give(numarena_realloc(p, BLOCK * 4));
	ck_assert_ptr_ne(q, p);
	ck_assert_int_eq(numarena_node_of(q), 0);
	ck_assert_int_eq(q[BLOCK - 1], 0x5a);
	ck_assert_uint_eq(fake_bound_node(p), 0);
	numarena_free(q);
}
END_TEST

/*
 *	unit:	| block, moved | neighbour |	all elsewhere, says the kernel
 *
 * Expect: nobody brings any of it home; once the block is freed, the unit is looked at.
 */
START_TEST(maintenance_leaves_a_moved_block_alone)
{
	char *p = block_here(KIB(512)), *neighbour = block_here(KIB(512));
	u32 now = (u32)fake.clock_ms;

	ck_assert_uint_eq(nar_offset(p) >> HUGE_SHIFT, nar_offset(neighbour) >> HUGE_SHIFT);
	nar_mem.unit[nar_offset(p) >> HUGE_SHIFT].backing = BACKING_HUGE;
	migrate(p, 2);
	fake.away = 1;
	ck_assert(!nar_home_look(0, now));
	ck_assert_uint_eq(fake_calls.enforce[0], 0);
	numarena_free(p);
	ck_assert(nar_home_look(0, now));
	ck_assert_uint_eq(fake_calls.enforce[0], 1);
}
END_TEST

START_TEST(what_cannot_move_is_refused)
{
	char *p = block_here(BLOCK), *small = must_give(numarena_malloc(100)), on_stack;

	must_not_migrate(NULL, 2, EINVAL);
	must_not_migrate(&on_stack, 2, EINVAL);
	must_not_migrate(small, 2, EINVAL);
	must_not_migrate(p + 4096, 2, EINVAL);
	must_not_migrate(p + 1, 2, EINVAL);
	must_not_migrate(p, (int)FAKE_NODES, EINVAL);
	must_not_migrate(p, -2, EINVAL);
	fake.forbid = 1u << 2;
	must_not_migrate(p, 2, EINVAL);
	fake.forbid = 0;
	migrate(p, 2);
	numarena_free(p);
	must_not_migrate(p, 2, EINVAL);
}
END_TEST

START_TEST(pool_pages_do_not_move)
{
	void *p;

	nar_opt.huge = HUGE_HUGETLB;
	fake.pool_units = 8;
	p = block_here(MIB(4));
	must_not_migrate(p, 2, ENOTSUP);
	ck_assert_int_eq(numarena_node_of(p), 0);
	numarena_free(p);
}
END_TEST

/* Expect: as it was before, wherever that was; free gives back what was purged for it. */
START_TEST(a_failed_move_changes_nothing)
{
	void *p = block_here(BLOCK), *q = block_here(BLOCK);

	fake.refuse_move = 1u << 2;
	must_not_migrate(p, 2, ENOMEM);
	ck_assert_int_eq(numarena_node_of(p), 0);
	ck_assert_uint_eq(fake_bound_node(p), 0);
	ck_assert_uint_eq(fake_bound_policy(p), POLICY_OURS);
	migrate(p, 3);
	must_not_migrate(p, 2, ENOMEM);
	ck_assert_int_eq(numarena_node_of(p), 3);
	ck_assert_uint_eq(fake_bound_node(p), 3);
	fake.pinned = q;
	must_not_migrate(q, 1, EBUSY);
	ck_assert_int_eq(numarena_node_of(q), 0);
	numarena_free(p);
	numarena_free(q);
}
END_TEST

/* What is free there and ours makes room. */
START_TEST(a_full_node_is_purged_first)
{
	void *p = block_here(BLOCK), *q = alloc_on(2, BLOCK, 0);
	u32 before;

	numarena_free(q);
	before = fake_calls.purge[2];
	fake.refuse_move = 1u << 2;
	must_not_migrate(p, 2, ENOMEM);
	ck_assert_uint_gt(fake_calls.purge[2], before);
	/* to 2, to 2 again, and back */
	ck_assert_uint_eq(fake_calls.move[2], 2);
	ck_assert_uint_eq(fake_calls.move[0], 1);
}
END_TEST

#define MANY 130
#define MOST 128

/* Expect: 128 at a time; one that comes home or is freed makes room for another. */
START_TEST(there_is_an_end_to_mappings)
{
	static void *p[MANY];
	unsigned int i;

	for (i = 0; i < MANY; i++)
		p[i] = block_here(KIB(40));
	for (i = 0; i < MOST; i++)
		migrate(p[i], 1);
	must_not_migrate(p[MOST], 1, ENOSPC);
	migrate(p[0], 2);
	migrate(p[0], 0);
	migrate(p[MOST], 1);
	must_not_migrate(p[MOST + 1], 1, ENOSPC);
	numarena_free(p[1]);
	migrate(p[MOST + 1], 1);
	for (i = 0; i < MANY; i++)
		numarena_free(i == 1 ? NULL : p[i]);
}
END_TEST

/* Under policy:interleave a block can be meant for its own window's node. */
START_TEST(an_interleaved_block_may_get_a_node)
{
	void *p;

	nar_opt.policy = BIND_INTERLEAVE;
	p = block_here(BLOCK);
	ck_assert_int_eq(numarena_node_of(p), -1);
	migrate(p, 0);
	ck_assert_int_eq(numarena_node_of(p), 0);
	ck_assert_uint_eq(fake_bound_policy(p), POLICY_HAND);
	numarena_free(p);
	ck_assert_uint_eq(fake_bound_policy(p), POLICY_OURS);
}
END_TEST

/* ---- replicate ---- */

static const size_t replica_sizes[] = { 1, 100, 4096, 5000, KIB(100), MIB(2), MIB(5) + 3 };

static unsigned char *weights(size_t size)
{
	unsigned char *w = malloc(size);
	size_t i;

	for (i = 0; i < size; i++)
		w[i] = (unsigned char)(i * 7 + i / 256);
	return w;
}

static u64 large_bytes(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats.large_bytes;
}

struct look {
	const struct numarena_replicas *replicas;
	const void *seen;
};

static void *look(void *arg)
{
	struct look *l = arg;

	l->seen = numarena_replica(l->replicas);
	return NULL;
}

static const void *replica_from(unsigned int node, const struct numarena_replicas *replicas)
{
	struct look l = { replicas, NULL };

	on_node(node, look, &l);
	return l.seen;
}

/*
 *	weights	-> a copy on each of 0, 1, 2, 3
 *
 * Expect: a thread on any node reads one of its own, with the content; all of it goes at once.
 */
START_TEST(each_node_reads_its_own)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(replica_sizes); i++) {
		size_t size = replica_sizes[i];
		unsigned char *w = weights(size);
		u64 before = large_bytes();
		struct numarena_replicas *r = must_give(numarena_replicate(w, size));
		unsigned int node;

		for (node = 0; node < FAKE_NODES; node++) {
			const void *copy = replica_from(node, r);

			ck_assert_uint_eq(nar_node_of(copy), node);
			ck_assert_int_eq(numarena_node_of(copy), (int)node);
			ck_assert_uint_eq(fake_bound_node(copy), node);
			ck_assert(is_aligned(copy, PAGE_BYTES));
			ck_assert_mem_eq(copy, w, size);
			ck_assert_ptr_eq(copy, replica_from(node, r));
		}
		ck_assert_uint_ge(large_bytes(), before + FAKE_NODES * size);
		must_keep_errno(numarena_replica_free(r));
		ck_assert_uint_eq(large_bytes(), before);
		free(w);
	}
	ck_assert_ptr_null(numarena_replica(NULL));
	must_keep_errno(numarena_replica_free(NULL));
}
END_TEST

START_TEST(nothing_to_replicate)
{
	char byte = 1;

	must_refuse(numarena_replicate(NULL, 1), EINVAL);
	must_refuse(numarena_replicate(&byte, 0), EINVAL);
	must_refuse(numarena_replicate(&byte, SIZE_MAX), ENOMEM);
	must_refuse(numarena_replicate(&byte, PTRDIFF_MAX), ENOMEM);
	ck_assert_int_eq(numarena_heap_limit(NULL, MIB(1)), 0);
	must_refuse(numarena_replicate(&byte, MIB(1)), ENOMEM);
	ck_assert_int_eq(numarena_heap_limit(NULL, 0), 0);
	fake.cgroup_room = MIB(3);
	must_refuse(numarena_replicate(&byte, MIB(1)), ENOMEM);
	fake.cgroup_room = SIZE_MAX;
}
END_TEST

/*
 *	2 forbidden	-> copies on 0, 1, 3; a thread on 2 reads 3's
 *	allowed later	-> likewise
 */
START_TEST(a_node_without_a_copy_reads_the_nearest)
{
	unsigned char *w = weights(KIB(100));
	struct numarena_replicas *r;

	fake.forbid = 1u << 2;
	r = must_give(numarena_replicate(w, KIB(100)));
	ck_assert_uint_eq(nar_node_of(replica_from(2, r)), 3);
	fake.forbid = 0;
	numarena_free(alloc_on(2, 1, 0));
	ck_assert_uint_eq(nar_node_current(), 0);
	ck_assert_uint_eq(nar_node_of(replica_from(2, r)), 3);
	ck_assert_uint_eq(nar_node_of(replica_from(1, r)), 1);
	numarena_replica_free(r);
	free(w);
}
END_TEST

/* Expect: NULL, whichever node it is, and nothing of the others' copies left. */
START_TEST(one_full_node_and_nothing_is_left)
{
	size_t size = replica_sizes[(unsigned int)_i / FAKE_NODES];
	unsigned int node = (unsigned int)_i % FAKE_NODES;
	unsigned char *w = weights(size);
	u64 before = large_bytes();

	fake.is_full = fake.refuse_commit = 1u << node;
	/* What the node of the constructor has already does for small ones. */
	if (node_now(node).free_bytes >= size) {
		ck_assert_uint_eq(node, 0);
		free(w);
		return;
	}
	must_refuse(numarena_replicate(w, size), ENOMEM);
	ck_assert_uint_eq(large_bytes(), before);
	fake.is_full = fake.refuse_commit = 0;
	numarena_replica_free(must_give(numarena_replicate(w, size)));
	ck_assert_uint_eq(large_bytes(), before);
	free(w);
}
END_TEST

static bool can_write(const void *p)
{
	int status;
	pid_t pid = fork_or_fail();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)(uintptr_t)p = 1;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status);
}

/*
 *	5 MiB and 3 bytes: | 2 MiB | 2 MiB | rest |
 *
 * Expect: whole huge pages cannot be written, the rest can (DEBUG=1: none of it); once freed, the
 * memory can be used; and protection ends with the 64th copy.
 */
START_TEST(whole_huge_pages_are_protected)
{
	unsigned char *w = weights(MIB(5) + 3);
	struct numarena_replicas *r = must_give(numarena_replicate(w, MIB(5) + 3));
	const char *copy = numarena_replica(r);
	char *p;

	ck_assert(!can_write(copy) && !can_write(copy + MIB(4) - 1));
	ck_assert(can_write(copy + MIB(4)) != NAR_DEBUG_DEFAULT);
	numarena_replica_free(r);
	p = must_give(numarena_malloc(MIB(5) + 3));
	memset(p, 1, MIB(5) + 3);
	ck_assert(can_write(copy));
	numarena_free(p);
	free(w);
}
END_TEST

#define MANY_REPLICAS 20

START_TEST(there_is_an_end_to_protection)
{
	struct numarena_replicas *r[MANY_REPLICAS];
	unsigned char *w = weights(MIB(2));
	unsigned int i;

	for (i = 0; i < MANY_REPLICAS; i++)
		r[i] = must_give(numarena_replicate(w, MIB(2)));
	ck_assert(!can_write(numarena_replica(r[15])));
	ck_assert(can_write(numarena_replica(r[16])) != NAR_DEBUG_DEFAULT);
	numarena_replica_free(r[3]);
	r[3] = must_give(numarena_replicate(w, MIB(2)));
	ck_assert(!can_write(numarena_replica(r[3])));
	for (i = 0; i < MANY_REPLICAS; i++)
		numarena_replica_free(r[i]);
	free(w);
}
END_TEST

/* Nor can a copy be moved: it is where it should be. */
START_TEST(copies_do_not_move)
{
	unsigned char *w = weights(MIB(2));
	struct numarena_replicas *r = must_give(numarena_replicate(w, MIB(2)));

	must_not_migrate((void *)(uintptr_t)numarena_replica(r), 2, EINVAL);
	must_not_migrate(r, 2, EINVAL);
	numarena_replica_free(r);
	free(w);
}
END_TEST

static void rest(void)
{
	fake.refuse_commit = fake.is_full = fake.forbid = fake.refuse_move = fake.away = 0;
	fake.pinned = NULL;
	fake.pool_units = 0;
	fake.cgroup_room = SIZE_MAX;
	fake_policy = POLICY_OURS;
}

int main(void)
{
	Suite *suite = suite_create("placement by hand");
	TCase *tc = tcase_create("alloc_on");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, memory_is_on_the_node_that_was_named);
	tcase_add_test(tc, own_node_is_as_malloc);
	tcase_add_test(tc, bad_arguments_are_refused);
	tcase_add_test(tc, anybody_may_free);
	tcase_add_test(tc, a_shelf_keeps_its_last_slab);
	tcase_add_test(tc, full_node_falls_over_or_fails);
	tcase_add_test(tc, strict_node_fails_when_full);
	tcase_add_test(tc, hand_stands_above_interleave);
	tcase_add_test(tc, hand_stands_above_inherit);
	tcase_add_test(tc, hand_stands_above_the_threads_policy);
	suite_add_tcase(suite, tc);

	tc = tcase_create("migrate");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, a_block_moves_at_its_address);
	tcase_add_test(tc, a_freed_block_goes_home);
	tcase_add_test(tc, realloc_of_a_moved_block);
	tcase_add_test(tc, maintenance_leaves_a_moved_block_alone);
	tcase_add_test(tc, what_cannot_move_is_refused);
	tcase_add_test(tc, pool_pages_do_not_move);
	tcase_add_test(tc, a_failed_move_changes_nothing);
	tcase_add_test(tc, a_full_node_is_purged_first);
	tcase_add_test(tc, there_is_an_end_to_mappings);
	tcase_add_test(tc, an_interleaved_block_may_get_a_node);
	suite_add_tcase(suite, tc);

	tc = tcase_create("replicate");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, NULL, rest);
	tcase_add_test(tc, each_node_reads_its_own);
	tcase_add_test(tc, nothing_to_replicate);
	tcase_add_test(tc, a_node_without_a_copy_reads_the_nearest);
	tcase_add_loop_test(tc, one_full_node_and_nothing_is_left, 0,
			    (int)(ARRAY_SIZE(replica_sizes) * FAKE_NODES));
	tcase_add_test(tc, whole_huge_pages_are_protected);
	tcase_add_test(tc, there_is_an_end_to_protection);
	tcase_add_test(tc, copies_do_not_move);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
