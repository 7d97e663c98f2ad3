// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "arena/meta.h"
#include "internal/option.h"
#include "internal/stat.h"
#include "numa/bind.h"
#include "numa/cgroup.h"
#include "numa/move.h"

#include "fake_numa.h"

#define NEAR 12
#define FAR 21

/* A window is bound span by span: a few for each test, and its tables. */
#define MAX_BOUND 65536u

struct bound {
	const char *start, *end;
	unsigned int node, policy;
};

struct nar_nodes nar_nodes;
struct nar_events nar_events;
struct nar_node_events nar_node_events[NAR_MAX_NODES];
u32 nar_missing_mask;

struct fake_machine fake = { .clock_ms = 1000000, .cgroup_room = SIZE_MAX };
struct fake_calls fake_calls;
__thread unsigned int fake_node, fake_policy;

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
	/* The real machine's is of no use here. */
	nar_note_missing(MISSING_SYSFS);
	nar_nodes_look();
}

void nar_nodes_probe(void)
{
}

/* What is not allowed has the nearest that is for a home. */
void nar_nodes_look(void)
{
	u32 allowed = FAKE_ALL_NODES & ~READ_ONCE(fake.forbid);
	unsigned int node, i;

	WRITE_ONCE(nar_nodes.allowed, allowed);
	for (node = 0; node < FAKE_NODES; node++)
		for (i = 0; i < FAKE_NODES; i++)
			if (allowed >> nar_nodes.order[node][i] & 1) {
				WRITE_ONCE(nar_nodes.home[node], nar_nodes.order[node][i]);
				break;
			}
}

void nar_nodes_poll(void)
{
	nar_nodes_look();
}

unsigned int nar_node_current(void)
{
	return READ_ONCE(nar_nodes.home[fake_node]);
}

int nar_node_find(int id)
{
	return id >= 0 && id < (int)FAKE_NODES ? id : -1;
}

bool nar_node_has_room(unsigned int node, size_t bytes)
{
	(void)bytes;
	return !(READ_ONCE(fake.is_full) >> node & 1);
}

void nar_node_ask_anew(unsigned int node)
{
	(void)node;
}

void nar_node_run_on(unsigned int node)
{
	fake_node = node;
}

