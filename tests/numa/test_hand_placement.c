// SPDX-License-Identifier: MIT
/*
 * Placement by hand, seen by the kernel.
 *
 *	thread on a CPU of n	alloc_on(m)	-> pages on m
 *				migrate(p, m)	-> the same addresses, pages on m, neighbours on n
 *				replicate(w)	-> a copy on each node
 *
 * Page by page by move_pages; the audit has to say the same.
 */
#include "arena/home.h"
#include "internal/option.h"
#include "internal/stat.h"

#include "guest.h"
#include "tests/verify.h"

static int here, there;	/* two nodes with memory; the first thread runs on the first */

static void *alloc_by_hand(int id, size_t size)
{
	void *p = numarena_alloc_on(id, size, 0);

	require(p, "%zu bytes on %d: %s", size, id, strerror(errno));
	memset(p, 0x5a, size);
	return p;
}

static void migrate(void *p, int id)
{
	require(!numarena_migrate(p, id), "%p to %d: %s", p, id, strerror(errno));
	require(numarena_node_of(p) == id, "%p is meant for %d", p, numarena_node_of(p));
}

/* While blocks are away from their window, where no sum of a window says anything. */
static void require_none_misplaced(void)
{
	const struct numarena_audit *audit = audit_now();

	require(audit->resident && !audit->misplaced, "%" PRIu64 " of %" PRIu64 " pages are misplaced",
		audit->misplaced, audit->resident);
}

/* ---- alloc_on ---- */

/*
 * Expect: all pages of all sizes on each node, written by a thread that is on one; the audit
 * finds nothing misplaced.
 */
START_TEST(memory_lies_where_it_was_asked_for)
{
	static const size_t sizes[] = { 64, 3000, 32768, KIB(100), MIB(3), MIB(16) };
	void *p[ARRAY_SIZE(sizes) * 4];
	unsigned int dense, nr = 0;
	size_t i;

	for (dense = 0; dense < min_of(nar_nodes.nr, 4u); dense++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++, nr++) {
			p[nr] = alloc_by_hand(nar_nodes.id[dense], sizes[i]);
			require_on(p[nr], sizes[i], nar_nodes.id[dense], "a block by hand");
		}
	}
	require_right();
	while (nr)
		numarena_free(p[--nr]);
	require_right();
}
END_TEST

/*
 *	numactl --interleave, set_mempolicy(2)	malloc -> all nodes, alloc_on -> one
 *
 * Expect: a node that is named stands above the thread's policy.
 */
START_TEST(hand_stands_above_the_threads_policy)
{
	char *spread, *placed;

	set_policy(MPOL_INTERLEAVE, all_nodes_mask());
	spread = must_malloc(SPREAD_BYTES);
	memset(spread, 0x5a, SPREAD_BYTES);
	placed = alloc_by_hand(there, MIB(16));
	set_policy(MPOL_DEFAULT, 0);
	require_no_node(spread);
	require_spread(spread, SPREAD_BYTES);
	require_on(placed, MIB(16), there, "a block by hand");
	numarena_free(spread);
	numarena_free(placed);
}
END_TEST

/* ---- migrate ---- */

/*
 *	| before | block | after |	block -> there -> back
 *
 * Expect: the block's pages on the other node, its content as it was, its neighbours' where they
 * were; untouched pages come from there too; the audit finds each where it is meant to be.
 */
static void try_migrate(size_t size)
{
	char *before = alloc_on(size, here), *p = must_malloc(size), *after = alloc_on(size, here);
	size_t written = size / 2;

	stamp(p, written, size);
	migrate(p, there);
	require_on(p, written, there, "a block that was moved");
	require_on(before, size, here, "what lies before it");
	require_on(after, size, here, "what lies behind it");
	require(stamp_is_whole(p, written, size), "moving %zu bytes lost content", size);
	memset(p + written, 0x5a, size - written);
	require_on(p, size, there, "what was touched since");
	require_none_misplaced();
	migrate(p, here);
	require_on(p, size, here, "a block that came back");
	require_right();
	migrate(p, there);
	numarena_free(p);
	require_right();
	p = alloc_on(size, here);
	numarena_free(before);
	numarena_free(after);
	numarena_free(p);
	require_right();
}

