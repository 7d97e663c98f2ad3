// SPDX-License-Identifier: MIT
/*
 * A thread that is moved to another node's CPU every 50 ms.
 *
 *	CPU	A ............ | B ........................... | A ...
 *	arena	A ............ | A ..... | B ................. | B ...
 *				 away	   followed
 *
 * Away, it notices at a refill, and after 10 ms gets an arena of the new node.  What it
 * takes from slabs then has to be local.  What goes round in a magazine is told apart by
 * keeping a shadow of the magazine: which of its objects came from a slab, and which the
 * thread itself has put there.
 */
#include "guest.h"

#define STAY_MS 50
#define NR_STAYS 24

#define SIZE 256
#define OTHER_SIZE 2560
#define MAG_OBJECTS 64		/* of SIZE, as long as it has not grown */

/* Live objects, and how many are replaced at once. */
#define WIDE_LIVE (10 * NAR_MAG_GROWN_MAX)
#define WIDE_WAVE (WIDE_LIVE / 2)
#define NARROW_LIVE (MAG_OBJECTS / 4)
#define NARROW_WAVE (NARROW_LIVE / 2)

/*
 * Beside a live set that never leaves its magazine: an object of another class so often, and
 * so many of them are freed together, more than a magazine holds.
 */
#define TRICKLE_WAVES 20
#define TRICKLE_LIVE 256

struct count {
	uint64_t nr, nr_local;
};

struct mover {
	unsigned int nr_live, wave;
	bool has_trickle;
	struct rng rng;
	int home;			/* of the CPU it is on */
	uint64_t tag;
	struct object live[WIDE_LIVE];
	struct object trickle[TRICKLE_LIVE];
	unsigned int nr_trickle;

	/* By depth in the magazine of SIZE. */
	bool from_slab[NAR_MAG_GROWN_MAX];

	/* Since the last move. */
	unsigned int nr_refills;
	u64 first_refill_ms;

	/* [0]: not followed yet. */
	struct count slab[2], magazine[2];
	unsigned int nr_switches;
};

/* ---- The shadow ---- */

static unsigned int magazine_room(void)
{
	const struct nar_mags *m = &nar_arena_own->mag;
	unsigned int class = nar_class_builtin(SIZE);

	return (unsigned int)(m->end[class] - m->top[class]);
}

static unsigned int depth_now(void)
{
	return nar_mag_nr(&nar_arena_own->mag, nar_class_builtin(SIZE));
}

static bool has_followed(const struct mover *m)
{
	return nar_nodes.id[nar_arena_own->member.node] == m->home;
}

static void count(struct count *c, const struct mover *m, const void *p)
{
	c->nr++;
	c->nr_local += numarena_node_of(p) == m->home;
}

/* It was @before when malloc began; if it was away often and long enough, it has followed. */
static void note_refill(struct mover *m, u64 before)
{
	m->nr_refills++;
	require(has_followed(m) || m->nr_refills <= AWAY_REFILLS ||
		before - m->first_refill_ms < AWAY_MS, "still on the old node after %u refills, %d ms",
		m->nr_refills, (int)(before - m->first_refill_ms));
	if (m->nr_refills == 1)
		m->first_refill_ms = nar_clock_ms();
}

static struct object alloc_other(struct mover *m)
{
	bool is_refill = !nar_arena_own->mag.top[nar_class_builtin(OTHER_SIZE)][-1],
	     was_away = !has_followed(m);
	u64 before = nar_clock_ms();
	struct object o = object_new(OTHER_SIZE, m->tag++);

	if (is_refill)
		note_refill(m, before);
	m->nr_switches += was_away && has_followed(m);
	return o;
}

static struct object alloc_counted(struct mover *m)
{
	unsigned int depth = depth_now();
	bool was_away = !has_followed(m), from_slab = !depth || m->from_slab[depth - 1];
	u64 before = depth ? 0 : nar_clock_ms();
	struct object o = object_new(SIZE, m->tag++);

