// SPDX-License-Identifier: MIT
/*
 * Chunks of one node of the pretend machine, in which nobody else allocates.
 *
 *	chunk	| 0 | 1 | 2 | ... | 63 |	slices of 32 KiB, free or in a row of some slab
 *
 * Slices are named here by chunk and number: at(chunk, 5).
 */
#include <pthread.h>
#include <sched.h>

#include "arena/chunk.h"
#include "arena/survey.h"
#include "arena/start.h"
#include "internal/option.h"
#include "internal/stat.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 3u
#define PLACE ((struct nar_place){ .node = NODE })

#define NR_SLICES ((unsigned int)SLICES_PER_UNIT)
#define SLICE_PAGES (SLICE_BYTES / PAGE_BYTES)

/* Where a chunk on small pages is full enough to be made huge. */
#define RIPE_BYTES ((u32)(HUGE_BYTES / 4 * 3))

static u32 take_from(enum nar_pool pool, unsigned int nr)
{
	u32 slice = nar_slices_alloc(PLACE, pool, nr);

	ck_assert_uint_ne(slice, 0);
	ck_assert_uint_eq(nar_node_of(nar_at((size_t)slice << SLICE_SHIFT)), NODE);
	return slice;
}

static u32 take(unsigned int nr)
{
	return take_from(POOL_SMALL, nr);
}

static u32 chunk_of(u32 slice)
{
	return slice / NR_SLICES;
}

static u32 at(u32 chunk, unsigned int nr)
{
	return chunk * NR_SLICES + nr;
}

static u32 try_take(unsigned int nr)
{
	return nar_slices_try_alloc(PLACE, POOL_SMALL, nr);
}

/* A chunk of slabs of one slice each, all other chunks being full. */
static u32 full_chunk(void)
{
	u32 chunk = chunk_of(take(1));
	unsigned int i;

	for (i = 1; i < NR_SLICES; i++)
		ck_assert_uint_eq(take(1), at(chunk, i));
	return chunk;
}

static void free_singles(u32 chunk, unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		nar_slices_free(at(chunk, from), 1);
}

static bool is_extent(u32 slice, size_t nr_slices, enum nar_extent_state state)
{
	enum nar_extent_state found;
	void *start, *p = nar_at((size_t)slice << SLICE_SHIFT);
	size_t nr_pages;

	return nar_survey_around(p, &start, &nr_pages, &found) && start == p &&
	       nr_pages == nr_slices * SLICE_PAGES && found == state;
}

/* Units that are free on small pages, as large blocks. */
static void use_up_small_pages(void)
{
	struct nar_want unit = { .nr_pages = PAGES_PER_UNIT, .align_pages = PAGES_PER_UNIT,
				 .backing = BACKING_SMALL, .state = EXTENT_LARGE };
	bool is_zero;

	while (nar_extent_try_alloc(PLACE, &unit, &is_zero))
		;
}

/*
 *	| 16 rows of 4 |	rows 3 and 5 freed, then 4
 *
 * Expect: 5 slices don't fit between 3 and 5; once 4 is free too, 12 in a row do, from
 * row 3 on.
 */
START_TEST(slices_in_a_row)
{
	u32 first = take(4), chunk = chunk_of(first), other;
	unsigned int row;

	ck_assert_uint_eq(first, at(chunk, 0));
	for (row = 1; row < NR_SLICES / 4; row++)
		ck_assert_uint_eq(take(4), at(chunk, 4 * row));
	nar_slices_free(at(chunk, 12), 4);
	nar_slices_free(at(chunk, 20), 4);
	other = take(5);
	ck_assert_uint_ne(chunk_of(other), chunk);
	nar_slices_free(at(chunk, 16), 4);
	ck_assert_uint_eq(take(12), at(chunk, 12));
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), (NR_SLICES + 5) * SLICE_BYTES);
	ck_assert_uint_eq(nar_chunk_nr_slabs_made(NODE), NR_SLICES / 4 + 2);
}
END_TEST

/*
 *	nothing, then chunk | 62 taken | 0 | 0 |
 *
 * Expect: who only tries gets slices of a chunk that is there, and no chunk is cut for it.
 */
