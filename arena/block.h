/* SPDX-License-Identifier: MIT */
/*
 * Large blocks of heaps that the program makes: known to their heap, and charged to it.
 */
#ifndef NAR_BLOCK_H
#define NAR_BLOCK_H

#include "heap.h"
#include "large.h"

u32 nar_block_heap_id_slow(const void *p);

/* The number of the heap that the live large block at @p is of; 0: none of the program's. */
static inline u32 nar_block_heap_id(const void *p)
{
	return unlikely(READ_ONCE(nar_has_heaps)) ? nar_block_heap_id_slow(p) : 0;
}

/* As nar_large_alloc(), from @node of @h, which is @handle's. */
void *nar_block_alloc(struct nar_heap *h, u64 handle, unsigned int node, const struct nar_block *block,
		      bool *is_zero);

/* @p was of heap @id when the caller looked.  Nothing if that has been destroyed meanwhile. */
void nar_block_free(void *p, u32 id);

/* Its heap was destroyed. */
bool nar_block_is_buried(const void *p);

/* As nar_large_try_resize(), within the heap's limit. */
bool nar_block_try_resize(void *p, size_t size);

/* In the child of a fork: what they have, by the lists.  The heap's lock is held. */
u64 nar_blocks_recount(struct nar_heap *h);

/*
 * Blocks of a heap that is destroyed, whose lock is held, are EXTENT_TOMB from now on.
 * Return: the first, for nar_blocks_destroy_buried() later; *@bytes more by what they have.
 */
void *nar_blocks_bury(struct nar_heap *h, size_t *bytes);
void nar_blocks_destroy_buried(void *buried);
/* Whether @p begins one of them. */
bool nar_blocks_have_buried(const void *buried, const void *p);

#endif /* NAR_BLOCK_H */
