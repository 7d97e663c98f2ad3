// SPDX-License-Identifier: MIT
/*
 * Where scopes lie: by the kernel's word, page by page, and by the audit's.
 *
 *	thread on a CPU of n: [ scope ]		-> | window of n: regions |
 *	moves to a CPU of m:  [ scope ]		-> | window of m: regions |
 */
#include "arena/scope.h"

#include "guest.h"

#define SMALL 200
#define NR_SMALL 20000		/* more than one region */
#define LARGE MIB(3)

static int home, away;

static void *must_give(struct numarena_scope *s, size_t size)
{
	void *p = numarena_scope_alloc(s, size);

	require(p, "%zu bytes: %s", size, strerror(errno));
	memset(p, 0x5a, size);
	return p;
}

static void require_at(const void *p, size_t size, int id)
{
	require_on(p, size, id, "an object of a scope");
	require(numarena_node_of((const char *)p + size - 1) == id, "%p is meant for node %d, not %d", p,
		numarena_node_of(p), id);
}

static struct numarena_scope *filled_scope(int id)
{
	struct numarena_scope *s = numarena_scope_begin("request", 0);
	unsigned int i;

	require(s, "no scope");
	for (i = 0; i < NR_SMALL; i++)
		require_at(must_give(s, SMALL), SMALL, id);
	require_at(must_give(s, LARGE), LARGE, id);
	return s;
}

static uint64_t scope_pages(int id)
{
	return audit_now()->at[dense_of(id)].resident[NUMARENA_KIND_SCOPE];
}

static void *there_and_elsewhere(void *arg)
{
	struct numarena_scope *s = filled_scope(home);
	const uint64_t least = (NR_SMALL * SMALL + LARGE) / PAGE_BYTES;

	require(scope_pages(home) >= least, "the audit finds %" PRIu64 " pages", scope_pages(home));
	require(node_stats_now(home).scope_bytes >= least * PAGE_BYTES, "statistics of node %d", home);
	numarena_scope_end(s);
	move_to(cpu_at(away));
	s = filled_scope(away);
	require(scope_pages(away) >= least, "the audit finds %" PRIu64 " pages", scope_pages(away));
	require_right();
	numarena_scope_end(s);
	/* What is kept counts, until it is given back. */
	require(scope_pages(home) && scope_pages(away), "nothing was kept");
	numarena_malloc_trim(0);
	require(!scope_pages(home) && !scope_pages(away), "something was kept");
	require(!node_stats_now(home).scope_bytes && !node_stats_now(away).scope_bytes, "statistics");
	return arg;
}

/* Expect: a scope is on the node of the thread that begins it, and the next follows it. */
START_TEST(scopes_lie_where_they_begin)
{
	run_on(cpu_at(home), there_and_elsewhere, NULL);
}
END_TEST

static void *captured_there(void *arg)
{
	struct numarena_scope *s = numarena_scope_begin("captured", NUMARENA_SCOPE_CAPTURE);
	unsigned int i;

	for (i = 0; i < NR_SMALL; i++) {
		void *p = must_malloc(SMALL);

		memset(p, 0x5a, SMALL);
		require_at(p, SMALL, home);
	}
	alloc_on(LARGE, home);
	/* The bits that tell their sizes lie with them. */
	require_on(nar_mem.bits[nar_region_around(must_malloc(SMALL))], sizeof(nar_mem.bits[0]), home,
		   "a bitmap");
	numarena_scope_end(s);
	return arg;
}

START_TEST(captured_objects_too)
{
	run_on(cpu_at(home), captured_there, NULL);
}
END_TEST

static void *bound_there(void *arg)
{
	require(!numarena_thread_bind(away), "node %d: %s", away, strerror(errno));
	numarena_scope_end(filled_scope(away));
	return arg;
}

/* Expect: a binding by hand counts more than the CPU. */
START_TEST(bound_threads_have_scopes_there)
{
	run_on(cpu_at(home), bound_there, NULL);
}
END_TEST

static void *under_interleave(void *arg)
{
	struct numarena_scope *s = numarena_scope_begin("before", 0);
	const char *p = must_give(s, SPREAD_BYTES);

	require_at(p, SPREAD_BYTES, home);
	numarena_scope_end(s);
	set_policy(MPOL_INTERLEAVE, all_nodes_mask());
	s = numarena_scope_begin("interleaved", 0);
	p = must_give(s, SPREAD_BYTES);
	require_no_node(p);
	require_spread(p, SPREAD_BYTES);
	numarena_scope_end(s);
	set_policy(MPOL_DEFAULT, 0);
	numarena_scope_end(filled_scope(home));
	return arg;
}

/*
 *	scope at home | set_mempolicy(INTERLEAVE): scope over all | back: at home
 *
 * Expect: the program's policy is in force from the next begin, in memory of its own.
 */
START_TEST(the_programs_policy_stands_above)
{
	run_on(cpu_at(home), under_interleave, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scope place");
	TCase *tc = guest_case(suite, "by page");
	int cpu;

	guest_begin();
	cpu = next_cpu(0);
	if (cpu_away_from(cpu) < 0)
		tap_skip_all("one node: nowhere else to be");
	home = home_of_cpu(cpu);
	away = home_of_cpu(cpu_away_from(cpu));
	tcase_add_test(tc, scopes_lie_where_they_begin);
	tcase_add_test(tc, captured_objects_too);
	tcase_add_test(tc, bound_threads_have_scopes_there);
	tcase_add_test(tc, the_programs_policy_stands_above);
	return tap_run(suite);
}
