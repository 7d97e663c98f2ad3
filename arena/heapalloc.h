/* SPDX-License-Identifier: MIT */
/*
 * Allocating in heaps that the program makes.
 */
#ifndef NAR_HEAPALLOC_H
#define NAR_HEAPALLOC_H

#include "internal/option.h"

#include "own.h"

/* All die if the heap of @handle was destroyed.  NULL without memory. */
void *nar_heap_alloc_slow(u64 handle, size_t size);
void *nar_heap_alloc_class(u64 handle, unsigned int class);
void *nar_heap_alloc_large(u64 handle, const struct nar_block *block, bool *is_zero);

struct nar_heap *nar_heap_or_die(u64 handle);
/* The @call was made of one that was destroyed, or of none. */
__attribute__((__noreturn__)) __cold void nar_heap_die(u64 handle, const char *call, const char *when);

/* The handle of the heap of the program's that the live object @p is of; HANDLE_NONE. */
u64 nar_heap_handle_of(const void *p);

/*
 * @size is at most NAR_SMALL_MAX.  NULL if it is not that simple.  The thread's own place for
 * the heap, whether the arena there is the heap's, then a pop like malloc's.
 */
static __always_inline void *nar_heap_try_alloc(u64 handle, size_t size)
{
	struct nar_arena *a = nar_own_peek(handle);

	if (unlikely(!a || nar_opt.harden))
		return NULL;
	return nar_mag_try_pop(&a->mag, a->view.of_size[nar_size_step(size)]);
}

/* The same, of a built-in class. */
static __always_inline void *nar_heap_try_alloc_class(u64 handle, unsigned int class)
{
	struct nar_arena *a = nar_own_peek(handle);

	return unlikely(!a || nar_opt.harden) ? NULL : nar_mag_try_pop(&a->mag, class);
}

#endif /* NAR_HEAPALLOC_H */
