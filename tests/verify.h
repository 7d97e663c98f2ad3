/* SPDX-License-Identifier: MIT */
/*
 * What the two suites about nar_verify share: memory of their own, and a kernel that can
 * be made to refuse.
 *
 *	| no access | the memory of a test | no access |	2 MiB around it: a mapping alone
 */
#ifndef NAR_TESTS_VERIFY_H
#define NAR_TESTS_VERIFY_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <numaif.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal/compiler.h"
#include "numa/node.h"
#include "numa/pages.h"
#include "numa/verify.h"

#include "tap.h"

#define UNIT_PAGES (HUGE_BYTES / PAGE_BYTES)

/* ---- Memory ---- */

static inline char *map_alone(size_t bytes)
{
	char *space = nar_pages_reserve(bytes + 2 * HUGE_BYTES, HUGE_BYTES);

	if (!space || mprotect(space + HUGE_BYTES, bytes, PROT_READ | PROT_WRITE))
		ck_abort_msg("no memory");
	return space + HUGE_BYTES;
}

static inline char *page_of(char *base, size_t nr)
{
	return base + nr * PAGE_BYTES;
}

static inline void touch(char *base, size_t first_page, size_t nr_pages)
{
	for (; nr_pages--; first_page++)
		*(volatile char *)page_of(base, first_page) = 1;
}

static inline char *small_pages(size_t nr_pages)
{
	char *base = map_alone(nr_pages * PAGE_BYTES);

	madvise(base, nr_pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	return base;
}

/* Pages that a line of smaps gives the mapping at @base, read in the plain way. */
static inline size_t smaps_pages(const char *base, const char *key)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end, at = 0;
	size_t len = strlen(key), kib = 0;
	char line[8192];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			at = start;
		if (at == (uintptr_t)base && !strncmp(line, key, len) && line[len] == ':') {
			kib = strtoul(line + len + 1, NULL, 10);
			break;
		}
	}
	fclose(f);
	return kib / 4;
}

static inline size_t huge_pages_at(const char *base)
{
	return smaps_pages(base, "AnonHugePages");
}

/* What is then split stays split: the kernel's daemon must not mend it. */
static inline void advise_and_touch(char *base, size_t nr_units)
{
	madvise(base, nr_units * HUGE_BYTES, MADV_HUGEPAGE);
	touch(base, 0, nr_units * UNIT_PAGES);
	madvise(base, nr_units * HUGE_BYTES, MADV_NOHUGEPAGE);
}

/* Units on huge pages; NULL, and it is said, if the kernel gives none today. */
static inline char *huge_units(size_t nr_units)
{
	char *base = map_alone(nr_units * HUGE_BYTES);

	advise_and_touch(base, nr_units);
	if (huge_pages_at(base) == nr_units * UNIT_PAGES)
		return base;
	puts("# a test is left out: the kernel gave no huge pages");
	return NULL;
}

/* From the pool; NULL if it has too few. */
static inline char *hugetlb_units(size_t nr_units)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_SHIFT << MAP_HUGE_SHIFT;
	void *p = mmap(NULL, nr_units * HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline void prefer(char *page, unsigned int node)
{
	unsigned long mask[NAR_MAX_NODES] = { 0 };
	unsigned int id = nar_nodes.id[node];

	mask[id / 64] = 1ul << (id % 64);
	mbind(page, PAGE_BYTES, MPOL_PREFERRED, mask, NAR_MAX_NODES * 64, 0);
}

static inline u64 resident(const struct nar_where *w)
{
	u64 sum = w->elsewhere;
	unsigned int node;

	for (node = 0; node < NAR_MAX_NODES; node++)
		sum += w->on_node[node];
	return sum;
}

static inline void start_nodes(void)
{
	nar_nodes.nr = 0;
	nar_nodes_early();
	nar_nodes_probe();
}

/* ---- Refusals: seccomp filters, which a process never loses again ---- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (nr))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, (action))

#define PAGEMAP_SCAN_REQUEST _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 12 * sizeof(u64))

static inline bool install(struct sock_filter *filter, size_t len)
{
	struct sock_fprog program = { .len = (unsigned short)len, .filter = filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* From now on system call @nr fails with @err. */
static inline bool refuse(unsigned int nr, unsigned int err)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(nr, 1),
		ANSWER(SECCOMP_RET_ERRNO | err),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	return install(filter, ARRAY_SIZE(filter));
}

/* As a kernel that has never heard of it. */
static inline bool refuse_scan(void)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(SYS_ioctl, 3),
		LOAD(args[1]),
		SKIP_UNLESS(PAGEMAP_SCAN_REQUEST, 1),
		ANSWER(SECCOMP_RET_ERRNO | ENOTTY),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	return install(filter, ARRAY_SIZE(filter));
}

#endif
