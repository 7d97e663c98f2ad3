// SPDX-License-Identifier: MIT
#include <string.h>

#include "internal/stat.h"

#include "arena.h"
#include "pane.h"
#include "post.h"
#include "region.h"
#include "roster.h"
#include "scope.h"
#include "stats.h"
#include "survey.h"

/* To the extents a region is a large block. */
static size_t large_bytes(const struct nar_survey_usage *u, unsigned int node)
{
	return u->large_bytes - min_of(u->large_bytes, nar_region_bytes(node));
}

static void add_node(struct numarena_stats *s, unsigned int node)
{
	struct nar_survey_usage u;

	nar_survey_usage(node, &u);
	s->committed_bytes += nar_window_committed(node);
	s->large_bytes += large_bytes(&u, node);
	s->scope_bytes += nar_region_bytes(node);
	s->free_bytes += u.free_bytes;
	s->slab_bytes += nar_chunk_slab_bytes(node);
	s->nr_slabs_made += nar_chunk_nr_slabs_made(node);
}

/* Frees of what is another's and their bytes, by node: sent and not sent yet. */
struct remote {
	u64 frees[NAR_MAX_NODES];
	u64 bytes[NAR_MAX_NODES];
};

static void read_arena_remote(struct remote *r, const struct nar_arena *a)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		r->frees[node] = READ_ONCE(a->count.frees_to[node]);
		r->bytes[node] = READ_ONCE(a->count.bytes_to[node]);
	}
	nar_post_count_unsent(a, r->frees, r->bytes);
}

static u64 nr_unsent(const struct nar_arena *a)
{
	struct remote r = { 0 };
	unsigned int node;
	u64 nr = 0;

	nar_post_count_unsent(a, r.frees, r.bytes);
	for (node = 0; node < nar_nodes.nr; node++)
		nr += r.frees[node];
	return nr;
}

void nar_stats_add_arena(struct numarena_stats *s, const struct nar_arena *a)
{
	s->nr_refills += READ_ONCE(a->count.nr_refills);
	s->nr_flushes += READ_ONCE(a->count.nr_flushes);
	s->nr_remote_frees += READ_ONCE(a->count.nr_remote_frees) + nr_unsent(a);
	s->nr_remote_batches += READ_ONCE(a->count.nr_remote_batches);
	s->lock_contended += READ_ONCE(a->lock.nr_contended);
}

static void add_shard(struct numarena_stats *s, const struct nar_shard *shard)
{
	s->nr_orphans += READ_ONCE(shard->nr_shelved);
	s->nr_adopted += READ_ONCE(shard->nr_adopted);
	s->lock_contended += READ_ONCE(shard->own.nr_contended);
}

void nar_stats_add_shards(struct numarena_stats *to, const struct numarena_stats *shards)
{
	to->nr_orphans += shards->nr_orphans;
	to->nr_adopted += shards->nr_adopted;
	to->lock_contended += shards->lock_contended;
}

void nar_stats_add_heap(struct numarena_stats *s, const struct nar_heap *h)
{
	unsigned int node, class;

	s->lock_contended += READ_ONCE(h->one_lock.nr_contended);
	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < NAR_MAX_CLASSES; class++)
			add_shard(s, &h->shard[node][class]);
}

static u64 node_event(const u64 *events, unsigned int node)
{
	return READ_ONCE(events[node * (sizeof(struct nar_node_events) / sizeof(u64))]);
}

/* The sum over all nodes of the event that @of_first counts for the first. */
static u64 all_nodes(const u64 *of_first)
{
	unsigned int node;
	u64 sum = 0;

	for (node = 0; node < nar_nodes.nr; node++)
		sum += node_event(of_first, node);
	return sum;
}

static void add_node_events(struct numarena_stats *s)
{
	const struct nar_node_events *first = nar_node_events;

	s->bind_done = all_nodes(&first->bind_done);
	s->bind_refused = all_nodes(&first->bind_refused);
	s->bind_skipped = all_nodes(&first->bind_skipped);
	s->huge_refused = all_nodes(&first->huge_refused);
	s->huge_off = all_nodes(&first->huge_off);
	s->huge_pool_empty = all_nodes(&first->huge_pool_empty);
	s->huge_forked = all_nodes(&first->huge_forked);
	s->huge_parted = all_nodes(&first->huge_parted);
	s->huge_elsewhere = all_nodes(&first->huge_elsewhere);
	s->huge_brought_home = all_nodes(&first->huge_brought_home);
	s->collapse_done = all_nodes(&first->collapse_done);
	s->collapse_failed = all_nodes(&first->collapse_failed);
	s->purged_bytes = all_nodes(&first->purged_units) << HUGE_SHIFT;
	s->node_fallback = all_nodes(&first->node_fallback);
	s->strict_failed = all_nodes(&first->strict_failed);
	s->strict_unproven = all_nodes(&first->strict_unproven);
}

static void add_events(struct numarena_stats *s)
{
	s->moved_bytes = READ_ONCE(nar_events.moved_pages) << PAGE_SHIFT;
	s->limit_hit = READ_ONCE(nar_events.limit_hit);
	s->commit_failed = READ_ONCE(nar_events.commit_failed);
	s->node_switches = READ_ONCE(nar_events.node_switches);
	s->policy_switches = READ_ONCE(nar_events.policy_switches);
	s->fork_leaked = READ_ONCE(nar_events.fork_leaked);
	s->missing = READ_ONCE(nar_missing_mask);
}

