/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark knows about itself: its own memory, which never comes from the
 * allocator under test, and what the kernel counts for the process.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define CACHE_LINE	64

/* A count that a container's /proc or an old kernel does not tell. */
#define NOT_MEASURED	(-1.0)

/* Says why on stderr and ends the process, whatever its threads are doing. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed, resident, on 4 KiB pages; lives as long as the process. */
void *own_map(size_t bytes);
size_t own_bytes(void);

/* Text of a file in /proc or /sys, cut to @size; -1 if it cannot be read. */
int file_read(const char *path, char *text, size_t size);

/* Page faults so far, minor and major. */
uint64_t faults_count(void);

/* Highest resident size so far, in bytes, or NOT_MEASURED. */
double peak_rss_bytes(void);

/* Of the resident heap (all anonymous memory but our own), the share on huge pages. */
double huge_coverage(void);

/* Resident bytes now, or NOT_MEASURED. */
double rss_bytes(void);

/*
 * Ends the process unless malloc is from a file of this name.  A preload that failed is only
 * a warning of the loader's: the rival would be glibc.
 */
void malloc_library_expect(const char *file);

/*
 * malloc_trim(0), if it is of malloc's own library.  libc's, called by several threads while
 * malloc is another's, sets itself up in all of them at once and crashes.
 */
void malloc_give_back(void);

#endif