unsigned int nar_node_nr_cpus(unsigned int node)
{
	return READ_ONCE(fake.no_cpus) >> node & 1 ? 1 : 2;
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

static void work(void)
{
	add_relaxed(&fake.clock_us, fake.work_us);
}

/* Nothing else happens while they do. */
static void others_turn(void)
{
	void (*turn)(void) = READ_ONCE(fake.meanwhile);

	if (!turn)
		return;
	fake.meanwhile = NULL;
	turn();
}

/* ---- numa/bind.h ---- */

unsigned int nar_policy_current(void)
{
	return fake_policy;
}

void nar_policy_each_lock(void (*fn)(struct nar_lock *))
{
	(void)fn;
}

bool nar_policy_is_strict(unsigned int policy)
{
	return !nar_kind_is_theirs(policy) && nar_kind_binding(policy) == BIND_STRICT;
}

unsigned int nar_policy_by_hand(void)
{
	return nar_policy_names_node(POLICY_OURS) ? POLICY_OURS : POLICY_HAND;
}

bool nar_policy_names_node(unsigned int policy)
{
	enum nar_binding binding = nar_kind_binding(policy);

	return !nar_kind_is_theirs(policy) && (binding == BIND_PREFERRED || binding == BIND_STRICT);
}

static void note_bound(void *addr, size_t bytes, unsigned int node, unsigned int policy)
{
	struct bound *b = &bound[add_relaxed(&nr_bound, 1)];

	if (b >= bound + MAX_BOUND)
		abort();
	*b = (struct bound){ addr, (char *)addr + bytes, node, policy };
}

static bool bind_or_refuse(void *addr, size_t bytes, struct nar_place place, bool refused)
{
	if (nar_kind_binding(place.policy) == BIND_INHERIT)
		return true;
	if (refused) {
		nar_nodes_look();
		nar_node_event(place.node, bind_refused, 1);
		return !nar_policy_names_node(place.policy) || !nar_node_is_left_out(place.node);
	}
	note_bound(addr, bytes, place.node, place.policy);
	nar_node_event(place.node, bind_done, 1);
	return true;
}

static u32 unbindable(void)
{
	return READ_ONCE(fake.refuse_bind) | READ_ONCE(fake.forbid);
}

bool nar_bind(void *addr, size_t bytes, struct nar_place place)
{
	return bind_or_refuse(addr, bytes, place, is_refused(addr, fake_calls.bind, unbindable()));
}

/* Pages of a pool are not in a window yet. */
bool nar_bind_pool(void *addr, size_t bytes, struct nar_place place)
{
	return bind_or_refuse(addr, bytes, place, unbindable() >> place.node & 1);
}

static enum nar_whereabouts whereabouts(unsigned int node)
{
	if (READ_ONCE(fake.absent) >> node & 1)
		return WHERE_NONE;
	if (READ_ONCE(fake.theirs) >> node & 1)
		return WHERE_THEIRS;
	return READ_ONCE(fake.away) >> node & 1 ? WHERE_AWAY : WHERE_HOME;
}

int nar_bind_ask(void **page, unsigned int nr, struct nar_place place, enum nar_whereabouts *where)
{
	unsigned int i;

	add_relaxed(&fake_calls.asked_pages[place.node], nr);
	if (is_refused(page[0], fake_calls.ask, READ_ONCE(fake.refuse_ask))) {
		nar_note_missing(MISSING_MOVE_PAGES);
		return -EPERM;
	}
	for (i = 0; i < nr; i++)
		where[i] = whereabouts(place.node);
	others_turn();
	return 0;
}

/* A full node has its pages elsewhere, and they stay there. */
int nar_bind_enforce(void *addr, size_t bytes, struct nar_place place)
{
	(void)bytes;
	is_refused(addr, fake_calls.enforce, 0);
	work();
	return READ_ONCE(fake.is_full) >> place.node & 1 || addr == fake.pinned ? -ENOMEM : 0;
}

unsigned int fake_bound_policy(const void *p)
{
	const char *at = p;
	u32 i;

	for (i = READ_ONCE(nr_bound); i-- > 0;)
		if (at >= bound[i].start && at < bound[i].end)
			return bound[i].policy;
	return FAKE_NOT_BOUND;
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

/* ---- numa/move.h ---- */

int nar_move_to(void *addr, size_t bytes, unsigned int node)
{
	add_relaxed(&fake_calls.move[node], 1);
	note_bound(addr, bytes, node, POLICY_HAND);
	if (READ_ONCE(fake.refuse_move) >> node & 1)
		return -ENOMEM;
	return addr == fake.pinned ? -EBUSY : 0;
}

void nar_move_forget(void *addr, size_t bytes, struct nar_place place)
{
	note_bound(addr, bytes, FAKE_NOT_BOUND, FAKE_NOT_BOUND);
	nar_bind(addr, bytes, place);
}

/* ---- numa/cgroup.h ---- */

size_t nar_cgroup_own_bytes(void)
{
	return 0;
}

size_t nar_cgroup_room(void)
{
	return READ_ONCE(fake.cgroup_room);
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

int nar_pages_make_writable(void *addr, size_t bytes)
{
	return mprotect(addr, bytes, PROT_READ | PROT_WRITE) ? -errno : 0;
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
	work();
	if (is_refused(addr, fake_calls.purge, READ_ONCE(fake.refuse_purge)))
		return -EINVAL;
	others_turn();
	return madvise(addr, bytes, MADV_DONTNEED) ? -errno : 0;
}

int nar_pages_move(void *from, void *to, size_t bytes)
{
	(void)from;
	(void)to;
	(void)bytes;
	return -ENOSYS;
}

int nar_pages_advise_huge(void *addr, size_t bytes)
{
	(void)bytes;
	return is_refused(addr, fake_calls.huge, READ_ONCE(fake.refuse_huge)) ? -EINVAL : 0;
}

void nar_pages_part(const char *end, char *page)
{
	(void)end;
	(void)page;
}

void nar_pages_advise_small(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}

int nar_pages_collapse(void *addr)
{
	work();
	if (is_refused(addr, fake_calls.collapse, READ_ONCE(fake.refuse_collapse)))
		return -EINVAL;
	others_turn();
	return 0;
}

/* The pool: so many units on each node, ordinary memory. */
void *nar_pages_map_hugetlb(size_t bytes, unsigned int shift)
{
	size_t units = bytes >> HUGE_SHIFT;

	(void)shift;
	if (units > READ_ONCE(fake.pool_units))
		return NULL;
	sub_relaxed(&fake.pool_units, units);
	return nar_pages_reserve(bytes, HUGE_BYTES);
}

int nar_pages_replace(void *to, void *from, size_t bytes)
{
	(void)from;
	return mprotect(to, bytes, PROT_READ | PROT_WRITE) ? -errno : 0;
}

int nar_pages_uncommit(void *addr, size_t bytes)
{
	add_relaxed(&fake.pool_units, bytes >> HUGE_SHIFT);
	madvise(addr, bytes, MADV_DONTNEED);
	return mprotect(addr, bytes, PROT_NONE) ? -errno : 0;
}

int nar_pages_populate(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	return 0;
}

void nar_pages_touch(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}

size_t nar_pages_reserve_limit(void)
{
	return SIZE_MAX;
}

bool nar_pages_are_counted(void)
{
	return fake.pages_are_counted;
}

size_t nar_pages_bytes(void)
{
	return PAGE_BYTES;
}

size_t nar_pages_of_machine(void)
{
	return fake.bytes ? fake.bytes : FAKE_BYTES;
}

u64 nar_clock_ms(void)
{
	void (*handler)(void) = READ_ONCE(fake.signal);

	if (unlikely(handler)) {
		fake.signal = NULL;
		handler();
	}
	return READ_ONCE(fake.clock_ms);
}

u64 nar_clock_us(void)
{
	return READ_ONCE(fake.clock_ms) * 1000 + READ_ONCE(fake.clock_us);
}