static void add_scopes(struct numarena_stats *s)
{
	struct nar_roster_sum open = nar_roster_sum();

	s->nr_scopes = nar_scope_nr_begun();
	s->scope_peak_bytes = nar_region_peak_bytes();
	s->nr_scopes_open = open.nr;
	s->scope_open_bytes = open.held_bytes;
}

void nar_stats_read_but_heaps(struct numarena_stats *s)
{
	unsigned int node;
	u32 id;

	memset(s, 0, sizeof(*s));
	s->reserved_bytes = nar_mem.span_bytes;
	s->metadata_bytes = nar_meta_bytes();
	s->nr_nodes = nar_nodes.nr;
	s->nr_arenas = nar_arena_nr_live();
	s->nr_classes = nar_class_count();
	add_scopes(s);
	for (node = 0; node < nar_nodes.nr; node++)
		add_node(s, node);
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++)
		nar_stats_add_arena(s, nar_arena_of(id));
	add_node_events(s);
	add_events(s);
}

void nar_stats_read(struct numarena_stats *s)
{
	u32 id;

	nar_stats_read_but_heaps(s);
	for (id = 0; id < NAR_MAX_HEAPS; id++) {
		const struct nar_heap *h = load_acquire(&nar_heaps[id]);

		if (h)
			nar_stats_add_heap(s, h);
	}
}

size_t nar_stats_used_bytes(const struct numarena_stats *s)
{
	return s->slab_bytes + s->large_bytes + s->scope_bytes;
}

/* ---- A node ---- */

static void read_node_events(struct numarena_node_stats *s, const struct nar_node_events *e)
{
	s->bind_done = READ_ONCE(e->bind_done);
	s->bind_refused = READ_ONCE(e->bind_refused);
	s->bind_skipped = READ_ONCE(e->bind_skipped);
	s->node_fallback = READ_ONCE(e->node_fallback);
	s->strict_failed = READ_ONCE(e->strict_failed);
	s->strict_unproven = READ_ONCE(e->strict_unproven);
	s->huge_refused = READ_ONCE(e->huge_refused);
	s->huge_off = READ_ONCE(e->huge_off);
	s->huge_pool_empty = READ_ONCE(e->huge_pool_empty);
	s->huge_forked = READ_ONCE(e->huge_forked);
	s->huge_parted = READ_ONCE(e->huge_parted);
	s->huge_elsewhere = READ_ONCE(e->huge_elsewhere);
	s->huge_brought_home = READ_ONCE(e->huge_brought_home);
	s->collapse_done = READ_ONCE(e->collapse_done);
	s->collapse_failed = READ_ONCE(e->collapse_failed);
	s->purged_bytes = READ_ONCE(e->purged_units) << HUGE_SHIFT;
}

/* What threads of other nodes have freed here. */
static void read_remote(struct numarena_node_stats *s, unsigned int node)
{
	u32 id;

	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++) {
		const struct nar_arena *a = nar_arena_of(id);
		struct remote r;

		if (a->member.node == node)
			continue;
		read_arena_remote(&r, a);
		s->remote_frees_in += r.frees[node];
		s->remote_bytes_in += r.bytes[node];
	}
}

void nar_stats_read_node(struct numarena_node_stats *s, unsigned int node)
{
	struct nar_survey_usage u;

	nar_survey_usage(node, &u);
	*s = (struct numarena_node_stats){
		.node = nar_nodes.id[node],
		.is_allowed = nar_node_is_allowed(node),
		.committed_bytes = nar_window_committed(node),
		.hugetlb_bytes = u.committed_bytes[BACKING_HUGETLB],
		.slab_bytes = nar_chunk_slab_bytes(node),
		.large_bytes = large_bytes(&u, node),
		.scope_bytes = nar_region_bytes(node),
		.free_bytes = u.free_bytes,
	};
	read_node_events(s, &nar_node_events[node]);
	read_remote(s, node);
}

static void add_row(u64 *row, const u64 *counts)
{
	unsigned int node;

	for (node = 0; row && node < nar_nodes.nr; node++)
		row[node] += counts[node];
}

void nar_stats_read_row(unsigned int from, u64 *frees, u64 *bytes)
{
	u32 id;

	memset(frees, 0, nar_nodes.nr * sizeof(*frees));
	memset(bytes, 0, nar_nodes.nr * sizeof(*bytes));
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++) {
		const struct nar_arena *a = nar_arena_of(id);
		struct remote r;

		if (a->member.node != from)
			continue;
		read_arena_remote(&r, a);
		add_row(frees, r.frees);
		add_row(bytes, r.bytes);
	}
}

void nar_stats_read_matrix(u64 *frees, u64 *bytes)
{
	size_t nr = nar_nodes.nr;
	u32 id;

	if (frees)
		memset(frees, 0, nr * nr * sizeof(*frees));
	if (bytes)
		memset(bytes, 0, nr * nr * sizeof(*bytes));
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++) {
		const struct nar_arena *a = nar_arena_of(id);
		size_t row = a->member.node * nr;
		struct remote r;

		read_arena_remote(&r, a);
		add_row(frees ? frees + row : NULL, r.frees);
		add_row(bytes ? bytes + row : NULL, r.bytes);
	}
}
