// SPDX-License-Identifier: MIT
/*
 * A mapping of huge pages is promised by the pools of all nodes together.  One that is
 * bound to a node whose own pool is empty succeeds, and dies of SIGBUS at the touch.  So
 * pages are faulted in by a call that answers, at a place of the kernel's choice where
 * nobody minds if it fails, and only then moved to where they are wanted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal/bug.h"
#include "internal/stat.h"

#include "hugetlb.h"
#include "node.h"
#include "pages.h"
#include "text.h"

/* Return: false if there is no such file. */
static bool read_count(const char *path, size_t *count)
{
	char text[32];
	ssize_t n = nar_text_read(path, text, sizeof(text));

	*count = strtoul(text, NULL, 10);
	return n > 0;
}

/* What the node's pool has, and what all pools may have beyond their size. */
size_t nar_hugetlb_room(struct nar_place place, unsigned int shift)
{
	size_t page_kib = (size_t)1 << (shift - 10), nr_free, nr_more;
	char path[128];

	if (nar_is_missing(MISSING_SYSFS) || !nar_policy_names_node(place.policy))
		return SIZE_MAX;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/hugepages/hugepages-%zukB/free_hugepages",
		 nar_nodes.id[place.node], page_kib);
	if (!read_count(path, &nr_free))
		return SIZE_MAX;
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_overcommit_hugepages",
		 page_kib);
	read_count(path, &nr_more);
	return nr_free + nr_more > SIZE_MAX >> shift ? SIZE_MAX : (nr_free + nr_more) << shift;
}

int nar_hugetlb_commit(void *addr, size_t bytes, unsigned int shift, struct nar_place place)
{
	int err;
	void *p;

	if (nar_is_missing(MISSING_POPULATE))
		return -ENOSYS;
	/* Half of it would be cleared before the other half is refused. */
	if (nar_hugetlb_room(place, shift) < bytes)
		return -ENOMEM;
	p = nar_pages_map_hugetlb(bytes, shift);
	if (!p)
		return -ENOMEM;
	err = nar_bind_pool(p, bytes, place) ? nar_pages_populate(p, bytes) : -EINVAL;
	if (!err)
		err = nar_pages_replace(addr, p, bytes);
	if (err)
		nar_pages_release(p, bytes);
	return err;
}

/* ---- A fork's child ---- */

void *nar_hugetlb_stand_in(size_t bytes)
{
	void *p = nar_pages_reserve(bytes, HUGE_BYTES);

	if (!p || !mprotect(p, bytes, PROT_READ | PROT_WRITE))
		return p;
	nar_pages_release(p, bytes);
	return NULL;
}

/* What was there is unmapped first: there is no way back. */
void nar_hugetlb_supplant(void *addr, void *with, size_t bytes)
{
	if (mremap(with, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == MAP_FAILED)
		nar_die("a fork's child cannot have %zu bytes at %p: raise vm.max_map_count", bytes, addr);
}
