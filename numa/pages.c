// SPDX-License-Identifier: MIT
/*
 * The only file that changes the address space.
 *
 * Space is reserved once (PROT_NONE) and committed upward by mprotect: in
 * vm.overcommit_memory=2 only writable memory is charged, and neighbouring spans
 * merge into one mapping.  Memory is given back by MADV_DONTNEED, never by
 * unmapping, so that a stale pointer faults on nothing it does not own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "internal/bug.h"
#include "internal/option.h"
#include "internal/stat.h"

#include "pages.h"
#include "text.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* Linux 6.1 */
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

#ifndef MADV_COLD
#define MADV_COLD 20		/* Linux 5.4 */
#endif

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4	/* Linux 5.7 */
#endif

#define MM_DIR "/sys/kernel/mm/"
#define THP_DIR MM_DIR "transparent_hugepage/"

struct nar_events nar_events;
struct nar_node_events nar_node_events[NAR_MAX_NODES];
u32 nar_missing_mask;

/* Address space, charged when it is made writable. */
#define SPACE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static u64 committed_bytes;	/* relaxed; against RLIMIT_AS only */

enum thp { THP_UNKNOWN, THP_NEVER, THP_MADVISE, THP_ALWAYS };

/* THP_UNKNOWN: the file is not there or says that another one decides. */
static enum thp thp_read(const char *path)
{
	char buf[128];

	if (nar_text_read(path, buf, sizeof(buf)) <= 0)
		return THP_UNKNOWN;
	if (strstr(buf, "[always]"))
		return THP_ALWAYS;
	if (strstr(buf, "[madvise]"))
		return THP_MADVISE;
	return strstr(buf, "[never]") ? THP_NEVER : THP_UNKNOWN;
}

/*
 * Pages of 2 MiB have a setting of their own from Linux 6.8 on, and inherit by default.
 * Where there is no sysfs nobody knows the default, and advice is needed either way.
 */
static enum thp thp_find(void)
{
	enum thp found;

	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
		return THP_NEVER;
	found = thp_read(THP_DIR "hugepages-2048kB/enabled");
	if (found == THP_UNKNOWN)
		found = thp_read(THP_DIR "enabled");
	if (found == THP_UNKNOWN)
		found = access(MM_DIR, F_OK) ? THP_ALWAYS : THP_NEVER;
	return found;
}

static unsigned int thp;	/* enum thp; relaxed: every thread finds the same */

static void thp_set(enum thp mode)
{
	WRITE_ONCE(thp, mode);
	if (mode == THP_NEVER)
		nar_note_missing(MISSING_THP);
}

/* Read once: an administrator's change later is seen by new processes. */
static enum thp thp_mode(void)
{
	if (READ_ONCE(thp) == THP_UNKNOWN)
		thp_set(thp_find());
	return (enum thp)READ_ONCE(thp);
}

void *nar_pages_reserve(size_t bytes, size_t align)
{
	size_t space = bytes + align;
	char *map, *start;

	map = mmap(NULL, space, PROT_NONE, SPACE_FLAGS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	start = (char *)ALIGN_UP((uintptr_t)map, align);
	if (start > map)
		munmap(map, (size_t)(start - map));
	if (start + bytes < map + space)
		munmap(start + bytes, (size_t)(map + space - start) - bytes);
	return start;
}

void nar_pages_release(void *addr, size_t bytes)
{
	munmap(addr, bytes);
}

bool nar_pages_can_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, bytes);
	return true;
}

int nar_pages_make_readable(void *addr, size_t bytes)
{
	return mprotect(addr, bytes, PROT_READ) ? -errno : 0;
}

int nar_pages_make_writable(void *addr, size_t bytes)
{
	return mprotect(addr, bytes, PROT_READ | PROT_WRITE) ? -errno : 0;
}

/* The limit may have been lowered since start: space we hold is not exempt. */
static bool limit_allows(size_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return true;
	return READ_ONCE(committed_bytes) + bytes <= limit.rlim_cur;
}

int nar_pages_commit(void *addr, size_t bytes)
{
	if (!limit_allows(bytes)) {
		nar_event(limit_hit, 1);
		return -ENOMEM;
	}
	if (mprotect(addr, bytes, PROT_READ | PROT_WRITE)) {
		nar_event(commit_failed, 1);
		return -ENOMEM;
	}
	add_relaxed(&committed_bytes, bytes);
	return 0;
}

int nar_pages_purge(void *addr, size_t bytes)
{
	return madvise(addr, bytes, MADV_DONTNEED) ? -errno : 0;
}

static bool has_limit(int what)
{
	struct rlimit limit;

	return getrlimit(what, &limit) || limit.rlim_cur != RLIM_INFINITY;
}

static __cold __attribute__((__noreturn__)) void die_of_mappings(void *addr, size_t bytes)
{
	nar_die("the kernel took %zu bytes at %p and does not give them back: raise vm.max_map_count",
		bytes, addr);
}

/*
 * The kernel unmaps the target before it looks whether it can move, and counts the
 * source twice meanwhile: under RLIMIT_AS it might refuse, and then refuse us the target.  So
 * it might under RLIMIT_DATA, if that has been lowered since or another thread is quicker, and
 * where all memory of the machine is counted.
 */
int nar_pages_move(void *from, void *to, size_t bytes)
{
	int how = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, err;

	if (nar_pages_are_counted() || has_limit(RLIMIT_DATA))
		return -EPERM;
	if (mremap(from, bytes, bytes, how, to) != MAP_FAILED)
		return 0;
	err = -errno;
	if (mmap(to, bytes, PROT_READ | PROT_WRITE,
		 SPACE_FLAGS | MAP_FIXED, -1, 0) == MAP_FAILED)
		die_of_mappings(to, bytes);
	return err;
}

