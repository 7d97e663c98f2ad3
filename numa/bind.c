// SPDX-License-Identifier: MIT
/*
 * Binding memory to nodes.
 *
 * policy:preferred is MPOL_PREFERRED: a full node overflows to its neighbours instead of
 * killing the process.  strict binds alike, and then looks: MPOL_BIND would have the
 * kernel kill the process for the page that the node does not have, at its first touch.
 *
 * What the program asked for comes first: a thread under a policy other than the default
 * one (numactl, set_mempolicy) has its memory left to that policy.
 *
 * Containers refuse these calls without CAP_SYS_NICE; then the first touch, made by the
 * thread that will use the memory, places it.
 */
#include <errno.h>
#include <numaif.h>
#include <string.h>

#include "internal/lock.h"
#include "internal/option.h"
#include "internal/probe.h"
#include "internal/stat.h"

#include "bind.h"
#include "node.h"
#include "pages.h"

/* One word to spare: libnuma before 2.0.19 and old kernels round masks up. */
#define MASK_WORDS (NAR_MAX_KERNEL_NODES / 64 + 1)
#define MASK_BITS ((unsigned long)NAR_MAX_KERNEL_NODES)

/* A policy as get_mempolicy(2) tells it. */
struct policy {
	bool is_known;		/* release-stored once the rest is filled */
	int mode;
	unsigned long mask[MASK_WORDS];
};

static struct nar_lock lock = NAR_LOCK_INIT(RANK_META);	/* who adds one */
static struct policy theirs[NAR_NR_THEIRS];

/* ---- Which policy ---- */

static bool is_same(const struct policy *p, const struct policy *q)
{
	return p->mode == q->mode && !memcmp(p->mask, q->mask, sizeof(p->mask));
}

/* The place of @p, or the first that is free, or one past the last: they fill in order. */
static unsigned int find(const struct policy *p)
{
	unsigned int i;

	/* Acquire: pairs with the release in add_slow(). */
	for (i = 0; i < ARRAY_SIZE(theirs) && load_acquire(&theirs[i].is_known); i++)
		if (is_same(&theirs[i], p))
			break;
	return i;
}

/* Another thread under the same policy may come at the same time.  Return: its place. */
static noinline unsigned int add_slow(const struct policy *p)
{
	unsigned int i;

	nar_lock(&lock);
	i = find(p);
	if (i < ARRAY_SIZE(theirs) && !theirs[i].is_known) {
		theirs[i].mode = p->mode;
		memcpy(theirs[i].mask, p->mask, sizeof(p->mask));
		store_release(&theirs[i].is_known, true);
	}
	nar_unlock(&lock);
	return i;
}

static unsigned int policy_number(const struct policy *p)
{
	unsigned int i = find(p);

	if (i < ARRAY_SIZE(theirs) && !(load_acquire(&theirs[i].is_known) && is_same(&theirs[i], p)))
		i = add_slow(p);
	if (i < ARRAY_SIZE(theirs))
		return i + 1;
	nar_event(policy_shared, 1);
	return NAR_NR_THEIRS;
}

void nar_policy_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&lock);
}

static noinline unsigned int ask_kernel(void)
{
	struct policy p = { .mode = MPOL_DEFAULT };

	nar_nodes_poll();
	if (get_mempolicy(&p.mode, p.mask, MASK_BITS, NULL, 0)) {
		nar_note_missing(MISSING_GET_MEMPOLICY);
		return POLICY_OURS;
	}
	return p.mode == MPOL_DEFAULT ? POLICY_OURS : policy_number(&p);
}

unsigned int nar_policy_current(void)
{
	if (nar_nodes.nr == 1 || nar_is_missing(MISSING_GET_MEMPOLICY))
		return POLICY_OURS;
	return ask_kernel();
}

bool nar_policy_is_strict(unsigned int policy)
{
	return !nar_kind_is_theirs(policy) && nar_kind_binding(policy) == BIND_STRICT && nar_nodes.nr > 1;
}

static bool names_node(enum nar_binding binding)
{
	return binding == BIND_PREFERRED || binding == BIND_STRICT;
}

bool nar_policy_names_node(unsigned int policy)
{
	return policy == POLICY_HAND || (!nar_kind_is_theirs(policy) && names_node(nar_kind_binding(policy)));
}

unsigned int nar_policy_by_hand(void)
{
	return names_node((enum nar_binding)nar_opt.policy) ? POLICY_OURS : POLICY_HAND;
}

/* ---- Binding ---- */

static void mask_add(unsigned long *mask, unsigned int node)
{
	unsigned int id = nar_nodes.id[node];

	mask[id / 64] |= 1ul << (id % 64);
}

static void bind_failed(unsigned int node)
{
	if (errno == EPERM || errno == ENOSYS)
		nar_note_missing(MISSING_MBIND);
	/* The node has left the cpuset since the last look. */
	if (errno == EINVAL)
		nar_nodes_look();
	nar_node_event(node, bind_refused, 1);
}

