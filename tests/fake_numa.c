// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "arena/meta.h"
#include "internal/option.h"
#include "internal/stat.h"
#include "numa/bind.h"

#include "fake_numa.h"

#define NEAR 12
#define FAR 21

/* A window is bound span by span: a few for each test, and its tables. */
#define MAX_BOUND 4096u

struct bound {
	const char *start, *end;
	unsigned int node;
};

struct nar_nodes nar_nodes;
struct nar_events nar_events;

struct fake_machine fake = { .clock_ms = 1000000 };
struct fake_calls fake_calls;
__thread unsigned int fake_node;

static struct bound bound[MAX_BOUND];
static u32 nr_bound;		/* claimed by fetch-and-add; read when threads rest */

/* ---- numa/node.h ---- */

/* The neighbour of a node is the other one of its pair, then come the far two. */
void nar_nodes_early(void)
{
	unsigned int from, i;

	nar_nodes.nr = FAKE_NODES;
	for (from = 0; from < FAKE_NODES; from++) {
		nar_nodes.id[from] = (u16)from;
		for (i = 0; i < FAKE_NODES; i++) {
			nar_nodes.order[from][i] = (u8)(from ^ i);
			nar_nodes.distance[from][from ^ i] = !i ? 0 : i == 1 ? NEAR : FAR;
		}
	}
}

void nar_nodes_probe(void)
{
}

unsigned int nar_node_current(void)
{
	return fake_node;
}

/* ---- What it was asked, what it refuses ---- */

/* Count a call about a window.  Return: whether the node is in @refused. */
static bool is_refused(const void *addr, u32 *calls, u32 refused)
{
	if (!nar_is_ours(addr))
		return false;
	add_relaxed(&calls[nar_node_of(addr)], 1);
	return refused >> nar_node_of(addr) & 1;
}

/* ---- numa/bind.h ---- */

void nar_bind(void *addr, size_t bytes, unsigned int node)
{
	struct bound *b;

	if (!nar_opt.bind)
		return;
	if (is_refused(addr, fake_calls.bind, READ_ONCE(fake.refuse_bind))) {
		nar_event(bind_refused, 1);
		return;
	}
	b = &bound[add_relaxed(&nr_bound, 1)];
	if (b >= bound + MAX_BOUND)
		abort();
	*b = (struct bound){ addr, (char *)addr + bytes, node };
	nar_event(bind_done, 1);
}

unsigned int fake_bound_node(const void *p)
{
	const char *at = p;
	u32 i;

	for (i = READ_ONCE(nr_bound); i-- > 0;)
		if (at >= bound[i].start && at < bound[i].end)
			return bound[i].node;
	return FAKE_NOT_BOUND;
}

/* ---- numa/pages.h ---- */

void *nar_pages_reserve(size_t bytes, size_t align)
{
	size_t space = bytes + align;
	char *map = mmap(NULL, space, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	/* What alignment leaves over at both ends stays unused. */
	return map == MAP_FAILED ? NULL : (void *)ALIGN_UP((uintptr_t)map, align);
}

void nar_pages_release(void *addr, size_t bytes)
{
	munmap(addr, bytes);
}

bool nar_pages_can_map(size_t bytes)
{
	(void)bytes;
	return true;
}

int nar_pages_make_readable(void *addr, size_t bytes)
{
	return mprotect(addr, bytes, PROT_READ) ? -errno : 0;
}

int nar_pages_commit(void *addr, size_t bytes)
{
	if (is_refused(addr, fake_calls.commit, READ_ONCE(fake.refuse_commit)) ||
	    mprotect(addr, bytes, PROT_READ | PROT_WRITE)) {
		nar_event(commit_failed, 1);
		return -ENOMEM;
	}
	return 0;
}

/* Refused as for locked memory. */
int nar_pages_purge(void *addr, size_t bytes)
{
	if (is_refused(addr, fake_calls.purge, READ_ONCE(fake.refuse_purge)))
		return -EINVAL;
	return madvise(addr, bytes, MADV_DONTNEED) ? -errno : 0;
}

int nar_pages_move(void *from, void *to, size_t bytes)
{
	(void)from;
	(void)to;
	(void)bytes;
	return -ENOSYS;
}

void nar_pages_advise_huge(void *addr, size_t bytes)
{
	if (is_refused(addr, fake_calls.huge, READ_ONCE(fake.refuse_huge)))
		nar_event(huge_refused, bytes >> HUGE_SHIFT);
}

void nar_pages_advise_small(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}

void nar_pages_collapse(void *addr)
{
	if (is_refused(addr, fake_calls.collapse, READ_ONCE(fake.refuse_collapse)))
		nar_event(collapse_failed, 1);
	else
		nar_event(collapse_done, 1);
}

size_t nar_pages_reserve_limit(void)
{
	return SIZE_MAX;
}

size_t nar_pages_of_machine(void)
{
	return FAKE_BYTES;
}

u64 nar_clock_ms(void)
{
	return READ_ONCE(fake.clock_ms);
}
