/* SPDX-License-Identifier: MIT */
/*
 * What the explicit names share.
 */
#ifndef NAR_API_H
#define NAR_API_H

#include <errno.h>
#include <string.h>

#include "front.h"

/* Internal functions answer -errno, and system calls of theirs may have left another one. */
static inline int answer(int result, int saved_errno)
{
	errno = result < 0 ? -result : saved_errno;
	return result < 0 ? -1 : result;
}

/* As much as a caller knows of, who may be older or younger than we are. */
static inline void copy_out(void *to, size_t to_size, const void *from, size_t from_size)
{
	memset(to, 0, to_size);
	memcpy(to, from, min_of(to_size, from_size));
}

/* The dense number of the kernel's @id; -EINVAL if memory from there is not to be had. */
int nar_api_node(int id);
/* The same, by what the cpuset allowed up to 100 ms ago, for who asks all the time. */
int nar_api_node_often(int id);

#endif /* NAR_API_H */
