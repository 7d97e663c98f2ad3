/* SPDX-License-Identifier: MIT */
/*
 * What the process's cgroup lets it have.
 */
#ifndef NAR_CGROUP_H
#define NAR_CGROUP_H

#include "internal/compiler.h"

/*
 * Bytes that could be faulted in now, by the memory.max of the cgroup and of those around
 * it; SIZE_MAX if there is no limit or nobody tells.
 */
size_t nar_cgroup_room(void);

/* What of the process's anonymous memory is resident, and so in the cgroup's count. */
size_t nar_cgroup_own_bytes(void);

#endif /* NAR_CGROUP_H */
