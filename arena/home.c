// SPDX-License-Identifier: MIT
/*
 * Where a node has memory, but no 2 MiB of it in a row, the kernel serves a range that is
 * advised huge with a huge page of another node rather than with small ones of this, and
 * nobody is told.  So maintenance looks where units are that were handed out: one page of
 * each, many in one question, again later where the program has touched nothing yet.  What
 * lies elsewhere is moved if the node has room, to small pages if it must be.
 *
 *	touched ... look (not there) ... look (elsewhere) -> moved, or look again
 *
 * To move a page is right whoever has the unit meanwhile, and a unit that was purged has
 * none.  What must not happen is that a page is taken for seen which is younger than the
 * look: so an answer counts only if the unit was neither handed out anew nor looked at again
 * since the question.
 */
#include "internal/option.h"
#include "internal/stat.h"

#include "home.h"
#include "pane.h"

/* One question of so many pages takes 13 us. */
#define LOOK_UNITS 64

/* Units of a pane gone through in a step: 1 GiB of them, 32 KiB of table. */
#define LOOK_TABLE 512

/* How long until the next look, twice as long each time: 16 looks take 11 minutes. */
#define LOOK_AGAIN_MS 10
#define LOOKS_MAX 16

/* A question: of which unit, and what was written down there. */
struct look {
	u32 unit;
	u32 look_ms;
	u8 nr_looks;
};

struct looks {
	unsigned int nr;
	unsigned int tried;	/* the one that was to be moved, or nr */
	bool has_come;
	struct look at[LOOK_UNITS];
	void *page[LOOK_UNITS];
	enum nar_whereabouts where[LOOK_UNITS];
};

/* Strict memory was looked at before it was handed out; and there must be a home to go to. */
static bool has_home(unsigned int node)
{
	return nar_nodes.nr > 1 && nar_opt.huge != HUGE_OFF && nar_policy_names_node(POLICY_OURS) &&
	       !nar_policy_is_strict(POLICY_OURS) && nar_node_is_allowed(node) &&
	       !nar_is_missing(MISSING_MOVE_PAGES) && !nar_is_missing(MISSING_GET_MEMPOLICY) &&
	       !nar_is_missing(MISSING_THP);
}

/*
 * Small pages that are not at home have found it full.  What was moved by hand stays, and so
 * do its neighbours in a unit.
 */
static bool wants_look(const struct nar_pane *x, const struct nar_unit *u)
{
	return u->touched_pages && !u->nr_moved && u->nr_looks < LOOKS_MAX &&
	       nar_policy_names_node(u->policy) &&
	       (u->backing == BACKING_HUGE ||
		(u->backing == BACKING_SMALL && x->is_grown && !u->is_reserved));
}

static bool is_due(const struct nar_unit *u, u32 now_ms)
{
	return !u->nr_looks || (int32_t)(now_ms - u->look_ms) >= 0;
}

static void looks_add(struct looks *l, struct nar_pane *x, u32 unit, u32 now_ms)
{
	struct nar_unit *u = &x->unit[unit];

	u->look_ms = now_ms + (LOOK_AGAIN_MS << u->nr_looks);
	u->nr_looks++;
	l->at[l->nr] = (struct look){ unit, u->look_ms, u->nr_looks };
	l->nr++;
}

/* A round that began is gone through to its end, though some part of it has nothing to look at. */
static bool may_look(const struct nar_pane *x)
{
	u32 at = READ_ONCE(x->next_look);

	return READ_ONCE(x->nr_unseen) ||
	       (at > nar_unit_floor(x->first) && at < nar_unit_floor(load_acquire(&x->end)));
}

/* The next that are due, from where the last step ended. */
static void collect(struct looks *l, struct nar_pane *x, u32 now_ms)
{
	const u32 first = nar_unit_floor(x->first);
	u32 end = nar_unit_floor(x->end), unit;

	if (x->next_look < first || x->next_look >= end) {
		WRITE_ONCE(x->next_look, first);
		WRITE_ONCE(x->nr_unseen, 0);
	}
	end = min_of(end, x->next_look + LOOK_TABLE);
	for (unit = x->next_look; unit < end && l->nr < LOOK_UNITS; unit++) {
		if (!wants_look(x, &x->unit[unit]))
			continue;
		WRITE_ONCE(x->nr_unseen, x->nr_unseen + 1);
		if (is_due(&x->unit[unit], now_ms))
			looks_add(l, x, unit, now_ms);
	}
	WRITE_ONCE(x->next_look, unit);
}

static bool try_bring(void *unit, struct nar_place place)
{
	return !nar_bind_enforce(unit, HUGE_BYTES, place);
}

