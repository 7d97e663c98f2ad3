/* SPDX-License-Identifier: MIT */
/*
 * A pretend machine for tests: numa/node.h, bind.h, move.h, cgroup.h and pages.h, with four nodes, on
 * real memory of whatever machine there is.
 *
 *	socket A		socket B
 *	node 0	node 1		node 2	node 3		near: 12, far: 21
 *
 * It says no when it is told to, remembers which range was bound to which node, and its
 * clock stands still until a test moves it.  Linked before libnumarena.a it stands
 * in for node.o, bind.o, move.o, cgroup.o and pages.o; the library above is the real one.
 */
#ifndef NAR_TESTS_FAKE_NUMA_H
#define NAR_TESTS_FAKE_NUMA_H

#include "internal/compiler.h"

#define FAKE_NODES 4u

/* Its memory, if a test says nothing else; numarena makes a pane four times as large. */
#define FAKE_BYTES MIB(64)

#define FAKE_NOT_BOUND 255u
#define FAKE_ALL_NODES ((1u << FAKE_NODES) - 1)

/*
 * What is refused is a mask of nodes and is said of their windows alone: tables
 * can always be had.  Relaxed accesses; a test changes it while its threads rest.
 */
struct fake_machine {
	u32 refuse_commit;
	u32 refuse_purge;
	u32 refuse_bind;
	u32 refuse_huge;
	u32 refuse_collapse;
	u32 refuse_ask;
	u32 refuse_move;	/* to these; what has moved by then has moved */
	u32 absent, away, theirs;	/* where pages of the window are, if not at home */
	u32 forbid;		/* nodes that the cpuset does not allow */
	u32 is_full;		/* nodes without room */
	u32 no_cpus;		/* nodes that are memory alone */
	bool pages_are_counted;	/* before they are touched */
	void (*meanwhile)(void);	/* what others do while the kernel is asked; once */
	void (*signal)(void);	/* what a handler does that comes as the clock is looked at; once */
	const void *pinned;	/* what cannot move */
	size_t bytes;		/* its memory, before the start; 0: FAKE_BYTES */
	size_t cgroup_room;	/* what the cgroup's limit leaves */
	u64 pool_units;		/* 2 MiB pages in hugetlb pools */
	u64 clock_ms;
	u64 clock_us;		/* beyond that, of the fine one */
	u64 work_us;		/* what it takes to purge, to move and to collapse */
};

/* Calls about windows, by node; refused ones count too. */
struct fake_calls {
	u32 commit[FAKE_NODES];
	u32 purge[FAKE_NODES];
	u32 bind[FAKE_NODES];
	u32 huge[FAKE_NODES];
	u32 collapse[FAKE_NODES];
	u32 ask[FAKE_NODES];
	u32 asked_pages[FAKE_NODES];
	u32 enforce[FAKE_NODES];
	u32 move[FAKE_NODES];	/* to it */
};

extern struct fake_machine fake;
extern struct fake_calls fake_calls;

/* Where the calling thread runs. */
extern __thread unsigned int fake_node;

/* The number of the policy it is under. */
extern __thread unsigned int fake_policy;

/* The node that @p was bound to last, table or window; FAKE_NOT_BOUND. */
unsigned int fake_bound_node(const void *p);
unsigned int fake_bound_policy(const void *p);

#endif