	if (!depth) {
		note_refill(m, before);
		memset(m->from_slab, true, sizeof(m->from_slab));
	}
	count(from_slab ? &m->slab[has_followed(m)] : &m->magazine[has_followed(m)], m, o.p);
	m->nr_switches += was_away && has_followed(m);
	return o;
}

/* A full magazine first gives its oldest away; what is another's does not enter it. */
static void free_counted(struct mover *m, struct object *o)
{
	unsigned int depth = depth_now(), gone;

	if (!o->p)
		return;
	object_delete(o);
	if (depth_now() == depth)
		return;
	gone = depth + 1 - depth_now();
	memmove(m->from_slab, m->from_slab + gone, (depth - gone) * sizeof(m->from_slab[0]));
	m->from_slab[depth - gone] = false;
}

/* ---- The workload ---- */

static void make_wave(struct mover *m)
{
	unsigned int i, first = (unsigned int)rng_below(&m->rng, m->nr_live);

	for (i = 0; i < m->wave; i++)
		free_counted(m, &m->live[(first + i) % m->nr_live]);
	for (i = 0; i < m->wave; i++)
		m->live[(first + i) % m->nr_live] = alloc_counted(m);
}

static void end_trickle(struct mover *m)
{
	while (m->nr_trickle)
		object_delete(&m->trickle[--m->nr_trickle]);
}

static void make_trickle(struct mover *m)
{
	if (m->nr_trickle == TRICKLE_LIVE)
		end_trickle(m);
	m->trickle[m->nr_trickle++] = alloc_other(m);
}

static void stay(struct mover *m)
{
	u64 arrived = nar_clock_ms();
	unsigned int waves = 0;

	m->nr_refills = 0;
	do {
		make_wave(m);
		if (m->has_trickle && ++waves % TRICKLE_WAVES == 0)
			make_trickle(m);
	} while (nar_clock_ms() - arrived < STAY_MS);
}

static void *mover_run(void *arg)
{
	int cpu = next_cpu(0), away = cpu_away_from(cpu), i;
	struct mover *m = arg;

	m->home = home_of_cpu(cpu);
	numarena_free(must_malloc(1));	/* an arena */
	require(magazine_room() == MAG_OBJECTS, "a magazine holds %d", MAG_OBJECTS);
	for (i = 0; i < (int)m->nr_live; i++)
		m->live[i] = alloc_counted(m);
	for (i = 0; i < NR_STAYS; i++) {
		move_to(i % 2 ? cpu : away);
		m->home = home_of_cpu(i % 2 ? cpu : away);
		stay(m);
	}
	for (i = 0; i < (int)m->nr_live; i++)
		object_delete(&m->live[i]);
	end_trickle(m);
	return NULL;
}

/* ---- The verdict ---- */

static void print_count(const char *what, const struct count *c)
{
	printf("# %s: %" PRIu64 " objects, %.1f %% local\n", what, c->nr,
	       c->nr ? 100.0 * (double)c->nr_local / (double)c->nr : 0.0);
}

static void check_mover(const struct mover *m)
{
	printf("# %u switches in %d stays\n", m->nr_switches, NR_STAYS);
	print_count("away, from slabs", &m->slab[0]);
	print_count("away, round a magazine", &m->magazine[0]);
	print_count("followed, from slabs", &m->slab[1]);
	print_count("followed, round a magazine", &m->magazine[1]);
	/* Where two processors play a whole machine, a stay may be too short. */
	require(m->nr_switches >= NR_STAYS / 4, "%u switches", m->nr_switches);
	require(m->slab[1].nr, "nothing was taken from slabs");
	require(m->slab[1].nr_local * 100 >= m->slab[1].nr * 95, "%" PRIu64 " of %" PRIu64
		" objects from slabs are local", m->slab[1].nr_local, m->slab[1].nr);
	require(m->magazine[1].nr_local == m->magazine[1].nr,
		"a magazine of the new arena has old objects");
}

