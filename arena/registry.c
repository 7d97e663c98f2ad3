// SPDX-License-Identifier: MIT
/*
 * Ids in two levels, so that the table grows with use: a leaf is made when the first id
 * in it is given.  Finding is two loads and no lock.
 */
#include "registry.h"

#define IDS_PER_LEAF 1024u
#define NR_LEAVES (NAR_MAX_IDS / IDS_PER_LEAF)

static struct nar_lock lock = NAR_LOCK_INIT(RANK_REGISTRY);
static struct nar_member **leaves[NR_LEAVES];	/* release-stored under the lock */
static u32 next_id = OWNER_FIRST_ARENA;		/* the same */
static u32 nr_orphans;				/* lock; a racy read is a hint */
static struct nar_member *waiting[NAR_MAX_NODES][2];	/* lock; by is_of_heaps */

struct nar_member *nar_registry_find(u32 id)
{
	struct nar_member **leaf = load_acquire(&leaves[id / IDS_PER_LEAF]);

	return load_acquire(&leaf[id % IDS_PER_LEAF]);
}

u32 nar_registry_end(void)
{
	return load_acquire(&next_id);
}

/* @leaf: one to use if there is none yet.  Return: false if a leaf is missing still. */
static bool name_locked(struct nar_member *m, struct nar_member **leaf)
{
	u32 id = next_id;

	if (id == NAR_MAX_IDS)
		return true;
	if (!leaves[id / IDS_PER_LEAF]) {
		if (!leaf)
			return false;
		store_release(&leaves[id / IDS_PER_LEAF], leaf);
	}
	m->id = id;
	WRITE_ONCE(m->tid, nar_tid());
	/* The place is filled before the id is known; pairs with nar_registry_end(). */
	store_release(&leaves[id / IDS_PER_LEAF][id % IDS_PER_LEAF], m);
	store_release(&next_id, id + 1);
	return true;
}

bool nar_registry_try_name(struct nar_member *m)
{
	struct nar_member **leaf = NULL;
	bool done = m->id != OWNER_NONE;

	while (!done) {
		nar_lock(&lock);
		done = name_locked(m, leaf);
		nar_unlock(&lock);
		/* Outside the lock: it may map memory. */
		if (!done)
			leaf = nar_meta_alloc(m->node, IDS_PER_LEAF * sizeof(struct nar_member *));
		if (!done && !leaf)
			break;
	}
	return m->id != OWNER_NONE;
}

struct nar_member *nar_registry_take(unsigned int node, bool is_of_heaps)
{
	struct nar_member **first = &waiting[node][is_of_heaps], *m;

	nar_lock(&lock);
	m = *first;
	if (m) {
		*first = m->next_free;
		m->is_free = false;
		WRITE_ONCE(m->tid, nar_tid());
	}
	nar_unlock(&lock);
	return m;
}

void nar_registry_put(struct nar_member *m)
{
	struct nar_member **first = &waiting[m->node][m->is_of_heaps];

	nar_lock(&lock);
	m->is_free = true;
	m->next_free = *first;
	*first = m;
	nar_unlock(&lock);
}

/* No lock: there is nobody else, and a signal handler may have forked amid a locked step. */
void nar_registry_orphan(struct nar_member *m)
{
	if (!m->is_orphan)
		nr_orphans++;
	m->is_orphan = true;
}

static struct nar_member *find_orphan(void)
{
	u32 id;

	for (id = OWNER_FIRST_ARENA; id < next_id; id++)
		if (nar_registry_find(id)->is_orphan)
			return nar_registry_find(id);
	return NULL;
}

struct nar_member *nar_registry_take_orphan(void)
{
	struct nar_member *m;

	if (likely(!READ_ONCE(nr_orphans)))
		return NULL;
	nar_lock(&lock);
	m = find_orphan();
	if (m) {
		m->is_orphan = false;
		WRITE_ONCE(m->tid, nar_tid());
		WRITE_ONCE(nr_orphans, nr_orphans - 1);
	}
	nar_unlock(&lock);
	return m;
}

void nar_registry_each_lock(void (*fn)(struct nar_lock *))
{
	fn(&lock);
}
