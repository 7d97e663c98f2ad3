// SPDX-License-Identifier: MIT
/*
 * Threads with scopes, all at once: each opens and ends them nested, allocates and captures,
 * marks and releases, and stamps what it has; hands captured objects to others to free and
 * to grow while the scope is open; forks now and then; and ends with scopes open.
 *
 *	thread 1: [ a b [ c ] ... ]	thread 2: free(b)
 *	                      ^ the end of a scope waits until what was lent is back
 */
#include "stress.h"

#define NR_THREADS 4
#define NR_LIVES 6		/* of each thread's place: threads end and begin */
#define NR_REQUESTS 150
#define MAX_DEPTH 4
#define NR_OBJECTS 200
#define NR_LENT 8
#define FORK_EVERY 40		/* requests */

/* What a thread has lent: its scope must not end while one is out. */
struct lender {
	struct rng rng;
	uint64_t next_tag;
	atomic_uint nr_out;
};

struct loan {
	struct object object;
	struct lender *lender;
};

static struct lender lenders[NR_THREADS];

/* ---- Objects that are lent ---- */

static pthread_mutex_t board_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loan board[NR_LENT];

static struct loan board_swap(struct rng *rng, struct loan loan)
{
	struct loan *slot = &board[rng_between(rng, 0, NR_LENT - 1)];
	struct loan taken;

	pthread_mutex_lock(&board_lock);
	taken = *slot;
	*slot = loan;
	pthread_mutex_unlock(&board_lock);
	return taken;
}

/* Freed, or grown into one's own memory, by whoever finds it. */
static void give_back(struct rng *rng, struct loan *loan)
{
	if (!loan->object.p)
		return;
	object_check(&loan->object);
	require(numarena_malloc_usable_size(loan->object.p) >= loan->object.size, "usable size");
	if (rng_next(rng) >> 63)
		object_resize(&loan->object, loan->object.size * 3);
	object_delete(&loan->object);
	atomic_fetch_sub_explicit(&loan->lender->nr_out, 1, memory_order_release);
}

static void lend(struct lender *l, size_t size)
{
	struct loan loan = { object_new(size, l->next_tag++), l };

	atomic_fetch_add_explicit(&l->nr_out, 1, memory_order_relaxed);
	loan = board_swap(&l->rng, loan);
	give_back(&l->rng, &loan);
}

/* Others may be waiting likewise, so what is on the board is taken by who waits. */
static void await_all(struct lender *l)
{
	while (atomic_load_explicit(&l->nr_out, memory_order_acquire)) {
		struct loan loan = board_swap(&l->rng, (struct loan){ { NULL, 0, 0 }, NULL });

		give_back(&l->rng, &loan);
	}
}

/* ---- Requests ---- */

static struct object scope_object(struct lender *l, struct numarena_scope *s)
{
	struct object o = { NULL, rng_log_size(&l->rng, 0, rng_next(&l->rng) % 64 ? 10 : 21), l->next_tag++ };
	size_t alignment = (size_t)1 << rng_between(&l->rng, 0, 8);

	switch (rng_next(&l->rng) >> 62) {
	case 0:
		o.p = numarena_scope_aligned_alloc(s, alignment, o.size);
		require((uintptr_t)o.p % alignment == 0, "%p at %zu", o.p, alignment);
		break;
	case 1:
		o.p = numarena_scope_calloc(s, 1, o.size);
		require(o.p && is_zero(o.p, o.size), "calloc of %zu bytes", o.size);
		break;
	default:
		o.p = numarena_scope_alloc(s, o.size);
	}
	object_check_start(o.p, o.size);
	stamp(o.p, o.size, o.tag);
	return o;
}

static void check_all(const struct object *objects, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		object_check(&objects[i]);
}

