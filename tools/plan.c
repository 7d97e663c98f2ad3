// SPDX-License-Identifier: MIT
#include "plan.h"

#include <string.h>

/* While it is made, by object: who begins it. */
struct birth {
	struct op *op;
	uint32_t thread;
};

struct making {
	struct plan *plan;
	struct plan_thread *thread;	/* by number */
	struct birth *birth;
};

static bool is_op(const struct moment *m)
{
	return m->kind >= MOMENT_MALLOC && m->kind <= MOMENT_REALLOC;
}

static void count_moment(struct making *k, const struct moment *m, size_t place)
{
	struct plan_thread *t = &k->thread[m->thread];

	if (!t->nr)
		t->first = place;
	t->last = place;
	t->nr += is_op(m);
	k->plan->nr_ops += is_op(m);
}

static void object_begin(struct making *k, struct op *op, const struct moment *m)
{
	op->size = m->size & ((UINT64_C(1) << 47) - 1);
	k->birth[op->object] = (struct birth){ op, m->thread };
	k->plan->size_at_end[op->object] = m->size + 1;
	k->plan->nr_live++;
	k->plan->live_bytes += m->size;
}

/* Return: its size. */
static uint64_t object_end(struct making *k, struct op *op, uint32_t object, const struct moment *m)
{
	struct birth *b = &k->birth[object];
	uint64_t size = k->plan->size_at_end[object] - 1;

	if (b->thread != m->thread) {
		op->waits = true;
		b->op->is_shared = true;
	}
	k->plan->size_at_end[object] = 0;
	k->plan->nr_live--;
	k->plan->live_bytes -= size;
	return size;
}

static void add_moment(struct making *k, const struct moment *m)
{
	struct plan_thread *t = &k->thread[m->thread];
	struct op *op = &t->ops[t->nr++];
	uint64_t old;

	*op = (struct op){ .kind = m->kind & 7, .align_shift = m->align_shift & 63, .object = m->object };
	if (m->kind == MOMENT_FREE) {
		op->size = object_end(k, op, op->object, m) & ((UINT64_C(1) << 47) - 1);
		return;
	}
	if (m->kind == MOMENT_REALLOC) {
		op->old = m->old;
		old = object_end(k, op, m->old, m);
		op->old_is_marked = old >= MARK_BYTES;
		op->keeps_mark = old >= MARK_BYTES && m->size >= MARK_BYTES;
	}
	object_begin(k, op, m);
}

/* Threads' operations lie one behind the other's; threads that only end are none. */
static void share_out(struct making *k, uint32_t nr_threads)
{
	struct op *ops = k->plan->ops;
	uint32_t i;

	for (i = 0; i < nr_threads; i++) {
		k->thread[i].ops = ops;
		ops += k->thread[i].nr;
		k->thread[i].nr = 0;
	}
}

/* By first: numbers are given out in that order, but for threads that begin at the same time. */
static void sort_threads(struct plan_thread *t, uint32_t nr)
{
	uint32_t i, j;

	for (i = 1; i < nr; i++) {
		struct plan_thread one = t[i];

		for (j = i; j && t[j - 1].first > one.first; j--)
			t[j] = t[j - 1];
		t[j] = one;
	}
}

static void keep_busy_threads(struct making *k, uint32_t nr_threads)
{
	struct plan *plan = k->plan;
	uint32_t i;

	plan->thread = own_map(nr_threads * sizeof(*plan->thread));
	for (i = 0; i < nr_threads; i++)
		if (k->thread[i].nr)
			plan->thread[plan->nr_threads++] = k->thread[i];
	sort_threads(plan->thread, plan->nr_threads);
}

void plan_make(struct plan *plan, const struct timeline *line)
{
	struct making k = { .plan = plan };
	size_t thread_bytes = line->nr_threads * sizeof(*k.thread);
	size_t birth_bytes = line->nr_objects * sizeof(*k.birth);
	size_t i;

	*plan = (struct plan){ .nr_objects = line->nr_objects };
	k.thread = own_map(thread_bytes);
	k.birth = own_map(birth_bytes);
	for (i = 0; i < line->nr; i++)
		if (line->at[i].kind)
			count_moment(&k, &line->at[i], i);
	plan->ops = own_map(plan->nr_ops * sizeof(*plan->ops));
	plan->size_at_end = own_map(plan->nr_objects * sizeof(*plan->size_at_end));
	share_out(&k, line->nr_threads);
	for (i = 0; i < line->nr; i++)
		if (is_op(&line->at[i]))
			add_moment(&k, &line->at[i]);
	keep_busy_threads(&k, line->nr_threads);
	own_unmap(k.thread, thread_bytes);
	own_unmap(k.birth, birth_bytes);
	own_populate(plan->size_at_end, plan->nr_objects * sizeof(*plan->size_at_end));
}