/*
 *	live: ten of the largest magazines; half of it is replaced at once
 *
 * Expect: once followed, at least 95 of 100 objects from slabs are local, and all of those
 * that have been freed since; followed as soon as 3 refills and 10 ms have passed.
 */
START_TEST(live_set_of_ten_magazines)
{
	static struct mover m = { .nr_live = WIDE_LIVE, .wave = WIDE_WAVE };

	run_on(next_cpu(0), mover_run, &m);
	check_mover(&m);
	require_right();
}
END_TEST

/*
 *	live: 16 objects, 8 are replaced at once, all inside the magazine: no refills
 *	beside it: now and then an object of another class, so there are some after all
 *
 * Expect: the same.  Most goes round in the magazine until the thread has followed, and is
 * gone from it then.
 */
START_TEST(live_set_inside_a_magazine)
{
	static struct mover m = { .nr_live = NARROW_LIVE, .wave = NARROW_WAVE, .has_trickle = true };

	run_on(next_cpu(0), mover_run, &m);
	check_mover(&m);
	require(m.magazine[0].nr > m.slab[0].nr, "the live set left its magazine");
	require_right();
}
END_TEST

/* ---- What is left behind ---- */

#define NR_OLD 1000

struct traveller {
	int cpu, away;
	struct object old[NR_OLD];
	void *freed[NR_OLD / 2];
	unsigned int nr_back;
};

static int by_address(const void *a, const void *b)
{
	const char *x = *(void *const *)a, *y = *(void *const *)b;

	return (x > y) - (x < y);
}

static void *traveller_run(void *arg)
{
	struct traveller *t = arg;
	unsigned int i;

	for (i = 0; i < NR_OLD; i++)
		t->old[i] = object_new(SIZE, i);
	move_to(t->away);
	refill_until_followed(home_of_cpu(t->away));
	for (i = 0; i < NR_OLD; i++) {
		object_check(&t->old[i]);
		require_on(t->old[i].p, SIZE, home_of_cpu(t->cpu), "an old object");
	}
	for (i = 0; i < NR_OLD; i += 2) {
		t->freed[i / 2] = t->old[i].p;
		object_delete(&t->old[i]);
	}
	for (i = 0; i < NR_OLD; i++)
		alloc_on(SIZE, home_of_cpu(t->away));
	return NULL;
}

/* What lies on a node's shelf is used up before a slab is cut. */
static void *dweller_run(void *arg)
{
	struct traveller *t = arg;
	unsigned int i;

	qsort(t->freed, NR_OLD / 2, sizeof(t->freed[0]), by_address);
	for (i = 0; i < NR_OLD; i++) {
		void *p = alloc_on(SIZE, home_of_cpu(t->cpu));

		t->nr_back += bsearch(&p, t->freed, NR_OLD / 2, sizeof(p), by_address) != NULL;
	}
	return NULL;
}

/*
 *	node A: | old . old . old . |	free -> shelf of A -> another thread of A
 *	node B: thread, its new objects
 *
 * Expect: old objects stay as they were and where they were.  Those freed are found on A and
 * not on B.
 */
START_TEST(old_objects_go_home)
{
	static struct traveller t;
	unsigned int i;

	t.cpu = next_cpu(0);
	t.away = cpu_away_from(t.cpu);
	run_on(t.cpu, traveller_run, &t);
	run_on(t.cpu, dweller_run, &t);
	require(t.nr_back == NR_OLD / 2, "%u of %d came back", t.nr_back, NR_OLD / 2);
	for (i = 0; i < NR_OLD; i++)
		object_delete(&t.old[i]);
	require_right();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tc = guest_case(suite, "one thread, two nodes");

	guest_begin();
	if (cpu_away_from(next_cpu(0)) < 0)
		tap_skip_all("all CPUs have their memory on one node");
	tcase_add_test(tc, live_set_of_ten_magazines);
	tcase_add_test(tc, live_set_inside_a_magazine);
	tcase_add_test(tc, old_objects_go_home);
	return tap_run(suite);
}
