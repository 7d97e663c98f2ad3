/* SPDX-License-Identifier: MIT */
/*
 * Memory from the pools of huge pages that the administrator has set aside.
 */
#ifndef NAR_HUGETLB_H
#define NAR_HUGETLB_H

#include "bind.h"

/*
 * Put pages of 2^@shift bytes behind reserved space, all of them there and on their node.
 * Return: 0; or -errno, and the space is as it was.
 */
int nar_hugetlb_commit(void *addr, size_t bytes, unsigned int shift, struct nar_place place);

/* Bytes that could be had now, by what the kernel says; SIZE_MAX if it says nothing. */
size_t nar_hugetlb_room(struct nar_place place, unsigned int shift);

/* ---- A fork's child leaves the pools: see arena/forkpool.c ---- */

/* Ordinary memory somewhere else, to be filled; NULL.  Then it takes the place of a range. */
void *nar_hugetlb_stand_in(size_t bytes);
void nar_hugetlb_supplant(void *addr, void *with, size_t bytes);

#endif /* NAR_HUGETLB_H */