START_TEST(trying_cuts_no_chunk)
{
	size_t bytes;
	u32 first;

	ck_assert_uint_eq(try_take(1), 0);
	first = take(NR_SLICES - 2);
	bytes = nar_chunk_slab_bytes(NODE);
	ck_assert_uint_eq(try_take(3), 0);
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), bytes);
	ck_assert_uint_eq(try_take(2), first + NR_SLICES - 2);
	ck_assert_uint_eq(try_take(1), 0);
	ck_assert_uint_ne(chunk_of(take(1)), chunk_of(first));
}
END_TEST

/*
 *	a: 40 free	b: 10 free	c: 20 free
 *
 * Expect: one slice comes from b, the fullest, until it is full; then from c.
 */
START_TEST(fullest_chunk_first)
{
	u32 a = full_chunk(), b = full_chunk(), c = full_chunk();
	unsigned int i;

	free_singles(a, 0, 40);
	free_singles(b, 0, 10);
	free_singles(c, 0, 20);
	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(take(1), at(b, i));
	ck_assert_uint_eq(take(1), at(c, 0));
	ck_assert_uint_eq(take(30), at(a, 0));
}
END_TEST

/*
 *	small chunk | used | free |	asked for a slice on huge pages
 *
 * Expect: what is there serves either; a new chunk is of the kind that was asked for.
 */
START_TEST(pools_help_each_other)
{
	u32 small = chunk_of(take(1)), huge;

	ck_assert_uint_eq(take_from(POOL_HUGE, 1), at(small, 1));
	ck_assert_uint_eq(nar_mem.unit[small].pool, POOL_SMALL);
	use_up_small_pages();
	huge = chunk_of(take_from(POOL_HUGE, NR_SLICES - 1));
	ck_assert_uint_ne(huge, small);
	ck_assert_uint_eq(nar_mem.unit[huge].pool, POOL_HUGE);
	ck_assert_uint_eq(take(NR_SLICES - 2), at(small, 2));
	ck_assert_uint_eq(take(1), at(huge, NR_SLICES - 1));
}
END_TEST

/*
 *	small pages: | chunk, one slice left	| free unit |	huge pages: none
 *
 * Expect: a chunk that should be huge and is cut from what is there, on small pages,
 * counts as small, so that it is made huge once it has filled.
 */
START_TEST(chunk_is_what_its_pages_are)
{
	u32 small = chunk_of(take(NR_SLICES - 1)), other;

	ck_assert_uint_eq(take(1), at(small, NR_SLICES - 1));
	other = chunk_of(take_from(POOL_HUGE, 1));
	ck_assert_uint_eq(nar_mem.unit[other].backing, BACKING_SMALL);
	ck_assert_uint_eq(nar_mem.unit[other].pool, POOL_SMALL);
	use_up_small_pages();
	take_from(POOL_HUGE, NR_SLICES - 1);
	other = chunk_of(take_from(POOL_HUGE, 1));
	ck_assert_uint_eq(nar_mem.unit[other].backing, BACKING_HUGE);
	ck_assert_uint_eq(nar_mem.unit[other].pool, POOL_HUGE);
}
END_TEST

/*
 *	a: all free	b: all free
 *
 * Expect: the first waits for the next slab, the second goes back to the extents; a trim
 * sends the first after it.
 */
START_TEST(one_empty_chunk_waits)
{
	u32 a = full_chunk(), b = full_chunk();

	free_singles(a, 0, NR_SLICES);
	ck_assert(is_extent(at(a, 0), NR_SLICES, EXTENT_CHUNK));
	free_singles(b, 0, NR_SLICES);
	ck_assert(is_extent(at(a, 0), NR_SLICES, EXTENT_CHUNK));
	ck_assert(!nar_extent_pages(nar_at((size_t)b << HUGE_SHIFT), EXTENT_CHUNK));
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), 0);
	ck_assert_uint_eq(take(1), at(a, 0));
	nar_slices_free(at(a, 0), 1);
	nar_chunk_trim(NODE);
	ck_assert(!nar_extent_pages(nar_at((size_t)a << HUGE_SHIFT), EXTENT_CHUNK));
}
END_TEST

/* ---- Lots ---- */