START_TEST(a_block_moves_and_comes_back)
{
	static const size_t sizes[] = { KIB(36), KIB(300), MIB(1) + KIB(900), MIB(2), MIB(5), MIB(33) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		try_migrate(sizes[i]);
}
END_TEST

/*
 *	unit:	| block a | block b |	one huge page
 *
 * Expect: it is parted, a's half goes and b's stays; it is counted.
 */
START_TEST(a_shared_huge_page_is_parted)
{
	const size_t half = HUGE_BYTES / 2 - KIB(64);
	uint64_t before = stats_now().huge_parted;
	char *a, *b;

	nar_opt.huge = HUGE_THP;
	require(numarena_reserve(here, MIB(4), 0) == (long long)MIB(4), "%s", strerror(errno));
	a = numarena_aligned_alloc(HUGE_BYTES, half);
	memset(a, 0x5a, half);
	b = alloc_on(half, here);
	require((uintptr_t)a / HUGE_BYTES == (uintptr_t)b / HUGE_BYTES, "%p and %p", (void *)a, (void *)b);
	require(audit_now()->huge, "no huge page to share");
	migrate(a, there);
	require_on(a, half, there, "a half");
	require_on(b, half, here, "the other half");
	require(stats_now().huge_parted > before, "not counted");
	require_none_misplaced();
	numarena_free(a);
	numarena_free(b);
	require_right();
	/* It was reserved, and still is there. */
	require_on(a, half, here, "what the half has left");
}
END_TEST

#define NR_STEPS 40

/* Maintenance looks again after 10, 20, ... ms; here as if all of them had passed. */
START_TEST(maintenance_leaves_it_there)
{
	char *p = alloc_on(MIB(8), here), *q = alloc_on(MIB(1), here);
	u32 i;

	migrate(p, there);
	migrate(q, there);
	for (i = 0; i < NR_STEPS; i++)
		nar_home_look(dense_of(here), (u32)nar_clock_ms() + (1u << min_of(i, 30u)));
	require_on(p, MIB(8), there, "a block that was moved");
	require_on(q, MIB(1), there, "a block that was moved");
	require_none_misplaced();
	numarena_free(p);
	numarena_free(q);
}
END_TEST

/* What the kernel leaves free before it says no is about 50 MiB of a node of 768. */
#define NEARLY_FULL MIB(120)

/*
 *	move_pages refused from now on: the audit reads numa_maps
 *
 * Expect: the block is a mapping of its own, and counted where it is meant to be.
 */
START_TEST(audit_by_maps_knows_it)
{
	static struct numarena_audit audit = { .size = sizeof(audit) };
	char *p = alloc_on(MIB(8), here), *q = alloc_on(MIB(8), here);

	migrate(p, there);
	require(refuse(SYS_move_pages, EPERM), "no filter: %s", strerror(errno));
	require(!numarena_audit(&audit) && audit.how == NUMARENA_AUDIT_MAPS, "%s", strerror(errno));
	require(!audit.misplaced, "%" PRIu64 " pages are misplaced", audit.misplaced);
	require(audit.at[dense_of(there)].resident[NUMARENA_KIND_UNKNOWN] >= MIB(8) / PAGE_BYTES,
		"it is not counted there");
	numarena_free(p);
	numarena_free(q);
	require(!numarena_audit(&audit) && !audit.misplaced, "%" PRIu64 " pages are misplaced", audit.misplaced);
}
END_TEST

/*
 *	there: | nearly full |	<- 256 MiB
 *
 * Expect: ENOMEM, and all of it is where it was.
 */
START_TEST(no_room_no_move)
{
	char *fill = alloc_by_hand(there, machine_meminfo((unsigned int)there, "MemFree") - NEARLY_FULL);
	char *p = alloc_on(MIB(256), here);

	errno = 0;
	require(numarena_migrate(p, there) == -1 && errno == ENOMEM, "errno %d", errno);
	require_on(p, MIB(256), here, "a block that could not move");
	require(numarena_node_of(p) == here, "it is meant for %d", numarena_node_of(p));
	require_right();
	numarena_free(fill);
	numarena_free(p);
}
END_TEST

/* ---- replicate ---- */

#define WEIGHTS (MIB(6) + 12345)

struct reader {
	const struct numarena_replicas *replicas;
	const void *copy;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	r->copy = numarena_replica(r->replicas);
	require(stamp_is_whole(r->copy, WEIGHTS, 7), "a copy is broken");
	return NULL;
}

static struct numarena_replicas *replicate_weights(void)
{
	struct object weights = object_new(WEIGHTS, 7);
	struct numarena_replicas *r = numarena_replicate(weights.p, WEIGHTS);

	object_delete(&weights);
	return r;
}

/*
 *	weights	-> | copy on 0 | copy on 1 | ...	read by a thread on each CPU
 *
 * Expect: every page of each copy on the reader's node, or on the nearest that has memory; whole
 * huge pages of it huge; nothing misplaced, nothing left.
 */
START_TEST(each_cpu_reads_near_memory)
{
	uint64_t before = stats_now().large_bytes, huge = audit_now()->huge;
	struct reader r = { replicate_weights(), NULL };
	int cpu;

	require(r.replicas, "replicate: %s", strerror(errno));
	require_none_misplaced();
	require(audit_now()->huge >= huge + nar_nodes.nr * 3 * PAGES_PER_UNIT, "%" PRIu64 " pages huge, before %"
		PRIu64, audit_now()->huge, huge);
	for_each_cpu(cpu) {
		run_on(cpu, reader_run, &r);
		require_on(r.copy, WEIGHTS, home_of_cpu(cpu), "a copy");
		require(numarena_node_of(r.copy) == home_of_cpu(cpu), "meant for %d", numarena_node_of(r.copy));
	}
	numarena_replica_free((struct numarena_replicas *)(uintptr_t)r.replicas);
	require(stats_now().large_bytes == before, "%" PRIu64 " bytes are left",
		stats_now().large_bytes - before);
	require_right();
}
END_TEST

/*
 *	here: | copy |	there: | full |
 *
 * Expect: ENOMEM, and nothing of it is left.
 */
START_TEST(no_room_no_copies)
{
	char *fill = alloc_by_hand(there, machine_meminfo((unsigned int)there, "MemFree") - NEARLY_FULL);
	uint64_t before = stats_now().large_bytes;
	char *weights = alloc_on(MIB(128), here);

	errno = 0;
	require(!numarena_replicate(weights, MIB(128)) && errno == ENOMEM, "errno %d", errno);
	numarena_free(weights);
	require(stats_now().large_bytes == before, "%" PRIu64 " bytes are left",
		stats_now().large_bytes - before);
	require_right();
	numarena_free(fill);
}
END_TEST

/*
 *	container without CAP_SYS_NICE: nothing can be bound
 *
 * Expect: copies are right all the same, by the first touch of threads on their nodes.
 */
START_TEST(copies_need_no_binding)
{
	struct reader r;
	int cpu;

	nar_note_missing(MISSING_MBIND);
	r.replicas = replicate_weights();
	require(r.replicas, "replicate: %s", strerror(errno));
	for_each_cpu(cpu) {
		run_on(cpu, reader_run, &r);
		require_on(r.copy, WEIGHTS, home_of_cpu(cpu), "a copy");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement by hand");
	TCase *tc = guest_case(suite, "on nodes");

	guest_begin();
	if (nar_nodes.nr < 2)
		tap_skip_all("one node: nothing to choose");
	here = home_of_cpu(next_cpu(0));
	there = nearest_but(here, 1ull << here);
	move_to(next_cpu(0));
	/* What the constructor has begun may be elsewhere. */
	require(!numarena_thread_bind(here), "node %d: %s", here, strerror(errno));
	tcase_add_test(tc, memory_lies_where_it_was_asked_for);
	tcase_add_test(tc, hand_stands_above_the_threads_policy);
	tcase_add_test(tc, a_block_moves_and_comes_back);
	tcase_add_test(tc, a_shared_huge_page_is_parted);
	tcase_add_test(tc, maintenance_leaves_it_there);
	tcase_add_test(tc, audit_by_maps_knows_it);
	tcase_add_test(tc, no_room_no_move);
	tcase_add_test(tc, each_cpu_reads_near_memory);
	tcase_add_test(tc, no_room_no_copies);
	tcase_add_test(tc, copies_need_no_binding);
	return tap_run(suite);
}
