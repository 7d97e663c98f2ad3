// SPDX-License-Identifier: MIT
/*
 * Copies are extents of whole pages, each of the node it is for and no other: a node without
 * room is a failure, since a copy elsewhere would be worth nothing.
 *
 *	node 0: | copy |	node 1: | copy |	disallowed: nearest of these
 *		   ^			   ^
 *		   `---- copy[] by node --'
 *
 * Their extents are in a state of their own (EXTENT_REPLICA), so that free() of a copy, which
 * may be write-protected, is found out at once.
 *
 * Who copies: where memory can be bound, anybody may, but a thread a node is quicker; where it
 * cannot (containers), the first touch decides, so it must be a thread on that node.
 */
#include <pthread.h>
#include <string.h>

#include "internal/option.h"
#include "numa/cancel.h"
#include "numa/cgroup.h"

#include "extent.h"
#include "home.h"
#include "large.h"
#include "limit.h"
#include "replica.h"
#include "unit.h"

/* Copying so much takes longer than to begin a thread. */
#define THREAD_BYTES MIB(1)

/*
 * What is protected is a mapping of its own: up to two more each, of the thousand that there
 * should be at most.  Where whole copies are protected, small ones too, they may be many.
 */
#define PROTECTED_MAX (NAR_DEBUG_DEFAULT ? 4096u : 64u)

/* Pages that are protected, within a copy: whole huge ones, or all there are. */
#define PROTECTED_GRAIN (NAR_DEBUG_DEFAULT ? PAGE_BYTES : HUGE_BYTES)

static u32 nr_protected;	/* relaxed */

/* ---- Room ---- */

static bool has_room(unsigned int node, size_t bytes)
{
	if (bytes < HUGE_BYTES || nar_node_has_room(node, bytes))
		return true;
	/* What is free there and ours is in the way. */
	if (!nar_unit_purge_all(node))
		return false;
	nar_node_ask_anew(node);
	return nar_node_has_room(node, bytes);
}

static enum nar_backing backing_for(size_t bytes)
{
	if (bytes < HUGE_BYTES || nar_opt.huge == HUGE_OFF)
		return BACKING_SMALL;
	return nar_opt.huge == HUGE_HUGETLB ? BACKING_HUGETLB : BACKING_HUGE;
}

static void *extent_alloc(struct nar_place place, size_t bytes)
{
	struct nar_want want = {
		.nr_pages = DIV_ROUND_UP(bytes, PAGE_BYTES),
		.align_pages = bytes < HUGE_BYTES ? 1 : PAGES_PER_UNIT,
		.backing = backing_for(bytes), .state = EXTENT_LARGE,
	};
	bool is_zero;
	void *p = nar_extent_try_alloc(place, &want, &is_zero);

	return p ? p : nar_extent_alloc(place, &want, &is_zero);
}

/* On @node if possible. */
static void *pages_alloc(unsigned int node, size_t bytes)
{
	struct nar_claim claim;
	void *p;

	if (!nar_limit_try_claim(&claim, ALIGN_UP((u64)bytes, PAGE_BYTES)))
		return NULL;
	p = extent_alloc((struct nar_place){ (u8)node, (u8)nar_policy_by_hand() }, bytes);
	nar_limit_settle(&claim);
	if (!p)
		return NULL;
	nar_unpoison(p, ALIGN_UP(bytes, PAGE_BYTES));
	nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_REPLICA);
	return p;
}

static void pages_free(const char *start, size_t bytes)
{
	void *p = (void *)(uintptr_t)start;

	nar_poison(p, ALIGN_UP(bytes, PAGE_BYTES));
	nar_extent_try_mark(p, EXTENT_REPLICA, EXTENT_LARGE);
	nar_large_free(p);
}

/* On @node, or none. */
static char *copy_alloc(unsigned int node, size_t bytes)
{
	void *p = has_room(node, bytes) ? pages_alloc(node, bytes) : NULL;

	if (!p || nar_node_of(p) == node)
		return p;
	pages_free(p, bytes);
	return NULL;
}

/* ---- Protection ---- */

struct range {
	char *start;
	size_t bytes;
};

static struct range protected_part(const char *copy, size_t bytes)
{
	uintptr_t start = ALIGN_UP((uintptr_t)copy, PROTECTED_GRAIN);
	uintptr_t end = ALIGN_DOWN((uintptr_t)copy + ALIGN_UP(bytes, PAGE_BYTES), PROTECTED_GRAIN);

	return (struct range){ (char *)start, end > start ? end - start : 0 };
}

static bool try_protect(const char *copy, size_t bytes)
{
	struct range part = protected_part(copy, bytes);

	if (!part.bytes)
		return false;
	if (add_relaxed(&nr_protected, 1) < PROTECTED_MAX && !nar_pages_make_readable(part.start, part.bytes))
		return true;
	sub_relaxed(&nr_protected, 1);
	return false;
}

