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
 * Return: the object, moved or not; NULL with errno ENOMEM, and @ptr stays valid.  What
 * shrinks always finds room, where it is if nowhere else.
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
 * Flushes the calling thread's magazines, gives up what it keeps of ended scopes and what
 * ended threads have left for the next, and purges every 2 MiB unit that is wholly free,
 * whatever its age.
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
 * @size: room at @value in bytes; 0, with @value NULL, to ask for the length
 *
 * Return: the length of the text, which is cut if it is not less than @size; -1 with
 * errno ENOENT for an unknown name, EINVAL for NULL, and @value is left alone.
 */
int numarena_option_get(const char *name, char *value, size_t size);

/**
 * numarena_option_set() - change a setting while the program runs
 * @name: its name, as in NUMARENA_CONF
 * @value: its text, in the form NUMARENA_CONF accepts
 *
 * Return: 0; -1 with errno ENOENT for an unknown name, EINVAL for a bad value or NULL, EPERM
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
 * @large_bytes: blocks above 32 KiB, and from 8 KiB on those that realloc has made grow; those
 *	that wait with a thread for its next request included
 * @free_bytes: committed and in no chunk or large block, touched or not
 * @nr_nodes: NUMA nodes with memory
 * @nr_arenas: arenas in use; after a fork also those of lost threads, until their slabs have
 *	been left to others
 * @nr_classes: size classes, built-in and added
 * @nr_slabs_made: slabs cut since start
 * @nr_refills: magazines filled
 * @nr_flushes: magazines flushed because full
 * @nr_remote_frees: objects posted to the arena of another thread
 * @nr_remote_batches: batches they were sent in
 * @nr_orphans: slabs left to others (shelved) by threads that moved, or ended and found no
 *	successor, each time
 * @nr_adopted: slabs that no thread owned and that one has made its own, each time
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
 * @policy_switches: threads that followed a memory policy the program had set
 * @huge_pool_empty: 2 MiB units that should come from a hugetlb pool that had none left
 * @huge_forked: 2 MiB units that were huge when a fork shared them, each fork
 * @huge_parted: 2 MiB units of which a part was given back in need
 * @huge_elsewhere: 2 MiB units that were to be huge and were found on another node, where the
 *                  kernel had a huge page and at home none
 * @huge_brought_home: ... and that have been moved home since, on small pages if need be
 * @strict_failed: allocations refused under policy:strict, since the node was full
 * @strict_unproven: allocations under policy:strict of which nobody may ask where they are
 * @scope_bytes: regions of scopes, and those that threads keep for the next
 * @scope_peak_bytes: the most there were of them
 * @nr_scopes: scopes begun since start
 * @nr_scopes_open: scopes that are open now, of all threads; counted one after the other, so
 *                  where they come and go fast there may be more than at any one moment
 * @scope_open_bytes: of @scope_bytes, what these hold
 * @missing: what the machine or its container does not give: bits, 1 << an enum
 *           numarena_missing; 0 is best
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
	uint64_t policy_switches;
	uint64_t huge_pool_empty;
	uint64_t huge_forked;
	uint64_t huge_parted;
	uint64_t huge_elsewhere;
	uint64_t huge_brought_home;
	uint64_t strict_failed;
	uint64_t strict_unproven;
	uint64_t scope_bytes;
	uint64_t scope_peak_bytes;
	uint64_t nr_scopes;
	uint64_t nr_scopes_open;
	uint64_t scope_open_bytes;
	uint64_t missing;
};

/**
 * enum numarena_missing - what numarena had to do without
 *
 * @NUMARENA_MISSING_GET_MEMPOLICY: refused; numarena does not know whether the program has a
 *	memory policy, so it binds nothing and the first touch places memory
 * @NUMARENA_MISSING_MBIND: refused; the first touch places memory
 * @NUMARENA_MISSING_MOVE_PAGES: refused; audits read /proc/self/numa_maps, and huge pages that
 *	the kernel took from another node are not brought home
 * @NUMARENA_MISSING_SYSFS: /sys/devices/system/node cannot be read; of the nodes those count
 *	that the cpuset allows, and they are near by number
 * @NUMARENA_MISSING_LIBNUMA: libnuma finds no NUMA here, for want of get_mempolicy; numarena
 *	reads sysfs itself, but what the program asks of libnuma will fail
 * @NUMARENA_MISSING_RSEQ: the C library does not register rseq; asking which node a thread
 *	runs on takes some nanoseconds more
 * @NUMARENA_MISSING_THP: transparent huge pages are off
 * @NUMARENA_MISSING_POPULATE: no MADV_POPULATE_WRITE (Linux 5.14), or it is refused; no
 *	hugetlb pages
 * @NUMARENA_MISSING_COLLAPSE: no MADV_COLLAPSE (Linux 6.1), or it is refused; pages become
 *	huge when khugepaged comes by
 */
