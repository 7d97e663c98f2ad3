/* SPDX-License-Identifier: MIT */
/*
 * numarena: a memory allocator that keeps each thread's memory on the thread's own
 * NUMA node and on 2 MiB pages.
 *
 * A program that is linked with -lnumarena, or started under LD_PRELOAD, gets it as
 * malloc, free and the rest of libc's and C++'s names; nothing here is needed then.
 * These are the explicit names.  They work in every build, beside another malloc too,
 * and memory from one set of names may be released through the other as long as
 * numarena is the program's malloc.
 *
 * All functions may be called from any thread at any time, but from a signal handler
 * only if it cannot have interrupted an allocation.
 */
#ifndef NUMARENA_H
#define NUMARENA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUMARENA_VERSION_MAJOR 0
#define NUMARENA_VERSION_MINOR 1
#define NUMARENA_VERSION_PATCH 0

/**
 * numarena_version() - the version of the library that is running
 *
 * Return: "major.minor.patch", a constant string.
 */
const char *numarena_version(void);

/**
 * numarena_malloc() - allocate memory
 * @size: bytes, 0 to PTRDIFF_MAX; 0 is answered as 1
 *
 * The memory is aligned to 16 bytes, not initialised, and on the calling thread's
 * node if that has any left, else on the nearest.  May map memory; waits for no other
 * thread but for short locks.
 *
 * Return: the memory; NULL with errno ENOMEM if there is none or @size is too large.
 */
void *numarena_malloc(size_t size);

/**
 * numarena_free() - release memory
 * @ptr: from any allocating function here; NULL is allowed and does nothing
 *
 * Leaves errno alone.  Any thread may free what another one allocated.  Ends the process
 * with one line on stderr: at once for a pointer that numarena never gave out, for a
 * large block that is free or not the start of one, and for the two objects of a class
 * that this thread freed last; when the object leaves the thread's magazine for an
 * interior pointer or another double free, unless the object was handed out again until
 * then.  With harden:1 at once in every case.
 */
void numarena_free(void *ptr);

/**
 * numarena_calloc() - allocate zeroed memory for an array
 * @nmemb: elements
 * @size: bytes an element
 *
 * A large block that is still zero from the kernel is not written again.
 *
 * Return: the memory; NULL with errno ENOMEM, also if the product overflows.
 */
void *numarena_calloc(size_t nmemb, size_t size);

/**
 * numarena_realloc() - change the size of an object
 * @ptr: the object; NULL allocates
 * @size: bytes; 0 with a non-NULL @ptr frees it and answers NULL, as in glibc
 *
 * Return: the object, moved or not; NULL with errno ENOMEM, and @ptr stays valid.
 */
void *numarena_realloc(void *ptr, size_t size);

/**
 * numarena_reallocarray() - numarena_realloc() of an array
 * @ptr: the object; NULL allocates
 * @nmemb: elements
 * @size: bytes an element
 *
 * Return: as numarena_realloc(); NULL with errno ENOMEM if the product overflows.
 */
void *numarena_reallocarray(void *ptr, size_t nmemb, size_t size);

/**
 * numarena_aligned_alloc() - allocate aligned memory
 * @alignment: bytes, a power of two
 * @size: bytes, not necessarily a multiple of @alignment (C17)
 *
 * Return: the memory; NULL with errno EINVAL for a bad @alignment, ENOMEM otherwise.
 */
void *numarena_aligned_alloc(size_t alignment, size_t size);

/**
 * numarena_posix_memalign() - allocate aligned memory
 * @memptr: where the pointer goes; untouched on failure
 * @alignment: bytes, a power of two and a multiple of sizeof(void *)
 * @size: bytes
 *
 * Return: 0, EINVAL or ENOMEM.  errno is left alone.
 */
int numarena_posix_memalign(void **memptr, size_t alignment, size_t size);

/**
 * numarena_memalign() - allocate aligned memory, the forgiving way
 * @alignment: bytes; rounded up to a power of two, as glibc does
 * @size: bytes
 *
 * Return: the memory; NULL with errno EINVAL if @alignment exceeds 2^63, which cannot be
 * rounded, else ENOMEM.
 */
void *numarena_memalign(size_t alignment, size_t size);

/**
 * numarena_malloc_usable_size() - bytes that an object really has
 * @ptr: the object; NULL has none
 *
 * Return: at least the size asked for; all of it may be used.
 */
size_t numarena_malloc_usable_size(void *ptr);

/**
 * numarena_free_sized() - release memory whose size is known (C23)
 * @ptr: from malloc, calloc or realloc; or NULL
 * @size: the size asked for, in bytes
 *
 * A @size above what the object has ends the process under harden:1, and so does one
 * below what a large block can have been asked for.
 */
void numarena_free_sized(void *ptr, size_t size);

/**
 * numarena_free_aligned_sized() - release aligned memory whose size is known (C23)
 * @ptr: from aligned_alloc; or NULL
 * @alignment: the alignment asked for, in bytes; not looked at
 * @size: the size asked for, in bytes; as in numarena_free_sized()
 */
void numarena_free_aligned_sized(void *ptr, size_t alignment, size_t size);

/**
 * numarena_malloc_trim() - give free memory back to the kernel now
 * @pad: ignored; there is no top of the heap to pad
 *
 * Flushes the calling thread's magazines and purges every 2 MiB unit that is wholly
 * free, whatever its age.
 *
 * Return: 1 if memory was given back, else 0.
 */