/* Half of them, a mark, the rest, back to the mark: the first half is whole. */
static void fill_scope(struct lender *l, struct numarena_scope *s)
{
	struct object objects[NR_OBJECTS];
	size_t mark = 0;

	for (unsigned int i = 0; i < NR_OBJECTS; i++) {
		if (i == NR_OBJECTS / 2)
			mark = numarena_scope_mark(s);
		objects[i] = scope_object(l, s);
	}
	check_all(objects, NR_OBJECTS);
	numarena_scope_release(s, mark);
	check_all(objects, NR_OBJECTS / 2);
}

/* As a library would: allocates, grows, frees some, and leaves the rest. */
static void *captured_work(struct lender *l)
{
	struct object objects[NR_OBJECTS], kept;

	for (unsigned int i = 0; i < NR_OBJECTS; i++) {
		objects[i] = object_new(rng_log_size(&l->rng, 3, 12), l->next_tag++);
		if (i % 3 == 0)
			object_resize(&objects[i], objects[i].size * 2);
		if (i % 5 == 0)
			lend(l, 200);
	}
	check_all(objects, NR_OBJECTS);
	for (unsigned int i = NR_OBJECTS; i-- > NR_OBJECTS / 2; )
		object_delete(&objects[i]);
	kept = objects[0];
	kept.p = numarena_scope_keep(kept.p);
	object_check(&kept);
	check_all(&objects[1], NR_OBJECTS / 2 - 1);
	return kept.p;
}

static void request(struct lender *l, unsigned int depth)
{
	bool is_capturing = rng_next(&l->rng) >> 63;
	struct numarena_scope *s = numarena_scope_begin("stress", is_capturing ? NUMARENA_SCOPE_CAPTURE : 0);
	struct object mine = object_new(100, l->next_tag++);
	void *kept = NULL;

	require(s, "no scope");
	fill_scope(l, s);
	if (is_capturing)
		kept = captured_work(l);
	if (depth < MAX_DEPTH && rng_next(&l->rng) >> 62)
		request(l, depth + 1);
	await_all(l);
	object_delete(&mine);
	numarena_scope_end(s);
	numarena_free(kept);
}

static void fork_request(struct lender *l)
{
	struct numarena_scope *s = numarena_scope_begin("forked", NUMARENA_SCOPE_CAPTURE);
	struct object o = object_new(1000, l->next_tag++);
	pid_t pid = fork_or_fail();

	if (!pid) {
		object_resize(&o, 2000);
		object_delete(&o);
		numarena_scope_end(s);
		s = numarena_scope_begin("child", 0);
		require(numarena_scope_alloc(s, 100), "no memory in the child");
		_exit(EXIT_SUCCESS);
	}
	child_join(pid);
	object_delete(&o);
	numarena_scope_end(s);
}

static void *live(void *arg)
{
	struct lender *l = arg;
	unsigned long nr = stress_scaled(NR_REQUESTS);

	for (unsigned long i = 1; i <= nr; i++) {
		request(l, 0);
		if (i % FORK_EVERY == 0)
			fork_request(l);
	}
	/* They end with the thread. */
	require(numarena_scope_alloc(numarena_scope_begin("left", 0), 1 << 20), "no memory");
	require(numarena_scope_begin("left", NUMARENA_SCOPE_CAPTURE) && numarena_malloc(100), "no memory");
	return NULL;
}

static void *lives(void *arg)
{
	struct lender *l = arg;

	l->rng = rng_seeded((unsigned int)(l - lenders));
	l->next_tag = (uint64_t)(l - lenders + 1) << 40;
	for (unsigned int i = 0; i < NR_LIVES; i++)
		thread_join(thread_start(live, l));
	return NULL;
}

static void must_have_no_regions(void)
{
	struct numarena_stats s;

	require(!numarena_stats_get(&s, sizeof(s)), "statistics");
	require(!s.scope_bytes, "%" PRIu64 " bytes of regions were left", s.scope_bytes);
	require(s.nr_scopes, "no scopes were counted");
}

int main(void)
{
	stress_begin();
	threads_run(NR_THREADS, lives, lenders, sizeof(lenders[0]));
	must_have_no_regions();
	return EXIT_SUCCESS;
}
