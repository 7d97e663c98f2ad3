// SPDX-License-Identifier: MIT
/*
 * Threads on all nodes that allocate, and free for each other.
 *
 *	thread on 0  --- 1 free in 5 --->  thread on 1
 *	     ^				      |
 *	     +------ 1 free in 5 -------------+
 *
 * Each thread counts what it frees for others, and the library must have counted the same.
 * Where there is one node, threads free for others of the same.
 */
#include "arena/arena.h"

#include "guest.h"

#define NR_THREADS 4
#define NR_SLOTS 1500
#define NR_STEPS 20000

/* One object in 128 is large. */
#define LARGE_PART 128
#define MAX_LARGE_SHIFT 20

/* One free in 5 is another thread's. */
#define FOREIGN_PART 5

/* More than all that is given, should one thread get it all before it looks. */
#define INBOX_SLOTS (NR_THREADS * NR_STEPS / 4)

/* Where an object came from. */
struct parcel {
	struct object object;
	unsigned int from;	/* dense */
};

struct inbox {
	pthread_mutex_t lock;
	unsigned int nr;
	struct parcel parcels[INBOX_SLOTS];
};

struct worker {
	pthread_t thread;
	int cpu;
	unsigned int home;	/* dense */
	struct rng rng;
	struct inbox inbox;
	uint64_t nr_frees, nr_given;
	uint64_t frees_to[NAR_MAX_NODES];	/* of others' objects, by their node */
	uint64_t bytes_to[NAR_MAX_NODES];
	struct object slots[NR_SLOTS];
};

struct matrix {
	uint64_t frees[NAR_MAX_NODES * NAR_MAX_NODES];
	uint64_t bytes[NAR_MAX_NODES * NAR_MAX_NODES];
};

static struct worker workers[NR_THREADS];
static pthread_barrier_t barrier;

/* ---- Passing on ---- */

/* Of another node, if there is any. */
static struct worker *some_other(struct worker *w)
{
	unsigned int first = (unsigned int)rng_below(&w->rng, NR_THREADS), i;
	struct worker *other = NULL;

	for (i = 0; i < NR_THREADS; i++) {
		struct worker *at = &workers[(first + i) % NR_THREADS];

		if (at->home != w->home)
			return at;
		other = at == w ? other : at;
	}
	return other;
}

static void give(struct worker *to, struct parcel parcel)
{
	struct inbox *inbox = &to->inbox;

	pthread_mutex_lock(&inbox->lock);
	require(inbox->nr < INBOX_SLOTS, "%u parcels", inbox->nr);
	inbox->parcels[inbox->nr++] = parcel;
	pthread_mutex_unlock(&inbox->lock);
}

static bool try_receive(struct worker *w, struct parcel *parcel)
{
	struct inbox *inbox = &w->inbox;
	bool has_any;

	pthread_mutex_lock(&inbox->lock);
	has_any = inbox->nr;
	if (has_any)
		*parcel = inbox->parcels[--inbox->nr];
	pthread_mutex_unlock(&inbox->lock);
	return has_any;
}

/* Large blocks are nobody's: among threads of their own node nothing is remote. */
static void free_foreign(struct worker *w, struct parcel *parcel)
{
	if (parcel->from != w->home || parcel->object.size <= NAR_SMALL_MAX) {
		w->frees_to[parcel->from]++;
		w->bytes_to[parcel->from] += numarena_malloc_usable_size(parcel->object.p);
	}
	w->nr_frees++;
	object_delete(&parcel->object);
}

static void free_received(struct worker *w)
{
	struct parcel parcel;

	while (try_receive(w, &parcel))
		free_foreign(w, &parcel);
}

static void release(struct worker *w, struct object *o)
{
	if (rng_below(&w->rng, FOREIGN_PART)) {
		w->nr_frees++;
		object_delete(o);
	} else {
		w->nr_given++;
		give(some_other(w), (struct parcel){ *o, w->home });
		o->p = NULL;
	}
}

/* ---- The workload ---- */

static size_t some_size(struct rng *rng)
{
	if (rng_below(rng, LARGE_PART))
		return rng_log_size(rng, 4, 15);
	return rng_between(rng, NAR_SMALL_MAX + 1, (size_t)1 << rng_between(rng, 16, MAX_LARGE_SHIFT));
}

