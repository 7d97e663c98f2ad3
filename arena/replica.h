/* SPDX-License-Identifier: MIT */
/*
 * Read-only copies of one thing, one a node.
 */
#ifndef NAR_REPLICA_H
#define NAR_REPLICA_H

#include "meta.h"

/*
 * A page of its own, whose extent is of the copies' kind: free() of it dies, as of a copy.  All
 * is constant once it is handed out.
 */
struct numarena_replicas {
	struct numarena_replicas *self;	/* says that it is one; NULL once freed */
	size_t bytes;
	u64 has;			/* nodes with a copy, a bit each */
	u64 is_protected;
	const char *copy[NAR_MAX_NODES];	/* by node: its own, or the nearest */
};

/* nar_start_early() was called.  Hold no lock.  Return: NULL if a node has no room. */
struct numarena_replicas *nar_replica_create(const void *from, size_t bytes);

/* Dies of what is none, or none any more. */
void nar_replica_destroy(struct numarena_replicas *r);

/* The caller's node's, or the nearest.  Three loads with rseq. */
static inline const void *nar_replica_near(const struct numarena_replicas *r)
{
	return r->copy[nar_node_current()];
}

#endif /* NAR_REPLICA_H */
