// SPDX-License-Identifier: MIT
/*
 * libc's names.  With these the library stands in for the program's malloc, linked or
 * preloaded.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "stats.h"

/* C23; glibc's headers may not declare them. */
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);

__exported void *malloc(size_t size)
{
	return nar_front_alloc(size);
}

__exported void free(void *ptr)
{
	nar_front_free(ptr);
}

__exported void *calloc(size_t nmemb, size_t size)
{
	return nar_front_calloc(nmemb, size);
}

__exported void *realloc(void *ptr, size_t size)
{
	return nar_front_realloc(ptr, size);
}

__exported void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
	return nar_front_reallocarray(ptr, nmemb, size);
}

__exported void *aligned_alloc(size_t alignment, size_t size)
{
	return nar_front_aligned_alloc(alignment, size);
}

__exported int posix_memalign(void **memptr, size_t alignment, size_t size)
{
	return nar_front_posix_memalign(memptr, alignment, size);
}

__exported void *memalign(size_t alignment, size_t size)
{
	return nar_front_memalign(alignment, size);
}

__exported void *valloc(size_t size)
{
	return nar_front_aligned(PAGE_BYTES, size);
}

__exported void *pvalloc(size_t size)
{
	if (size > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	return nar_front_aligned(PAGE_BYTES, ALIGN_UP(max_of(size, (size_t)1), PAGE_BYTES));
}

__exported size_t malloc_usable_size(void *ptr)
{
	return nar_front_usable_size(ptr);
}

__exported void free_sized(void *ptr, size_t size)
{
	nar_front_free_sized(ptr, size);
}

__exported void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
	(void)alignment;
	nar_front_free_sized(ptr, size);
}

__exported int malloc_trim(size_t pad)
{
	(void)pad;
	return nar_front_trim();
}

/* Parameters of glibc's own design: accepted, since programs set them, and without effect. */
__exported int mallopt(int param, int value)
{
	(void)param;
	(void)value;
	return 1;
}

__exported struct mallinfo2 mallinfo2(void)
{
	struct numarena_stats s;

	nar_stats_read(&s);
	return (struct mallinfo2){
		.arena = s.committed_bytes,
		.uordblks = nar_stats_used_bytes(&s),
		.fordblks = s.committed_bytes - nar_stats_used_bytes(&s),
		.keepcost = s.free_bytes,
	};
}

static int to_int(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

/* As in glibc, numbers that an int cannot hold end at its maximum rather than wrap. */
__exported struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct mallinfo){
		.arena = to_int(m.arena),
		.uordblks = to_int(m.uordblks),
		.fordblks = to_int(m.fordblks),
		.keepcost = to_int(m.keepcost),
	};
}

struct row {
	const char *name;
	size_t offset;
};

#define ROW(field) { #field, offsetof(struct numarena_stats, field) }
#define NODE_ROW(field) { #field, offsetof(struct numarena_node_stats, field) }

static const struct row rows[] = {
	ROW(reserved_bytes), ROW(committed_bytes), ROW(metadata_bytes), ROW(slab_bytes),
	ROW(large_bytes), ROW(scope_bytes), ROW(free_bytes), ROW(nr_nodes), ROW(nr_arenas), ROW(nr_classes),
	ROW(nr_slabs_made), ROW(nr_refills), ROW(nr_flushes), ROW(nr_remote_frees),
	ROW(nr_remote_batches), ROW(nr_orphans), ROW(nr_adopted), ROW(bind_done),
	ROW(bind_refused), ROW(bind_skipped), ROW(huge_refused), ROW(huge_off),
	ROW(huge_pool_empty), ROW(huge_forked), ROW(huge_parted), ROW(huge_elsewhere),
	ROW(huge_brought_home), ROW(collapse_done), ROW(collapse_failed), ROW(purged_bytes), ROW(moved_bytes), ROW(limit_hit),
	ROW(commit_failed), ROW(node_switches), ROW(policy_switches), ROW(node_fallback),
	ROW(strict_failed), ROW(strict_unproven), ROW(fork_leaked), ROW(lock_contended),
	ROW(scope_peak_bytes), ROW(nr_scopes),
};