static void step(struct worker *w, uint64_t tag)
{
	struct object *o = &w->slots[rng_below(&w->rng, NR_SLOTS)];

	if (o->p)
		release(w, o);
	*o = object_new(some_size(&w->rng), tag);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	uint64_t tag = (uint64_t)(w - workers) << 32;
	unsigned int i;

	pthread_barrier_wait(&barrier);		/* the matrix was read */
	for (i = 0; i < NR_STEPS; i++) {
		step(w, tag + i);
		free_received(w);
	}
	pthread_barrier_wait(&barrier);		/* nobody gives any more */
	free_received(w);
	nar_post_send_all(nar_arena_own);
	pthread_barrier_wait(&barrier);		/* at rest */
	pthread_barrier_wait(&barrier);		/* that was looked at */
	for (i = 0; i < NR_SLOTS; i++)
		object_delete(&w->slots[i]);
	return NULL;
}

/* ---- The matrix ---- */

static struct matrix matrix_now(void)
{
	struct matrix m;

	require(!numarena_remote_matrix(m.frees, m.bytes, nar_nodes.nr), "%s", strerror(errno));
	return m;
}

static struct matrix counted_by_workers(void)
{
	struct matrix m = { 0 };
	unsigned int i, node;

	for (i = 0; i < NR_THREADS; i++) {
		for (node = 0; node < nar_nodes.nr; node++) {
			m.frees[workers[i].home * nar_nodes.nr + node] += workers[i].frees_to[node];
			m.bytes[workers[i].home * nar_nodes.nr + node] += workers[i].bytes_to[node];
		}
	}
	return m;
}

/*
 * Threads of one node share slabs of classes that they use now and then, and whose these are
 * changes: between nodes the numbers are exact, within one they are not.
 */
static bool is_as_counted(size_t i, uint64_t seen, uint64_t by)
{
	return i / nar_nodes.nr == i % nar_nodes.nr ? seen >= by / 2 : seen == by;
}

static void require_matrix_grew(const struct matrix *before, const struct matrix *by)
{
	struct matrix now = matrix_now();
	size_t i, nr = nar_nodes.nr;

	for (i = 0; i < nr * nr; i++) {
		printf("# node %u frees of node %u: %" PRIu64 ", %" PRIu64 " bytes\n",
		       nar_nodes.id[i / nr], nar_nodes.id[i % nr], by->frees[i], by->bytes[i]);
		require(is_as_counted(i, now.frees[i] - before->frees[i], by->frees[i]), "%" PRIu64 " frees",
			now.frees[i] - before->frees[i]);
		require(is_as_counted(i, now.bytes[i] - before->bytes[i], by->bytes[i]), "%" PRIu64 " bytes",
			now.bytes[i] - before->bytes[i]);
	}
}

/* Columns without the diagonal are what a node's statistics tell. */
static void require_columns_agree(void)
{
	struct matrix m = matrix_now();
	size_t row, column, nr = nar_nodes.nr;

	for (column = 0; column < nr; column++) {
		struct numarena_node_stats stats = node_stats_now(nar_nodes.id[column]);

		for (row = 0; row < nr; row++) {
			stats.remote_frees_in -= row == column ? 0 : m.frees[row * nr + column];
			stats.remote_bytes_in -= row == column ? 0 : m.bytes[row * nr + column];
		}
		require(!stats.remote_frees_in && !stats.remote_bytes_in, "node %d", stats.node);
	}
}

/* ---- Tests ---- */

static void start_workers(void)
{
	unsigned int i;
	int cpu = next_cpu(0);

	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++) {
		workers[i].cpu = cpu;
		workers[i].home = dense_of(home_of_cpu(cpu));
		workers[i].rng = rng_seeded(i);
		pthread_mutex_init(&workers[i].inbox.lock, NULL);
		workers[i].thread = thread_start_on(cpu, worker_run, &workers[i]);
		cpu = next_cpu(cpu + 1) < 0 ? next_cpu(0) : next_cpu(cpu + 1);
	}
}

