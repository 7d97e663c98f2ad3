// SPDX-License-Identifier: MIT
#include "run.h"
#include "locality.h"
#include "machine.h"
#include "process.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

#define WARM_DIVISOR	10	/* warm-up: so small a part of the operations */

/*
 * A run is disturbed if others took more than this of its processors' time.  The
 * kernel counts that in ticks of 10 ms on each processor, so three prove nothing.
 */
#define DISTURBED_SHARE		0.05
#define DISTURBED_SECONDS	0.03

/* What one thread took, written by itself. */
struct thread {
	pthread_t id;
	struct worker *worker;
	uint64_t start_ns, end_ns;		/* of the throughput pass */
	uint64_t cpu_ns;			/* used in it */
	uint64_t cpu_start_ns, cpu_end_ns;	/* from its start to the latency pass's end */
	uint64_t nr_frees, nr_remote_frees;	/* in the throughput pass */
};

/* What the main thread saw between the passes. */
static struct {
	uint64_t faults_before, faults_after;
	uint64_t window_start_ns, window_end_ns;
	double busy_start, busy_end;
} seen;

static struct run_settings settings;
static struct thread threads[MAX_THREADS];
static struct worker *team;
static unsigned char cpu_used[MAX_CPUS];
static pthread_barrier_t barrier;

/* ---- The threads' side ---- */

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

/*
 * Operations are shared out evenly, the remainder to the first threads.  In a pair
 * where one frees what the other allocates, both count the same operations.
 */
static uint64_t share_of(uint64_t nr_ops, unsigned int index)
{
	uint64_t nr_shares = settings.nr_threads;

	if (settings.load->kind == LOAD_HANDOVER) {
		nr_shares /= 2;
		index /= 2;
	}
	return nr_ops / nr_shares + (index < nr_ops % nr_shares);
}

static void pass_warm(struct thread *thread)
{
	struct worker *worker = thread->worker;

	worker_run(worker, share_of(settings.nr_ops / WARM_DIVISOR, worker->index), PASS_WARM);
}

static void pass_plain(struct thread *thread)
{
	struct worker *worker = thread->worker;
	uint64_t nr_ops = share_of(settings.nr_ops, worker->index);
	uint64_t frees = worker->nr_frees, remote_frees = worker->nr_remote_frees;

	thread->cpu_start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	thread->start_ns = clock_ns(CLOCK_MONOTONIC);
	worker_run(worker, nr_ops, PASS_PLAIN);
	thread->end_ns = clock_ns(CLOCK_MONOTONIC);
	thread->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread->cpu_start_ns;
	thread->nr_frees = worker->nr_frees - frees;
	thread->nr_remote_frees = worker->nr_remote_frees - remote_frees;
}

static void pass_timed(struct thread *thread)
{
	struct worker *worker = thread->worker;

	worker_run(worker, share_of(settings.nr_timed_ops, worker->index), PASS_TIMED);
	thread->cpu_end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Each meet() here has its partner in passes_watch(), or in run() the last. */
static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	struct worker *worker = thread->worker;

	cpu_pin(worker->cpu);
	meet();
	worker_fill(worker);
	meet();
	pass_warm(thread);
	meet();
	/* The main thread opens its window. */
	meet();
	pass_plain(thread);
	meet();
	worker_check(worker);
	meet();
	pass_timed(thread);
	meet();
	worker_check(worker);
	meet();
	/* The main thread looks at the live objects. */
	meet();
	worker_empty(worker);
	return NULL;
}

/* ---- The main thread's side ---- */

static void worker_place(struct worker *worker)
{
	unsigned int nr_nodes = settings.placement == PLACE_SPREAD ? machine_nr_nodes() : 1;

	/* Within a node each thread keeps one processor, the next one in turn. */
	worker->node = worker->index % nr_nodes;
	worker->cpu = node_cpu(worker->node, worker->index / nr_nodes);
	cpu_used[worker->cpu] = 1;
}

/* Who frees for @worker: the next thread of another node; of any, if all share one. */
static struct worker *reader_of(const struct worker *worker)
{
	unsigned int nr = settings.nr_threads;

	if (settings.load->kind == LOAD_HANDOVER)
		return worker->index % 2 ? NULL : &team[worker->index + 1];
	for (unsigned int i = 1; i < nr; i++)
		if (team[(worker->index + i) % nr].node != worker->node)
			return &team[(worker->index + i) % nr];
	return nr > 1 ? &team[(worker->index + 1) % nr] : NULL;
}

static void team_prepare(void)
{
	unsigned int i, nr = settings.nr_threads;

	team = own_map(nr * sizeof(*team));
	for (i = 0; i < nr; i++) {
		team[i].team = team;
		team[i].nr_team = nr;
		team[i].index = i;
		worker_place(&team[i]);
	}
	for (i = 0; i < nr; i++) {
		team[i].reader = reader_of(&team[i]);
		worker_prepare(&team[i], settings.load, settings.seed,
			       settings.remote_percent / 100.0);
	}
	for (i = 0; i < nr; i++)
		worker_link(&team[i]);
}

static void threads_start(void)
{
	int err;

	pthread_barrier_init(&barrier, NULL, settings.nr_threads + 1);
	for (unsigned int i = 0; i < settings.nr_threads; i++) {
		threads[i].worker = &team[i];
		err = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]);
		if (err)
			die("thread %u: %s", i, strerror(err));
	}
}

