// SPDX-License-Identifier: MIT
/*
 * The front layer.  Here and only here errno is set: ENOMEM or EINVAL on failure,
 * and what it was on success, whatever system calls have said meanwhile.
 */
#include <errno.h>
#include <string.h>

#include "internal/option.h"
#include "numa/loader.h"

#include "block.h"
#include "extent.h"
#include "front.h"
#include "init.h"
#include "large.h"
#include "maint.h"
#include "scope.h"
#include "start.h"
#include "tomb.h"

/* Alignment that every object of a class has by itself. */
#define NATURAL_ALIGNMENT 16

/* Realloc leaves an object where it is down to this part of it in use. */
#define SHRINK_PART 2

/* Here, since every program that is linked with the archive takes this file in. */
__attribute__((__constructor__)) static void front_init(void)
{
	nar_init();
}

/* After all destructors of the program that ask for no place. */
__attribute__((__destructor__(101))) static void front_fini(void)
{
	nar_fini();
}

static void *answer(void *p, size_t size, int saved_errno)
{
	errno = p ? saved_errno : ENOMEM;
	if (p)
		nar_unpoison(p, size);
	return p;
}

static void *large_alloc(const struct nar_block *block, bool *is_zero)
{
	return nar_start_early() ? nar_thread_alloc_large(block, is_zero) : NULL;
}

/* The loader's own allocations outlive any scope. */
#define is_to_last() unlikely(nar_scope_captor && nar_is_loader(__builtin_return_address(0)))

/* Whatever captures. */
static noinline void *alloc_to_last(size_t size, size_t alignment)
{
	struct numarena_scope *captor = nar_thread_swap_captor(NULL);
	void *p = nar_front_aligned(alignment, size);

	nar_thread_swap_captor(captor);
	return p;
}

/* The fast path's last step, so it returns to malloc's caller. */
noinline void *nar_front_alloc_slow(size_t size)
{
	int saved = errno;
	bool is_zero;

	if (is_to_last())
		return alloc_to_last(size, NATURAL_ALIGNMENT);
	return answer(size > NAR_SMALL_MAX ? large_alloc(&(struct nar_block){ .size = size, .alignment = 1 }, &is_zero) :
		      nar_thread_alloc_slow(size), size, saved);
}

static __always_inline size_t large_size(const void *p, const char *call)
{
	size_t nr_pages = nar_extent_pages(p, EXTENT_LARGE);

	if (unlikely(!nr_pages))
		nar_large_die(p, call);
	return nr_pages << PAGE_SHIFT;
}

/* @call: what the program has called, which costs nothing until it is to be told. */
static __always_inline size_t usable_size(const void *p, const char *call)
{
	u32 entry;

	if (unlikely(!nar_is_ours(p)))
		nar_die("%s of %p, which numarena never allocated", call, p);
	entry = nar_entry_of(p);
	if (!entry)
		return large_size(p, call);
	return likely(!nar_entry_is_scope(entry)) ? nar_class[nar_entry_class(entry)].shape.size :
	       nar_scope_usable(p, call);
}

/* It may be no object: what is to come will say so. */
static size_t size_to_poison(const void *p)
{
	return nar_entry_of(p) ? usable_size(p, "free") : nar_extent_pages(p, EXTENT_LARGE) << PAGE_SHIFT;
}

static noinline void free_slower(void *p)
{
	int saved = errno;

	if (!p)
		return;
	if (NAR_HAS_ASAN && nar_is_ours(p))
		nar_poison(p, size_to_poison(p));
	nar_thread_free_slow(p);
	errno = saved;
}

noinline void nar_front_free_slow(void *p)
{
	if (NAR_HAS_ASAN || !nar_thread_try_post(p))
		free_slower(p);
}

void *nar_front_calloc_slow(size_t nmemb, size_t size)
{
	int saved = errno;
	bool is_zero = false;
	size_t bytes;
	void *p;

	if (unlikely(__builtin_mul_overflow(nmemb, size, &bytes)))
		return answer(NULL, 0, saved);
	if (is_to_last())
		p = alloc_to_last(bytes, NATURAL_ALIGNMENT);
	else if (bytes <= NAR_SMALL_MAX)
		p = nar_thread_alloc_slow(bytes);
	else
		p = large_alloc(&(struct nar_block){ .size = bytes, .alignment = 1 }, &is_zero);
	p = answer(p, bytes, saved);
	if (likely(p) && !is_zero)
		memset(p, 0, bytes);
	return p;
}

static bool large_try_resize(void *p, size_t have, size_t size)
{
	if (likely(nar_large_fits(have, size)))
		return true;
	return nar_block_heap_id(p) ? nar_block_try_resize(p, size) : nar_large_try_resize(p, size, SIZE_MAX);
}

