// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "life.h"
#include "tomb.h"

/* ---- Create ---- */

/* Nodes that have memory and are allowed; all that the program names must be.  Return: 0 or -EINVAL. */
static int dense_nodes(const u64 *mask, u64 *nodes)
{
	unsigned int id;
	int node;

	nar_nodes_look();
	*nodes = 0;
	for (id = 0; id < NUMARENA_NODE_MASK_BITS; id++) {
		if (!(mask[id / 64] >> id % 64 & 1))
			continue;
		node = nar_node_find((int)id);
		if (node < 0 || !nar_node_is_allowed((unsigned int)node))
			return -EINVAL;
		*nodes |= 1ull << node;
	}
	return 0;
}

static u64 decay_of(const struct numarena_heap_attr *attr)
{
	switch (attr->decay_ms) {
	case NUMARENA_HEAP_DECAY_DEFAULT: return KIND_DECAY_AS_OPTION;
	case NUMARENA_HEAP_DECAY_NOW: return 0;
	case NUMARENA_HEAP_DECAY_NEVER: return KIND_DECAY_NEVER;
	default: return (u64)attr->decay_ms;
	}
}

static bool is_known(const struct numarena_heap_attr *attr)
{
	return attr->policy <= NUMARENA_HEAP_INHERIT && attr->huge <= NUMARENA_HEAP_HUGE_OFF &&
	       attr->decay_ms >= NUMARENA_HEAP_DECAY_NEVER && !attr->reserved;
}

_Static_assert(NUMARENA_HEAP_PREFERRED == BIND_PREFERRED + 1 && NUMARENA_HEAP_INHERIT == BIND_INHERIT + 1, "in one order");
_Static_assert(NUMARENA_HEAP_HUGE_AUTO == HUGE_AUTO + 1 && NUMARENA_HEAP_HUGE_OFF == HUGE_OFF + 1, "in one order");

/* How its memory is bound, unless the program says so: by the option, or the thread's policy. */
static u8 binding_of(const struct numarena_heap_attr *attr, u64 nodes)
{
	if (attr->policy)
		return (u8)(attr->policy - 1);
	return (u8)(nodes || nar_policy_current() == POLICY_OURS ? nar_opt.policy : BIND_INHERIT);
}

/* A heap that is like another in all this shares memory with it, with the default one too. */
static int policy_of(const struct numarena_heap_attr *attr, u64 nodes)
{
	struct nar_kind kind = {
		.binding = binding_of(attr, nodes),
		.huge = attr->huge ? (u8)(attr->huge - 1) : KIND_HUGE_AS_OPTION,
		.decay_ms = decay_of(attr),
	};
	bool is_paged_alike = kind.huge == KIND_HUGE_AS_OPTION && kind.decay_ms == KIND_DECAY_AS_OPTION;

	if (kind.binding == BIND_INTERLEAVE)
		kind.nodes = nodes;
	if (is_paged_alike && !attr->policy && !nodes)
		return (int)nar_policy_current();
	if (is_paged_alike && kind.binding == nar_opt.policy && !kind.nodes)
		return POLICY_OURS;
	return nar_kind_policy(&kind);
}

static int fill_in(struct nar_heap *h, const struct numarena_heap_attr *attr)
{
	int err = is_known(attr) ? dense_nodes(attr->nodes, &h->nodes) : -EINVAL;
	int policy = err ? err : policy_of(attr, h->nodes);

	if (policy < 0)
		return policy;
	h->policy = (u8)policy;
	nar_heap_set_name(h, attr->name ? attr->name : "heap");
	h->low_memory = attr->low_memory;
	h->low_memory_arg = attr->low_memory_arg;
	WRITE_ONCE(h->nr_low_memory, 0);
	nar_account_open(h->id, attr->limit_bytes);
	return 0;
}

int nar_heap_create(const struct numarena_heap_attr *attr, u64 *handle)
{
	struct nar_heap *h;
	int err = nar_heap_make(&h);

	if (err)
		return err;
	err = fill_in(h, attr);
	if (err) {
		nar_heap_unmake(h);
		return err;
	}
	*handle = nar_heap_open(h);
	return 0;
}

/* ---- Destroy ---- */

