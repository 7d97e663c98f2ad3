/* SPDX-License-Identifier: MIT */
/*
 * Statistics: the sum of what arenas, shards, nodes and the machine have counted.
 */
#ifndef NAR_STATS_H
#define NAR_STATS_H

#include <numarena.h>

#include "internal/compiler.h"

struct nar_arena;
struct nar_heap;

/* Without stopping anyone; see struct numarena_stats. */
void nar_stats_read(struct numarena_stats *s);

/*
 * All but what the shards of heaps have counted (nr_orphans, nr_adopted, a part of
 * lock_contended): heaps may be thousands, of more than a hundred shards each.
 */
void nar_stats_read_but_heaps(struct numarena_stats *s);

/* Add what those of one heap have, one that was destroyed included; and what was so added before. */
void nar_stats_add_heap(struct numarena_stats *s, const struct nar_heap *h);
void nar_stats_add_shards(struct numarena_stats *to, const struct numarena_stats *shards);

/* Of one node, by dense number. */
void nar_stats_read_node(struct numarena_node_stats *s, unsigned int node);

/* Add what an arena's thread has counted. */
void nar_stats_add_arena(struct numarena_stats *s, const struct nar_arena *a);

/* What threads that work for node @from have freed, by node. */
void nar_stats_read_row(unsigned int from, u64 *frees, u64 *bytes);

/* A row for each node that frees; either may be NULL. */
void nar_stats_read_matrix(u64 *frees, u64 *bytes);

/* Slabs and regions of scopes whole, and large blocks: what mallinfo calls in use. */
size_t nar_stats_used_bytes(const struct numarena_stats *s);

#endif /* NAR_STATS_H */
