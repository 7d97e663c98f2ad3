// SPDX-License-Identifier: MIT
/*
 * The explicit names of heaps; numarena.h says what each does.
 */
#include <errno.h>
#include <string.h>

#include <numarena.h>

#include "api.h"
#include "life.h"
#include "start.h"

/* ---- The heap ---- */

/* A caller who knows more than we do must not want it. */
static bool is_zero_beyond(const void *p, size_t from, size_t to)
{
	const char *byte = p;

	for (; from < to; from++)
		if (byte[from])
			return false;
	return true;
}

/* No structure is as long as this; what is may be none. */
#define ATTR_BYTES_MAX 4096

static int read_attr(struct numarena_heap_attr *to, const struct numarena_heap_attr *from)
{
	memset(to, 0, sizeof(*to));
	if (!from)
		return 0;
	if (from->size < sizeof(from->size) || from->size > ATTR_BYTES_MAX ||
	    !is_zero_beyond(from, sizeof(*to), from->size))
		return -EINVAL;
	memcpy(to, from, min_of(from->size, sizeof(*to)));
	return 0;
}

__exported struct numarena_heap *numarena_heap_create(const struct numarena_heap_attr *attr)
{
	int saved = errno, err = nar_start_early() ? 0 : -ENOMEM;
	struct numarena_heap_attr all;
	u64 handle = HANDLE_NONE;

	err = err ? err : read_attr(&all, attr);
	err = err ? err : nar_heap_create(&all, &handle);
	errno = err ? -err : saved;
	return nar_handle_to_heap(handle);
}

__exported void numarena_heap_destroy(struct numarena_heap *heap)
{
	int saved = errno;

	if (heap && !nar_heap_try_destroy(nar_heap_to_handle(heap)))
		nar_heap_die(nar_heap_to_handle(heap), "destroy", " already");
	errno = saved;
}

__exported int numarena_heap_limit(struct numarena_heap *heap, size_t bytes)
{
	int saved = errno;

	nar_start_early();
	errno = saved;
	/* Above any: a number that means the cgroup is not to be had this way. */
	if (bytes >= NAR_LIMIT_CGROUP)
		bytes = 0;
	if (heap)
		WRITE_ONCE(nar_accounts[nar_heap_or_die(nar_heap_to_handle(heap))->id].limit_bytes, bytes);
	else
		WRITE_ONCE(nar_opt.limit, bytes);
	return 0;
}

__exported int numarena_heap_stats_get(struct numarena_heap *heap, struct numarena_heap_stats *stats, size_t size)
{
	u64 handle = nar_heap_to_handle(heap);
	struct numarena_heap_stats now;

	if (!heap || !stats || !size) {
		errno = EINVAL;
		return -1;
	}
	/* Gone, or destroyed while it was read, by a program that does both at once. */
	if (!nar_heap_read(handle, &now))
		nar_heap_or_die(handle);
	copy_out(stats, size, &now, sizeof(now));
	return 0;
}

/* ---- Its objects ---- */

__exported void *numarena_heap_alloc(struct numarena_heap *heap, size_t size)
{
	return heap ? nar_front_alloc_in(nar_heap_to_handle(heap), size) : nar_front_alloc(size);
}

__exported void *numarena_heap_calloc(struct numarena_heap *heap, size_t nmemb, size_t size)
{
	return heap ? nar_front_calloc_in(nar_heap_to_handle(heap), nmemb, size) :
	       nar_front_calloc(nmemb, size);
}

__exported void *numarena_heap_aligned_alloc(struct numarena_heap *heap, size_t alignment, size_t size)
{
	if (!heap)
		return nar_front_aligned_alloc(alignment, size);
	if (!is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return nar_front_aligned_in(nar_heap_to_handle(heap), alignment, size);
}

__exported void *numarena_heap_realloc(struct numarena_heap *heap, void *ptr, size_t size)
{
	return ptr ? nar_front_realloc(ptr, size) : numarena_heap_alloc(heap, size);
}

static void check_heap(const struct numarena_heap *heap, const void *ptr)
{
	u64 handle = nar_is_ours(ptr) ? nar_heap_handle_of(ptr) : HANDLE_NONE;
	char label[NAR_HEAP_LABEL_BYTES];

	if (handle != nar_heap_to_handle(heap))
		nar_die("free of %p in heap %p%s, which it is not in", ptr, (const void *)heap,
			nar_heap_label(nar_heap_to_handle(heap), label));
}

__exported void numarena_heap_free(struct numarena_heap *heap, void *ptr)
{
	if (nar_opt.harden && heap && ptr)
		check_heap(heap, ptr);
	nar_front_free(ptr);
}