/* Of two threads one does it. */
static bool try_end(struct nar_heap *h, u64 handle)
{
	return __atomic_compare_exchange_n(&h->handle, &handle, HANDLE_DEAD, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* Arenas leave their slabs to shards, never the other way round but under their lock: so first. */
static void bury_arenas(struct nar_heap *h, struct nar_remains *r) __must_hold(&h->lock)
{
	struct nar_arena *a, *next;

	for (a = h->arenas; a; a = next) {
		/* Its thread may let go of it as soon as it is dead. */
		next = a->next_in_heap;
		r->slabs = nar_arena_bury(a, r->slabs, &r->bytes);
	}
	h->arenas = NULL;
}

static void bury_shards(struct nar_heap *h, struct nar_remains *r)
{
	unsigned int node, class;

	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < nar_class_count(); class++)
			r->slabs = nar_shard_bury(nar_heap_shard(h, node, class), r->slabs, &r->bytes);
}

bool nar_heap_try_destroy(u64 handle)
{
	struct nar_heap *h = nar_heap_find(handle);
	struct nar_remains remains = { .handle = handle };

	if (!h)
		return false;
	nar_tomb_begin();
	if (!try_end(h, handle)) {
		nar_tomb_end(&remains);
		return false;
	}
	nar_lock(&h->lock);
	bury_arenas(h, &remains);
	remains.blocks = nar_blocks_bury(h, &remains.bytes);
	nar_unlock(&h->lock);
	bury_shards(h, &remains);
	nar_account_give(h->id, remains.bytes);
	nar_tomb_end(&remains);
	nar_heap_unmake(h);
	return true;
}

/* ---- While it lives ---- */

void nar_heap_give_up(struct nar_heap *h)
{
	struct nar_arena *a;

	nar_lock(&h->lock);
	for (a = h->arenas; a; a = a->next_in_heap)
		nar_arena_trim(a);
	nar_unlock(&h->lock);
	nar_heap_trim(h);
}

static u64 live_in_shards(struct nar_heap *h)
{
	unsigned int node, class;
	u64 sum = 0;

	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < nar_class_count(); class++)
			sum += nar_class_out_bytes(class, &nar_heap_shard(h, node, class)->bins);
	return sum;
}

bool nar_heap_read(u64 handle, struct numarena_heap_stats *s)
{
	struct nar_heap *h = nar_heap_find(handle);
	const struct nar_account *account;
	struct nar_arena *a;

	if (!h)
		return false;
	account = &nar_accounts[h->id];
	*s = (struct numarena_heap_stats){
		.charged_bytes = READ_ONCE(account->used_bytes),
		.peak_bytes = READ_ONCE(account->peak_bytes),
		.limit_bytes = READ_ONCE(account->limit_bytes),
		.nr_limit_hit = READ_ONCE(account->nr_hit),
		.nr_low_memory = READ_ONCE(h->nr_low_memory),
		.live_bytes = READ_ONCE(h->block_bytes) + live_in_shards(h),
	};
	if (!nar_heap_try_name(handle, s->name))
		return false;
	nar_lock(&h->lock);
	for (a = h->arenas; a; a = a->next_in_heap) {
		s->live_bytes += nar_arena_live_bytes(a);
		s->nr_arenas++;
	}
	nar_unlock(&h->lock);
	/* What was read may be another heap's by now. */
	return nar_heap_find(handle);
}

/* ---- After a fork ---- */

static u64 slabs_in_shards(struct nar_heap *h)
{
	unsigned int node, class;
	u64 sum = 0;

	for (node = 0; node < nar_nodes.nr; node++)
		for (class = 0; class < nar_class_count(); class++)
			sum += nar_bins_bytes(&nar_heap_shard(h, node, class)->bins);
	return sum;
}

static void recount(struct nar_heap *h)
{
	u64 used = slabs_in_shards(h);
	const struct nar_arena *a;

	nar_lock(&h->lock);
	used += nar_blocks_recount(h);
	for (a = h->arenas; a; a = a->next_in_heap)
		used += READ_ONCE(a->slab_bytes);
	nar_unlock(&h->lock);
	nar_account_correct(h->id, used);
}

void nar_heaps_forget_threads(void)
{
	unsigned int id;

	for (id = NAR_FIRST_HEAP; READ_ONCE(nar_has_heaps) && id < NAR_MAX_HEAPS; id++)
		if (nar_heaps[id])
			recount(nar_heaps[id]);
}
