// SPDX-License-Identifier: MIT
/*
 * Reserving is growing: a span more of the node's first pane, which nobody has until it is
 * faulted in.  Zeroing pages is what takes the time, 0.1 s a GiB and CPU at best, so
 * threads do it, on CPUs of that node.  Pages of a pool are zeroed as they are committed.
 */
#include <errno.h>
#include <numarena.h>
#include <pthread.h>

#include "internal/option.h"
#include "numa/cancel.h"
#include "numa/cgroup.h"
#include "numa/hugetlb.h"

#include "heap.h"
#include "home.h"
#include "meta.h"
#include "reserve.h"
#include "span.h"
#include "unit.h"

/* A thread is worth while for so much, and more than so many only wait for memory. */
#define THREAD_BYTES MIB(64)
#define MAX_THREADS 16

#define GIB_SHIFT 30

struct part {
	pthread_t thread;
	char *start;
	size_t bytes;
	unsigned int node;
	int err;
	bool has_thread;
};

static void *part_run(void *arg)
{
	struct part *part = arg;

	nar_node_run_on(part->node);
	part->err = nar_pages_fault_in(part->start, part->bytes);
	return NULL;
}

/* A part that gets no thread is done here. */
static void part_start(struct part *part)
{
	part->has_thread = !pthread_create(&part->thread, NULL, part_run, part);
	if (!part->has_thread)
		part->err = nar_pages_fault_in(part->start, part->bytes);
}

static unsigned int nr_parts_for(unsigned int node, size_t bytes)
{
	size_t nr = min_of(bytes / THREAD_BYTES, (size_t)nar_node_nr_cpus(node));

	return (unsigned int)max_of(min_of(nr, (size_t)MAX_THREADS), (size_t)1);
}

static int populate_parallel(char *p, size_t bytes, unsigned int node)
{
	unsigned int nr = nr_parts_for(node, bytes), i;
	size_t each = ALIGN_UP(DIV_ROUND_UP(bytes, nr), HUGE_BYTES);
	struct part parts[MAX_THREADS] = { 0 };
	/* Others write to what lies on this stack until they have been joined. */
	int err = 0, cancel = nar_cancel_forbid();

	for (i = 0; i < nr; i++) {
		size_t from = min_of(i * each, bytes);

		parts[i].start = p + from;
		parts[i].bytes = min_of(each, bytes - from);
		parts[i].node = node;
		if (parts[i].bytes)
			part_start(&parts[i]);
	}
	for (i = 0; i < nr; i++) {
		if (parts[i].has_thread)
			pthread_join(parts[i].thread, NULL);
		err = err ? err : parts[i].err;
	}
	nar_cancel_restore(cancel);
	return err;
}

/* Bytes on pages of the kind asked for, by what the kernel said of them. */
static long long bytes_of_kind(size_t bytes, enum nar_backing backing)
{
	return backing == BACKING_HUGE && nar_is_missing(MISSING_THP) ? 0 : (long long)bytes;
}

/* Beside the pages: their page tables, a 512th, and stacks of threads and tables of ours. */
static size_t charge_of(size_t bytes)
{
	return bytes + bytes / 512 + MIB(2);
}

/* Faulting in more than there is would end in the process's death. */
static bool is_too_much(struct nar_place place, size_t bytes)
{
	return bytes > nar_pages_of_machine() || charge_of(bytes) > nar_cgroup_room() ||
	       (nar_policy_names_node(place.policy) && !nar_node_has_room(place.node, bytes));
}

static long long reserve_pages(struct nar_place place, size_t bytes, enum nar_backing backing)
{
	size_t all = ALIGN_UP(bytes, HUGE_BYTES);
	char *p = is_too_much(place, all) ? NULL :
		nar_span_hold(place, bytes, backing, HUGE_SHIFT);
	int err;

	if (!p)
		return -ENOMEM;
	err = populate_parallel(p, all, place.node);
	if (!err && nar_policy_is_strict(place.policy))
		err = nar_bind_enforce(p, all, place);
	if (err && err != -EPERM) {
		nar_span_drop(p);
		return -ENOMEM;
	}
	if (backing == BACKING_HUGE)
		nar_home_bring(place, p, all);
	nar_span_release(p);
	return bytes_of_kind(all, backing);
}