enum numarena_missing {
	NUMARENA_MISSING_GET_MEMPOLICY,
	NUMARENA_MISSING_MBIND,
	NUMARENA_MISSING_MOVE_PAGES,
	NUMARENA_MISSING_SYSFS,
	NUMARENA_MISSING_LIBNUMA,
	NUMARENA_MISSING_RSEQ,
	NUMARENA_MISSING_THP,
	NUMARENA_MISSING_POPULATE,
	NUMARENA_MISSING_COLLAPSE
};

/**
 * numarena_stats_get() - read the statistics
 * @stats: where they go
 * @size: sizeof(struct numarena_stats) of the caller; an older, shorter structure is
 *        filled as far as it goes, a longer one's rest is zeroed
 *
 * Takes the locks of each node's extents for a moment.  Does not allocate.
 *
 * Return: 0; -1 with errno EINVAL if @stats is NULL or @size is 0.
 */
int numarena_stats_get(struct numarena_stats *stats, size_t size);

/* How numarena_stats_print() writes. */
enum numarena_stats_format {
	NUMARENA_STATS_TEXT,		/* for people: tables, sizes as 12.3M */
	NUMARENA_STATS_JSON,		/* one object, with all figures */
	NUMARENA_STATS_PROMETHEUS	/* the text exposition format, version 0.0.4 */
};

/**
 * numarena_stats_print() - write all statistics
 * @fd: an open descriptor
 * @format: one of enum numarena_stats_format
 *
 * The figures of numarena_stats_get() and numarena_node_stats_get() under their names, and
 * by node, class, heap and thread what is live, cached in magazines and resident; huge-page
 * coverage, fragmentation, who frees whose memory, fallbacks by cause, waits for the locks of
 * shards, and how long slow steps took.  Of each scope that is open its name, thread, depth and
 * node, what it uses, has used at most and holds, the objects it has captured and its resets; of
 * 256 scopes, and how many more there are.
 *
 * Goes through all slabs and asks the kernel which pages are there: about 1 ms a GiB of huge
 * pages and 5 ms a GiB of 4 KiB pages, those of files that the program has mapped included.
 * Nobody is stopped meanwhile but for short locks, and nothing is allocated.  One thread at a
 * time; a second waits for the first to end.  Blocks while @fd does.  A pipe that nobody reads
 * raises no SIGPIPE.  Brings the stats page up to date, if there is one.
 *
 * Return: 0; -1 with errno EINVAL for an unknown @format, ENOMEM if there is no address space
 * to speak of, EBUSY in a signal handler that has interrupted this function, or what write(2)
 * failed with, EAGAIN for a full descriptor that does not block included; part may have been
 * written then.
 */
int numarena_stats_print(int fd, enum numarena_stats_format format);

/* ---- Scopes ---- */

/*
 * A scope is memory for one request, step or episode: allocated by moving a pointer and
 * released all at once.  It is the thread's that began it, and lies on the node where the
 * thread ran then.  Scopes nest.  What they no longer need waits with the thread for the
 * next one, warm, up to the option scope_keep.
 *
 * These end the process with one line on stderr: a scope that is used after its end or by
 * another thread, as far as that is seen (always by all functions but
 * numarena_scope_alloc(), which looks when it takes new memory; always with harden:1), and
 * free() of an object that its scope has given or that has gone with it.  With harden:1 so
 * does writing to an object after its scope has ended or was reset, once the scope's thread
 * allocates there, begins a scope, or ends that one.
 *
 * A thread's end ends its scopes.  The child of a fork has those of the thread that forked,
 * its own copies; the parent's stay as they are.
 */
struct numarena_scope;

/* Flags of numarena_scope_begin(). */
#define NUMARENA_SCOPE_CAPTURE	0x1u	/* what the thread allocates lands in the scope */

/**
 * numarena_scope_begin() - begin a scope of the calling thread
 * @name: for messages and statistics; the first 23 bytes are copied.  Or NULL
 * @flags: 0 or NUMARENA_SCOPE_CAPTURE
 *
 * With NUMARENA_SCOPE_CAPTURE all that the thread allocates by malloc, its kin and new until
 * the scope ends comes from it and goes with it, unless a scope inside captures in its turn:
 * a library's temporaries.  Such objects may be freed, and realloc and malloc_usable_size know
 * them.  The last that was allocated, and one above 512 KiB, makes room at once; of the
 * others free is a note at most.  Any thread may free them while the scope is open.  Not
 * captured are what realloc makes of objects from before, which stay in their heap or scope,
 * what is asked of a heap or a node by name, and what the dynamic loader allocates (threads'
 * TLS, dlopen).  All else that a library allocates to last is: have it do so before, or move
 * it out by numarena_scope_keep().
 *
 * Takes no memory until the first allocation.
 *
 * Return: the scope; NULL with errno EINVAL for unknown flags, ENOMEM.
 */
