// SPDX-License-Identifier: MIT
#include "internal/option.h"

#include "capture.h"
#include "kept.h"
#include "large.h"

static bool is_at(const struct nar_region *r, struct nar_place place)
{
	return r->place.node == place.node && r->place.policy == place.policy;
}

/* @link: what leads to it. */
static u32 take(struct nar_kept *k, u32 *link)
{
	struct nar_region *r = nar_region_at(*link);
	u32 region = *link;

	*link = r->next;
	r->next = 0;
	k->bytes -= r->bytes;
	k->unneeded_bytes = min_of(k->unneeded_bytes, k->bytes);
	return region;
}

u32 nar_kept_take(struct nar_kept *k, struct nar_place place, size_t bytes)
{
	u32 *link;

	for (link = &k->newest; *link; link = &nar_region_at(*link)->next) {
		const struct nar_region *r = nar_region_at(*link);

		if (!r->is_single && r->bytes >= bytes && is_at(r, place))
			return take(k, link);
	}
	return 0;
}

static bool fits(const struct nar_region *r, size_t bytes)
{
	return r->is_single && r->bytes >= bytes && r->bytes - bytes <= bytes / NAR_LARGE_SLACK;
}

u32 nar_kept_take_single(struct nar_kept *k, struct nar_place place, size_t bytes, size_t alignment)
{
	u32 *link;

	for (link = &k->newest; *link; link = &nar_region_at(*link)->next)
		if (fits(nar_region_at(*link), bytes) && is_at(nar_region_at(*link), place) &&
		    !((uintptr_t)nar_region_start(*link) % alignment))
			return take(k, link);
	return 0;
}

static void give_back(u32 region)
{
	nar_capture_clean(region);
	nar_region_free(region);
}

void nar_kept_put(struct nar_kept *k, u32 region)
{
	struct nar_region *r = nar_region_at(region);

	if (k->bytes + r->bytes > READ_ONCE(nar_opt.scope_keep)) {
		give_back(region);
		return;
	}
	r->next = k->newest;
	k->newest = region;
	k->bytes += r->bytes;
}

/* Give back what comes after the newest @keep_bytes. */
static void cut(struct nar_kept *k, size_t keep_bytes)
{
	u32 *link = &k->newest, region, next;
	size_t sum = 0;

	for (; *link && sum + nar_region_at(*link)->bytes <= keep_bytes; link = &nar_region_at(*link)->next)
		sum += nar_region_at(*link)->bytes;
	region = *link;
	*link = 0;
	k->bytes = sum;
	k->unneeded_bytes = min_of(k->unneeded_bytes, sum);
	for (; region; region = next) {
		next = nar_region_at(region)->next;
		give_back(region);
	}
}

void nar_kept_trim(struct nar_kept *k)
{
	cut(k, 0);
}

/*
 * What is needed is taken from the front and put back there, so the least that was kept at
 * any time since the last sweep is what lies at the end and nobody has wanted.
 */
void nar_kept_sweep(struct nar_kept *k)
{
	u64 now = nar_clock_ms();

	if (now - k->swept_ms < READ_ONCE(nar_opt.decay_ms))
		return;
	k->swept_ms = now;
	cut(k, k->bytes - k->unneeded_bytes);
	k->unneeded_bytes = k->bytes;
}
