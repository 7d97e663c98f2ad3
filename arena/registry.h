/* SPDX-License-Identifier: MIT */
/*
 * The registry: who has which owner id, and which arenas wait for a thread.
 */
#ifndef NAR_REGISTRY_H
#define NAR_REGISTRY_H

#include "slab.h"

/*
 * What an arena is to the registry.  An id is given once and never again: its arena
 * stays an arena for ever, so a reader of an old id finds one.
 */
struct nar_member {
	u32 id;			/* OWNER_NONE until named */
	u16 node;
	bool is_of_heaps;	/* constant: it serves heaps of the program's, one after another */
	bool is_free;		/* lock, or the lobby's: waits for a thread */
	bool is_orphan;		/* lock: left behind by fork, slabs and all */
	u32 tid;		/* the same: of the thread that has it in hand, or had it last; relaxed reads */
	struct nar_member *next_free;	/* lock */
};

/* The member of @id, which was read from the slice map or is below nar_registry_end(). */
struct nar_member *nar_registry_find(u32 id);

/* Ids from OWNER_FIRST_ARENA up to here are taken. */
u32 nar_registry_end(void);

/* Give @m an id if it has none.  Return: false if all are taken or there is no memory. */
bool nar_registry_try_name(struct nar_member *m);

/* One of @node that waits, of that kind; NULL. */
struct nar_member *nar_registry_take(unsigned int node, bool is_of_heaps);
void nar_registry_put(struct nar_member *m);

/* In the child of a fork: @m has lost its thread. */
void nar_registry_orphan(struct nar_member *m);
/* One of those; NULL.  Cheap if there is none. */
struct nar_member *nar_registry_take_orphan(void);

void nar_registry_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_REGISTRY_H */
