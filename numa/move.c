// SPDX-License-Identifier: MIT
/*
 * Moving by move_pages(2), a batch of addresses at a time: first asked, so that only pages
 * which are there and elsewhere are moved, then moved, then asked again, since of a huge page's
 * many addresses the kernel moves one and calls the others busy.
 *
 * The binding (mbind) comes first: a page that is faulted in meanwhile is in the right place
 * at once.  It parts the mapping at both ends.  A huge page across an end would go as a whole,
 * with the neighbour's part of it; MADV_COLD on less than all of it has the kernel part it.
 */
#include <errno.h>
#include <numaif.h>

#include "internal/stat.h"

#include "move.h"
#include "node.h"
#include "pages.h"

/* As many pages as one call is asked about: 4 KiB of stack. */
#define BATCH_PAGES 256

/* A page that is busy just then is free the next time, or never. */
#define TRIES 3

/* One word to spare, as in bind.c. */
#define MASK_WORDS (NAR_MAX_KERNEL_NODES / 64 + 1)

struct batch {
	unsigned int nr;
	void *page[BATCH_PAGES];
	int to[BATCH_PAGES];
	int status[BATCH_PAGES];
};

static int bind_to(void *addr, size_t bytes, unsigned int node)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	unsigned int id = nar_nodes.id[node];

	mask[id / 64] = 1ul << (id % 64);
	if (!mbind(addr, bytes, MPOL_PREFERRED, mask, NAR_MAX_KERNEL_NODES, 0))
		return 0;
	return nar_note_refused(-errno, MISSING_MBIND);
}

/* Only those stay in the batch that are there, and elsewhere. */
static int keep_strays(struct batch *b, int id)
{
	unsigned int i, nr = 0;

	if (move_pages(0, b->nr, b->page, NULL, b->status, 0))
		return nar_note_refused(-errno, MISSING_MOVE_PAGES);
	for (i = 0; i < b->nr; i++)
		if (b->status[i] >= 0 && b->status[i] != id)
			b->page[nr++] = b->page[i];
	b->nr = nr;
	return 0;
}

/* Return: 0, -EBUSY if some did not move, or another -errno. */
static int move_batch(struct batch *b, int id)
{
	unsigned int i, tries;
	int err = keep_strays(b, id);

	for (tries = 0; !err && b->nr && tries < TRIES; tries++) {
		for (i = 0; i < b->nr; i++)
			b->to[i] = id;
		/* What it answers is of single addresses; where pages are now is asked. */
		move_pages(0, b->nr, b->page, b->to, b->status, MPOL_MF_MOVE);
		err = keep_strays(b, id);
	}
	return !err && b->nr ? -EBUSY : err;
}

static int move_range(char *at, const char *end, int id)
{
	struct batch b;
	int err = 0;

	while (at < end && !err) {
		for (b.nr = 0; at < end && b.nr < BATCH_PAGES; at += PAGE_BYTES)
			b.page[b.nr++] = at;
		err = move_batch(&b, id);
	}
	return err;
}

int nar_move_to(void *addr, size_t bytes, unsigned int node)
{
	char *start = addr, *end = start + bytes;
	int err = bind_to(addr, bytes, node);

	if (err)
		return err;
	nar_pages_part(start, start);
	nar_pages_part(end, end - PAGE_BYTES);
	err = move_range(start, end, nar_nodes.id[node]);
	/* The kernel does not say why. */
	return err == -EBUSY && !nar_node_has_room(node, HUGE_BYTES) ? -ENOMEM : err;
}

void nar_move_forget(void *addr, size_t bytes, struct nar_place place)
{
	mbind(addr, bytes, MPOL_DEFAULT, NULL, 0, 0);
	nar_bind(addr, bytes, place);
}
