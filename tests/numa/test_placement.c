// SPDX-License-Identifier: MIT
/*
 * Where memory lies that threads on all CPUs have written.
 *
 *	thread on a CPU of n	-> | window of n: chunks, large blocks | tables of n | arena of n |
 *	thread bound to n, which has no CPUs		likewise
 *
 * Page by page by move_pages, mapping by mapping by numa_maps; only then by the audit,
 * which has to say the same.
 */
#include "arena/arena.h"

#include "guest.h"

#define NR_OBJECTS 500
#define MAX_HOLDERS 16

/* Of so many objects one is large, and one aligned. */
#define LARGE_PART 24
#define ALIGNED_PART 4

#define MIN_LARGE KIB(33)
#define MAX_LARGE_SHIFT 22	/* 4 MiB */
#define MAX_ALIGN_SHIFT 21	/* a huge page */

/* One thread and what it holds. */
struct holder {
	pthread_t thread;
	int cpu;
	int home;
	bool is_bound;		/* to a node without CPUs */
	struct rng rng;
	struct object objects[NR_OBJECTS];
};

static struct holder holders[MAX_HOLDERS];
static unsigned int nr_holders;
static pthread_barrier_t barrier;

/* ---- Objects ---- */

static size_t some_size(struct rng *rng)
{
	if (rng_below(rng, LARGE_PART))
		return rng_log_size(rng, 4, 15);
	return rng_between(rng, MIN_LARGE, (size_t)1 << rng_between(rng, 16, MAX_LARGE_SHIFT));
}

static struct object some_object(struct rng *rng, uint64_t tag)
{
	size_t size = some_size(rng);
	unsigned int max_shift = size < NAR_SMALL_MAX ? 12 : MAX_ALIGN_SHIFT;

	if (rng_below(rng, ALIGNED_PART))
		return object_new(size, tag);
	return object_new_aligned((size_t)1 << rng_between(rng, 5, max_shift), size, tag);
}

/* What describes it; the bitmap only if something was freed there. */
static void check_small_tables(const void *p, int home)
{
	u32 slab = nar_slab_around(p);

	require_on(nar_slab_at(slab), sizeof(struct nar_slab), home, "a slab's descriptor");
	require_on(&nar_mem.map[slab], sizeof(nar_mem.map[slab]), home, "the slice map");
	require(!look_at(nar_mem.bits[slab], sizeof(nar_mem.bits[slab]), home).misplaced, "a bitmap");
}

static void check_large_tables(const void *p, int home)
{
	require_on(&nar_mem.extent[nar_offset(p) >> PAGE_SHIFT], sizeof(struct nar_extent), home,
		   "an extent's descriptor");
	require_on(&nar_mem.unit[nar_offset(p) >> HUGE_SHIFT], sizeof(struct nar_unit), home,
		   "a unit's descriptor");
}

static void check_object(const struct object *o, int home)
{
	require_on(o->p, o->size, home, "an object");
	require(numarena_node_of(o->p) == home && numarena_node_of((char *)o->p + o->size - 1) == home,
		"%p is meant for %d, not %d", o->p, numarena_node_of(o->p), home);
	if (o->size <= NAR_SMALL_MAX && nar_entry_of(o->p))
		check_small_tables(o->p, home);
	else
		check_large_tables(o->p, home);
}

/* Magazines lie behind the arena itself; the last one's end is its end. */
static void check_arena(int home)
{
	const struct nar_arena *a = nar_arena_own;
	void **end = a->mag.end[0];
	unsigned int class;

	require(nar_nodes.id[a->member.node] == home, "an arena of node %u", a->member.node);
	for (class = 1; class < NAR_NR_BUILTIN; class++)
		end = max_of(end, a->mag.end[class]);
	require_on(a, PAGE_BYTES, home, "an arena");	/* not all of it has been used */
	require(!look_at(a, (size_t)((char *)end - (char *)a), home).misplaced, "a magazine");
}

/* ---- Threads ---- */

static void *holder_run(void *arg)
{
	struct holder *h = arg;
	unsigned int i;

	if (h->is_bound)
		require(!numarena_thread_bind(h->home), "node %d: %s", h->home, strerror(errno));
	for (i = 0; i < NR_OBJECTS; i++)
		h->objects[i] = some_object(&h->rng, (uint64_t)(h - holders) * NR_OBJECTS + i);
	for (i = 0; i < NR_OBJECTS; i++)
		check_object(&h->objects[i], h->home);
	check_arena(h->home);
	pthread_barrier_wait(&barrier);		/* all hold theirs */
	pthread_barrier_wait(&barrier);		/* that was looked at */
	for (i = 0; i < NR_OBJECTS; i += 2)
		object_delete(&h->objects[i]);
	return NULL;
}

static void holder_add(int cpu, int home, bool is_bound)
{
	require(nr_holders < MAX_HOLDERS, "too many CPUs");
	holders[nr_holders] = (struct holder){
		.cpu = cpu, .home = home, .is_bound = is_bound, .rng = rng_seeded(nr_holders)
	};
	nr_holders++;
}

static void add_holders(void)
{
	int cpu, id;

	for_each_cpu(cpu)
		holder_add(cpu, home_of_cpu(cpu), false);
	for (id = 0; id < (int)machine.nr_ids; id++)
		if (machine.has_memory[id] && cpu_at(id) < 0)
			holder_add(next_cpu(0), id, true);
}

