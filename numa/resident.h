/* SPDX-License-Identifier: MIT */
/*
 * Which pages are resident, by mincore(2): no rights, no file, no lock, and quick where
 * pages are huge.
 */
#ifndef NAR_RESIDENT_H
#define NAR_RESIDENT_H

#include "pages.h"

/* A unit of 2 MiB, a bit a page. */
struct nar_residence {
	u64 bits[HUGE_BYTES / PAGE_BYTES / 64];
};

/* Nothing is resident where the kernel does not tell. */
void nar_resident_look(const void *unit, struct nar_residence *r);

/* Of the pages [@from, @from + @nr) of a unit. */
unsigned int nar_resident_count(const struct nar_residence *r, unsigned int from, unsigned int nr);

#endif /* NAR_RESIDENT_H */