static void *take_thread(void *slice)
{
	*(u32 *)slice = take(1);
	return NULL;
}

static struct nar_lock *last_lock;

static void note_lock(struct nar_lock *l)
{
	last_lock = l;
}

/* A slice that a thread takes which has met a busy lot, the node's only one until then. */
static u32 take_beside(void)
{
	pthread_t thread;
	u32 slice, before;

	/* NODE is the last. */
	nar_chunk_each_lock(note_lock);
	nar_lock(last_lock);
	before = READ_ONCE(last_lock->nr_contended);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_thread, &slice), 0);
	/* It has left the lot, and waits with the new one until that may be known. */
	while (READ_ONCE(last_lock->nr_contended) == before)
		sched_yield();
	nar_unlock(last_lock);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	return slice;
}

/*
 *	lot 0: a full, its lock held	lot 1: nothing yet
 *
 * Expect: who finds the lock busy takes from another lot from then on; what that has
 * serves all before one more chunk is cut, and goes back when nobody needs it.
 */
START_TEST(busy_lot_is_left)
{
	u32 a = full_chunk(), b = chunk_of(take_beside());

	ck_assert_uint_ne(b, a);
	ck_assert_uint_eq(nar_mem.unit[a].lot, 0);
	ck_assert_uint_eq(nar_mem.unit[b].lot, 1);
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), (NR_SLICES + 1) * SLICE_BYTES);
	ck_assert_uint_eq(nar_chunk_nr_slabs_made(NODE), NR_SLICES + 1);
	ck_assert_uint_eq(take(3), at(b, 1));
	nar_slices_free(at(b, 1), 3);
	ck_assert(is_extent(at(b, 0), NR_SLICES, EXTENT_CHUNK));
	nar_slices_free(at(b, 0), 1);
	ck_assert(!nar_extent_pages(nar_at((size_t)b << HUGE_SHIFT), EXTENT_CHUNK));
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), NR_SLICES * SLICE_BYTES);
}
END_TEST

/*
 *	a: [ 4 used | 60 free ]   b: [ 4 used | 60 free ]   c: full
 *
 * Expect: one of the sparse is dissolved: its free slices are an extent, the used ones
 * are each its own and go back when their slab does.  No slab is cut from it any more,
 * and what little slack is left then stays.
 */
START_TEST(sparse_chunk_is_dissolved)
{
	u32 a = full_chunk(), b = full_chunk(), gone;
	unsigned int i;

	full_chunk();
	free_singles(a, 4, NR_SLICES);
	ck_assert(!nar_chunk_dissolve(PLACE, 8));	/* slack that slabs need */
	free_singles(b, 4, NR_SLICES);
	ck_assert(!nar_chunk_dissolve(PLACE, NR_SLICES - 3));	/* none has so many */
	ck_assert(nar_chunk_dissolve(PLACE, 8));
	gone = is_extent(at(a, 4), NR_SLICES - 4, EXTENT_FREE) ? a : b;
	ck_assert(is_extent(at(gone, 4), NR_SLICES - 4, EXTENT_FREE));
	for (i = 0; i < 4; i++)
		ck_assert(is_extent(at(gone, i), 1, EXTENT_CHUNK));
	ck_assert(!nar_chunk_dissolve(PLACE, 8));

	ck_assert_uint_eq(chunk_of(take(1)), gone == a ? b : a);
	free_singles(gone, 0, 4);
	ck_assert(is_extent(at(gone, 0), NR_SLICES, EXTENT_FREE));
}
END_TEST

/*
 *	| used: less than 3/4 |		| used: 3/4 |
 *
 * Expect: a chunk on small pages is collapsed when three quarters were handed out, not
 * before, and once: what it loses and gets again is no reason for another time.
 */