static void start_holders(void)
{
	unsigned int i;

	add_holders();
	pthread_barrier_init(&barrier, NULL, nr_holders + 1);
	for (i = 0; i < nr_holders; i++)
		holders[i].thread = thread_start_on(holders[i].cpu, holder_run, &holders[i]);
}

static void end_holders(void)
{
	unsigned int i;

	for (i = 0; i < nr_holders; i++)
		thread_join(holders[i].thread);
}

static void free_rest(void)
{
	unsigned int i, k;

	for (i = 0; i < nr_holders; i++)
		for (k = 0; k < NR_OBJECTS; k++)
			object_delete(&holders[i].objects[k]);
}

/*
 *	CPU 0	-> node 0: | 16 B ... 32 KiB | 33 KiB ... 4 MiB | aligned to 2 MiB |
 *	CPU 1	-> node 1: | ...						   |
 *
 * Expect: every page of every object and of what describes it on the thread's node, and
 * so says the audit; also after half was freed by its threads and the rest by another.
 */
START_TEST(memory_lies_where_its_thread_runs)
{
	start_holders();
	pthread_barrier_wait(&barrier);
	require_right();
	pthread_barrier_wait(&barrier);
	end_holders();
	require_right();
	free_rest();
	require_right();
}
END_TEST

/* ---- Who touches it first ---- */

#define NR_UNTOUCHED 400

struct gift {
	int giver, taker;	/* CPUs */
	struct object objects[NR_UNTOUCHED];
};

static void *giver_run(void *arg)
{
	struct gift *g = arg;
	unsigned int i;

	for (i = 0; i < NR_UNTOUCHED; i++) {
		size_t size = i % 16 ? 2048 : MIB(1);

		g->objects[i] = (struct object){ must_malloc(size), size, i };
	}
	return NULL;
}

static void *taker_run(void *arg)
{
	struct gift *g = arg;
	unsigned int i;

	for (i = 0; i < NR_UNTOUCHED; i++) {
		struct object *o = &g->objects[i];

		stamp(o->p, o->size, o->tag);
		require_on(o->p, o->size, home_of_cpu(g->giver), "a gift");
		object_delete(o);
	}
	return NULL;
}

/*
 *	thread on A: malloc	-> | not touched | <- write: thread on B
 *
 * Expect: pages on A, where the memory was asked for, whoever brings them in.
 */
START_TEST(first_touch_does_not_decide)
{
	static struct gift g;

	g.giver = next_cpu(0);
	g.taker = cpu_away_from(g.giver);
	run_on(g.giver, giver_run, &g);
	run_on(g.taker, taker_run, &g);
	require_right();
}
END_TEST

/* ---- Does the audit see anything? ---- */

#define NR_MOVED 16
#define MOVED_BYTES (4 * NR_MOVED * PAGE_BYTES)

struct moved {
	int home, away;
};

static void move_pages_to(char *p, int id)
{
	int to[NR_MOVED], status[NR_MOVED];
	unsigned int i;

	for (i = 0; i < NR_MOVED; i++)
		to[i] = id;
	ask_pages(p, NR_MOVED, to, status);
	require(look_at(p, NR_MOVED * PAGE_BYTES, id).misplaced == 0, "pages did not move");
}

/* A young process: its pages are small, so just these go. */
static void *moved_run(void *arg)
{
	const struct moved *m = arg;
	unsigned int home = dense_of(m->home), away = dense_of(m->away);
	char *p = alloc_on(MOVED_BYTES, m->home);
	struct numarena_audit before = *audit_now();
	const struct numarena_audit *after;

	move_pages_to(p + NR_MOVED * PAGE_BYTES, m->away);
	after = audit_by_both();
	require(after->misplaced == before.misplaced + NR_MOVED, "%" PRIu64, after->misplaced);
	require(after->at[home].misplaced[NUMARENA_KIND_LARGE] ==
		before.at[home].misplaced[NUMARENA_KIND_LARGE] + NR_MOVED, "not of the block's node");
	require(after->at[away].strangers == before.at[away].strangers + NR_MOVED, "strangers");
	require(numarena_node_of(p + NR_MOVED * PAGE_BYTES) == m->home, "what it is meant for");
	move_pages_to(p + NR_MOVED * PAGE_BYTES, m->home);
	require(audit_now()->misplaced == before.misplaced, "%" PRIu64, audit_now()->misplaced);
	numarena_free(p);
	return NULL;
}

/*
 *	node 0:	| block   [16 pages]	|	-> node 1
 *
 * Expect: as many pages misplaced, of large blocks of node 0, and strangers on node 1; none
 * once they are back.
 */
START_TEST(audit_finds_what_was_moved)
{
	struct moved m = { home_of_cpu(next_cpu(0)), 0 };

	m.away = nearest_but(m.home, 1ull << m.home);
	run_on(next_cpu(0), moved_run, &m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tc = guest_case(suite, "by page");

	guest_begin();
	tcase_add_test(tc, memory_lies_where_its_thread_runs);
	if (cpu_away_from(next_cpu(0)) >= 0)
		tcase_add_test(tc, first_touch_does_not_decide);
	if (nar_nodes.nr > 1)
		tcase_add_test(tc, audit_finds_what_was_moved);
	return tap_run(suite);
}
