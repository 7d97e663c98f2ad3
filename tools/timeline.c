// SPDX-License-Identifier: MIT
#include "timeline.h"
#include "tool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* ---- Memory ---- */

void *own_map(size_t bytes)
{
	void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		tool_die(TOOL_FAILED, "%zu bytes for the trace: %s", bytes, strerror(errno));
	return p;
}

void own_unmap(void *at, size_t bytes)
{
	munmap(at, bytes ? bytes : 1);
}

void own_populate(void *at, size_t bytes)
{
	volatile char *p = at;
	size_t i;

	for (i = 0; i < bytes; i += 4096)
		p[i] = p[i];
}

/* ---- Which object an address is ---- */

/* Open addressing with linear probing; at most half full, and no address is 0. */
struct map {
	struct map_entry {
		uint64_t address;
		uint32_t object;
	} *at;
	size_t size;		/* a power of two */
	size_t nr;
};

static size_t map_home(const struct map *m, uint64_t address)
{
	/* Fibonacci hashing: the upper bits of a product with 2^64 over the golden ratio. */
	return (size_t)(address * 0x9e3779b97f4a7c15u >> 32) & (m->size - 1);
}

static struct map_entry *map_find(const struct map *m, uint64_t address)
{
	size_t i = map_home(m, address);

	while (m->at[i].address && m->at[i].address != address)
		i = (i + 1) & (m->size - 1);
	return &m->at[i];
}

static void map_begin(struct map *m, size_t size)
{
	*m = (struct map){ own_map(size * sizeof(*m->at)), size, 0 };
}

static void map_end(struct map *m)
{
	own_unmap(m->at, m->size * sizeof(*m->at));
}

static void map_grow(struct map *m)
{
	struct map larger;
	size_t i;

	map_begin(&larger, 2 * m->size);
	for (i = 0; i < m->size; i++)
		if (m->at[i].address)
			*map_find(&larger, m->at[i].address) = m->at[i];
	larger.nr = m->nr;
	map_end(m);
	*m = larger;
}

/* Return: whether the address was there already. */
static bool map_put(struct map *m, uint64_t address, uint32_t object)
{
	struct map_entry *e;
	bool is_there;

	if (2 * m->nr >= m->size)
		map_grow(m);
	e = map_find(m, address);
	is_there = e->address;
	*e = (struct map_entry){ address, object };
	m->nr += !is_there;
	return is_there;
}

/* Entries behind the hole that would not be found any more move up (Knuth, TAOCP 6.4, R). */
static void map_close(struct map *m, size_t hole)
{
	size_t i = hole;

	for (;;) {
		size_t home;

		i = (i + 1) & (m->size - 1);
		if (!m->at[i].address)
			break;
		home = map_home(m, m->at[i].address);
		if (((i - home) & (m->size - 1)) < ((i - hole) & (m->size - 1)))
			continue;
		m->at[hole] = m->at[i];
		hole = i;
	}
	m->at[hole].address = 0;
}

static bool map_take(struct map *m, uint64_t address, uint32_t *object)
{
	struct map_entry *e = map_find(m, address);

	if (!e->address)
		return false;
	*object = e->object;
	map_close(m, (size_t)(e - m->at));
	m->nr--;
	return true;
}

/* ---- From blocks to one order ---- */

struct extent {
	size_t nr_events;
	uint64_t last_order;
	uint32_t last_thread;
};

static void each_event(const struct trace *t, struct timeline *line,
		       void (*see)(void *context, const struct trace_event *e), void *context)
{
	struct trace_cursor c;
	struct trace_event e;
	size_t block;

	line->nr_damaged = 0;
	for (block = 0; block < t->nr_blocks; block++) {
		trace_begin(t, block, &c);
		while (trace_next(&c, &e))
			see(context, &e);
		line->nr_damaged += c.at < c.end;
	}
}

static void see_extent(void *context, const struct trace_event *e)
{
	struct extent *x = context;

	x->nr_events++;
	x->last_order = e->order_end > x->last_order ? e->order_end : x->last_order;
	x->last_thread = e->thread > x->last_thread ? e->thread : x->last_thread;
}

static _Noreturn void refuse(const char *why)
{
	tool_die(TOOL_FAILED, "the trace is damaged: %s", why);
}

static struct moment *moment_at(struct timeline *line, uint64_t order, const struct trace_event *e)
{
	struct moment *m = &line->at[order];

	if (m->kind)
		refuse("two records have one place in its order");
	*m = (struct moment){ .size = e->size, .time_ns = e->time_ns, .thread = e->thread };
	if (e->size >> 47)
		refuse("an object is larger than memory can be");
	return m;
}