/* The first that is away.  It may be one that cannot move, as what a device writes to. */
static void bring_one(struct looks *l, struct nar_place place)
{
	for (l->tried = 0; l->tried < l->nr && l->where[l->tried] != WHERE_AWAY; l->tried++)
		;
	if (l->tried < l->nr && !nar_node_has_room(place.node, HUGE_BYTES))
		l->tried = l->nr;
	l->has_come = l->tried < l->nr && try_bring(l->page[l->tried], place);
}

/* It was not its turn, and there may be room. */
static void look_at_once(struct nar_pane *x, u32 unit, u32 now_ms)
{
	x->unit[unit].nr_looks--;
	x->unit[unit].look_ms = now_ms;
	WRITE_ONCE(x->next_look, min_of(x->next_look, unit));
}

static void settle_one(const struct looks *l, unsigned int i, struct nar_pane *x, u32 now_ms)
{
	struct nar_unit *u = &x->unit[l->at[i].unit];

	/* The answer is of the past. */
	if (!u->touched_pages || u->nr_looks != l->at[i].nr_looks || u->look_ms != l->at[i].look_ms)
		return;
	if (l->where[i] == WHERE_AWAY && !u->is_away) {
		u->is_away = true;
		nar_node_event(x->node, huge_elsewhere, 1);
	}
	if (l->where[i] == WHERE_HOME || (i == l->tried && l->has_come)) {
		u->nr_looks = LOOKS_MAX;
		nar_node_event(x->node, huge_brought_home, u->is_away);
	} else if (l->where[i] == WHERE_THEIRS) {
		u->nr_looks = LOOKS_MAX;
	} else if (l->where[i] == WHERE_AWAY && i != l->tried && l->tried < l->nr) {
		look_at_once(x, l->at[i].unit, now_ms);
	}
}

static bool is_at_end(const struct nar_pane *x)
{
	return x->next_look >= nar_unit_floor(x->end);
}

/* Return: whether the end of the pane was reached. */
static bool look_at_some(struct looks *l, struct nar_pane *x, u32 now_ms)
{
	struct nar_place place = { x->node, POLICY_OURS };
	unsigned int i;
	bool is_end;

	nar_lock(&x->lock);
	collect(l, x, now_ms);
	is_end = is_at_end(x);
	nar_unlock(&x->lock);
	l->tried = l->nr;
	for (i = 0; i < l->nr; i++)
		l->page[i] = nar_page_at(x->node, l->at[i].unit * (u32)PAGES_PER_UNIT);
	if (!l->nr || nar_bind_ask(l->page, l->nr, place, l->where))
		return is_end;
	bring_one(l, place);
	nar_lock(&x->lock);
	for (i = 0; i < l->nr; i++)
		settle_one(l, i, x, now_ms);
	is_end = is_at_end(x);
	nar_unlock(&x->lock);
	return is_end;
}

bool nar_home_look(unsigned int node, u32 now_ms)
{
	struct looks l = { .nr = 0 };
	struct nar_pane *x;
	unsigned int i;

	if (!has_home(node))
		return false;
	nar_for_each_pane(x, node, i) {
		l.nr = 0;
		if (may_look(x))
			look_at_some(&l, x, now_ms);
		if (l.tried < l.nr)
			return true;
	}
	return false;
}

void nar_home_begin(struct nar_home_tour *t, unsigned int node)
{
	*t = (struct nar_home_tour){ .node = node };
}

/* What is left of a round that has begun belongs to the new one. */
static void begin_anew(struct nar_pane *x)
{
	nar_lock(&x->lock);
	WRITE_ONCE(x->nr_unseen, x->nr_unseen + may_look(x));
	WRITE_ONCE(x->next_look, 0);
	nar_unlock(&x->lock);
}

bool nar_home_look_on(struct nar_home_tour *t, u32 now_ms)
{
	struct looks l = { .nr = 0 };
	struct nar_pane *x = has_home(t->node) ? nar_pane_next(t->node, &t->pane) : NULL;

	t->is_end = !x;
	if (!x)
		return false;
	if (!t->has_begun)
		begin_anew(x);
	t->has_begun = may_look(x) && !look_at_some(&l, x, now_ms);
	t->pane += !t->has_begun;
	return l.nr;
}

/* What will not come now is looked at, and counted, once it is handed out. */
void nar_home_bring(struct nar_place place, char *start, size_t bytes)
{
	char *end = start + bytes, *unit;

	if (!has_home(place.node) || !nar_policy_names_node(place.policy))
		return;
	for (unit = start; unit < end; unit += HUGE_BYTES) {
		enum nar_whereabouts where;
		void *page = unit;

		if (nar_bind_ask(&page, 1, place, &where))
			return;
		if (where != WHERE_AWAY || !nar_node_has_room(place.node, HUGE_BYTES) ||
		    !try_bring(unit, place))
			continue;
		nar_node_event(place.node, huge_elsewhere, 1);
		nar_node_event(place.node, huge_brought_home, 1);
	}
}
