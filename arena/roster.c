// SPDX-License-Identifier: MIT
#include <string.h>

#include "roster.h"
#include "scope.h"

_Static_assert(NAR_ROSTER_NAME == NAR_SCOPE_NAME, "names fit");

/*
 * A thread is done with a change in nanoseconds, unless it was interrupted amid one: by the
 * scheduler, or by the signal whose handler looks.
 */
#define TRIES 100

struct roster {
	struct nar_roster_line *line;
	unsigned int nr, max;
	u64 nr_left_off;
};

/* ---- One scope ---- */

static bool is_open(const struct numarena_scope *s)
{
	return READ_ONCE(s->thread) && READ_ONCE(s->tid);
}

/* A name that was cut amid a character of UTF-8 ends before it. */
static void drop_part(char name[NAR_ROSTER_NAME])
{
	unsigned int len = (unsigned int)strlen(name), i = len, whole;
	unsigned char lead;

	if (len < NAR_ROSTER_NAME - 1)
		return;
	while (i > len - 3 && ((unsigned char)name[i - 1] & 0xc0) == 0x80)
		i--;
	lead = (unsigned char)name[i - 1];
	whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (len - (i - 1) < whole)
		name[i - 1] = '\0';
}

static void see_name(char to[NAR_ROSTER_NAME], const char *from)
{
	unsigned int i;

	for (i = 0; i < NAR_ROSTER_NAME - 1 && (to[i] = READ_ONCE(from[i])); i++)
		;
	memset(to + i, 0, NAR_ROSTER_NAME - i);
	drop_part(to);
}

static void see(const struct numarena_scope *s, struct nar_roster_line *to)
{
	u64 single_bytes = (u64)READ_ONCE(s->single_pages) << PAGE_SHIFT;
	uintptr_t top = (uintptr_t)READ_ONCE(s->top);

	to->tid = READ_ONCE(s->tid);
	to->depth = READ_ONCE(s->depth);
	to->node = nar_nodes.id[READ_ONCE(s->place.node)];
	to->used_bytes = top - READ_ONCE(s->used_from) + single_bytes;
	to->peak_bytes = READ_ONCE(s->peak_bytes);
	to->held_bytes = (u64)READ_ONCE(s->held_pages) << PAGE_SHIFT;
	to->nr_captured = READ_ONCE(s->is_capturing) ? READ_ONCE(s->nr_captured) : NAR_ROSTER_UNCOUNTED;
	to->nr_resets = READ_ONCE(s->nr_resets);
	see_name(to->name, s->name);
}

/* Return: whether it has not changed meanwhile, but for the top. */
static bool try_see(const struct numarena_scope *s, struct nar_roster_line *to)
{
	/* Acquire: pairs with the release in scope.c's change_end(). */
	u32 version = load_acquire(&s->version);

	if (version & 1)
		return false;
	see(s, to);
	/* Pairs with the fence in scope.c's change_begin(). */
	nar_fence_acquire();
	return READ_ONCE(s->version) == version;
}

/* ---- All of them ---- */

static bool is_before(const struct nar_roster_line *a, const struct nar_roster_line *b)
{
	return a->tid != b->tid ? a->tid < b->tid : a->depth < b->depth;
}

/*
 * From the end, as a thread's structures lie together.  Of two of one thread and depth the
 * one that was seen first has ended.
 */
static void insert(struct roster *r, const struct nar_roster_line *line)
{
	unsigned int at = r->nr;

	while (at && is_before(line, &r->line[at - 1]))
		at--;
	if (at && !is_before(&r->line[at - 1], line)) {
		r->line[at - 1] = *line;
		return;
	}
	if (r->nr == r->max) {
		r->nr_left_off++;
		return;
	}
	memmove(&r->line[at + 1], &r->line[at], (r->nr - at) * sizeof(*line));
	r->line[at] = *line;
	r->nr++;
}

/* Return: whether it was seen; *@is_lost: it is open and was not. */
static bool try_see_open(const struct numarena_scope *s, struct nar_roster_line *to, bool *is_lost)
{
	unsigned int tries;

	*is_lost = false;
	for (tries = 0; tries < TRIES && is_open(s); tries++) {
		if (try_see(s, to))
			return true;
		cpu_relax();
	}
	*is_lost = tries == TRIES;
	return false;
}

static void look(void *arg, const struct numarena_scope *s)
{
	struct nar_roster_line line;
	struct roster *r = arg;
	bool is_lost;

	if (try_see_open(s, &line, &is_lost)) {
		line.peak_bytes = max_of(line.peak_bytes, line.used_bytes);
		insert(r, &line);
	}
	r->nr_left_off += is_lost;
}

unsigned int nar_roster_take(struct nar_roster_line *to, unsigned int max, u64 *nr_left_off)
{
	struct roster r = { .line = to, .max = max };

	nar_scope_each(look, &r);
	*nr_left_off = r.nr_left_off;
	return r.nr;
}

static void add(void *arg, const struct numarena_scope *s)
{
	struct nar_roster_sum *sum = arg;

	if (!is_open(s))
		return;
	sum->nr++;
	sum->held_bytes += (u64)READ_ONCE(s->held_pages) << PAGE_SHIFT;
}

static void add_used(void *arg, const struct numarena_scope *s)
{
	struct nar_roster_line line;
	u64 *used_bytes = arg;
	bool is_lost;

	if (try_see_open(s, &line, &is_lost))
		used_bytes[READ_ONCE(s->place.node)] += line.used_bytes;
}

void nar_roster_add_used(u64 *used_bytes)
{
	nar_scope_each(add_used, used_bytes);
}

struct nar_roster_sum nar_roster_sum(void)
{
	struct nar_roster_sum sum = { 0 };

	nar_scope_each(add, &sum);
	return sum;
}
