/* SPDX-License-Identifier: MIT */
/*
 * Chunks: 2 MiB extents cut into 64 slices of 32 KiB, for slabs.  Slabs of one node
 * share chunks, whoever owns them, so that a thread more is not a huge page more.
 */
#ifndef NAR_CHUNK_H
#define NAR_CHUNK_H

#include "internal/option.h"

#include "lot.h"

static inline enum nar_pool nar_pool_for(unsigned int policy, bool is_young)
{
	return nar_wants_huge(policy, is_young) ? POOL_HUGE : POOL_SMALL;
}

/*
 * @nr slices in a row of @place if it has any.  May map memory; hold no
 * lock.  Return: the first slice's number, 0 if there is no memory.
 */
u32 nar_slices_alloc(struct nar_place place, enum nar_pool pool, unsigned int nr);

/* The same from chunks that are there, or 0. */
u32 nar_slices_try_alloc(struct nar_place place, enum nar_pool pool, unsigned int nr);

void nar_slices_free(u32 slice, unsigned int nr);

/* @bytes more of the chunk around @slice have been handed out for the first time. */
void nar_chunk_note_used(u32 slice, u32 bytes);
/* ... and a slab that has handed out @bytes is gone. */
void nar_chunk_note_unused(u32 slice, u32 bytes);

/*
 * Make one chunk huge that was begun on small pages and has filled.  Return: whether
 * there was one.
 */
bool nar_chunk_collapse(unsigned int node);

/* Give empty chunks that are kept for the next slab back to the extents.  Return: whether there was one. */
bool nar_chunk_trim(unsigned int node);

/*
 * In need: give the free slices of all chunks of @node back to the kernel, though that
 * parts huge pages.  Return: bytes.
 */
size_t nar_chunk_release_parts(unsigned int node);

/*
 * Give the free slices of a sparse chunk of @place, @nr of them in a row, to the extents.
 * For a large block that would have to grow the heap otherwise.  Return: whether there
 * was one.
 */
bool nar_chunk_dissolve(struct nar_place place, unsigned int nr);

/* Bytes of @node in slabs; racy. */
size_t nar_chunk_slab_bytes(unsigned int node);
u64 nar_chunk_nr_slabs_made(unsigned int node);

void nar_chunk_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_CHUNK_H */
