// SPDX-License-Identifier: MIT
#include "extent.h"
#include "large.h"
#include "region.h"

static u64 node_bytes[NAR_MAX_NODES];	/* relaxed */
static u64 all_bytes, peak_bytes;	/* relaxed */

static void count_new(unsigned int node, size_t bytes)
{
	add_relaxed(&node_bytes[node], bytes);
	raise_relaxed(&peak_bytes, add_relaxed(&all_bytes, bytes) + bytes);
}

size_t nar_region_bytes(unsigned int node)
{
	return READ_ONCE(node_bytes[node]);
}

size_t nar_region_peak_bytes(void)
{
	return READ_ONCE(peak_bytes);
}

/* Slices that the map knows to be the region's. */
static u32 nr_marked(const struct nar_region *r)
{
	return r->is_single ? 1 : (u32)(r->bytes >> SLICE_SHIFT);
}

static void mark(u32 region, u32 entry)
{
	u32 i, nr = nr_marked(nar_region_at(region));

	/* Release: pairs with the acquire in nar_entry_of(). */
	for (i = 0; i < nr; i++)
		store_release(&nar_mem.map[region + i], entry);
}

static struct nar_place place_of(const void *p)
{
	return (struct nar_place){ (u8)nar_node_of(p), (u8)nar_extent_policy_at(p) };
}

u32 nar_region_new(struct nar_place place, size_t bytes, size_t alignment, bool is_single)
{
	/* A marked slice is the region's as a whole: free() goes by the mark. */
	struct nar_block block = { .size = max_of(bytes, SLICE_BYTES),
				   .alignment = max_of(alignment, SLICE_BYTES) };
	bool is_zero;
	char *p = nar_large_alloc(place, &block, &is_zero);
	u32 region, i;

	if (!p)
		return 0;
	nar_extent_try_mark(p, EXTENT_LARGE, EXTENT_SCOPE);
	region = (u32)(nar_offset(p) >> SLICE_SHIFT);
	*nar_region_at(region) = (struct nar_region){
		.first = region,
		.bytes = nar_extent_pages(p, EXTENT_SCOPE) << PAGE_SHIFT,
		.place = place_of(p),
		.is_single = is_single,
	};
	for (i = 1; i < nr_marked(nar_region_at(region)); i++)
		WRITE_ONCE(nar_region_at(region + i)->first, region);
	mark(region, nar_entry(OWNER_SCOPE, 0));
	count_new(nar_node_of(p), nar_region_at(region)->bytes);
	return region;
}

void nar_region_free(u32 region)
{
	size_t bytes = nar_region_at(region)->bytes;
	char *start = nar_region_start(region);

	mark(region, nar_entry(OWNER_NONE, 0));
	sub_relaxed(&all_bytes, bytes);
	sub_relaxed(&node_bytes[nar_node_of(start)], bytes);
	if (nar_extent_free(start, EXTENT_SCOPE))
		nar_die("no region of a scope begins at %p: memory is corrupt", (void *)start);
}