/* Half as much after each refusal: as many pieces as a size has bits, and some to spare. */
#define MAX_PIECES 128

struct pieces {
	void *at[MAX_PIECES];
	unsigned int nr;
};

/* Piece by piece, until the pool is empty.  Return: bytes. */
static size_t hold_pieces(struct nar_place place, size_t bytes, unsigned int shift,
			  struct pieces *pieces)
{
	size_t piece = ALIGN_UP(bytes, (size_t)1 << shift), got = 0;

	piece = min_of(piece, ALIGN_DOWN(nar_hugetlb_room(place, shift), (size_t)1 << shift));
	while (got < bytes && piece && pieces->nr < MAX_PIECES) {
		void *p = nar_span_hold(place, piece, BACKING_HUGETLB, shift);

		if (p) {
			pieces->at[pieces->nr++] = p;
			got += piece;
			piece = min_of(piece, ALIGN_UP(bytes - min_of(got, bytes), (size_t)1 << shift));
		} else {
			piece = ALIGN_DOWN(piece / 2, (size_t)1 << shift);
		}
	}
	return got;
}

/* All of it is for everybody, or all goes back. */
static void end_pieces(struct pieces *pieces, void (*end)(void *p))
{
	while (pieces->nr)
		end(pieces->at[--pieces->nr]);
}

static long long reserve_from_pool(struct nar_place place, size_t bytes, unsigned int shift)
{
	struct pieces pieces = { .nr = 0 };
	size_t got = hold_pieces(place, bytes, shift, &pieces);
	long long rest = 0;

	if (got < bytes) {
		nar_span_lost_huge(place.node, ALIGN_UP(bytes - got, HUGE_BYTES), LOSS_POOL_EMPTY);
		rest = reserve_pages(place, bytes - got, BACKING_HUGE);
	}
	end_pieces(&pieces, rest < 0 ? nar_span_drop : nar_span_release);
	return rest < 0 ? rest : (long long)got;
}

static long long reserve(struct nar_place place, size_t bytes, unsigned int flags)
{
	/* One of these, or none. */
	if (flags > NUMARENA_RESERVE_1GIB || flags & (flags - 1))
		return -EINVAL;
	if (bytes > PTRDIFF_MAX)
		return -ENOMEM;
	if (!bytes)
		return 0;
	switch (flags) {
	case 0:
		/* huge:off has none of that kind, but the memory is had. */
		if (nar_opt.huge == HUGE_OFF)
			return min_of(reserve_pages(place, bytes, BACKING_SMALL), 0ll);
		return reserve_pages(place, bytes, BACKING_HUGE);
	case NUMARENA_RESERVE_SMALL:
		return reserve_pages(place, bytes, BACKING_SMALL);
	case NUMARENA_RESERVE_HUGETLB:
		return reserve_from_pool(place, bytes, HUGE_SHIFT);
	default:
		return reserve_from_pool(place, bytes, GIB_SHIFT);
	}
}

/*
 * Magazines grow until they hold an eighth of an arena's objects, at 8 bytes each: a 264th of
 * what has objects of 264 bytes, and a third more in slots that were outgrown.  Arenas and
 * messages come on top.
 */
#define META_PART 64

/* Who reserves expects no system calls later on. */
long long nar_reserve(struct nar_place place, size_t bytes, unsigned int flags)
{
	long long got = reserve(place, bytes, flags);

	if (got < 0)
		return got;
	nar_meta_make_ready(place.node, bytes / META_PART);
	if (got)
		nar_unit_try_grow_up(place.node);
	return got;
}