struct numarena_scope *numarena_scope_begin(const char *name, unsigned int flags);

/**
 * numarena_scope_alloc() - allocate in a scope
 * @scope: an open scope of the calling thread
 * @size: bytes, 0 to PTRDIFF_MAX; 0 is answered as 1
 *
 * The memory is aligned to 16 bytes and not initialised.  It must not be given to free or
 * realloc, unless the scope captures.  An object above 512 KiB has memory of its own.
 *
 * Return: the memory; NULL with errno ENOMEM, or EINVAL if @scope is NULL.
 */
void *numarena_scope_alloc(struct numarena_scope *scope, size_t size);

/**
 * numarena_scope_aligned_alloc() - allocate aligned memory in a scope
 * @scope: as in numarena_scope_alloc()
 * @alignment: bytes, a power of two
 * @size: bytes
 *
 * Return: as numarena_scope_alloc(); errno EINVAL also for a bad @alignment.
 */
void *numarena_scope_aligned_alloc(struct numarena_scope *scope, size_t alignment, size_t size);

/**
 * numarena_scope_calloc() - allocate zeroed memory for an array in a scope
 * @scope: as in numarena_scope_alloc()
 * @nmemb: elements
 * @size: bytes an element
 *
 * Return: as numarena_scope_alloc(); errno ENOMEM also if the product overflows.
 */
void *numarena_scope_calloc(struct numarena_scope *scope, size_t nmemb, size_t size);

/**
 * numarena_scope_mark() - where a scope is now
 * @scope: as in numarena_scope_alloc(); NULL has no other mark than 0
 *
 * Return: a mark for numarena_scope_release().  It is also how many bytes of address space
 * the scope has gone through, but for objects above 512 KiB.
 */
size_t numarena_scope_mark(struct numarena_scope *scope);

/**
 * numarena_scope_release() - release what was allocated since a mark
 * @scope: as in numarena_scope_alloc(); nothing is done for NULL
 * @mark: of this scope.  One that was released before, or that lies above what the scope has
 *        now, releases nothing
 *
 * Does nothing to scopes that were begun inside.
 */
void numarena_scope_release(struct numarena_scope *scope, size_t mark);

/**
 * numarena_scope_reset() - release all that was allocated in a scope
 * @scope: as in numarena_scope_alloc(); nothing is done for NULL
 *
 * The scope stays open.  Takes about as long for 100,000 small objects as for one: some 0.2 us,
 * and half a microsecond for each 10 MiB.  Longer where what it had exceeds scope_keep, since that
 * goes back to the node (some 0.5 us for each 2 MiB).
 */
void numarena_scope_reset(struct numarena_scope *scope);

/**
 * numarena_scope_end() - release all that was allocated in a scope and the scope itself
 * @scope: an open scope of the calling thread; nothing is done for NULL
 *
 * Scopes that were begun inside it and are still open end first, as when an error leaves a
 * function early; to end one of them afterwards ends the process.
 */
void numarena_scope_end(struct numarena_scope *scope);

/**
 * numarena_scope_keep() - move a captured object out of its scope
 * @ptr: an object that a scope has captured; any other of numarena's, which is left alone; or
 *       NULL
 *
 * Copies it to the heap and frees the captured one.  The alignment of @ptr is kept up to 4096
 * bytes and to the largest power of two not above its size.
 *
 * Return: the object, which free() takes; NULL with errno ENOMEM, and @ptr stays.
 */
void *numarena_scope_keep(void *ptr);

/* ---- Nodes ---- */

/* Nodes that numarena can tell apart. */
#define NUMARENA_MAX_NODES 64

/* Instead of a node: the one that the calling thread runs on. */
#define NUMARENA_NODE_FOLLOW (-1)

/**
 * numarena_thread_bind() - have the calling thread's memory from one node
 * @node: the kernel's number of a node that has memory; NUMARENA_NODE_FOLLOW: the node that
 *        the thread runs on, as at first
 *
 * Says where memory lies that the thread allocates from now on, wherever it runs.  What it
 * has stays where it is.  Does not move the thread (see sched_setaffinity(2)).  A memory
 * policy that the program has set for the thread stands above it.
 *
 * Return: 0; -1 with errno EINVAL if there is no such node or the cpuset does not allow it,
 * ENOMEM if there is no memory for the thread's tables there.
 */
int numarena_thread_bind(int node);

/**
 * numarena_node_of() - the node that memory is meant for
 * @ptr: an object, or any byte of one
 *
 * Arithmetic on the pointer for small objects; takes a lock for a moment for large blocks.
 * Where it really is, only the kernel knows: see numarena_audit().
 *
 * Return: the kernel's number of the node; -1 with errno ENODATA if its memory is under a
 * policy that names no single node (interleave, inherit, one of the program's own),
 * ENOENT if numarena has nothing there.
 */
