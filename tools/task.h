/* SPDX-License-Identifier: MIT */
/* The threads of another process, which may count itself in a namespace of its own. */
#ifndef TOOL_TASK_H
#define TOOL_TASK_H

#include <stdint.h>
#include <sys/types.h>

/* The kernel's TASK_COMM_LEN. */
#define TASK_NAME 16

/* The number that it has for itself: the last of NSpid.  The process's own is its first thread's. */
unsigned int task_own_number(pid_t pid, pid_t tid);

/* Names of the @nr threads that are @tid for themselves; "" for those that are not there. */
void task_find_names(pid_t pid, const uint32_t *tid, char (*name)[TASK_NAME], unsigned int nr);

#endif /* TOOL_TASK_H */