int numarena_malloc_trim(size_t pad);

/**
 * numarena_class_add() - add a size class
 * @size: bytes, a multiple of 16 from 16 to 32768
 *
 * Objects of exactly @size bytes are then packed without rounding, and those between
 * the next smaller class and it are rounded to @size.  Useful for a size that dominates
 * a program and lies just above a built-in class.  Memory that is in use already stays
 * valid.  Other threads see the class at their next refill.  There is room for 32.
 * Aligned requests, threads past their end and the modes without arenas keep to the
 * built-in classes.
 *
 * Waits for an RCU grace period unless it is called inside a read section; must not
 * be called from a signal handler.
 *
 * Return: the class's number; -1 with errno EINVAL for a @size that cannot be a class,
 * EEXIST if it is one already, ENOSPC when all are taken, ENOMEM.
 */
int numarena_class_add(size_t size);

/**
 * numarena_option_get() - read a setting back
 * @name: its name, as in NUMARENA_CONF
 * @value: where its text goes, in the form NUMARENA_CONF accepts; terminated if @size > 0
 * @size: room at @value in bytes
 *
 * Return: the length of the text, which is cut if it is not less than @size; -1 with
 * errno ENOENT for an unknown name, and @value is left alone.
 */
int numarena_option_get(const char *name, char *value, size_t size);

/**
 * numarena_option_set() - change a setting while the program runs
 * @name: its name, as in NUMARENA_CONF
 * @value: its text, in the form NUMARENA_CONF accepts
 *
 * Return: 0; -1 with errno ENOENT for an unknown name, EINVAL for a bad value, EPERM
 * for a setting that is fixed once the process has started.
 */
int numarena_option_set(const char *name, const char *value);

/**
 * struct numarena_stats - what the allocator holds and what did not go as asked
 *
 * Counters are taken without stopping anyone: each is right at some moment during the
 * call, together they may disagree by what was in flight.
 *
 * @reserved_bytes: address space reserved for memory, tables not counted
 * @committed_bytes: of that, made usable; resident is what was touched of it
 * @metadata_bytes: committed tables beside the objects
 * @slab_bytes: memory cut into slabs
 * @large_bytes: live blocks above 32 KiB
 * @free_bytes: committed and in no chunk or large block, touched or not
 * @nr_nodes: NUMA nodes with memory
 * @nr_arenas: arenas in use; after a fork also those of lost threads, until they are shelved
 * @nr_classes: size classes, built-in and added
 * @nr_slabs_made: slabs cut since start
 * @nr_refills: magazines filled
 * @nr_flushes: magazines flushed because full
 * @nr_remote_frees: objects posted to the arena of another thread
 * @nr_remote_batches: batches they were sent in
 * @nr_orphans: slabs shelved by threads that ended or moved, each time
 * @nr_adopted: slabs taken from a shelf, each time
 * @bind_done: spans bound to their node
 * @bind_refused: spans the kernel refused to bind; first touch places them
 * @bind_skipped: spans left to the program's own memory policy
 * @huge_refused: 2 MiB units that should be huge and were refused
 * @huge_off: 2 MiB units that should be huge on a machine where THP is off
 * @collapse_done: 2 MiB units made huge after they had filled
 * @collapse_failed: 2 MiB units that the kernel would not make huge
 * @purged_bytes: given back to the kernel since start
 * @moved_bytes: blocks that realloc has moved without copying (mremap)
 * @limit_hit: growth refused by RLIMIT_AS
 * @commit_failed: growth refused by the kernel
 * @node_switches: threads that followed their CPU to another node
 * @node_fallback: blocks taken from a farther node since the own one was full
 * @fork_leaked: arenas of threads that fork left behind in this process
 * @lock_contended: acquisitions of arena and shard locks that had to wait
 */
struct numarena_stats {
	uint64_t reserved_bytes;
	uint64_t committed_bytes;
	uint64_t metadata_bytes;
	uint64_t slab_bytes;
	uint64_t large_bytes;
	uint64_t free_bytes;
	uint64_t nr_nodes;
	uint64_t nr_arenas;
	uint64_t nr_classes;
	uint64_t nr_slabs_made;
	uint64_t nr_refills;
	uint64_t nr_flushes;
	uint64_t nr_remote_frees;
	uint64_t nr_remote_batches;
	uint64_t nr_orphans;
	uint64_t nr_adopted;
	uint64_t bind_done;
	uint64_t bind_refused;
	uint64_t bind_skipped;
	uint64_t huge_refused;
	uint64_t huge_off;
	uint64_t collapse_done;
	uint64_t collapse_failed;
	uint64_t purged_bytes;
	uint64_t moved_bytes;
	uint64_t limit_hit;
	uint64_t commit_failed;
	uint64_t node_switches;
	uint64_t node_fallback;
	uint64_t fork_leaked;
	uint64_t lock_contended;
};

/**
 * numarena_stats_get() - read the statistics
 * @stats: where they go
 * @size: sizeof(struct numarena_stats) of the caller; an older, shorter structure is
 *        filled as far as it goes, a longer one's rest is zeroed
 *
 * Takes each node's extent lock for a moment.  Does not allocate.
 *
 * Return: 0; -1 with errno EINVAL if @size is 0.
 */
int numarena_stats_get(struct numarena_stats *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* NUMARENA_H */