int numarena_node_of(const void *ptr);

/* Flags of numarena_reserve(). */
#define NUMARENA_RESERVE_SMALL		0x1u	/* pages of 4 KiB */
#define NUMARENA_RESERVE_HUGETLB	0x2u	/* 2 MiB pages of the node's hugetlb pool */
#define NUMARENA_RESERVE_1GIB		0x4u	/* 1 GiB pages of the node's hugetlb pool */

/**
 * numarena_reserve() - have memory on a node, faulted in, before it is needed
 * @node: the kernel's number; -1 for the node that the calling thread's memory comes from
 * @bytes: how much, rounded up to 2 MiB, or to 1 GiB for pages of that size
 * @flags: 0 for transparent huge pages, or one of NUMARENA_RESERVE_*
 *
 * For start-up.  Threads on the node's own CPUs fault the memory in at the same time; they
 * end before the call returns.  The memory then serves malloc on that node and is never
 * given back to the kernel.  A 64th of it more is made writable for magazines and other
 * metadata, so that they need no system call later.  Pages of a pool that has not enough of
 * them are replaced by transparent huge pages, which is counted in huge_pool_empty.  A memory
 * policy that the program has set for the calling thread stands above @node, and the memory
 * serves threads under that policy.
 *
 * Return: the bytes that lie on pages of the kind asked for, by what the kernel answered to
 * the call; -1 with errno EINVAL for a node that is not there or unknown flags, ENOMEM if
 * there is not so much memory on the node or below the limits of the process's cgroups, as
 * they are at the call, and then none of it is kept.
 */
long numarena_reserve(int node, size_t bytes, unsigned int flags);

/**
 * numarena_fork_recover() - make huge again what a fork has parted
 *
 * After a fork, parent and child share their huge pages, and the first write of either parts
 * each into 512.  Call it in the parent when its children have gone or have had their
 * exec.  Takes about 0.3 ms for each 2 MiB that was parted, and some microseconds for each
 * that was not; holds no lock meanwhile.
 *
 * Return: how many units of 2 MiB the kernel would not make huge; 0 is best.
 */
long numarena_fork_recover(void);

/**
 * struct numarena_node_stats - what lies on one node, and what did not go as asked there
 *
 * Fields are those of struct numarena_stats, of one node.
 *
 * @node: the kernel's number
 * @is_allowed: whether the cpuset allows it now
 * @hugetlb_bytes: of the committed bytes, those from a hugetlb pool
 * @remote_frees_in: frees, by threads that work for another node, of what lies here
 * @remote_bytes_in: ... and their bytes
 */
struct numarena_node_stats {
	int32_t node;
	int32_t is_allowed;
	uint64_t committed_bytes;
	uint64_t hugetlb_bytes;
	uint64_t slab_bytes;
	uint64_t large_bytes;
	uint64_t free_bytes;
	uint64_t bind_done;
	uint64_t bind_refused;
	uint64_t bind_skipped;
	uint64_t node_fallback;
	uint64_t strict_failed;
	uint64_t strict_unproven;
	uint64_t huge_refused;
	uint64_t huge_off;
	uint64_t huge_pool_empty;
	uint64_t huge_forked;
	uint64_t huge_parted;
	uint64_t huge_elsewhere;
	uint64_t huge_brought_home;
	uint64_t collapse_done;
	uint64_t collapse_failed;
	uint64_t purged_bytes;
	uint64_t remote_frees_in;
	uint64_t remote_bytes_in;
	uint64_t scope_bytes;
};

/**
 * numarena_node_stats_get() - read the statistics of one node
 * @index: 0 to numarena_stats.nr_nodes - 1; @stats->node says which node that is
 * @stats: where they go
 * @size: sizeof(struct numarena_node_stats) of the caller, as in numarena_stats_get()
 *
 * Return: 0; -1 with errno EINVAL if @stats is NULL, @size is 0 or there is no such node.
 */
int numarena_node_stats_get(unsigned int index, struct numarena_node_stats *stats, size_t size);

/**
 * numarena_remote_matrix() - who frees whose memory
 * @frees: room for @nr * @nr numbers, or NULL: row i, column j counts the frees, by threads that
 *         work for node i, of memory of node j that was not their own; on the diagonal,
 *         small objects of other threads of the same node, and some, of 512 bytes and more,
 *         whose slab threads share.  Blocks above 32 KiB belong to their node and to no
 *         thread: freeing one there is in no column
 * @bytes: the same in bytes, or NULL
 * @nr: numarena_stats.nr_nodes
 *
 * Rows and columns are numbered as in numarena_node_stats_get().  Counters of threads that
 * have ended are in it.
 *
 * Return: 0; -1 with errno EINVAL if @nr is not the number of nodes.
 */