/* Same class, or not much less than it has, or a large block that can stretch. */
static bool try_stay(void *p, size_t have, size_t size)
{
	u32 entry = nar_entry_of(p);

	if (size <= have && size >= have / SHRINK_PART)
		return entry || large_try_resize(p, have, size);
	if (!entry)
		return size > have && large_try_resize(p, have, size);
	return nar_entry_is_scope(entry) && nar_scope_try_resize(p, size);
}

static void *large_alloc_in(u64 handle, const struct nar_block *block, bool *is_zero)
{
	return handle == HANDLE_NONE ? large_alloc(block, is_zero) : nar_heap_alloc_large(handle, block, is_zero);
}

/*
 * What grows by realloc from here on is a large block, if still below the sizes of those:
 * that it can grow where it is outweighs what a slab would save.
 */
#define GROWN_LARGE_BYTES KIB(8)

/* A large block in the place of what is smaller. */
static void *alloc_grown(u64 handle, const void *p, size_t size)
{
	struct nar_block block = { .size = size, .alignment = 1, .is_grown = true };
	int saved = errno;
	bool is_zero;

	if (!nar_entry_of(p))
		block.nr_grown = nar_extent_nr_grown(p);
	return answer(large_alloc_in(handle, &block, &is_zero), size, saved);
}

/* An object stays in its heap. */
static void *alloc_beside(u64 handle, size_t size)
{
	return handle == HANDLE_NONE ? nar_front_alloc(size) : nar_front_alloc_in(handle, size);
}

static void *alloc_to_replace(const void *p, size_t have, size_t size)
{
	u64 handle = nar_heap_handle_of(p);
	char label[NAR_HEAP_LABEL_BYTES];

	if (unlikely(handle == HANDLE_DEAD))
		nar_die("realloc of %p, whose heap%s was destroyed", p, nar_tomb_label(p, label));
	return size > have && have >= GROWN_LARGE_BYTES ? alloc_grown(handle, p, size) :
	       alloc_beside(handle, size);
}

/* Nor does it leave its scope, or the heap, for one that captures now and ends sooner. */
static noinline void *alloc_to_replace_captured(const void *p, size_t have, size_t size)
{
	bool is_in_scope = nar_entry_is_scope(nar_entry_of(p));
	struct numarena_scope *captor =
		nar_thread_swap_captor(is_in_scope ? nar_scope_mine_around(p) : NULL);
	void *to = alloc_to_replace(p, have, size);

	nar_thread_swap_captor(captor);
	return to;
}

static void *realloc_move(void *p, size_t have, size_t size)
{
	void *to = likely(!nar_scope_captor) ? alloc_to_replace(p, have, size) :
		   alloc_to_replace_captured(p, have, size);

	if (!to)
		return NULL;
	nar_unpoison(p, have);
	if (nar_entry_of(p) || !nar_large_try_move(p, to, min_of(have, size)))
		memcpy(to, p, min_of(have, size));
	nar_front_free(p);
	return to;
}

/* What shrinks need not move: where there is no memory for less, it stays. */
static bool try_shrink(void *p, size_t have, size_t size)
{
	return size <= have && (nar_entry_of(p) || large_try_resize(p, have, size));
}

void *nar_front_realloc(void *p, size_t size)
{
	int saved = errno;
	size_t have;
	void *to;

	if (!p)
		return nar_front_alloc(size);
	if (!size) {
		nar_front_free(p);
		return NULL;
	}
	if (size > PTRDIFF_MAX)
		return answer(NULL, 0, saved);
	have = usable_size(p, "realloc");
	if (try_stay(p, have, size))
		return answer(p, size, saved);
	to = realloc_move(p, have, size);
	return answer(!to && try_shrink(p, have, size) ? p : to, size, saved);
}

void *nar_front_reallocarray(void *p, size_t nmemb, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nmemb, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return nar_front_realloc(p, bytes);
}

static void *class_alloc(unsigned int class)
{
	void *p = nar_thread_try_alloc_class(class);

	return p ? p : nar_thread_alloc_class_slow(class);
}

static void *aligned_alloc_any(size_t alignment, size_t size)
{
	unsigned int class = NAR_MAX_CLASSES;
	bool is_zero;

	if (!nar_start_early())
		return NULL;
	if (size <= NAR_SMALL_MAX)
		class = nar_class_aligned(size, alignment);
	if (class < NAR_MAX_CLASSES)
		return class_alloc(class);
	return large_alloc(&(struct nar_block){ .size = size, .alignment = alignment }, &is_zero);
}

