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

#include "figures.h"
#include "front.h"
#include "print.h"
#include "start.h"
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

/*
 * glibc's other names for the same, which some programs call; the last is an old one.  Weak, for
 * programs that are linked statically, whose C library may bring its own.
 */
#define ALSO __exported __attribute__((__weak__))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
void __libc_free(void *ptr);
void cfree(void *ptr);

ALSO void *__libc_malloc(size_t size)
{
	return nar_front_alloc(size);
}

ALSO void *__libc_calloc(size_t nmemb, size_t size)
{
	return nar_front_calloc(nmemb, size);
}

ALSO void *__libc_realloc(void *ptr, size_t size)
{
	return nar_front_realloc(ptr, size);
}

ALSO void *__libc_memalign(size_t alignment, size_t size)
{
	return nar_front_memalign(alignment, size);
}

ALSO void *__libc_valloc(size_t size)
{
	return nar_front_aligned(PAGE_BYTES, size);
}

ALSO void *__libc_pvalloc(size_t size)
{
	return pvalloc(size);
}

ALSO void __libc_free(void *ptr)
{
	nar_front_free(ptr);
}

ALSO void cfree(void *ptr)
{
	nar_front_free(ptr);
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
		.fordblks = s.committed_bytes - min_of(s.committed_bytes, nar_stats_used_bytes(&s)),
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

/* As glibc's, to stderr, whatever the C library's stream of that name is by now. */
__exported void malloc_stats(void)
{
	if (nar_start_early())
		nar_print(2, NUMARENA_STATS_TEXT);
}

static void write_figures(FILE *stream, const struct nar_figure *f, size_t nr, const void *stats)
{
	size_t i;

	for (i = 0; i < nr; i++)
		fprintf(stream, "  <%s>%llu</%s>\n", f[i].name,
			(unsigned long long)nar_figure_of(&f[i], stats), f[i].name);
}

static void write_node(FILE *stream, unsigned int node)
{
	struct numarena_node_stats s;

	nar_stats_read_node(&s, node);
	fprintf(stream, "<node id=\"%d\">\n", s.node);
	write_figures(stream, nar_node_figures, NAR_NR_NODE_FIGURES, &s);
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
	write_figures(stream, nar_process_figures, NAR_NR_PROCESS_FIGURES, &s);
	for (i = 0; i < NR_MISSING; i++)
		if (s.missing >> i & 1)
			fprintf(stream, "  <missing>%s</missing>\n", nar_missing_names[i]);
	for (node = 0; node < s.nr_nodes; node++)
		write_node(stream, node);
	fprintf(stream, "</malloc>\n");
	return ferror(stream) ? -1 : 0;
}
