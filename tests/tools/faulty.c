// SPDX-License-Identifier: MIT
/*
 * A malloc with a fault, for numarena replay to find: what FAULTY names, in sizes of 1000 to
 * 1100 bytes alone, so that the C library and the loader live.
 *
 *	twice	the same memory for all
 *	null	none
 *	zero	calloc's is not zero
 *	align	not aligned as asked, at any size
 *	shrink	realloc loses what was in it
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);

static _Alignas(64) char shared[2048];

static bool has_fault(const char *name, size_t size)
{
	const char *fault = getenv("FAULTY");

	return size >= 1000 && size <= 1100 && fault && !strcmp(fault, name);
}

void *malloc(size_t size)
{
	if (has_fault("twice", size))
		return shared;
	if (has_fault("null", size)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}

void free(void *ptr)
{
	if (ptr != shared)
		__libc_free(ptr);
}

void *calloc(size_t nmemb, size_t size)
{
	void *ptr = __libc_calloc(nmemb, size);

	if (ptr && has_fault("zero", nmemb * size))
		memset(ptr, 0xff, nmemb * size);
	return ptr;
}

void *realloc(void *ptr, size_t size)
{
	if (ptr == shared)
		return __libc_malloc(size);
	/* crew's are 5000 larger than what they were. */
	ptr = __libc_realloc(ptr, size);
	if (ptr && has_fault("shrink", size - 5000))
		memset(ptr, 0, 16);
	return ptr;
}

void *memalign(size_t alignment, size_t size)
{
	return has_fault("align", 1000) ? __libc_malloc(size) : __libc_memalign(alignment, size);
}