static const struct row node_rows[] = {
	NODE_ROW(committed_bytes), NODE_ROW(hugetlb_bytes), NODE_ROW(slab_bytes),
	NODE_ROW(large_bytes), NODE_ROW(scope_bytes), NODE_ROW(free_bytes), NODE_ROW(bind_done),
	NODE_ROW(bind_refused), NODE_ROW(bind_skipped), NODE_ROW(node_fallback),
	NODE_ROW(strict_failed), NODE_ROW(strict_unproven), NODE_ROW(huge_refused),
	NODE_ROW(huge_off), NODE_ROW(huge_pool_empty), NODE_ROW(huge_forked),
	NODE_ROW(huge_parted), NODE_ROW(huge_elsewhere), NODE_ROW(huge_brought_home),
	NODE_ROW(collapse_done), NODE_ROW(collapse_failed), NODE_ROW(purged_bytes), NODE_ROW(remote_frees_in), NODE_ROW(remote_bytes_in),
};

/* By enum numarena_missing. */
static const char *const missing[] = {
	"get_mempolicy", "mbind", "move_pages", "sysfs", "libnuma", "rseq", "thp", "populate",
	"collapse",
};

static void print_missing(u64 mask)
{
	size_t i;

	fprintf(stderr, "%-20s", "missing");
	for (i = 0; i < ARRAY_SIZE(missing); i++)
		if (mask >> i & 1)
			fprintf(stderr, " %s", missing[i]);
	fprintf(stderr, "%s\n", mask ? "" : " nothing");
}

static unsigned long long row_value(const struct row *row, const void *stats)
{
	const void *value = (const char *)stats + row->offset;

	return *(const u64 *)value;
}

static void print_rows(const struct row *row, size_t nr, const void *stats)
{
	size_t i;

	for (i = 0; i < nr; i++)
		fprintf(stderr, "%-20s %20llu\n", row[i].name, row_value(&row[i], stats));
}

static void print_node(unsigned int node)
{
	struct numarena_node_stats s;

	nar_stats_read_node(&s, node);
	fprintf(stderr, "node %d%s\n", s.node, s.is_allowed ? "" : " (not allowed)");
	print_rows(node_rows, ARRAY_SIZE(node_rows), &s);
}

__exported void malloc_stats(void)
{
	struct numarena_stats s;
	unsigned int node;

	nar_stats_read(&s);
	fprintf(stderr, "numarena %s\n", NAR_VERSION);
	print_rows(rows, ARRAY_SIZE(rows), &s);
	print_missing(s.missing);
	for (node = 0; node < s.nr_nodes; node++)
		print_node(node);
}

static void write_rows(FILE *stream, const struct row *row, size_t nr, const void *stats)
{
	size_t i;

	for (i = 0; i < nr; i++)
		fprintf(stream, "  <%s>%llu</%s>\n", row[i].name, row_value(&row[i], stats),
			row[i].name);
}

static void write_node(FILE *stream, unsigned int node)
{
	struct numarena_node_stats s;

	nar_stats_read_node(&s, node);
	fprintf(stream, "<node id=\"%d\">\n", s.node);
	write_rows(stream, node_rows, ARRAY_SIZE(node_rows), &s);
	fprintf(stream, "</node>\n");
}

__exported int malloc_info(int options, FILE *stream)
{
	struct numarena_stats s;
	unsigned int node;
	size_t i;

	if (options) {
		errno = EINVAL;
		return -1;
	}
	nar_stats_read(&s);
	fprintf(stream, "<malloc version=\"numarena-%s\">\n", NAR_VERSION);
	write_rows(stream, rows, ARRAY_SIZE(rows), &s);
	for (i = 0; i < ARRAY_SIZE(missing); i++)
		if (s.missing >> i & 1)
			fprintf(stream, "  <missing>%s</missing>\n", missing[i]);
	for (node = 0; node < s.nr_nodes; node++)
		write_node(stream, node);
	fprintf(stream, "</malloc>\n");
	return ferror(stream) ? -1 : 0;
}
