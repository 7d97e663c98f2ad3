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

#endif /* NAR_HUGETLB_H */