/* Return: false if the kernel would not: then nobody else can have it. */
static bool try_unprotect(const char *copy, size_t bytes)
{
	struct range part = protected_part(copy, bytes);

	if (nar_pages_make_writable(part.start, part.bytes))
		return false;
	sub_relaxed(&nr_protected, 1);
	return true;
}

/* ---- Copying ---- */

struct job {
	pthread_t thread;
	const void *from;
	char *to;
	size_t bytes;
	unsigned int node;
	bool has_thread;
};

static void *job_run(void *arg)
{
	struct job *job = arg;

	nar_node_run_on(job->node);
	memcpy(job->to, job->from, job->bytes);
	return NULL;
}

static bool wants_thread(size_t bytes)
{
	return nar_nodes.nr > 1 && (bytes >= THREAD_BYTES || nar_is_missing(MISSING_MBIND) ||
				    nar_is_missing(MISSING_GET_MEMPOLICY));
}

/* One that gets no thread is done here. */
static void job_start(struct job *job)
{
	if (wants_thread(job->bytes))
		job->has_thread = !pthread_create(&job->thread, NULL, job_run, job);
	if (!job->has_thread)
		memcpy(job->to, job->from, job->bytes);
}

static void job_end(struct job *job)
{
	if (job->has_thread)
		pthread_join(job->thread, NULL);
	nar_home_bring((struct nar_place){ (u8)job->node, (u8)nar_policy_by_hand() }, job->to,
		       ALIGN_DOWN(job->bytes, HUGE_BYTES));
}

static void fill(struct numarena_replicas *r, const void *from)
{
	struct job jobs[NAR_MAX_NODES] = { 0 };
	int cancel = nar_cancel_forbid();	/* others use what lies on this stack */
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		if (!(r->has >> node & 1))
			continue;
		jobs[node] = (struct job){
			.from = from, .to = (char *)(uintptr_t)r->copy[node], .bytes = r->bytes, .node = node
		};
		job_start(&jobs[node]);
	}
	for (node = 0; node < nar_nodes.nr; node++)
		if (jobs[node].to)
			job_end(&jobs[node]);
	nar_cancel_restore(cancel);
}

/* ---- All of them ---- */

static void protect_all(struct numarena_replicas *r)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		if (r->has >> node & 1 && try_protect(r->copy[node], r->bytes))
			r->is_protected |= 1ull << node;
}

static void free_all(struct numarena_replicas *r)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		if (!(r->has >> node & 1))
			continue;
		if (!(r->is_protected >> node & 1) || try_unprotect(r->copy[node], r->bytes))
			pages_free(r->copy[node], r->bytes);
	}
	pages_free((char *)r, sizeof(*r));
}

static bool try_alloc_all(struct numarena_replicas *r)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		if (!nar_node_is_allowed(node))
			continue;
		r->copy[node] = copy_alloc(node, r->bytes);
		if (!r->copy[node])
			return false;
		r->has |= 1ull << node;
	}
	return r->has;
}

/* Whoever has none reads the nearest. */
static void point_rest(struct numarena_replicas *r)
{
	unsigned int node, i;

	for (node = 0; node < nar_nodes.nr; node++)
		for (i = 0; i < nar_nodes.nr && !r->copy[node]; i++)
			if (r->has >> nar_nodes.order[node][i] & 1)
				r->copy[node] = r->copy[nar_nodes.order[node][i]];
}

static unsigned int nr_allowed(void)
{
	unsigned int node, nr = 0;

	for (node = 0; node < nar_nodes.nr; node++)
		nr += nar_node_is_allowed(node);
	return nr;
}

/* Faulting in more than the cgroup has would end in the process's death. */
static bool is_too_much(size_t bytes)
{
	return bytes > nar_pages_of_machine() || bytes > nar_cgroup_room() / max_of(nr_allowed(), 1u);
}

struct numarena_replicas *nar_replica_create(const void *from, size_t bytes)
{
	struct numarena_replicas *r;

	nar_nodes_look();
	if (is_too_much(bytes))
		return NULL;
	r = pages_alloc(nar_node_current(), sizeof(*r));
	if (!r)
		return NULL;
	*r = (struct numarena_replicas){ .self = r, .bytes = bytes };
	if (!try_alloc_all(r))
		return free_all(r), NULL;
	fill(r, from);
	point_rest(r);
	protect_all(r);
	return r;
}

static bool try_claim(struct numarena_replicas *r)
{
	/* A copy may be of one page too, and protected. */
	return nar_is_ours(r) && nar_extent_pages(r, EXTENT_REPLICA) == DIV_ROUND_UP(sizeof(*r), PAGE_BYTES) &&
	       READ_ONCE(r->self) == r && __atomic_exchange_n(&r->self, NULL, __ATOMIC_ACQ_REL) == r;
}

void nar_replica_destroy(struct numarena_replicas *r)
{
	if (!try_claim(r))
		nar_die("numarena_replica_free of %p, which numarena_replicate() never gave or which was freed",
			(void *)r);
	free_all(r);
}
