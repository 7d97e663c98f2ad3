/* SPDX-License-Identifier: MIT */
/*
 * What /proc tells of this process and its threads.  Works in a signal handler; errno stays.
 */
#ifndef NAR_PROCESS_H
#define NAR_PROCESS_H

#include "internal/compiler.h"

/* The kernel's TASK_COMM_LEN. */
#define NAR_NAME_BYTES 16

u32 nar_process_id(void);

/* The process's, or with @tid a thread's; empty if nobody tells. */
void nar_process_name(u32 tid, char name[NAR_NAME_BYTES]);

/* When a process (0: this one) began, in clock ticks since boot, field 22 of stat; 0: not known. */
u64 nar_process_start_ticks(u32 pid);

/* The inode of its pid namespace; 0: not known, or /proc tells of another one. */
u64 nar_process_namespace(void);

/* Let others go on for a millisecond. */
void nar_process_pause(void);

/* CLOCK_MONOTONIC. */
u64 nar_process_clock_ns(void);

#endif /* NAR_PROCESS_H */
