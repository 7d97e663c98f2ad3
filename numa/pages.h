/* SPDX-License-Identifier: MIT */
/*
 * Pages: address space, memory behind it, huge pages, and the clock.  Every
 * function that can fail returns 0 or -errno; errno is whatever the last system call
 * made of it, and the front layer's to restore.
 */
#ifndef NAR_PAGES_H
#define NAR_PAGES_H

#include <errno.h>

#include "internal/compiler.h"

#define PAGE_SHIFT 12
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)
#define HUGE_SHIFT 21
#define HUGE_BYTES ((size_t)1 << HUGE_SHIFT)

/* The kernel's pages; of no other size than PAGE_BYTES anything here is right. */
size_t nar_pages_bytes(void);

/* Address space without memory.  Readable space reads as zeros. */
void *nar_pages_reserve(size_t bytes, size_t align);
void nar_pages_release(void *addr, size_t bytes);

/* Whether a mapping of so many bytes could be had now. */
bool nar_pages_can_map(size_t bytes);

/* Memory behind reserved space.  -ENOMEM: RLIMIT_AS or overcommit says no. */
int nar_pages_commit(void *addr, size_t bytes);

/*
 * Give the memory back and keep the space: it reads as zeros again.  -EINVAL where the
 * program has locked it (mlock): then part of it may be as it was.
 */
int nar_pages_purge(void *addr, size_t bytes);

/*
 * Move what lies behind one range to another, without copying: @from reads as zeros
 * afterwards.  Return: 0; or -errno, and nothing has moved.  Either way what @to had of
 * memory, advice and binding is gone.
 */
int nar_pages_move(void *from, void *to, size_t bytes);

/*
 * Ask for huge pages on first touch, or for 4 KiB pages, whatever the default.  Return: 0;
 * -ENOSYS where THP is off, else -errno.
 */
int nar_pages_advise_huge(void *addr, size_t bytes);
void nar_pages_advise_small(void *addr, size_t bytes);

/* Make one huge-aligned unit huge, if it has pages.  Return: 0; -ENOSYS where THP is off; -errno. */
int nar_pages_collapse(void *addr);

/* If a huge page lies across @end, which is one of a range, part it; @page is of its inside. */
void nar_pages_part(const char *end, char *page);

/* For reading alone, and for writing again.  Return: 0 or -errno. */
int nar_pages_make_readable(void *addr, size_t bytes);
int nar_pages_make_writable(void *addr, size_t bytes);

/* Pages of a hugetlb pool, 2^@shift bytes each, anywhere; NULL.  See hugetlb.h. */
void *nar_pages_map_hugetlb(size_t bytes, unsigned int shift);

/* Bring a whole mapping to reserved space.  Return: 0; or -errno, and the space is as it was. */
int nar_pages_replace(void *to, void *from, size_t bytes);

/* Give the memory back and keep the space, without memory as at first. */
int nar_pages_uncommit(void *addr, size_t bytes);

/*
 * Fault in what is not there yet, for writing; what is there keeps its content.  Return: 0;
 * -EINVAL where the call is unknown or refused; or another -errno.
 */
int nar_pages_populate(void *addr, size_t bytes);

/* The same where the kernel lacks the call; not for hugetlb, which would end in SIGBUS. */
void nar_pages_touch(void *addr, size_t bytes);

/* Either of them.  Return: 0 or -errno. */
static inline int nar_pages_fault_in(void *addr, size_t bytes)
{
	int err = nar_pages_populate(addr, bytes);

	if (err != -EINVAL)
		return err;
	nar_pages_touch(addr, bytes);
	return 0;
}

/* How much address space to reserve at most, by RLIMIT_AS. */
size_t nar_pages_reserve_limit(void);

/* Whether memory counts against a limit before it is touched: RLIMIT_AS, overcommit_memory 2. */
bool nar_pages_are_counted(void);

size_t nar_pages_of_machine(void);

/* Clocks from the vDSO: good for 4 ms, and a fine one that takes longer to read. */
u64 nar_clock_ms(void);
u64 nar_clock_us(void);

#endif /* NAR_PAGES_H */