static void end_workers(void)
{
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++)
		thread_join(workers[i].thread);
}

/* It is the workload that was meant: of the frees so many were for others. */
static void require_share(void)
{
	uint64_t frees = 0, given = 0;
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		frees += workers[i].nr_frees;
		given += workers[i].nr_given;
	}
	printf("# %" PRIu64 " of %" PRIu64 " frees by another thread\n", given, frees);
	require(given * FOREIGN_PART * 10 > frees * 9, "%" PRIu64 " of %" PRIu64, given, frees);
}

/*
 *	slots of each thread: live	inboxes: empty		queues: as they are
 *
 * Expect: 999 pages of 1,000 at home while all live and when all is freed; the matrix as the
 * threads have counted, place by place.
 */
START_TEST(pages_stay_home_and_frees_are_counted)
{
	struct matrix before, by;

	start_workers();
	before = matrix_now();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	require_share();
	require_right();
	by = counted_by_workers();
	require_matrix_grew(&before, &by);
	require_columns_agree();
	pthread_barrier_wait(&barrier);
	end_workers();
	require_right();
	require_matrix_grew(&before, &by);
}
END_TEST

/* ---- No object changes sides ---- */

#define SIZE 256
#define NR_OWNED 1000
#define NR_AFTER (3 * NR_OWNED)

struct meeting {
	pthread_barrier_t barrier;
	int cpu[2];
	void *owned[NR_OWNED];
	unsigned int nr_back;
};

static int by_address(const void *a, const void *b)
{
	const char *x = *(void *const *)a, *y = *(void *const *)b;

	return (x > y) - (x < y);
}

/* All that its slabs have comes before a new one is cut. */
static void *owner_run(void *arg)
{
	struct meeting *m = arg;
	unsigned int i;

	for (i = 0; i < NR_OWNED; i++)
		m->owned[i] = alloc_on(SIZE, home_of_cpu(m->cpu[0]));
	qsort(m->owned, NR_OWNED, sizeof(m->owned[0]), by_address);
	pthread_barrier_wait(&m->barrier);	/* the other's turn */
	pthread_barrier_wait(&m->barrier);	/* all freed there */
	for (i = 0; i < NR_OWNED + NAR_MAG_MAX; i++) {
		void *p = alloc_on(SIZE, home_of_cpu(m->cpu[0]));

		m->nr_back += bsearch(&p, m->owned, NR_OWNED, sizeof(p), by_address) != NULL;
	}
	return NULL;
}

static void *freer_run(void *arg)
{
	struct meeting *m = arg;
	int home = home_of_cpu(m->cpu[1]);
	unsigned int i;

	for (i = 0; i < NAR_MAG_MAX; i++)
		alloc_on(SIZE, home);
	pthread_barrier_wait(&m->barrier);
	for (i = 0; i < NR_OWNED; i++)
		numarena_free(m->owned[i]);
	for (i = 0; i < NR_AFTER; i++)
		alloc_on(SIZE, home);
	nar_post_send_all(nar_arena_own);
	pthread_barrier_wait(&m->barrier);
	return NULL;
}

/*
 *	thread on A: 1,000 objects  -->  thread on B: frees them, then allocates 3,000
 *	thread on A: allocates again
 *
 * Expect: of B's objects none lies on A; A has all of its own back.
 */
START_TEST(remote_frees_go_home)
{
	struct meeting m = { .cpu = { next_cpu(0), cpu_away_from(next_cpu(0)) } };
	pthread_t owner;

	pthread_barrier_init(&m.barrier, NULL, 2);
	owner = thread_start_on(m.cpu[0], owner_run, &m);
	run_on(m.cpu[1], freer_run, &m);
	thread_join(owner);
	require(m.nr_back == NR_OWNED, "%u of %d came back", m.nr_back, NR_OWNED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mixed");
	TCase *tc = guest_case(suite, "threads of all nodes");

	guest_begin();
	tcase_add_test(tc, pages_stay_home_and_frees_are_counted);
	if (cpu_away_from(next_cpu(0)) >= 0)
		tcase_add_test(tc, remote_frees_go_home);
	return tap_run(suite);
}
