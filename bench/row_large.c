// SPDX-License-Identifier: MIT
/* Rows about large blocks: growth by realloc, and churn of 8 KiB to 4 MiB. */
#include "lane.h"

#define PAGE		4096U

#define GROW_FROM	16U
#define GROW_STEP	KIB		/* realloc_small: to 2 MiB */
#define GROW_SMALL_TO	(2 * MIB)
#define GROW_LARGE_TO	(8 * MIB)	/* realloc_large: by a quarter */

#define CHURN_SLOTS	256U
#define CHURN_MIN	(8 * KIB)
#define CHURN_OCTAVES	9		/* 8 KiB to 4 MiB */
#define CHURN_FIRST	1000U		/* replaced before the clock runs; then memory is looked at */

/* ---- Growth ---- */

static void grow_prepare(struct lane *lane)
{
	lane->own = NULL;
}

/* What realloc has added, a byte a page. */
static void pages_touch(unsigned char *p, size_t from, size_t to)
{
	for (size_t at = (from + PAGE - 1) / PAGE * PAGE; at < to; at += PAGE)
		if (at)
			((volatile unsigned char *)p)[at] = (unsigned char)(at / PAGE);
}

/* Each page's byte is still there, wherever the block has gone. */
static void pages_check(const unsigned char *p, size_t bytes)
{
	for (size_t at = PAGE; at < bytes; at += PAGE)
		if (p[at] != (unsigned char)(at / PAGE))
			die("realloc has lost byte %zu of %zu", at, bytes);
}

/* An operation is one realloc; growth is gone through to its end, so that all sizes count. */
static __inline_always void grow(struct lane *lane, bool in_small_steps, bool checked)
{
	size_t limit = in_small_steps ? GROW_SMALL_TO : GROW_LARGE_TO;

	while (lane_goes_on()) {
		size_t bytes = 0, next = GROW_FROM;
		unsigned char *p = NULL;

		for (; next <= limit; next += in_small_steps ? GROW_STEP : next / 4) {
			p = realloc(p, next);
			if (!p)
				die("realloc to %zu failed", next);
			pages_touch(p, bytes, next);
			bytes = next;
			lane->nr_ops++;
		}
		if (checked)
			pages_check(p, bytes);
		free(p);
	}
}

static __inline_always void realloc_small_body(struct lane *lane, bool checked)
{
	grow(lane, true, checked);
}
ROW_WORK(realloc_small)

static __inline_always void realloc_large_body(struct lane *lane, bool checked)
{
	grow(lane, false, checked);
}
ROW_WORK(realloc_large)

/* ---- Churn ---- */

struct churn {
	uint32_t nr;
	void *block[CHURN_SLOTS];
};

static void churn_prepare(struct lane *lane)
{
	struct churn *own = own_map(sizeof(*own));

	own->nr = CHURN_SLOTS / lane->nr_lanes;
	lane->own = own;
}

/* As many in each octave, and any size within. */
static size_t churn_size(struct rng *rng)
{
	uint32_t octave = CHURN_MIN << rng_below(rng, CHURN_OCTAVES);

	return octave + rng_below(rng, octave);
}

static __inline_always void *churn_new(struct lane *lane, bool all_pages, bool checked)
{
	size_t bytes = churn_size(&lane->rng);
	unsigned char *p = object_new(bytes, checked);

	/* The first page has the tag, and the last byte is the tag's too. */
	for (size_t at = PAGE; all_pages && at + 1 < bytes; at += PAGE)
		((volatile unsigned char *)p)[at] = 1;
	return p;
}

static __inline_always void churn_one(struct lane *lane, bool all_pages, bool checked)
{
	struct churn *own = lane->own;
	void **slot = &own->block[rng_below(&lane->rng, own->nr)];

	object_end(*slot, checked);
	*slot = churn_new(lane, all_pages, checked);
}

static __inline_always void churn_begin(struct lane *lane, bool all_pages, bool checked)
{
	struct churn *own = lane->own;

	for (uint32_t i = 0; i < own->nr; i++)
		own->block[i] = churn_new(lane, all_pages, checked);
	for (uint32_t i = 0; i < CHURN_FIRST / lane->nr_lanes; i++)
		churn_one(lane, all_pages, checked);
}

static void churn_fill(struct lane *lane)
{
	churn_begin(lane, true, true);
}

static void churn_fill_first(struct lane *lane)
{
	churn_begin(lane, false, lane_checks);
}

static __inline_always void churn(struct lane *lane, bool all_pages, bool checked)
{
	for (; lane_goes_on(); lane->nr_ops++)
		churn_one(lane, all_pages, checked);
}

static __inline_always void big_churn_body(struct lane *lane, bool checked)
{
	churn(lane, true, checked);
}
ROW_WORK(big_churn)

static __inline_always void big_churn_first_body(struct lane *lane, bool checked)
{
	churn(lane, false, checked);
}
ROW_WORK(big_churn_first)

static void churn_empty(struct lane *lane)
{
	struct churn *own = lane->own;

	for (uint32_t i = 0; i < own->nr; i++)
		object_end(own->block[i], true);
}

const struct row rows_large[] = {
	{
		.name = "realloc_small", .text = "one block a thread grown from 16 B to 2 MiB by 1 KiB",
		.prepare = grow_prepare, .work = WORK_OF(realloc_small),
	}, {
		.name = "realloc_large", .text = "the same to 8 MiB, by a quarter",
		.prepare = grow_prepare, .work = WORK_OF(realloc_large),
	}, {
		.name = "big_churn",
		.text = "256 live of 8 KiB to 4 MiB, as many in each octave, shared out to the "
			"threads; one at random replaced, all pages touched; memory after 1000 of that",
		.prepare = churn_prepare, .fill = churn_fill, .peak_is_filled = true, .work = WORK_OF(big_churn),
		.empty = churn_empty,
	}, {
		.name = "big_churn_first", .text = "the same, only the first page touched",
		.prepare = churn_prepare, .fill = churn_fill_first, .peak_is_filled = true,
		.work = WORK_OF(big_churn_first),
		.empty = churn_empty,
	},
};
const size_t nr_rows_large = ARRAY_SIZE(rows_large);
