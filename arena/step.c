// SPDX-License-Identifier: MIT
/*
 * What slow paths do by and by is done here at once, in pieces, each the smallest that there is:
 * a batch of frees, one purge, one move, one collapse.  Between two pieces the clock is looked
 * at.  One kind of work is ended before the next begins, those first that make work for others:
 *
 *	frees -> empty slabs -> chunks -> free units;  purge;  bring home;  make huge
 */
#include "internal/option.h"

#include "chunk.h"
#include "home.h"
#include "post.h"
#include "step.h"
#include "thread.h"
#include "tomb.h"
#include "unit.h"

struct step {
	u64 now;
	u32 now_ms;			/* ... its low half */
	struct nar_home_tour home;
};

/* What others have freed goes into slabs, past the magazines: so that what is empty shows. */
static bool try_own_frees(struct nar_arena *a)
{
	return nar_post_send_one(a) || nar_post_drain_some(a);
}

/* ... and so does what threads and heaps have left that are no more, whoever takes the step. */
static bool try_frees(struct step *s)
{
	struct nar_arena *a = nar_arena_mine();

	return (a && try_own_frees(a)) || nar_arena_adopt_orphan() || nar_arena_turn_out(s->now, false) ||
	       nar_tomb_poll_one();
}

static bool try_purge(struct step *s)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		if (nar_unit_purge_due(node, s->now_ms, 1))
			return true;
	return false;
}

/* Stretches without anything to ask about take no time. */
static bool try_home(struct step *s)
{
	bool has_asked = false;

	while (!has_asked && s->home.node < nar_nodes.nr) {
		has_asked = nar_home_look_on(&s->home, s->now_ms);
		if (s->home.is_end)
			nar_home_begin(&s->home, s->home.node + 1);
	}
	return has_asked;
}

static bool try_huge(struct step *s)
{
	unsigned int node;

	(void)s;
	for (node = 0; node < nar_nodes.nr; node++)
		if (nar_chunk_collapse(node) || nar_unit_collapse_any(node))
			return true;
	return false;
}

/* Each does one piece.  Return: false if there was none. */
static bool (*const kinds[])(struct step *s) = { try_frees, try_purge, try_home, try_huge };

/* What a kind of work that was not ended counts for: whether there is any, nobody has looked. */
static unsigned long nr_left_of(size_t kind, const struct step *s)
{
	unsigned int node;
	unsigned long nr = 0;

	if (kinds[kind] != try_purge)
		return 1;
	for (node = 0; node < nar_nodes.nr; node++)
		nr += nar_unit_nr_due(node, s->now_ms);
	return nr;
}

unsigned long nar_step(unsigned int budget_us)
{
	u64 end_us = nar_clock_us() + budget_us, now = nar_clock_ms();
	struct step s = { .now = now, .now_ms = (u32)now };	/* and the tour begins with the first node */
	unsigned long nr_left = 0;
	bool is_out = false;
	size_t kind;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		while (!is_out && kinds[kind](&s))
			is_out = nar_clock_us() >= end_us;
		if (is_out)
			nr_left += nr_left_of(kind, &s);
	}
	return nr_left;
}
