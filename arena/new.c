// SPDX-License-Identifier: MIT
/*
 * C++'s operator new and delete, under their mangled names, so that the library needs
 * no C++ runtime.  The names are those of the Itanium C++ ABI for LP64.
 *
 * What happens when there is no memory (new handlers, exceptions) is the C++
 * runtime's business: its own operator, which stands behind ours and calls malloc, is
 * asked then.
 */
#include <dlfcn.h>

#include "front.h"

/* std::nothrow_t, never looked at. */
struct nothrow;

void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag);
void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void *_ZnamSt11align_val_t(size_t size, size_t alignment);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag);
void _ZdlPv(void *p);
void _ZdaPv(void *p);
void _ZdlPvRKSt9nothrow_t(void *p, const struct nothrow *tag);
void _ZdaPvRKSt9nothrow_t(void *p, const struct nothrow *tag);
void _ZdlPvm(void *p, size_t size);
void _ZdaPvm(void *p, size_t size);
void _ZdlPvSt11align_val_t(void *p, size_t alignment);
void _ZdaPvSt11align_val_t(void *p, size_t alignment);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const struct nothrow *tag);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const struct nothrow *tag);
void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t alignment);
void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t alignment);

/* The runtime of a library that was opened for itself alone (RTLD_LOCAL) is not behind ours. */
static void *find_operator(const char *name)
{
	static const char *const runtimes[] = { "libstdc++.so.6", "libc++.so.1" };
	void *fn = dlsym(RTLD_NEXT, name), *runtime;
	size_t i;

	for (i = 0; !fn && i < ARRAY_SIZE(runtimes); i++) {
		runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
		fn = runtime ? dlsym(runtime, name) : NULL;
	}
	return fn;
}

static void *runtime_operator(const char *name)
{
	void *fn = find_operator(name);

	if (!fn)
		nar_die("out of memory in operator new, and no C++ runtime to throw bad_alloc");
	return fn;
}

static noinline __cold void *new_failed(size_t size)
{
	void *(*next)(size_t) = (void *(*)(size_t))runtime_operator("_Znwm");

	return next(size);
}

/* libstdc++ 12 rounds the size up without looking whether it still can: keep it from it. */
static bool is_absurd(size_t size)
{
	return size > PTRDIFF_MAX;
}

static noinline __cold void *new_aligned_failed(size_t size, size_t alignment)
{
	void *(*next)(size_t, size_t) =
		(void *(*)(size_t, size_t))runtime_operator("_ZnwmSt11align_val_t");

	return is_absurd(size) ? new_failed(size) : next(size, alignment);
}

static noinline __cold void *new_nothrow_failed(size_t size, const struct nothrow *tag)
{
	void *(*next)(size_t, const struct nothrow *) =
		(void *(*)(size_t, const struct nothrow *))find_operator("_ZnwmRKSt9nothrow_t");

	return next ? next(size, tag) : NULL;
}

static noinline __cold void *new_aligned_nothrow_failed(size_t size, size_t alignment,
							const struct nothrow *tag)
{
	void *(*next)(size_t, size_t, const struct nothrow *) =
		(void *(*)(size_t, size_t, const struct nothrow *))
		find_operator("_ZnwmSt11align_val_tRKSt9nothrow_t");

	if (is_absurd(size))
		return new_nothrow_failed(size, tag);
	return next ? next(size, alignment, tag) : NULL;
}

__exported void *_Znwm(size_t size)
{
	void *p = nar_front_alloc(size);

	return likely(p) ? p : new_failed(size);
}

__exported void *_Znam(size_t size)
{
	void *p = nar_front_alloc(size);

	return likely(p) ? p : new_failed(size);
}

__exported void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag)
{
	void *p = nar_front_alloc(size);

	return likely(p) ? p : new_nothrow_failed(size, tag);
}

__exported void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag)
{
	void *p = nar_front_alloc(size);

	return likely(p) ? p : new_nothrow_failed(size, tag);
}

__exported void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
{
	void *p = nar_front_aligned(alignment, size);

	return likely(p) ? p : new_aligned_failed(size, alignment);
}

__exported void *_ZnamSt11align_val_t(size_t size, size_t alignment)
{
	void *p = nar_front_aligned(alignment, size);

	return likely(p) ? p : new_aligned_failed(size, alignment);
}

__exported void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
						    const struct nothrow *tag)
{
	void *p = nar_front_aligned(alignment, size);

	return likely(p) ? p : new_aligned_nothrow_failed(size, alignment, tag);
}

__exported void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
						    const struct nothrow *tag)
{
	void *p = nar_front_aligned(alignment, size);

	return likely(p) ? p : new_aligned_nothrow_failed(size, alignment, tag);
}

__exported void _ZdlPv(void *p)
{
	nar_front_free(p);
}

__exported void _ZdaPv(void *p)
{
	nar_front_free(p);
}

__exported void _ZdlPvRKSt9nothrow_t(void *p, const struct nothrow *tag)
{
	(void)tag;
	nar_front_free(p);
}

__exported void _ZdaPvRKSt9nothrow_t(void *p, const struct nothrow *tag)
{
	(void)tag;
	nar_front_free(p);
}

__exported void _ZdlPvm(void *p, size_t size)
{
	(void)size;
	nar_front_free(p);
}

__exported void _ZdaPvm(void *p, size_t size)
{
	(void)size;
	nar_front_free(p);
}

__exported void _ZdlPvSt11align_val_t(void *p, size_t alignment)
{
	(void)alignment;
	nar_front_free(p);
}

__exported void _ZdaPvSt11align_val_t(void *p, size_t alignment)
{
	(void)alignment;
	nar_front_free(p);
}

__exported void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment,
						    const struct nothrow *tag)
{
	(void)alignment;
	(void)tag;
	nar_front_free(p);
}

__exported void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment,
						    const struct nothrow *tag)
{
	(void)alignment;
	(void)tag;
	nar_front_free(p);
}

__exported void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t alignment)
{
	(void)size;
	(void)alignment;
	nar_front_free(p);
}

__exported void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t alignment)
{
	(void)size;
	(void)alignment;
	nar_front_free(p);
}
