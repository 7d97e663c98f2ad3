// SPDX-License-Identifier: MIT
/*
 * The explicit names; numarena.h says what each does.
 */
#include <errno.h>
#include <string.h>

#include <numarena.h>

#include "front.h"
#include "option.h"
#include "start.h"
#include "stats.h"

__exported const char *numarena_version(void)
{
	return NAR_VERSION;
}

__exported void *numarena_malloc(size_t size)
{
	return nar_front_alloc(size);
}

__exported void numarena_free(void *ptr)
{
	nar_front_free(ptr);
}

__exported void *numarena_calloc(size_t nmemb, size_t size)
{
	return nar_front_calloc(nmemb, size);
}

__exported void *numarena_realloc(void *ptr, size_t size)
{
	return nar_front_realloc(ptr, size);
}

__exported void *numarena_reallocarray(void *ptr, size_t nmemb, size_t size)
{
	return nar_front_reallocarray(ptr, nmemb, size);
}

__exported void *numarena_aligned_alloc(size_t alignment, size_t size)
{
	return nar_front_aligned_alloc(alignment, size);
}

__exported int numarena_posix_memalign(void **memptr, size_t alignment, size_t size)
{
	return nar_front_posix_memalign(memptr, alignment, size);
}

__exported void *numarena_memalign(size_t alignment, size_t size)
{
	return nar_front_memalign(alignment, size);
}

__exported size_t numarena_malloc_usable_size(void *ptr)
{
	return nar_front_usable_size(ptr);
}

__exported void numarena_free_sized(void *ptr, size_t size)
{
	nar_front_free_sized(ptr, size);
}

__exported void numarena_free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
	(void)alignment;
	nar_front_free_sized(ptr, size);
}

__exported int numarena_malloc_trim(size_t pad)
{
	(void)pad;
	return nar_front_trim();
}

/* Internal functions answer -errno. */
static int answer(int result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

__exported int numarena_class_add(size_t size)
{
	int id;

	if (!nar_start_early())
		return answer(-ENOMEM);
	id = nar_class_add(size);
	if (id >= 0)
		nar_thread_update_classes();
	return answer(id);
}

__exported int numarena_option_get(const char *name, char *value, size_t size)
{
	nar_start_early();
	return answer(nar_option_get(name, value, size));
}

__exported int numarena_option_set(const char *name, const char *value)
{
	nar_start_early();
	return answer(nar_option_set(name, value));
}

__exported int numarena_stats_get(struct numarena_stats *stats, size_t size)
{
	struct numarena_stats now;

	if (!size)
		return answer(-EINVAL);
	nar_start_early();
	nar_stats_read(&now);
	memset(stats, 0, size);
	memcpy(stats, &now, min_of(size, sizeof(now)));
	return 0;
}