static void place_realloc(struct timeline *line, const struct trace_event *e)
{
	struct moment *m = moment_at(line, e->order, e);

	m->kind = MOMENT_RESIZE;
	m->address = e->old;
	m = moment_at(line, e->order_end, e);
	m->kind = MOMENT_REALLOC;
	m->address = e->address;
}

/* A thread's number takes a place too, which stays empty. */
static void see_moment(void *context, const struct trace_event *e)
{
	static const enum moment_kind kinds[] = {
		[TRACE_MALLOC] = MOMENT_MALLOC,	  [TRACE_CALLOC] = MOMENT_CALLOC,
		[TRACE_ALIGNED] = MOMENT_ALIGNED, [TRACE_FREE] = MOMENT_FREE,
		[TRACE_REALLOC] = MOMENT_REALLOC, [TRACE_THREAD] = MOMENT_NONE,
		[TRACE_THREAD_END] = MOMENT_THREAD_END,
	};
	struct timeline *line = context;
	enum moment_kind kind = kinds[e->kind];
	struct moment *m;

	/* Beyond what was counted: its program goes on, and has written it since. */
	if (kind == MOMENT_NONE || e->order_end >= line->nr || e->thread >= line->nr_threads)
		return;
	if (kind != MOMENT_THREAD_END && !e->address) {
		line->nr_failed++;
		return;
	}
	if (kind == MOMENT_REALLOC) {
		place_realloc(line, e);
		return;
	}
	m = moment_at(line, e->order, e);
	m->kind = (uint8_t)kind;
	m->address = e->address;
	m->align_shift = (uint8_t)e->align_shift;
}

/* ---- From addresses to objects ---- */

#define NO_OBJECT UINT32_MAX

struct naming {
	struct timeline *line;
	struct map live;
	uint32_t *resized;	/* by thread: the object that its realloc has begun with */
};

static void name_new(struct naming *n, struct moment *m)
{
	uint64_t address = m->address;
	struct timeline *line = n->line;

	if (line->nr_objects == NO_OBJECT)
		tool_die(TOOL_FAILED, "the trace has more than 4 billion objects");
	if (map_put(&n->live, address, line->nr_objects))
		line->nr_unfreed++;
	m->object = line->nr_objects++;
}

static uint32_t name_old(struct naming *n, const struct moment *m)
{
	uint32_t object;

	if (map_take(&n->live, m->address, &object))
		return object;
	n->line->nr_unknown++;
	return NO_OBJECT;
}

static void name_realloc(struct naming *n, struct moment *m)
{
	uint32_t old = n->resized[m->thread];

	/* An object ends once. */
	n->resized[m->thread] = NO_OBJECT;
	name_new(n, m);
	m->old = old;
	m->kind = old == NO_OBJECT ? MOMENT_MALLOC : MOMENT_REALLOC;
}

static void name_moment(struct naming *n, struct moment *m)
{
	switch (m->kind) {
	case MOMENT_MALLOC:
	case MOMENT_CALLOC:
	case MOMENT_ALIGNED:
		name_new(n, m);
		break;
	case MOMENT_REALLOC:
		name_realloc(n, m);
		break;
	case MOMENT_RESIZE:
		n->resized[m->thread] = name_old(n, m);
		m->kind = MOMENT_NONE;
		break;
	case MOMENT_FREE:
		m->object = name_old(n, m);
		if (m->object == NO_OBJECT)
			m->kind = MOMENT_NONE;
		break;
	}
	n->line->nr_of[m->kind]++;
}

static void name_all(struct timeline *line)
{
	struct naming n = { .line = line };
	size_t bytes = line->nr_threads * sizeof(*n.resized), i;

	map_begin(&n.live, 4096);
	n.resized = own_map(bytes);
	memset(n.resized, 0xff, bytes);
	for (i = 0; i < line->nr; i++)
		name_moment(&n, &line->at[i]);
	own_unmap(n.resized, bytes);
	map_end(&n.live);
}

/* An order is taken for each record, two for a realloc; some are lost where threads were killed. */
#define MAX_LOST 65536

void timeline_make(struct timeline *line, const struct trace *t)
{
	struct extent x = { 0 };

	*line = (struct timeline){ .at = NULL };
	each_event(t, line, see_extent, &x);
	if (x.last_order > 2 * x.nr_events + MAX_LOST || x.last_thread > x.nr_events)
		refuse("its numbers are larger than it is itself");
	line->nr = x.last_order + 1;
	line->nr_threads = x.last_thread + 1;
	line->at = own_map(line->nr * sizeof(*line->at));
	each_event(t, line, see_moment, line);
	name_all(line);
}

void timeline_free(struct timeline *line)
{
	own_unmap(line->at, line->nr * sizeof(*line->at));
	line->at = NULL;
}
