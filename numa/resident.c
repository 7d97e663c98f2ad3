// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "resident.h"

void nar_resident_look(const void *unit, struct nar_residence *r)
{
	unsigned char is_there[HUGE_BYTES / PAGE_BYTES];
	int saved = errno;
	void *addr = (void *)(uintptr_t)unit;
	size_t i;

	memset(r, 0, sizeof(*r));
	if (!mincore(addr, HUGE_BYTES, is_there))
		for (i = 0; i < sizeof(is_there); i++)
			r->bits[i / 64] |= (u64)(is_there[i] & 1) << i % 64;
	errno = saved;
}

unsigned int nar_resident_count(const struct nar_residence *r, unsigned int from, unsigned int nr)
{
	unsigned int i, sum = 0;

	for (i = from; i < from + nr; i++)
		sum += r->bits[i / 64] >> i % 64 & 1;
	return sum;
}
