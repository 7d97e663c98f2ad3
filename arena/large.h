/* SPDX-License-Identifier: MIT */
/*
 * Large blocks: what no class serves, straight from the extents.
 */
#ifndef NAR_LARGE_H
#define NAR_LARGE_H

#include "meta.h"

/* A block may have a part more than its size needs. */
#define NAR_LARGE_SLACK 8

/* At least @size bytes, aligned to @alignment (a power of two). */
struct nar_block {
	size_t size;
	size_t alignment;
	bool is_grown;		/* it takes the place of what is smaller ... */
	u8 nr_grown;		/* ... and was a block that had grown so often */
	const void *near;	/* if so: where there may be room; or NULL */
};

/* No pane could hold it. */
static inline bool nar_large_is_absurd(const struct nar_block *block)
{
	return max_of(block->size, block->alignment) >= nar_pane_bytes();
}

/*
 * At @place if possible.  @is_zero: whether it reads as zeros.  May map memory; hold no
 * lock.  Return: NULL if there is none or the sum overflows.
 */
void *nar_large_alloc(struct nar_place place, const struct nar_block *block, bool *is_zero);

/* @p is ours and in no slab.  Dies if it is not the start of a live block. */
void nar_large_free(void *p);

/* Last words: @p is not the start of a live block, and @call was made with it. */
__cold __attribute__((__noreturn__)) void nar_large_die(const void *p, const char *call);

/* Bytes of the live block at @p; dies as nar_large_free() does. */
size_t nar_large_bytes(const void *p);

/* A block of @have bytes is as good as any for @size. */
static inline bool nar_large_fits(size_t have, size_t size)
{
	size_t needed = ALIGN_UP(size, PAGE_BYTES);

	return needed <= have && have - needed <= needed / NAR_LARGE_SLACK;
}

/*
 * Bring the first @bytes of a live block to another.  Return: false if that is better
 * done by copying.
 */
bool nar_large_try_move(void *from, void *to, size_t bytes);

/* Shrink or grow without moving, to no more than @most bytes.  Return: whether it could. */
bool nar_large_try_resize(void *p, size_t size, size_t most);

#endif /* NAR_LARGE_H */
