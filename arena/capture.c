// SPDX-License-Identifier: MIT
#include <string.h>

#include "capture.h"

/* A region's slices follow each other in the tables, so bits are counted from the base. */
static u64 *word_of(u64 (*table)[BITS_WORDS], const char *p, u64 *bit)
{
	size_t grain = nar_offset(p) / NAR_GRAIN;

	*bit = 1ull << (grain % 64);
	return &table[0][0] + grain / 64;
}

void nar_capture_add(const char *from, const char *end, bool is_object)
{
	u64 bit, *word;

	nar_capture_end_at(end);
	if (!is_object || !nar_mem.live)
		return;
	word = word_of(nar_mem.live, from, &bit);
	/* Other threads clear bits of this word when they free. */
	__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

static void forget(u64 (*table)[BITS_WORDS], const char *from, const char *top)
{
	u64 bit, *word = word_of(table, from, &bit), *end;

	__atomic_fetch_and(word, bit - 1, __ATOMIC_RELAXED);
	end = word_of(table, top - NAR_GRAIN, &bit);
	if (end > word)
		memset(word + 1, 0, (size_t)(end - word) * sizeof(*word));
}

void nar_capture_forget(const char *from, const char *top)
{
	if (from == top)
		return;
	forget(nar_mem.bits, from, top);
	if (nar_mem.live)
		forget(nar_mem.live, from, top);
}

void nar_capture_leave(u32 region, const char *top)
{
	nar_region_at(region)->nr_ended = (u32)((size_t)(top - nar_region_start(region)) / NAR_GRAIN);
}

void nar_capture_clean(u32 region)
{
	struct nar_region *r = nar_region_at(region);
	const char *start = nar_region_start(region);

	if (likely(!r->nr_ended))
		return;
	nar_capture_forget(start, start + (size_t)r->nr_ended * NAR_GRAIN);
	r->nr_ended = 0;
}

static bool is_start(u32 region, const char *p)
{
	u64 bit, *word;

	if ((uintptr_t)p % NAR_GRAIN)
		return false;
	if (p == nar_region_start(region))
		return true;
	word = word_of(nar_mem.bits, p - NAR_GRAIN, &bit);
	return READ_ONCE(*word) & bit;
}

/* The first that is set from @p on; NULL if there is none below @limit. */
static char *next_end(const char *p, const char *limit)
{
	u64 bit, *last = word_of(nar_mem.bits, limit - 1, &bit), *word = word_of(nar_mem.bits, p, &bit);
	u64 ends;
	size_t grain;

	for (ends = READ_ONCE(*word) & ~(bit - 1); !ends; ends = READ_ONCE(*word))
		if (word++ == last)
			return NULL;
	grain = (size_t)(word - &nar_mem.bits[0][0]) * 64 + (unsigned int)__builtin_ctzll(ends);
	return nar_at((grain + 1) * NAR_GRAIN);
}

char *nar_capture_end(u32 region, const char *p)
{
	if (!is_start(region, p))
		return NULL;
	return next_end(p, nar_region_end(region));
}

bool nar_capture_try_clear_live(const char *p)
{
	u64 bit, *word = word_of(nar_mem.live, p, &bit);

	return __atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED) & bit;
}