void *nar_front_aligned(size_t alignment, size_t size)
{
	int saved = errno;

	if (alignment <= NATURAL_ALIGNMENT)
		return nar_front_alloc(size);
	/* A full magazine says that start-up is long past. */
	if (alignment <= NAR_LINE && size <= NAR_SMALL_MAX) {
		void *p = nar_thread_try_alloc_lines(size);

		if (likely(p))
			return answer(p, size, saved);
	}
	return answer(aligned_alloc_any(alignment, size), size, saved);
}

void *nar_front_aligned_alloc(size_t alignment, size_t size)
{
	if (!is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return nar_front_aligned(alignment, size);
}

int nar_front_posix_memalign_slow(void **memptr, size_t alignment, size_t size)
{
	int saved = errno;
	void *p;

	if (!is_pow2(alignment) || alignment % sizeof(void *))
		return EINVAL;
	p = nar_front_aligned(alignment, size);
	errno = saved;
	if (!p)
		return ENOMEM;
	*memptr = p;
	return 0;
}

void *nar_front_memalign(size_t alignment, size_t size)
{
	if (alignment > (size_t)1 << 63) {
		errno = EINVAL;
		return NULL;
	}
	return nar_front_aligned(roundup_pow2(alignment), size);
}

/* An object's alignment is not known, but is no more than that of its address. */
static size_t alignment_of(const void *p, size_t size)
{
	size_t alignment = (uintptr_t)p & -(uintptr_t)p;

	return min_of(min_of(alignment, (size_t)1 << log2_floor(size)), PAGE_BYTES);
}

void *nar_front_keep(void *p)
{
	size_t size;
	void *to;

	if (!p)
		return NULL;
	size = usable_size(p, "numarena_scope_keep");
	if (!nar_entry_is_scope(nar_entry_of(p)))
		return p;
	to = alloc_to_last(size, alignment_of(p, size));
	if (!to)
		return NULL;
	nar_unpoison(p, size);
	memcpy(to, p, size);
	nar_front_free(p);
	return to;
}

size_t nar_front_usable_size(void *p)
{
	size_t bytes;

	if (!p)
		return 0;
	bytes = usable_size(p, "malloc_usable_size");
	nar_unpoison(p, bytes);
	return bytes;
}

/*
 * A large block has the pages its size needs, an eighth more if it was taken from those
 * freed recently, a page more if it is older than our constructor.  A small object may
 * be aligned or shrunk and have much more, and so may a block that was moved by hand.
 */
static bool is_plausible(const void *p, size_t size)
{
	size_t have = usable_size(p, "free_sized");

	return size <= have && (nar_entry_of(p) || nar_extent_is_moved(p) ||
				have - size < size / NAR_LARGE_SLACK + 2 * PAGE_BYTES);
}

void nar_front_free_sized(void *p, size_t size)
{
	if (p && nar_opt.harden && !is_plausible(p, size))
		nar_die("free_sized of %p with %zu bytes, which has %zu: sizes must agree", p, size,
			usable_size(p, "free_sized"));
	nar_front_free(p);
}

int nar_front_trim(void)
{
	int saved = errno;
	bool released;

	if (!nar_start_early())
		return 0;
	nar_thread_trim();
	released = nar_maint_trim();
	errno = saved;
	return released;
}

/* ---- In a heap of the program's ---- */

noinline void *nar_front_alloc_in_slow(u64 handle, size_t size)
{
	int saved = errno;
	bool is_zero;

	return answer(size > NAR_SMALL_MAX ? nar_heap_alloc_large(handle, &(struct nar_block){ .size = size, .alignment = 1 }, &is_zero) :
		      nar_heap_alloc_slow(handle, size), size, saved);
}

void *nar_front_calloc_in(u64 handle, size_t nmemb, size_t size)
{
	int saved = errno;
	bool is_zero = false;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(nmemb, size, &bytes))
		return answer(NULL, 0, saved);
	if (bytes <= NAR_SMALL_MAX)
		p = nar_front_alloc_in(handle, bytes);
	else
		p = answer(nar_heap_alloc_large(handle, &(struct nar_block){ .size = bytes, .alignment = 1 }, &is_zero), bytes, saved);
	return p && !is_zero ? memset(p, 0, bytes) : p;
}

void *nar_front_aligned_in(u64 handle, size_t alignment, size_t size)
{
	unsigned int class = size <= NAR_SMALL_MAX ? nar_class_aligned(size, alignment) : NAR_MAX_CLASSES;
	int saved = errno;
	bool is_zero;

	if (alignment <= NATURAL_ALIGNMENT)
		return nar_front_alloc_in(handle, size);
	if (class < NAR_MAX_CLASSES) {
		void *p = nar_heap_try_alloc_class(handle, class);

		return answer(p ? p : nar_heap_alloc_class(handle, class), size, saved);
	}
	return answer(nar_heap_alloc_large(handle, &(struct nar_block){ .size = size, .alignment = alignment }, &is_zero), size, saved);
}