START_TEST(filled_chunk_is_collapsed_once)
{
	u32 slice = take(1);

	nar_chunk_note_used(slice, RIPE_BYTES - 16);
	ck_assert(!nar_chunk_collapse(NODE));
	nar_chunk_note_used(slice, 16);
	ck_assert(nar_chunk_collapse(NODE));
	ck_assert_uint_eq(fake_calls.collapse[NODE], 1);
	ck_assert_uint_eq(nar_node_events[NODE].collapse_done, 1);
	ck_assert_uint_eq(nar_mem.unit[chunk_of(slice)].pool, POOL_HUGE);

	nar_chunk_note_unused(slice, RIPE_BYTES);
	nar_chunk_note_used(slice, RIPE_BYTES);
	ck_assert(!nar_chunk_collapse(NODE));
	ck_assert_uint_eq(fake_calls.collapse[NODE], 1);
}
END_TEST

/*
 *	| filled, then emptied |	before anyone came by
 *
 * Expect: no collapse of what is no longer full; it may ripen again.
 */
START_TEST(emptied_chunk_is_not_collapsed)
{
	u32 slice = take(1);

	nar_chunk_note_used(slice, RIPE_BYTES);
	nar_chunk_note_unused(slice, RIPE_BYTES / 2);
	ck_assert(!nar_chunk_collapse(NODE));
	nar_chunk_note_used(slice, RIPE_BYTES / 2);
	ck_assert(nar_chunk_collapse(NODE));
}
END_TEST

/*
 *	MADV_COLLAPSE: no
 *
 * Expect: it is counted and not tried again; with huge:off it is not even asked for.
 */
START_TEST(refused_collapse_is_counted)
{
	u32 slice = take(1);

	nar_chunk_note_used(slice, RIPE_BYTES);
	nar_opt.huge = HUGE_OFF;
	ck_assert(!nar_chunk_collapse(NODE));
	ck_assert_uint_eq(fake_calls.collapse[NODE], 0);
	nar_opt.huge = HUGE_AUTO;
	fake.refuse_collapse = 1u << NODE;
	ck_assert(nar_chunk_collapse(NODE));
	ck_assert(!nar_chunk_collapse(NODE));
	ck_assert_uint_eq(fake_calls.collapse[NODE], 1);
	ck_assert_uint_eq(nar_node_events[NODE].collapse_failed, 1);
	ck_assert_uint_eq(nar_node_events[NODE].collapse_done, 0);
}
END_TEST

/*
 *	node 3 full -> a chunk of node 2
 *
 * Expect: slices of a chunk belong to the node it lies on, and are counted there; none
 * anywhere is 0.
 */
START_TEST(chunk_of_another_node)
{
	u32 slice;

	fake.refuse_commit = 1u << NODE;
	slice = nar_slices_alloc(PLACE, POOL_SMALL, 1);
	ck_assert_uint_eq(nar_node_of(nar_at((size_t)slice << SLICE_SHIFT)), 2);
	ck_assert_uint_eq(nar_chunk_slab_bytes(2), SLICE_BYTES);
	ck_assert_uint_eq(nar_chunk_slab_bytes(NODE), 0);
	nar_slices_free(slice, 1);
	ck_assert_uint_eq(nar_chunk_slab_bytes(2), 0);
	fake.refuse_commit = FAKE_ALL_NODES;
	nar_chunk_trim(2);
	/* The span that node 2 has is two chunks. */
	ck_assert_uint_ne(nar_slices_alloc(PLACE, POOL_SMALL, NR_SLICES - 1), 0);
	ck_assert_uint_ne(nar_slices_alloc(PLACE, POOL_SMALL, NR_SLICES - 1), 0);
	ck_assert_uint_eq(nar_slices_alloc(PLACE, POOL_SMALL, 2), 0);
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("chunk");
	TCase *tc = tcase_create("slices of a node");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, slices_in_a_row);
	tcase_add_test(tc, trying_cuts_no_chunk);
	tcase_add_test(tc, fullest_chunk_first);
	tcase_add_test(tc, pools_help_each_other);
	tcase_add_test(tc, chunk_is_what_its_pages_are);
	tcase_add_test(tc, one_empty_chunk_waits);
	tcase_add_test(tc, busy_lot_is_left);
	tcase_add_test(tc, sparse_chunk_is_dissolved);
	tcase_add_test(tc, filled_chunk_is_collapsed_once);
	tcase_add_test(tc, emptied_chunk_is_not_collapsed);
	tcase_add_test(tc, refused_collapse_is_counted);
	tcase_add_test(tc, chunk_of_another_node);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