int numarena_remote_matrix(uint64_t *frees, uint64_t *bytes, unsigned int nr);

/* ---- Heaps ---- */

/*
 * A heap is memory of its own within the process: for one part of the program, one tenant,
 * one model.  It has nodes, pages and a limit of its own, is counted apart, and goes as a
 * whole when it is destroyed.  What is allocated in it is an object like any other: free(),
 * numarena_free(), malloc_usable_size() and realloc() take it from any thread, and realloc
 * leaves it in its heap.
 *
 * All functions here may be called from any thread.  A heap must not be used once its
 * destruction has begun: such a call ends the process with one line on stderr.
 */
struct numarena_heap;

/* Bits in numarena_heap_attr.nodes. */
#define NUMARENA_NODE_MASK_BITS 1024
#define NUMARENA_NODE_MASK_WORDS (NUMARENA_NODE_MASK_BITS / 64)

/* How a heap's memory is bound to its nodes. */
enum numarena_heap_policy {
	NUMARENA_HEAP_POLICY_DEFAULT,	/* as the option policy: says */
	NUMARENA_HEAP_PREFERRED,	/* there; when they are full, on the nearest that is not */
	NUMARENA_HEAP_STRICT,		/* there, or NULL with ENOMEM */
	NUMARENA_HEAP_INTERLEAVE,	/* on all of them by turns */
	NUMARENA_HEAP_INHERIT		/* where the kernel puts it */
};

/* Which pages a heap's memory is to lie on. */
enum numarena_heap_huge {
	NUMARENA_HEAP_HUGE_DEFAULT,	/* as the option huge: says */
	NUMARENA_HEAP_HUGE_AUTO,
	NUMARENA_HEAP_HUGE_THP,
	NUMARENA_HEAP_HUGE_HUGETLB,
	NUMARENA_HEAP_HUGE_OFF
};

/* For numarena_heap_attr.decay_ms. */
#define NUMARENA_HEAP_DECAY_DEFAULT	0	/* as the option decay_ms: says */
#define NUMARENA_HEAP_DECAY_NOW		(-1)	/* at the next occasion */
#define NUMARENA_HEAP_DECAY_NEVER	(-2)	/* malloc_trim() alone gives it back */

/* Longest name of a heap, its end not counted. */
#define NUMARENA_HEAP_NAME_MAX 31

/**
 * struct numarena_heap_attr - what a heap is to be like
 *
 * All zero but @size is a heap like the default one, without a limit.
 *
 * @size: sizeof(struct numarena_heap_attr) of the caller.  An older, shorter structure counts
 *	as zero beyond its end; a longer one must be zero beyond ours
 * @nodes: bit n of word n / 64 stands for the kernel's node n: where the memory may lie.  A
 *	thread has it from its own node if that is among them, else from the nearest that
 *	is.  All zero: from the thread's node, wherever that is
 * @policy: enum numarena_heap_policy.  With it or with @nodes given, memory policies of the
 *	program's (numactl, set_mempolicy) do not touch the heap; else that of the creating
 *	thread holds
 * @huge: enum numarena_heap_huge
 * @limit_bytes: the most that its slabs and large blocks may take together; 0: no limit
 * @decay_ms: how long free memory waits until it is given back to the kernel, 1 to
 *	2147483647, or NUMARENA_HEAP_DECAY_*
 * @reserved: 0
 * @name: for the statistics, copied, cut at NUMARENA_HEAP_NAME_MAX bytes; NULL: "heap"
 * @low_memory: called by a thread whose allocation in the heap found no memory or the limit,
 *	for it to free what it can spare; then the allocation is tried once more.  It may
 *	allocate and free, in this heap too (it is not called again for its own allocations);
 *	it must not destroy the heap.  No lock is held.  NULL: none
 * @low_memory_arg: passed to it
 */
struct numarena_heap_attr {
	size_t size;
	uint64_t nodes[NUMARENA_NODE_MASK_WORDS];
	uint32_t policy;
	uint32_t huge;
	uint64_t limit_bytes;
	int32_t decay_ms;
	uint32_t reserved;
	const char *name;
	void (*low_memory)(struct numarena_heap *heap, size_t wanted_bytes, void *arg);
	void *low_memory_arg;
};

/**
 * numarena_heap_create() - make a heap
 * @attr: what it is to be like; NULL: like the default one
 *
 * Takes some locks for a moment, and some 20 KiB of tables a node, which the next heap uses
 * again.  Heaps that differ in nodes, policy, pages or decay do not share memory; there may be
 * 24 such kinds in a process's life, and 4,032 heaps at a time.
 *
 * Return: the heap; NULL with errno EINVAL for a size, policy, page kind or decay that is
 * unknown or a node that is not there or not allowed, ENOSPC when all heaps or kinds are
 * taken, ENOMEM.
 */