int nar_pages_advise_huge(void *addr, size_t bytes)
{
	if (thp_mode() == THP_NEVER)
		return -ENOSYS;
	if (!madvise(addr, bytes, MADV_HUGEPAGE))
		return 0;
	/* The kernel has no such pages, and no sysfs has told. */
	if (errno != EINVAL)
		return -errno;
	thp_set(THP_NEVER);
	return -ENOSYS;
}

void nar_pages_advise_small(void *addr, size_t bytes)
{
	/* Only where the default is huge: advice splits mappings. */
	if (thp_mode() == THP_ALWAYS)
		madvise(addr, bytes, MADV_NOHUGEPAGE);
}

/*
 * Whether the kernel knows the advice, and whoever stands before it lets us give it: of
 * no bytes it says that and no more.
 */
static bool has_advice(int advice)
{
	return !madvise(NULL, 0, advice) ||
	       (errno != EINVAL && errno != EPERM && errno != ENOSYS);
}

/* Whether no page of the unit is there. */
static bool is_empty_unit(void *addr)
{
	unsigned char is_resident[HUGE_BYTES / PAGE_BYTES];
	size_t i;

	if (mincore(addr, HUGE_BYTES, is_resident))
		return false;
	for (i = 0; i < sizeof(is_resident); i++)
		if (is_resident[i] & 1)
			return false;
	return true;
}

/* A unit that was handed out and not touched is refused too, and huge at its first touch. */
int nar_pages_collapse(void *addr)
{
	int err;

	if (thp_mode() == THP_NEVER)
		return -ENOSYS;
	if (thp_mode() == THP_ALWAYS)
		madvise(addr, HUGE_BYTES, MADV_HUGEPAGE);
	if (!madvise(addr, HUGE_BYTES, MADV_COLLAPSE))
		return 0;
	err = -errno;
	if (!has_advice(MADV_COLLAPSE))
		nar_note_missing(MISSING_COLLAPSE);
	return is_empty_unit(addr) ? 0 : err;
}

/*
 * Advice on less than all of a huge page makes the kernel part it, if it is this process's
 * alone.  This advice does nothing else that matters.
 */
void nar_pages_part(const char *end, char *page)
{
	if ((uintptr_t)end % HUGE_BYTES)
		madvise(page, PAGE_BYTES, MADV_COLD);
}

/* ---- Whole mappings ---- */

void *nar_pages_map_hugetlb(size_t bytes, unsigned int shift)
{
	int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(shift << MAP_HUGE_SHIFT);
	void *p = limit_allows(bytes) ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, how, -1, 0) :
		MAP_FAILED;

	return p == MAP_FAILED ? NULL : p;
}

/* The kernel unmaps the target before it looks whether it can move. */
int nar_pages_replace(void *to, void *from, size_t bytes)
{
	int err;

	if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED) {
		add_relaxed(&committed_bytes, bytes);
		return 0;
	}
	err = -errno;
	if (mmap(to, bytes, PROT_NONE, SPACE_FLAGS | MAP_FIXED, -1, 0) == MAP_FAILED)
		die_of_mappings(to, bytes);
	return err;
}

int nar_pages_uncommit(void *addr, size_t bytes)
{
	if (mmap(addr, bytes, PROT_NONE, SPACE_FLAGS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	sub_relaxed(&committed_bytes, bytes);
	return 0;
}

/* ---- Before use ---- */

int nar_pages_populate(void *addr, size_t bytes)
{
	int err;

	do
		err = madvise(addr, bytes, MADV_POPULATE_WRITE) ? -errno : 0;
	while (err == -EAGAIN || err == -EINTR);
	if (!err || has_advice(MADV_POPULATE_WRITE))
		return err;
	nar_note_missing(MISSING_POPULATE);
	return -EINVAL;
}

void nar_pages_touch(void *addr, size_t bytes)
{
	char *at = addr, *end = at + bytes;

	/* Adds nothing, but writes. */
	for (; at < end; at += PAGE_BYTES)
		add_relaxed(at, 0);
}

static size_t space_in_use(void)
{
	char buf[64];
	unsigned long pages = 0;

	if (nar_text_read("/proc/self/statm", buf, sizeof(buf)) > 0)
		sscanf(buf, "%lu", &pages);
	return pages << PAGE_SHIFT;
}

/* A quarter of what is left: stacks, files and the program's own maps need the rest. */
size_t nar_pages_reserve_limit(void)
{
	struct rlimit limit;
	size_t used;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	used = space_in_use();
	return used < limit.rlim_cur ? (limit.rlim_cur - used) / 4 : 0;
}

/* Asked once: it is a setting of the machine. */
static bool is_overcommit_strict(void)
{
	enum { UNKNOWN, NO, YES };
	static u8 known;	/* relaxed */
	char text[8];

	if (READ_ONCE(known) == UNKNOWN) {
		nar_text_read("/proc/sys/vm/overcommit_memory", text, sizeof(text));
		WRITE_ONCE(known, text[0] == '2' ? YES : NO);
	}
	return READ_ONCE(known) == YES;
}

bool nar_pages_are_counted(void)
{
	return has_limit(RLIMIT_AS) || is_overcommit_strict();
}

size_t nar_pages_bytes(void)
{
	return getauxval(AT_PAGESZ);
}

size_t nar_pages_of_machine(void)
{
	struct sysinfo si;

	return sysinfo(&si) ? GIB(16) : si.totalram * (size_t)si.mem_unit;
}

u64 nar_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

u64 nar_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000 + (u64)ts.tv_nsec / 1000;
}
