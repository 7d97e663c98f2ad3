// SPDX-License-Identifier: MIT
/*
 * The audit walks what it knows, extents and tables, and asks the kernel of each range
 * where its pages are.  Nothing is taken from the kernel's policies: a binding that it has
 * forgotten or never had shows as pages in the wrong place.
 *
 * Where move_pages is refused only whole mappings can be asked about, by windows and
 * tables; what a page is for is not known then.
 */
#include <errno.h>
#include <string.h>

#include "numa/verify.h"

#include "audit.h"
#include "survey.h"
#include "slab.h"

/* Extents looked at under one lock. */
#define RUNS 64

struct auditor {
	struct numarena_audit *audit;
	unsigned int node;		/* whose window and tables are looked at */
	int err;			/* the first */
	struct nar_verify verify;
};

/* What a range is taken for. */
struct sort {
	enum numarena_kind kind;
	unsigned int node;		/* for which it is meant */
	bool is_bound;			/* to that; else to none */
	bool is_huge_wanted;
};

static u64 sum_of(const struct nar_where *w)
{
	u64 sum = w->elsewhere + w->undivided;
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		sum += w->on_node[node];
	return sum;
}

/* Where the cpuset does not allow the node, the nearest that it allows is as good as home. */
static unsigned int home_of(unsigned int node)
{
	return READ_ONCE(nar_nodes.home[node]);
}

static void note_misplaced(struct auditor *a, const struct nar_where *w, struct sort sort)
{
	u64 lost = w->elsewhere;
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		if (node == home_of(sort.node))
			continue;
		lost += w->on_node[node];
		a->audit->at[node].strangers += w->on_node[node];
	}
	a->audit->at[sort.node].misplaced[sort.kind] += lost;
	a->audit->misplaced += lost;
}

static void note(struct auditor *a, const struct nar_where *w, struct sort sort)
{
	struct numarena_audit_node *at = &a->audit->at[sort.node];
	u64 resident = sum_of(w);

	at->resident[sort.kind] += resident;
	a->audit->resident += resident;
	if (sort.is_bound)
		note_misplaced(a, w, sort);
	/* Pages of a mapping that reaches into another's range are nobody's proof. */
	at->unbound += sort.is_bound ? w->undivided : resident;
	if (sort.kind == NUMARENA_KIND_META)
		return;
	at->huge += w->huge;
	at->huge_wanted += sort.is_huge_wanted ? resident : 0;
	a->audit->huge += w->huge;
	a->audit->huge_wanted += sort.is_huge_wanted ? resident : 0;
}

static void look(struct auditor *a, const void *start, size_t bytes, struct sort sort)
{
	struct nar_where w = { 0 };
	int err = nar_verify_range(&a->verify, start, bytes, &w);

	if (err && !a->err)
		a->err = err;
	note(a, &w, sort);
}

/* ---- The user's memory ---- */

static enum numarena_kind kind_of(u8 state)
{
	if (state == EXTENT_CHUNK)
		return NUMARENA_KIND_SLAB;
	if (state == EXTENT_SCOPE)
		return NUMARENA_KIND_SCOPE;
	return state == EXTENT_LARGE || state == EXTENT_REPLICA ? NUMARENA_KIND_LARGE : NUMARENA_KIND_FREE;
}

static struct sort sort_of(const struct nar_run *run)
{
	return (struct sort){
		.kind = kind_of(run->state),
		.node = run->node,
		.is_bound = nar_policy_names_node(run->policy),
		.is_huge_wanted = run->backing != BACKING_SMALL,
	};
}

static bool is_same_sort(struct sort x, struct sort y)
{
	return x.kind == y.kind && x.node == y.node && x.is_bound == y.is_bound &&
	       x.is_huge_wanted == y.is_huge_wanted;
}

/* Neighbours of one sort are asked about together. */
static unsigned int look_at_group(struct auditor *a, const struct nar_run *run, unsigned int nr)
{
	struct sort sort = sort_of(run);
	unsigned int n = 1;

	while (n < nr && run[n].backing != BACKING_NONE && is_same_sort(sort, sort_of(&run[n])))
		n++;
	if (run->backing != BACKING_NONE)
		look(a, run->start, (size_t)((char *)run[n - 1].start - (char *)run->start) +
		     (run[n - 1].nr_pages << PAGE_SHIFT), sort);
	return run->backing != BACKING_NONE ? n : 1;
}