struct numarena_heap *numarena_heap_create(const struct numarena_heap_attr *attr);

/**
 * numarena_heap_destroy() - free all that is in a heap, and the heap
 * @heap: the heap; NULL is allowed and does nothing
 *
 * Whichever thread allocated it.  What other threads have freed of it and what is on its way
 * does no harm, then or later.  An allocation in the heap, and a free of what was in it, that
 * comes after this has returned is an error, as it is with any object that was freed.
 * Destroying a heap twice ends the process with one line on stderr.
 *
 * Takes time by the number of slabs and large blocks.  Some of the memory is kept from being
 * used again for a short while, 4 MiB and a second at most; then it is free, and goes back to
 * the kernel after its decay.
 */
void numarena_heap_destroy(struct numarena_heap *heap);

/**
 * numarena_heap_alloc() - allocate in a heap
 * @heap: the heap; NULL: the default one
 * @size: bytes, as in numarena_malloc()
 *
 * Return: the memory; NULL with errno ENOMEM if there is none, the limit is reached or @size
 * is too large.
 */
void *numarena_heap_alloc(struct numarena_heap *heap, size_t size);

/**
 * numarena_heap_aligned_alloc() - allocate aligned memory in a heap
 * @heap: the heap; NULL: the default one
 * @alignment: bytes, a power of two
 * @size: bytes
 *
 * Return: as numarena_heap_alloc(); NULL with errno EINVAL for a bad @alignment.
 */
void *numarena_heap_aligned_alloc(struct numarena_heap *heap, size_t alignment, size_t size);

/**
 * numarena_heap_calloc() - allocate zeroed memory for an array in a heap
 * @heap: the heap; NULL: the default one
 * @nmemb: elements
 * @size: bytes an element
 *
 * Return: as numarena_heap_alloc(); NULL with errno ENOMEM also if the product overflows.
 */
void *numarena_heap_calloc(struct numarena_heap *heap, size_t nmemb, size_t size);

/**
 * numarena_heap_realloc() - change the size of an object of a heap
 * @heap: the heap, where NULL allocates; an object stays in the heap it is in
 * @ptr: the object; NULL allocates
 * @size: bytes; 0 with a non-NULL @ptr frees it and answers NULL
 *
 * Return: the object, moved or not; NULL with errno ENOMEM, and @ptr stays valid.
 */
void *numarena_heap_realloc(struct numarena_heap *heap, void *ptr, size_t size);

/**
 * numarena_heap_free() - release an object of a heap
 * @heap: the heap; NULL: whichever it is in
 * @ptr: the object; NULL is allowed and does nothing
 *
 * As numarena_free(), which does as well.  Under harden:1 an object of another heap than
 * @heap ends the process.
 */
void numarena_heap_free(struct numarena_heap *heap, void *ptr);

/**
 * numarena_heap_limit() - change the limit of a heap, or of the process
 * @heap: the heap; NULL: all of the process's slabs, large blocks and scopes together
 * @bytes: the most that they may take; 0: no limit
 *
 * A limit below what is taken already refuses what would be more.  It is exact to one slab:
 * an allocation is refused only if the slab or the block it needs does not fit below the
 * limit, after empty slabs were given up.  NULL stands for the option limit:, and replaces
 * limit:cgroup.
 *
 * Return: 0.
 */
int numarena_heap_limit(struct numarena_heap *heap, size_t bytes);

/**
 * struct numarena_heap_stats - what a heap holds
 *
 * @live_bytes: of objects in the program's hands, by the size of their classes, and of large
 *	blocks.  Objects that wait in threads' magazines count as live
 * @charged_bytes: of slabs and large blocks, touched or not: what counts against the limit
 * @peak_bytes: the most that was
 * @limit_bytes: 0 is no limit
 * @nr_limit_hit: allocations that met the limit, whether or not they were served in the end
 * @nr_low_memory: calls of the callback
 * @nr_arenas: threads that have an arena in it
 * @name: its name
 */
struct numarena_heap_stats {
	uint64_t live_bytes;
	uint64_t charged_bytes;
	uint64_t peak_bytes;
	uint64_t limit_bytes;
	uint64_t nr_limit_hit;
	uint64_t nr_low_memory;
	uint64_t nr_arenas;
	char name[NUMARENA_HEAP_NAME_MAX + 1];
};

/**
 * numarena_heap_stats_get() - read the statistics of a heap
 * @heap: the heap
 * @stats: where they go
 * @size: sizeof(struct numarena_heap_stats) of the caller, as in numarena_stats_get()
 *
 * Takes the lock of the heap for a moment.  Does not allocate.
 *
 * Return: 0; -1 with errno EINVAL if @size is 0, @stats or @heap is NULL: the process's figures are
 * numarena_stats_get()'s.
 */