static void window_open(void)
{
	seen.busy_start = cpus_busy_seconds(cpu_used, MAX_CPUS);
	seen.window_start_ns = clock_ns(CLOCK_MONOTONIC);
}

static void window_close(void)
{
	seen.window_end_ns = clock_ns(CLOCK_MONOTONIC);
	seen.busy_end = cpus_busy_seconds(cpu_used, MAX_CPUS);
}

static void passes_watch(void)
{
	meet();			/* all are there */
	seen.faults_before = faults_count();
	meet();			/* filled */
	meet();			/* warm */
	window_open();
	meet();			/* go */
	meet();			/* throughput is done */
	seen.faults_after = faults_count();
	meet();			/* checked */
	meet();			/* latency is done */
	window_close();
	meet();			/* checked */
}

static void threads_join(void)
{
	for (unsigned int i = 0; i < settings.nr_threads; i++)
		pthread_join(threads[i].id, NULL);
}

/* ---- What it took ---- */

static double plain_seconds(void)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (unsigned int i = 0; i < settings.nr_threads; i++) {
		if (threads[i].start_ns < start)
			start = threads[i].start_ns;
		if (threads[i].end_ns > end)
			end = threads[i].end_ns;
	}
	return (double)(end - start) / 1e9;
}

static double cpu_seconds(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < settings.nr_threads; i++)
		sum += threads[i].cpu_ns;
	return (double)sum / 1e9;
}

static double remote_free_share(void)
{
	uint64_t frees = 0, remote_frees = 0;

	for (unsigned int i = 0; i < settings.nr_threads; i++) {
		frees += threads[i].nr_frees;
		remote_frees += threads[i].nr_remote_frees;
	}
	/* So few operations may not have freed anything. */
	return frees ? (double)remote_frees / (double)frees : 0;
}

static double peak_live_bytes(void)
{
	int64_t peak = 0;

	for (unsigned int i = 0; i < settings.nr_threads; i++)
		if (team[i].peak_bytes > peak)
			peak = team[i].peak_bytes;
	return (double)peak;
}

static void latency_merge(struct run_result *result)
{
	for (unsigned int i = 0; i < settings.nr_threads; i++) {
		histogram_merge(&result->alloc, &team[i].alloc);
		histogram_merge(&result->free, &team[i].free);
	}
}

/*
 * Seconds that others, the hypervisor included, spent on our processors between the
 * throughput pass's start and the latency pass's end.
 */
static double others_cpu_seconds(void)
{
	double others = seen.busy_end - seen.busy_start;

	if (seen.busy_start < 0 || seen.busy_end < 0)
		return NOT_MEASURED;
	for (unsigned int i = 0; i < settings.nr_threads; i++)
		others -= (double)(threads[i].cpu_end_ns - threads[i].cpu_start_ns) / 1e9;
	return others > 0 ? others : 0;
}

static void disturbance(struct run_result *result)
{
	double window = (double)(seen.window_end_ns - seen.window_start_ns) / 1e9;
	double others = others_cpu_seconds(), share;
	unsigned int nr_cpus = 0;

	result->others_cpu_share = result->is_disturbed = NOT_MEASURED;
	if (others < 0)
		return;
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		nr_cpus += cpu_used[i];
	share = others / (window * nr_cpus);
	result->others_cpu_share = share < 1 ? share : 1;
	result->is_disturbed = share > DISTURBED_SHARE && others > DISTURBED_SECONDS;
}

/* ---- The live objects ---- */

static void each_live(void (*visit)(struct worker *worker, void *object, uint32_t bytes,
				    void *arg),
		      void *arg)
{
	for (unsigned int i = 0; i < settings.nr_threads; i++)
		worker_each(&team[i], visit, arg);
}

struct sizes {
	double usable, requested;
};

static void visit_usable(struct worker *worker, void *object, uint32_t bytes, void *arg)
{
	struct sizes *sum = arg;
	size_t usable = malloc_usable_size(object);

	(void)worker;
	if (usable < bytes)
		die("object %p of %u bytes has only %zu", object, bytes, usable);
	sum->usable += (double)usable;
	sum->requested += bytes;
}

static double usable_ratio(void)
{
	struct sizes sum = { 0, 0 };

	each_live(visit_usable, &sum);
	return sum.requested > 0 ? sum.usable / sum.requested : NOT_MEASURED;
}

static void visit_locality(struct worker *worker, void *object, uint32_t bytes, void *unused)
{
	(void)unused;
	locality_add(object, bytes, worker->node);
}

static double local_page_share(void)
{
	locality_begin();
	each_live(visit_locality, NULL);
	return locality_share();
}

/* Peak first: to look at the rest takes memory of its own. */
static void memory_look(struct run_result *result)
{
	result->peak_rss_bytes = peak_rss_bytes();
	result->own_bytes = (double)own_bytes();
	result->huge_coverage = huge_coverage();
	result->usable_ratio = usable_ratio();
	result->local_page_share = local_page_share();
}

void run(const struct run_settings *wanted, struct run_result *result)
{
	settings = *wanted;
	team_prepare();
	threads_start();
	passes_watch();
	memory_look(result);
	meet();
	threads_join();

	result->seconds = plain_seconds();
	result->cpu_seconds = cpu_seconds();
	result->remote_free_share = remote_free_share();
	result->page_faults = (double)(seen.faults_after - seen.faults_before);
	result->peak_live_bytes = peak_live_bytes();
	latency_merge(result);
	disturbance(result);
}