/* @mode: for memory that is meant for one node.  Return: whether it is bound. */
static bool try_bind_ours(void *addr, size_t bytes, struct nar_place place, int mode)
{
	bool is_spread = nar_kind_binding(place.policy) == BIND_INTERLEAVE;
	u64 nodes = nar_kind_nodes(place.policy);
	unsigned int node = place.node, i;
	unsigned long mask[MASK_WORDS] = { 0 };

	for (i = 0; i < nar_nodes.nr; i++)
		if (is_spread ? nar_node_is_allowed(i) && (!nodes || nodes >> i & 1) : i == node)
			mask_add(mask, i);
	if (mbind(addr, bytes, is_spread ? MPOL_INTERLEAVE : mode, mask, MASK_BITS, 0)) {
		bind_failed(node);
		return false;
	}
	nar_node_event(node, bind_done, 1);
	return true;
}

static bool try_bind(void *addr, size_t bytes, struct nar_place place, int mode)
{
	/* Whether a policy of the program's is in force is not known either. */
	if (nar_kind_is_theirs(place.policy) || nar_is_missing(MISSING_GET_MEMPOLICY)) {
		nar_node_event(place.node, bind_skipped, 1);
		return false;
	}
	if (nar_is_missing(MISSING_MBIND)) {
		nar_node_event(place.node, bind_refused, 1);
		return false;
	}
	return try_bind_ours(addr, bytes, place, mode);
}

static bool bind_as(void *addr, size_t bytes, struct nar_place place, int mode)
{
	if (nar_kind_binding(place.policy) == BIND_INHERIT || try_bind(addr, bytes, place, mode))
		return true;
	nar_probe(bind_fallback, place.node, bytes);
	return !nar_policy_names_node(place.policy) || !nar_node_is_left_out(place.node);
}

bool nar_bind(void *addr, size_t bytes, struct nar_place place)
{
	return bind_as(addr, bytes, place, MPOL_PREFERRED);
}

bool nar_bind_pool(void *addr, size_t bytes, struct nar_place place)
{
	return bind_as(addr, bytes, place, MPOL_BIND);
}

/* ---- Enforcing ---- */

/* As many pages as one call is asked about. */
#define BATCH_PAGES 256

/* Move to @id, or with none ask where they are. */
static int batch_move(char *addr, unsigned int nr, const int *ids, int *status)
{
	void *pages[BATCH_PAGES];
	unsigned int i;

	for (i = 0; i < nr; i++)
		pages[i] = addr + (size_t)i * PAGE_BYTES;
	return move_pages(0, nr, pages, ids, status, MPOL_MF_MOVE) < 0 ? -errno : 0;
}

/* Not if the program has bound its block itself, as it may. */
static bool is_bound_to(void *page, int id)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	int mode;

	return !get_mempolicy(&mode, mask, MASK_BITS, page, MPOL_F_ADDR) && mode == MPOL_PREFERRED &&
	       mask[id / 64] >> (id % 64) & 1;
}

static enum nar_whereabouts whereabouts(void *page, int status, int id)
{
	if (status < 0)
		return WHERE_NONE;
	if (status == id)
		return WHERE_HOME;
	return is_bound_to(page, id) ? WHERE_AWAY : WHERE_THEIRS;
}

int nar_bind_ask(void **page, unsigned int nr, struct nar_place place, enum nar_whereabouts *where)
{
	int status[BATCH_PAGES], id = nar_nodes.id[place.node];
	unsigned int i;

	NAR_ASSERT(nr <= BATCH_PAGES);
	if (move_pages(0, nr, page, NULL, status, 0))
		return nar_note_refused(-errno, MISSING_MOVE_PAGES);
	for (i = 0; i < nr; i++)
		where[i] = whereabouts(page[i], status[i], id);
	return 0;
}

static bool batch_is_home(const int *status, unsigned int nr, int id)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (status[i] != id)
			return false;
	return true;
}

static int batch_enforce(char *addr, unsigned int nr, int id)
{
	int status[BATCH_PAGES], ids[BATCH_PAGES], err;
	unsigned int i;

	err = batch_move(addr, nr, NULL, status);
	if (err || batch_is_home(status, nr, id))
		return err;
	for (i = 0; i < nr; i++)
		ids[i] = id;
	/* Some may have been moved and others not: ask again. */
	batch_move(addr, nr, ids, status);
	err = batch_move(addr, nr, NULL, status);
	return err || batch_is_home(status, nr, id) ? err : -ENOMEM;
}

int nar_bind_enforce(void *addr, size_t bytes, struct nar_place place)
{
	char *at = addr, *end = at + bytes;
	int err = 0;

	while (at < end && !err) {
		unsigned int nr = (unsigned int)min_of((size_t)(end - at) >> PAGE_SHIFT,
						       (size_t)BATCH_PAGES);

		err = batch_enforce(at, nr, nar_nodes.id[place.node]);
		at += (size_t)nr * PAGE_BYTES;
	}
	err = err ? nar_note_refused(err, MISSING_MOVE_PAGES) : 0;
	return err && err != -EPERM ? -ENOMEM : err;
}