int numarena_heap_stats_get(struct numarena_heap *heap, struct numarena_heap_stats *stats,
			    size_t size);

/* ---- Placement by hand ---- */

/**
 * numarena_alloc_on() - allocate memory of a node
 * @node: the kernel's number of a node that has memory; NUMARENA_NODE_FOLLOW: as
 *        numarena_aligned_alloc(), for the calling thread
 * @size: bytes, 0 to PTRDIFF_MAX; 0 is answered as 1
 * @alignment: bytes, a power of two; 0: as malloc
 *
 * The thread stays where it is, and so does its other memory.  A node named here stands above
 * numarena_thread_bind(), a memory policy of the program's (set_mempolicy) and policy:interleave
 * or policy:inherit, as mbind(2) stands above those.  If the node has no memory left, the
 * nearest serves, which node_fallback counts; under policy:strict none does.
 *
 * free(), realloc() and the rest work on it from any thread; what realloc moves is where the
 * thread's other memory is.  Up to 32 KiB it takes the lock of the class on that node, unless
 * that is the thread's own node: with its free some 800 instructions, where malloc's pair is 40.
 *
 * Return: the memory; NULL with errno EINVAL if there is no such node, the cpuset does not
 * allow it or @alignment is none, ENOMEM if there is none or @size is too large.
 */
void *numarena_alloc_on(int node, size_t size, size_t alignment);

/**
 * numarena_migrate() - move a large block to another node
 * @ptr: the start of a live block above 32 KiB
 * @node: the kernel's number of a node that has memory; NUMARENA_NODE_FOLLOW: the one that the
 *        calling thread's memory comes from
 *
 * Keeps the address, so pointers into the block stay right and other threads may read and write
 * it meanwhile: the kernel moves page by page, and holds back whoever touches the page under
 * way.  From then on the block is meant for @node: numarena_node_of() and numarena_audit() say
 * so, pages that it has not touched yet come from there, and maintenance leaves them there.  It
 * stays so until the block is freed, and then its pages go back to the kernel.
 *
 * (Moving it to an address of that node instead would be numarena_alloc_on(), memcpy() and
 * free(), which everybody can write.  Small objects share pages with others, and have to be
 * moved like that.)
 *
 * Statistics by node go on counting it where it was had from.  realloc() leaves a smaller size
 * in place, and copies to a larger one on the calling thread's node.  A huge page that it shares
 * with a neighbour is parted, counted in huge_parted.  Takes about 0.1 ms and the time to copy
 * for each 2 MiB; holds no lock meanwhile.
 *
 * Return: 0; -1 with errno EINVAL if @ptr is no such block or there is no such node or the
 * cpuset does not allow it, ENOMEM if the node has no room, EBUSY if pages are pinned (a device
 * writes to them) or shared with a child since a fork, EPERM if mbind or move_pages is refused
 * (containers), ENOTSUP for pages of a hugetlb pool, ENOSPC if 128 blocks are away from home
 * already.  Then it is meant for where it was meant for before, and its pages have gone back as
 * far as there was room.
 */
int numarena_migrate(void *ptr, int node);

/* A read-only copy of something on each node. */
struct numarena_replicas;

/**
 * numarena_replicate() - copy something to each node, to be read
 * @ptr: what, as weights; read once, and the caller's own as before
 * @size: bytes, at least 1
 *
 * Each node that has memory and that the cpuset allows gets a copy, on huge pages if it is of
 * 2 MiB or more, made by a thread on that node.  All or nothing: if one node has no room,
 * nothing is left behind.
 *
 * Copies are for reading.  Whole 2 MiB of the first 64 are write-protected, so that a stray
 * write ends in SIGSEGV; more, and smaller ones, would cost too many mappings (DEBUG=1 builds
 * protect all of each).  free() of a copy ends the process with one line.
 *
 * Return: the copies; NULL with errno EINVAL if @ptr is NULL or @size is 0, ENOMEM if there is
 * no room for them on the nodes or below the limits of the process and its cgroups.
 */
struct numarena_replicas *numarena_replicate(const void *ptr, size_t size);

/**
 * numarena_replica() - the copy that is nearest to the calling thread
 * @replicas: from numarena_replicate(), and not freed; or NULL
 *
 * That of the node that the thread runs on; where that has none, of the nearest.  A few loads,
 * no lock, no memory, errno left alone: call it once a request rather than keep the answer, as
 * the thread may have been moved since.  All copies stay readable from everywhere.
 *
 * Return: the first byte of the copy, aligned to a page; NULL for NULL.
 */
const void *numarena_replica(const struct numarena_replicas *replicas);

