// SPDX-License-Identifier: MIT
/*
 * The explicit names; numarena.h says what each does.
 */
#include <errno.h>
#include <string.h>

#include <numarena.h>

#include "api.h"
#include "audit.h"
#include "option.h"
#include "print.h"
#include "publish.h"
#include "reserve.h"
#include "scope.h"
#include "start.h"
#include "stats.h"
#include "unit.h"

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

static int class_add(size_t size)
{
	int id = nar_start_early() ? nar_class_add(size) : -ENOMEM;

	if (id >= 0)
		nar_thread_update_classes();
	return id;
}

__exported int numarena_class_add(size_t size)
{
	int saved = errno;

	return answer(class_add(size), saved);
}

__exported int numarena_option_get(const char *name, char *value, size_t size)
{
	bool is_whole = name && (value || !size);
	int saved = errno;

	nar_start_early();
	return answer(is_whole ? nar_option_get(name, value, size) : -EINVAL, saved);
}

__exported int numarena_option_set(const char *name, const char *value)
{
	int saved = errno;

	nar_start_early();
	return answer(name && value ? nar_option_set(name, value) : -EINVAL, saved);
}

__exported int numarena_stats_get(struct numarena_stats *stats, size_t size)
{
	struct numarena_stats now;
	int saved = errno;

	if (!stats || !size)
		return answer(-EINVAL, saved);
	nar_start_early();
	nar_stats_read(&now);
	copy_out(stats, size, &now, sizeof(now));
	return answer(0, saved);
}

__exported int numarena_stats_print(int fd, enum numarena_stats_format format)
{
	int saved = errno;

	if (format > NUMARENA_STATS_PROMETHEUS)
		return answer(-EINVAL, saved);
	if (!nar_start_early())
		return answer(-ENOMEM, saved);
	nar_publish_now();
	return answer(nar_print(fd, format), saved);
}

/* ---- Scopes ---- */

static noinline void *scope_alloc_slow(struct numarena_scope *scope, size_t size, size_t alignment)
{
	int saved = errno;
	void *p;

	if (unlikely(!scope || !is_pow2(alignment))) {
		errno = EINVAL;
		return NULL;
	}
	p = nar_scope_alloc_slow(scope, size, alignment);
	errno = p ? saved : ENOMEM;
	return p;
}

__exported struct numarena_scope *numarena_scope_begin(const char *name, unsigned int flags)
{
	int saved = errno;
	struct numarena_scope *scope = NULL;

	if (flags & ~NUMARENA_SCOPE_CAPTURE) {
		errno = EINVAL;
		return NULL;
	}
	scope = nar_thread_scope_begin(name, flags & NUMARENA_SCOPE_CAPTURE);
	errno = scope ? saved : ENOMEM;
	return scope;
}

static __always_inline void *scope_alloc(struct numarena_scope *scope, size_t size)
{
	void *p;

	if (likely(scope) && likely(nar_scope_try_alloc(scope, size, &p)))
		return p;
	return scope_alloc_slow(scope, size, 1);
}

/* Twelve instructions on x86-64: scripts/scope_cost.sh counts them. */
__exported void *numarena_scope_alloc(struct numarena_scope *scope, size_t size)
{
	return scope_alloc(scope, size);
}

__exported void *numarena_scope_aligned_alloc(struct numarena_scope *scope, size_t alignment, size_t size)
{
	return scope_alloc_slow(scope, size, alignment);
}

__exported void *numarena_scope_calloc(struct numarena_scope *scope, size_t nmemb, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(nmemb, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = scope_alloc(scope, bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

__exported size_t numarena_scope_mark(struct numarena_scope *scope)
{
	return scope ? nar_scope_mark(scope) : 0;
}

static void scope_release(struct numarena_scope *scope, size_t mark)
{
	int saved = errno;

	if (scope)
		nar_scope_release(scope, mark);
	errno = saved;
}

__exported void numarena_scope_release(struct numarena_scope *scope, size_t mark)
{
	scope_release(scope, mark);
}

__exported void numarena_scope_reset(struct numarena_scope *scope)
{
	scope_release(scope, 0);
}

__exported void numarena_scope_end(struct numarena_scope *scope)
{
	int saved = errno;

	if (scope)
		nar_thread_scope_end(scope);
	errno = saved;
}

__exported void *numarena_scope_keep(void *ptr)
{
	return nar_front_keep(ptr);
}

/* ---- Nodes ---- */

static int find_node(int id, void (*look)(void))
{
	int node;

	if (!nar_start_early())
		return -ENOMEM;
	look();
	node = nar_node_find(id);
	return node >= 0 && nar_node_is_allowed((unsigned int)node) ? node : -EINVAL;
}

int nar_api_node(int id)
{
	return find_node(id, nar_nodes_look);
}

int nar_api_node_often(int id)
{
	return find_node(id, nar_nodes_poll);
}

__exported int numarena_thread_bind(int node)
{
	int saved = errno;
	int dense = node == NUMARENA_NODE_FOLLOW ? NUMARENA_NODE_FOLLOW : nar_api_node(node);

	return answer(dense < NUMARENA_NODE_FOLLOW ? dense : nar_thread_bind(dense), saved);
}

__exported int numarena_node_of(const void *ptr)
{
	return answer(nar_audit_node_of(ptr), errno);
}

__exported long numarena_reserve(int node, size_t bytes, unsigned int flags)
{
	int saved = errno, dense = node == -1 ? 0 : nar_api_node(node);
	struct nar_place place;
	long long got = dense;

	if (dense >= 0 && !nar_start_early())
		got = -ENOMEM;
	if (got >= 0) {
		place = nar_thread_place();
		place.node = node == -1 ? place.node : (u8)dense;
		got = nar_reserve(place, bytes, flags);
	}
	errno = got < 0 ? (int)-got : saved;
	return got < 0 ? -1 : (long)got;
}

__exported long numarena_fork_recover(void)
{
	int saved = errno;
	unsigned int node;
	size_t nr = 0;

	for (node = 0; nar_start_early() && node < nar_nodes.nr; node++)
		nr += nar_unit_recover(node);
	errno = saved;
	return (long)nr;
}

__exported int numarena_node_stats_get(unsigned int index, struct numarena_node_stats *stats, size_t size)
{
	struct numarena_node_stats now;
	int saved = errno;

	if (!stats || !size || !nar_start_early() || index >= nar_nodes.nr)
		return answer(-EINVAL, saved);
	nar_stats_read_node(&now, index);
	copy_out(stats, size, &now, sizeof(now));
	return answer(0, saved);
}

__exported int numarena_remote_matrix(uint64_t *frees, uint64_t *bytes, unsigned int nr)
{
	int saved = errno;

	if (!nar_start_early() || nr != nar_nodes.nr)
		return answer(-EINVAL, saved);
	nar_stats_read_matrix(frees, bytes);
	return answer(0, saved);
}

__exported int numarena_audit(struct numarena_audit *audit)
{
	int saved = errno;

	if (!audit)
		return answer(-EINVAL, saved);
	return answer(nar_start_early() ? nar_audit(audit) : -ENOMEM, saved);
}
