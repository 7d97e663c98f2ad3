/* SPDX-License-Identifier: MIT */
/*
 * What each heap of the program's has of memory, and may have: its slabs and large blocks,
 * charged before they are had and given back when they go.
 */
#ifndef NAR_ACCOUNT_H
#define NAR_ACCOUNT_H

#include "internal/compiler.h"

/*
 * Slabs name their heap by number; a destroyed heap's number is used again.  The first
 * numbers are those of policies: threads that the program has put under a policy of its own
 * have a default heap apart.  Those have no account.
 */
#define NAR_MAX_HEAPS 4096
#define NAR_FIRST_HEAP 64

/*
 * A heap of the program's is named by a handle: its number, and above it how often that
 * number has been given out.  So one that was destroyed is known by its handle for ever, and
 * whatever carries a handle can be told from the next heap of that number.
 */
#define HANDLE_ID_BITS 16
#define HANDLE_NONE 0ull	/* of a heap that the program did not make */
#define HANDLE_DEAD 1ull	/* no heap's */

/* The number in it; of what is no handle any. */
static inline u32 nar_handle_number(u64 handle)
{
	return (u32)(handle & ((1ull << HANDLE_ID_BITS) - 1));
}

struct nar_account {
	u64 used_bytes;		/* compare-and-swap */
	u64 limit_bytes;	/* relaxed; 0 is none */
	u64 peak_bytes;		/* the same */
	u64 nr_hit;		/* relaxed */
} __cacheline;

extern struct nar_account nar_accounts[NAR_MAX_HEAPS];

/* For a new heap.  What is charged stays: slabs of the number's last one may be on their way. */
void nar_account_open(u32 heap, u64 limit_bytes);

/* Return: false, and the limit was hit, if so much more does not fit below it. */
bool nar_account_try_take_slow(u32 heap, u64 bytes);

static inline bool nar_account_try_take(u32 heap, u64 bytes)
{
	return heap < NAR_FIRST_HEAP || nar_account_try_take_slow(heap, bytes);
}

/* Whether so much more fits below the limit; racy, and no hit. */
bool nar_account_may_take(u32 heap, u64 bytes);

static inline bool nar_account_is_limited(u32 heap)
{
	return heap >= NAR_FIRST_HEAP && READ_ONCE(nar_accounts[heap].limit_bytes);
}

static inline void nar_account_give(u32 heap, u64 bytes)
{
	if (heap >= NAR_FIRST_HEAP)
		sub_relaxed(&nar_accounts[heap].used_bytes, bytes);
}

/* In the child of a fork: what lost threads were about to have, or to give back, is not had. */
static inline void nar_account_correct(u32 heap, u64 used_bytes)
{
	WRITE_ONCE(nar_accounts[heap].used_bytes, used_bytes);
}

#endif /* NAR_ACCOUNT_H */
