// SPDX-License-Identifier: MIT
#include <string.h>

#include "internal/stat.h"

#include "arena.h"
#include "extent.h"
#include "stats.h"

static void add_node(struct numarena_stats *s, unsigned int node)
{
	struct nar_extent_usage u;

	nar_extent_usage(node, &u);
	s->committed_bytes += u.committed_bytes[BACKING_SMALL] + u.committed_bytes[BACKING_HUGE];
	s->large_bytes += u.large_bytes;
	s->free_bytes += u.free_bytes;
	s->slab_bytes += nar_chunk_slab_bytes(node);
	s->nr_slabs_made += nar_chunk_nr_slabs_made(node);
}

static void add_arena(struct numarena_stats *s, const struct nar_arena *a)
{
	s->nr_refills += READ_ONCE(a->count.nr_refills);
	s->nr_flushes += READ_ONCE(a->count.nr_flushes);
	s->nr_remote_frees += READ_ONCE(a->count.nr_remote_frees);
	s->nr_remote_batches += READ_ONCE(a->count.nr_remote_batches);
	s->lock_contended += READ_ONCE(a->lock.nr_contended);
}

static void add_shard(struct numarena_stats *s, const struct nar_shard *shard)
{
	s->nr_orphans += READ_ONCE(shard->nr_shelved);
	s->nr_adopted += READ_ONCE(shard->nr_adopted);
	s->lock_contended += READ_ONCE(shard->own.nr_contended);
}

static void add_heap(struct numarena_stats *s, const struct nar_heap *h)
{
	unsigned int node, class;

	s->lock_contended += READ_ONCE(h->one_lock.nr_contended);
	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < NAR_MAX_CLASSES; class++)
			add_shard(s, &h->shard[node][class]);
}

static void add_events(struct numarena_stats *s)
{
	s->bind_done = READ_ONCE(nar_events.bind_done);
	s->bind_refused = READ_ONCE(nar_events.bind_refused);
	s->bind_skipped = READ_ONCE(nar_events.bind_skipped);
	s->huge_refused = READ_ONCE(nar_events.huge_refused);
	s->huge_off = READ_ONCE(nar_events.huge_off);
	s->collapse_done = READ_ONCE(nar_events.collapse_done);
	s->collapse_failed = READ_ONCE(nar_events.collapse_failed);
	s->purged_bytes = READ_ONCE(nar_events.purged_units) << HUGE_SHIFT;
	s->moved_bytes = READ_ONCE(nar_events.moved_pages) << PAGE_SHIFT;
	s->limit_hit = READ_ONCE(nar_events.limit_hit);
	s->commit_failed = READ_ONCE(nar_events.commit_failed);
	s->node_switches = READ_ONCE(nar_events.node_switches);
	s->node_fallback = READ_ONCE(nar_events.node_fallback);
	s->fork_leaked = READ_ONCE(nar_events.fork_leaked);
}

void nar_stats_read(struct numarena_stats *s)
{
	unsigned int node;
	u32 id;

	memset(s, 0, sizeof(*s));
	s->reserved_bytes = nar_mem.span_bytes;
	s->metadata_bytes = nar_meta_bytes();
	s->nr_nodes = nar_nodes.nr;
	s->nr_arenas = nar_arena_nr_live();
	s->nr_classes = nar_class_count();
	for (node = 0; node < nar_nodes.nr; node++)
		add_node(s, node);
	for (id = OWNER_FIRST_ARENA; id < nar_registry_end(); id++)
		add_arena(s, nar_arena_of(id));
	for (id = 0; id < NAR_MAX_HEAPS; id++)
		if (load_acquire(&nar_heaps[id]))
			add_heap(s, nar_heaps[id]);
	add_events(s);
}

size_t nar_stats_used_bytes(const struct numarena_stats *s)
{
	return s->slab_bytes + s->large_bytes;
}
