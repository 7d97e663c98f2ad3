// SPDX-License-Identifier: MIT
/*
 * Where live objects lie.  move_pages(2) says it of each page, and that is what counts.
 * Where it is refused, as in containers, numa_maps says it of each mapping.
 */
#include "locality.h"
#include "machine.h"
#include "process.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES 4096

/* Pages asked about in one call. */
#define BATCH 512

/* A mapping, as numa_maps tells it: start, pages by node; and what is ours in it. */
struct region {
	uintptr_t start;
	uint64_t pages[MAX_NODES];
	uint64_t bytes[MAX_NODES];
};

static struct region *regions;
static size_t nr_regions;

static struct {
	void *page[BATCH];
	unsigned int node[BATCH];	/* the owner's */
	uint32_t bytes[BATCH];
	unsigned int nr;
	uint64_t local, all;		/* bytes */
	bool is_refused;
} exact;

/* ---- Page by page ---- */

static bool pages_ask(unsigned int nr, void **pages, int *status)
{
	return !syscall(SYS_move_pages, 0, (unsigned long)nr, pages, NULL, status, 0);
}

static void batch_send(void)
{
	int status[BATCH];

	if (exact.nr && !pages_ask(exact.nr, exact.page, status))
		exact.is_refused = true;
	for (unsigned int i = 0; i < exact.nr && !exact.is_refused; i++) {
		exact.all += exact.bytes[i];
		if (status[i] == (int)node_id(exact.node[i]))
			exact.local += exact.bytes[i];
	}
	exact.nr = 0;
}

static void batch_add(uintptr_t address, uint32_t bytes, unsigned int node)
{
	exact.page[exact.nr] = (void *)(address & ~(uintptr_t)(PAGE_BYTES - 1));
	exact.node[exact.nr] = node;
	exact.bytes[exact.nr] = bytes;
	if (++exact.nr == BATCH)
		batch_send();
}

static void pages_add(uintptr_t address, size_t bytes, unsigned int node)
{
	while (bytes) {
		size_t in_page = PAGE_BYTES - address % PAGE_BYTES;

		if (in_page > bytes)
			in_page = bytes;
		batch_add(address, (uint32_t)in_page, node);
		address += in_page;
		bytes -= in_page;
	}
}

/* ---- Mapping by mapping ---- */

static size_t count_lines(const char *text)
{
	size_t nr = 0;

	for (; (text = strchr(text, '\n')); text++)
		nr++;
	return nr;
}

/* "7f00 default anon=9 dirty=9 N0=5 N1=4 kernelpagesize_kB=4" */
static void region_read(struct region *region, const char *line, const char *end)
{
	char label[16];

	region->start = strtoul(line, NULL, 16);
	for (unsigned int i = 0; i < machine_nr_nodes(); i++) {
		int len = snprintf(label, sizeof(label), " N%u=", node_id(i));
		const char *found = strstr(line, label);

		if (found && found < end)
			region->pages[i] = strtoull(found + len, NULL, 10);
	}
}

/* numa_maps has no size that could be asked for, so the room doubles until it fits. */
static char *numa_maps_read(void)
{
	size_t size = 1 << 18;
	char *text;

	for (;; size *= 2) {
		text = own_map(size);
		if (file_read("/proc/self/numa_maps", text, size))
			return NULL;
		if (strlen(text) < size - 1)
			return text;
	}
}

static void maps_begin(void)
{
	const char *line = numa_maps_read(), *end;

	if (!line)
		return;
	regions = own_map((count_lines(line) + 1) * sizeof(*regions));
	for (; (end = strchr(line, '\n')); line = end + 1)
		region_read(&regions[nr_regions++], line, end);
}

/* The last region that starts at or below @address. */
static struct region *region_of(uintptr_t address)
{
	size_t low = 0, high = nr_regions;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (regions[middle].start <= address)
			low = middle;
		else
			high = middle;
	}
	return &regions[low];
}

/*
 * Within a mapping, numa_maps tells how many pages lie on each node but not which.  So
 * a mapping shared by several nodes' threads is given the best case, as if each page
 * served its own node first; a mapping that one node's threads use is exact.
 */
static double region_local_bytes(const struct region *region, uint64_t bytes)
{
	uint64_t pages = 0;
	double local = 0;

	for (unsigned int i = 0; i < machine_nr_nodes(); i++)
		pages += region->pages[i];
	for (unsigned int i = 0; pages && i < machine_nr_nodes(); i++) {
		double of_pages = (double)region->pages[i] / (double)pages;
		double of_bytes = (double)region->bytes[i] / (double)bytes;

		local += of_pages < of_bytes ? of_pages : of_bytes;
	}
	return local * (double)bytes;
}

static double maps_share(void)
{
	double local = 0, all = 0;

	for (size_t i = 0; i < nr_regions; i++) {
		uint64_t bytes = 0;

		for (unsigned int n = 0; n < machine_nr_nodes(); n++)
			bytes += regions[i].bytes[n];
		if (bytes)
			local += region_local_bytes(&regions[i], bytes);
		all += (double)bytes;
	}
	return all > 0 ? local / all : NOT_MEASURED;
}

/* ---- Either ---- */

void locality_begin(void)
{
	void *page = &exact;
	int status;

	exact.is_refused = !pages_ask(1, &page, &status);
	if (exact.is_refused)
		maps_begin();
}

void locality_add(const void *object, size_t bytes, unsigned int node)
{
	if (!exact.is_refused)
		pages_add((uintptr_t)object, bytes, node);
	else if (nr_regions)
		region_of((uintptr_t)object)->bytes[node] += bytes;
}

double locality_share(void)
{
	if (exact.is_refused)
		return maps_share();
	batch_send();
	return exact.all ? (double)exact.local / (double)exact.all : NOT_MEASURED;
}
