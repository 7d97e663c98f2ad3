/* SPDX-License-Identifier: MIT */
/*
 * Where the pages of a range of addresses really lie, and on how large pages.
 */
#ifndef NAR_VERIFY_H
#define NAR_VERIFY_H

#include "internal/compiler.h"

#include "maps.h"
#include "pages.h"

/* Who answers.  Containers refuse move_pages without CAP_SYS_NICE. */
enum nar_verify_how {
	VERIFY_NONE,		/* nobody: move_pages is refused, or there is no /proc */
	/*
	 * /proc/self/numa_maps, mapping by mapping.  What the range has of a mapping that
	 * reaches beyond it cannot be told from the rest: all of that mapping is
	 * undivided.  So ask for ranges that mappings do not cross.
	 */
	VERIFY_NUMA_MAPS,
	VERIFY_MOVE_PAGES,	/* move_pages, page by page */
};

/* As many addresses as a huge page has small ones: none needs two calls. */
#define VERIFY_BATCH (HUGE_BYTES / PAGE_BYTES)

struct nar_batch {
	unsigned int nr;
	void *page[VERIFY_BATCH];
	int status[VERIFY_BATCH];	/* the node, or -errno: not resident */
	u16 nr_pages[VERIFY_BATCH];	/* that the answer stands for */
	bool is_huge[VERIFY_BATCH];
};

/* struct page_region of <linux/fs.h>, which is older than the kernel. */
struct nar_region {
	u64 start, end, categories;
};

/* One system call for as many regions as 2 ** 8 alternate small and huge units have. */
#define VERIFY_REGIONS 256

/*
 * An inspection under way.  About 22 KiB, for the stack of who makes it; nothing is
 * allocated.  Its fields are nar_verify's.
 */
struct nar_verify {
	enum nar_verify_how how;	/* for all to read */
	int pagemap;			/* descriptor; -1: maps are used instead */
	uintptr_t unit;			/* asked last whether it may be huge */
	bool unit_is_huge;
	struct nar_batch batch;
	struct nar_region region[VERIFY_REGIONS];
	struct nar_maps maps;
};

/* Who would answer now. */
enum nar_verify_how nar_verify_how(void);

/* Return: 0; -EOPNOTSUPP if nobody answers; or -errno.  Only then no end is needed. */
int nar_verify_begin(struct nar_verify *v);
void nar_verify_end(struct nar_verify *v);

/*
 * Add the resident pages of [@addr, @addr + @bytes) to @w; pages that the range only
 * begins or ends in are of it.  Any order of ranges is right, ascending is quick.
 *
 * Resident is what the page tables have a page for: not what was never written, only
 * read (the zero page), or swapped out; but memory made PROT_NONE after it was written,
 * and pages shared with a parent or merged by KSM, wherever those are.  Linux 6.1 to
 * 6.4 hide pages without access, so those too that NUMA balancing is watching just then.
 * While other threads touch the range, the answer is of no single moment.
 *
 * Before Linux 6.7 huge pages are known by mapping only.  Where a mapping has huge and
 * small pages, its units of 2 MiB that are wholly resident on one node count as huge, the
 * first first, as many as it has: right for the mapping, a guess for parts of it.
 *
 * Return: 0; or -errno, and @w may have part of it.
 */
int nar_verify_range(struct nar_verify *v, const void *addr, size_t bytes, struct nar_where *w);

#endif /* NAR_VERIFY_H */
