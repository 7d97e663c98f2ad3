/* SPDX-License-Identifier: MIT */
/*
 * The stats page: a file that a process keeps up to date about itself and that others
 * read or map.  Both sides include this: arena/publish.c writes it, tools/ reads it.
 *
 *	/dev/shm/numarena-PID-START	mode 0600, the process's own user
 *
 * START is when the process began, field 22 of /proc/PID/stat, so a number that has been
 * given to another process leads to no page.  /dev/shm and not $XDG_RUNTIME_DIR, since it is
 * there in containers and for daemons too, is found from outside as /proc/PID/root/dev/shm,
 * and costs no disk.
 *
 *	| head, constant | sequence, time | part | part | ...
 *
 * What changes is under a sequence lock: odd while it is written.  Read the sequence
 * (acquire), the parts, the sequence again; what lies between two equal even numbers is
 * whole.  A reader that does not own the process should read() and not map: a file that is
 * cut short ends a mapping with SIGBUS.
 *
 * Parts say how large their entries are.  They only ever grow at their end, so a reader
 * takes as much of each entry as it knows; another meaning is another version.
 */
#ifndef NAR_STATPAGE_H
#define NAR_STATPAGE_H

#include "internal/compiler.h"
#include "internal/ledger.h"
#include "internal/roster.h"

#define NAR_STATPAGE_DIR "/dev/shm"
#define NAR_STATPAGE_PREFIX "numarena-"
#define NAR_STATPAGE_FORMAT NAR_STATPAGE_PREFIX "%u-%llu"	/* pid, start */

#define NAR_STATPAGE_MAGIC "numarena"	/* all 8 bytes, no end */
#define NAR_STATPAGE_VERSION 1

enum nar_statpage_part_id {
	STATPAGE_STATS,		/* one struct numarena_stats */
	STATPAGE_WINDOWS,	/* struct nar_statpage_window, by dense number of the node */
	STATPAGE_NODES,		/* struct numarena_node_stats, the same */
	STATPAGE_FREES,		/* u64, rows of numarena_remote_matrix(): nr is nodes squared */
	STATPAGE_BYTES,		/* the same in bytes */
	STATPAGE_LAPS,		/* struct nar_lap of internal/lap.h, by enum nar_step */
	STATPAGE_SCOPES,	/* struct nar_roster_line of internal/roster.h; of no thread: none */
	STATPAGE_CLASSES,	/* struct nar_class_line of internal/ledger.h; of no size: none */
	STATPAGE_HEAPS,		/* struct nar_heap_line, the process's own first; not there: none */
	STATPAGE_THREADS,	/* struct nar_thread_line; of no arena: none */
	STATPAGE_TOTALS,	/* one struct nar_total_line; the kernel knows the rest */
	STATPAGE_NR_PARTS,
	STATPAGE_MAX_PARTS = 16,
};

/* Lines that have room on a page.  Of heaps and threads: those that have the most slabs. */
#define NAR_STATPAGE_SCOPES 64
#define NAR_STATPAGE_HEAPS 64
#define NAR_STATPAGE_THREADS 128
#define NAR_STATPAGE_CLASSES 128

struct nar_statpage_part {
	u32 offset;		/* in the file; a multiple of 8.  0: there is none */
	u32 bytes;		/* of an entry */
	u32 nr;
	u32 reserved;
};

/*
 * [start, start + bytes) is the node's part of the address space; from @end on no byte was
 * ever used.  Tables lie elsewhere.
 */
struct nar_statpage_window {
	u64 start;		/* constant */
	u64 bytes;		/* constant */
	u64 end;
	int32_t node;		/* the kernel's number; constant */
	u32 is_allowed;		/* by the cpuset; else its pages belong to the nearest that is */
};

enum nar_statpage_state {
	STATPAGE_LIVE,
	STATPAGE_OVER,		/* the process has ended normally: these are the last numbers */
};

struct nar_statpage {
	/* Constant once the file has its name. */
	char magic[8];
	u32 version;
	u32 bytes;			/* of the file */
	u32 pid;			/* in the process's own namespace */
	u32 mode, huge, policy;		/* enums of internal/option.h */
	u64 start_ticks;
	u64 pid_namespace;		/* inode of /proc/self/ns/pid; 0: not known */
	u64 started_ns;			/* CLOCK_MONOTONIC: when numarena began */
	char name[16];			/* of the process, ends with 0 */
	char library[16];		/* numarena's version, the same */
	struct nar_statpage_part part[STATPAGE_MAX_PARTS];

	/* Under the sequence lock. */
	u32 sequence;
	u32 state;			/* enum nar_statpage_state */
	u64 published_ns;		/* CLOCK_MONOTONIC: what rates are to be divided by */
	u64 nr_published;
	u64 nr_scopes_left_off;		/* open, and without a line in STATPAGE_SCOPES */
	u64 nr_heaps_left_off;		/* ... in STATPAGE_HEAPS */
	u64 nr_threads_left_off;	/* ... in STATPAGE_THREADS */
	u64 counted_ns;			/* CLOCK_MONOTONIC: when these four were gone through last */
	u64 reserved[1];
};

#endif /* NAR_STATPAGE_H */
