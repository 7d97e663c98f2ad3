/* SPDX-License-Identifier: MIT */
/*
 * Where captured objects end.  free(), realloc() and malloc_usable_size() have to know
 * that of a captured object, and the region holds nothing but objects.  The bitmaps that
 * slabs have beside them have a bit for each 16 bytes: in a region one that is set says
 * that an object, or a gap before an aligned one, ends there.
 *
 *	| a     | b | gap | c       | top
 *	       1   1     1         1	bits[]
 *	 1       1         1		live[]: under harden where one begins that is not freed
 *
 * Above the top no bit is set.  Only the scope's thread writes bits[]; others read the
 * bit that ends an object which they have been handed, and that stays.  In a region that no
 * scope has nobody looks: they are left until it is wanted, so that a reset is quick.
 */
#ifndef NAR_CAPTURE_H
#define NAR_CAPTURE_H

#include "region.h"

/* Objects begin and end at multiples of this. */
#define NAR_GRAIN 16

/* What is in use ends at @end. */
static inline void nar_capture_end_at(const char *end)
{
	size_t grain = nar_offset(end - NAR_GRAIN) / NAR_GRAIN;
	u64 *word = &nar_mem.bits[0][0] + grain / 64;

	WRITE_ONCE(*word, *word | 1ull << grain % 64);
}

/* What lies between @from and @end, which is not in use: an object or a gap. */
void nar_capture_add(const char *from, const char *end, bool is_object);

/* Bytes from @from to the top are nobody's any more. */
void nar_capture_forget(const char *from, const char *top);

/* A region that no scope has any more held objects up to @top; and it is wanted again. */
void nar_capture_leave(u32 region, const char *top);
void nar_capture_clean(u32 region);

/* The end of the object, or gap, that begins at @p in @region; NULL if none does. */
char *nar_capture_end(u32 region, const char *p);

/* Under harden: @p is freed.  Return: false if it was already. */
bool nar_capture_try_clear_live(const char *p);

#endif /* NAR_CAPTURE_H */