static void look_at_extents(struct auditor *a)
{
	struct nar_run runs[RUNS];
	unsigned int nr, i;
	u32 page = 0;

	while ((nr = nar_survey_walk(a->node, &page, runs, RUNS)))
		for (i = 0; i < nr; i += look_at_group(a, &runs[i], nr - i))
			;
}

/* A stretch of a window that is meant for one node. */
struct stretch {
	char *start, *end;
	struct sort sort;
};

/* What was moved by hand is a mapping of its own, and so is what lies between such blocks. */
static void stretch_add(struct auditor *a, struct stretch *s, const struct nar_run *run)
{
	if (run->node != s->sort.node) {
		look(a, s->start, (size_t)(s->end - s->start), s->sort);
		s->start = run->start;
		s->sort.node = run->node;
		s->sort.is_bound = true;
	}
	s->end = (char *)run->start + (run->nr_pages << PAGE_SHIFT);
	s->sort.is_bound &= nar_policy_names_node(run->policy);
}

/* Mapping by mapping: stretches of the window, which no mapping leaves. */
static void look_at_window(struct auditor *a)
{
	char *start = nar_at(nar_window_offset(a->node));
	struct stretch s = {
		start, start, { .kind = NUMARENA_KIND_UNKNOWN, .node = a->node, .is_bound = true }
	};
	struct nar_run runs[RUNS];
	unsigned int nr, i;
	u32 page = 0;

	while ((nr = nar_survey_walk(a->node, &page, runs, RUNS)))
		for (i = 0; i < nr; i++)
			stretch_add(a, &s, &runs[i]);
	look(a, s.start, (size_t)(s.end - s.start), s.sort);
}

/* ---- Tables ---- */

static void look_at_table(void *arg, const void *start, size_t bytes)
{
	struct auditor *a = arg;
	struct sort sort = {
		.kind = NUMARENA_KIND_META, .node = a->node, .is_bound = nar_meta_is_bound(a->node)
	};

	look(a, start, bytes, sort);
}

static void look_at_node(struct auditor *a)
{
	struct numarena_audit_node *at = &a->audit->at[a->node];

	at->node = nar_nodes.id[a->node];
	at->is_allowed = nar_node_is_allowed(a->node);
	if (a->verify.how == VERIFY_MOVE_PAGES)
		look_at_extents(a);
	else
		look_at_window(a);
	nar_meta_each_range(a->node, look_at_table, a);
}

int nar_audit(struct numarena_audit *audit)
{
	struct auditor a = { .audit = audit };
	int err;

	if (audit->size < sizeof(*audit))
		return -EINVAL;
	memset(audit, 0, audit->size);
	audit->size = sizeof(*audit);
	nar_nodes_look();
	err = nar_verify_begin(&a.verify);
	if (err)
		return err == -EOPNOTSUPP ? -ENOSYS : err;
	if (a.verify.how != VERIFY_MOVE_PAGES)
		nar_note_missing(MISSING_MOVE_PAGES);
	audit->how = a.verify.how == VERIFY_MOVE_PAGES ? NUMARENA_AUDIT_PAGES : NUMARENA_AUDIT_MAPS;
	audit->nr_nodes = nar_nodes.nr;
	for (a.node = 0; a.node < nar_nodes.nr; a.node++)
		look_at_node(&a);
	nar_verify_end(&a.verify);
	return a.err;
}

/* ---- One pointer ---- */

static int place_of(const void *p, struct nar_place *place)
{
	if (!nar_is_ours(p))
		return -ENOENT;
	if (!nar_entry_of(p))
		return nar_survey_place(p, place);
	*place = (struct nar_place){ (u8)nar_node_of(p), nar_mem.unit[nar_offset(p) >> HUGE_SHIFT].policy };
	return 0;
}

int nar_audit_node_of(const void *p)
{
	struct nar_place place;
	int err = place_of(p, &place);

	if (err)
		return err;
	return nar_policy_names_node(place.policy) ? nar_nodes.id[place.node] : -ENODATA;
}