/**
 * numarena_replica_free() - release all copies
 * @replicas: from numarena_replicate(); or NULL, which does nothing
 *
 * No thread may read a copy any more.  Leaves errno alone.  Ends the process with one line for
 * what is no such thing or was freed before.
 */
void numarena_replica_free(struct numarena_replicas *replicas);

/**
 * numarena_step() - do now what would be due in the middle of the next step
 * @budget_us: how long it may take, in microseconds; the piece of work that is under way then
 *             is ended, and 0 does one
 *
 * For the boundary of a step, of a request, of an episode: sends what the calling thread has
 * freed for others, takes back what others have freed for it, collects what threads and heaps
 * have left that are no more, gives the kernel what has been free for decay_ms, brings home what
 * lies on other nodes, makes filled chunks huge.  All that happens by and by anyway, in slow
 * paths of malloc and free; under purge:step what is not the calling thread's own happens here,
 * in malloc_trim() and before malloc would have no memory, and nowhere else.
 *
 * A piece is one batch of frees, or 2 MiB purged (some 24 us), moved or made huge (some 300).
 * Threads that call it at the same time share the work.
 *
 * Return: 0 if all was done; else how many pieces may be left, of kinds that it did not come to
 * the end of.
 */
unsigned long numarena_step(unsigned int budget_us);

/* ---- Proof ---- */

/* What a page is for. */
enum numarena_kind {
	NUMARENA_KIND_SLAB,	/* chunks of small objects */
	NUMARENA_KIND_LARGE,	/* large blocks */
	NUMARENA_KIND_FREE,	/* free, and not given back yet */
	NUMARENA_KIND_META,	/* tables, arenas, magazines */
	NUMARENA_KIND_UNKNOWN,	/* not told apart, where move_pages is refused */
	NUMARENA_KIND_SCOPE,	/* regions of scopes, and those kept for the next */
	NUMARENA_NR_KINDS
};

/* How it was found out where pages are. */
enum numarena_audit_how {
	NUMARENA_AUDIT_PAGES,	/* page by page: move_pages(2) */
	NUMARENA_AUDIT_MAPS	/* mapping by mapping: /proc/self/numa_maps */
};

/**
 * struct numarena_audit_node - the resident pages that are meant for one node
 *
 * All in pages of 4 KiB.
 *
 * @node: the kernel's number
 * @is_allowed: whether the cpuset allows it; if not, its pages are meant for the nearest
 *	that is allowed
 * @resident: by kind
 * @misplaced: of those, on another node
 * @unbound: of those in @resident, under a policy that names no node: never misplaced
 * @strangers: pages of other nodes' memory that lie here
 * @huge: of all resident that are not tables, those on pages of 2 MiB and more
 * @huge_wanted: of all resident that are not tables, those that should be
 */
struct numarena_audit_node {
	int32_t node;
	int32_t is_allowed;
	uint64_t resident[NUMARENA_NR_KINDS];
	uint64_t misplaced[NUMARENA_NR_KINDS];
	uint64_t unbound;
	uint64_t strangers;
	uint64_t huge;
	uint64_t huge_wanted;
};

/**
 * struct numarena_audit - where memory is against where it should be
 *
 * @size: sizeof(struct numarena_audit), set by the caller
 * @how: enum numarena_audit_how
 * @nr_nodes: entries of @at that are filled
 * @resident: all resident pages of 4 KiB
 * @misplaced: of those, on another node than they are meant for
 * @huge: of those that are not tables, on huge pages
 * @huge_wanted: ... and those that should be
 * @at: by node
 */
struct numarena_audit {
	uint32_t size;
	uint32_t how;
	uint32_t nr_nodes;
	uint32_t reserved;
	uint64_t resident;
	uint64_t misplaced;
	uint64_t huge;
	uint64_t huge_wanted;
	struct numarena_audit_node at[NUMARENA_MAX_NODES];
};

/* To g++ a function hides the constructor of a structure of its name, as with stat(2). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

/**
 * numarena_audit() - look where every resident page is
 * @audit: @audit->size says how large it is; the rest is filled
 *
 * Asks the kernel about each page, in batches, and about one in 2 MiB where pages are huge:
 * about 0.1 ms a GiB of huge pages, 50 ms a GiB of 4 KiB pages.  Allocates nothing, and
 * nobody is stopped meanwhile: pages that come and go may be missed.
 *
 * Uses some 32 KiB of stack.
 *
 * Return: 0; -1 with errno EINVAL for NULL or a @size that is too small, ENOSYS without /proc or
 * where neither move_pages nor numa_maps can be asked, ENOMEM, or what else reading /proc
 * fails with.
 */
int numarena_audit(struct numarena_audit *audit);
#pragma GCC diagnostic pop

#ifdef __cplusplus
}
#endif

#endif /* NUMARENA_H */
