/* SPDX-License-Identifier: MIT */
/*
 * What malloc and its kin do, before they are given their names: argument checks,
 * errno, dispatch by size.  api.c names them numarena_*, malloc.c as libc does.
 */
#ifndef NAR_FRONT_H
#define NAR_FRONT_H

#include <string.h>

#include "heapalloc.h"
#include "thread.h"

void *nar_front_alloc_slow(size_t size);
void nar_front_free_slow(void *p);

void *nar_front_calloc_slow(size_t nmemb, size_t size);
void *nar_front_realloc(void *p, size_t size);
void *nar_front_reallocarray(void *p, size_t nmemb, size_t size);

/* Any power of two.  Return: NULL with errno ENOMEM. */
void *nar_front_aligned(size_t alignment, size_t size);

void *nar_front_aligned_alloc(size_t alignment, size_t size);
int nar_front_posix_memalign_slow(void **memptr, size_t alignment, size_t size);
void *nar_front_memalign(size_t alignment, size_t size);
size_t nar_front_usable_size(void *p);

/* Out of the scope that captured it, into the heap. */
void *nar_front_keep(void *p);
void nar_front_free_sized(void *p, size_t size);
int nar_front_trim(void);

/* In the heap of the program's that @handle names.  Return: NULL with errno ENOMEM. */
void *nar_front_alloc_in_slow(u64 handle, size_t size);
void *nar_front_calloc_in(u64 handle, size_t nmemb, size_t size);
void *nar_front_aligned_in(u64 handle, size_t alignment, size_t size);

/* Sanitizer builds always go the slow way, where shadow memory is kept. */
static __always_inline void *nar_front_alloc(size_t size)
{
	void *p;

	if (unlikely(NAR_HAS_ASAN || size > NAR_SMALL_MAX))
		return nar_front_alloc_slow(size);
	p = nar_thread_try_alloc(size);
	return likely(p) ? p : nar_front_alloc_slow(size);
}

static __always_inline void *nar_front_calloc(size_t nmemb, size_t size)
{
	size_t bytes;
	void *p;

	if (unlikely(NAR_HAS_ASAN || __builtin_mul_overflow(nmemb, size, &bytes) || bytes > NAR_SMALL_MAX))
		return nar_front_calloc_slow(nmemb, size);
	p = nar_thread_try_alloc(bytes);
	return likely(p) ? memset(p, 0, bytes) : nar_front_calloc_slow(nmemb, size);
}

/* 32 or 64, which classes of whole cache lines have. */
static __always_inline bool nar_is_line_alignment(size_t alignment)
{
	return !((alignment - NAR_LINE / 2) & ~(size_t)(NAR_LINE / 2));
}

static __always_inline int nar_front_posix_memalign(void **memptr, size_t alignment, size_t size)
{
	void *p;

	if (unlikely(NAR_HAS_ASAN || !nar_is_line_alignment(alignment) || size > NAR_SMALL_MAX))
		return nar_front_posix_memalign_slow(memptr, alignment, size);
	p = nar_thread_try_alloc_lines(size);
	if (unlikely(!p))
		return nar_front_posix_memalign_slow(memptr, alignment, size);
	*memptr = p;
	return 0;
}

static __always_inline void *nar_front_alloc_in(u64 handle, size_t size)
{
	void *p;

	if (unlikely(NAR_HAS_ASAN || size > NAR_SMALL_MAX))
		return nar_front_alloc_in_slow(handle, size);
	p = nar_heap_try_alloc(handle, size);
	return likely(p) ? p : nar_front_alloc_in_slow(handle, size);
}

static __always_inline void nar_front_free(void *p)
{
	if (unlikely(NAR_HAS_ASAN || !nar_thread_try_free(p)))
		nar_front_free_slow(p);
}

#endif /* NAR_FRONT_H */
