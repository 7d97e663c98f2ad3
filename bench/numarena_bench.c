// SPDX-License-Identifier: MIT
/*
 * One run: one workload, one number of threads, whatever malloc is preloaded.
 *
 * Prints one row of bench.csv.  scripts/numa_bench.sh runs this program for each
 * allocator in turn and compares the rows; the columns are explained by --columns.
 *
 * The threads pass through these steps together, a barrier between any two:
 *
 *	fill	the live set
 *	warm	a tenth of the operations; objects are checked when freed
 *	plain	the throughput pass: the clock runs from the barrier to the last thread
 *	check	every live object is as it was written
 *	timed	the latency pass: each call between two readings of the counter
 *	check	again; then the main thread looks at the memory and ends the process
 *
 * What the benchmark needs for itself is mapped before, never malloc'ed.
 */
#include "latency.h"
#include "machine.h"
#include "process.h"
#include "workload.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_THREADS	1024
#define WARM_DIVISOR	10		/* warm-up: so small a part of the operations */
#define MIB_SHIFT	20

/*
 * A run is disturbed if others took more than this of its processors' time.  The
 * kernel counts that in ticks of 10 ms on each processor, so three prove nothing.
 */
#define DISTURBED_SHARE		0.05
#define DISTURBED_SECONDS	0.03

enum placement { PLACE_PINNED, PLACE_SPREAD };

static const char *const placement_names[] = { "pinned", "spread" };

static struct {
	const struct workload *load;
	unsigned int nr_threads;
	uint64_t nr_ops, nr_timed_ops;	/* of all threads together */
	uint64_t seed;
	enum placement placement;
	unsigned int remote_percent;
	unsigned int pretend_nodes;
	const char *allocator, *round;	/* labels for the row */
	const char *library;		/* malloc must be from a file so named; or NULL */
} options = {
	.nr_threads = 1, .nr_ops = 1000000, .nr_timed_ops = 200000, .seed = 1,
	.allocator = "system", .round = "0",
};

/* What one pass took, written by its thread. */
struct thread {
	pthread_t id;
	struct worker *worker;
	uint64_t start_ns, end_ns;	/* of the throughput pass */
	uint64_t cpu_ns;		/* used in it */
	uint64_t cpu_start_ns, cpu_end_ns;	/* from its start to the end of the latency pass */
	uint64_t nr_frees, nr_remote_frees;	/* in the throughput pass */
};

/* What the main thread saw. */
static struct {
	uint64_t faults_before, faults_after;
	uint64_t window_start_ns, window_end_ns;
	double busy_start, busy_end;
	double peak_rss, huge_coverage;
	size_t own_bytes;
} seen;

static struct thread threads[MAX_THREADS];
static struct worker *team;
static unsigned char cpu_used[MAX_CPUS];
static pthread_barrier_t barrier;

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

/* ---- Threads ---- */

/*
 * Operations are shared out evenly, the remainder to the first threads.  In a pair
 * where one frees what the other allocates, both count the same operations.
 */
static uint64_t share_of(uint64_t nr_ops, unsigned int index)
{
	uint64_t nr_shares = options.nr_threads;

	if (options.load->kind == LOAD_HANDOVER) {
		nr_shares /= 2;
		index /= 2;
	}
	return nr_ops / nr_shares + (index < nr_ops % nr_shares);
}

static void pass_plain(struct thread *thread)
{
	struct worker *worker = thread->worker;
	uint64_t nr_ops = share_of(options.nr_ops, worker->index);
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

	worker_run(worker, share_of(options.nr_timed_ops, worker->index), PASS_TIMED);
	thread->cpu_end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The steps are main's, in measure(); each meet() here has its partner there. */
static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	struct worker *worker = thread->worker;

	cpu_pin(worker->cpu);
	meet();
	worker_fill(worker);
	meet();
	worker_run(worker, share_of(options.nr_ops / WARM_DIVISOR, worker->index), PASS_WARM);
	meet();
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

static void threads_start(void)
{
	int err;

	pthread_barrier_init(&barrier, NULL, options.nr_threads + 1);
	for (unsigned int i = 0; i < options.nr_threads; i++) {
		threads[i].worker = &team[i];
		err = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]);
		if (err)
			die("thread %u: %s", i, strerror(err));
	}
}

static void window_open(void)
{
	seen.busy_start = cpus_busy_seconds(cpu_used, ARRAY_SIZE(cpu_used));
	seen.window_start_ns = clock_ns(CLOCK_MONOTONIC);
}

static void window_close(void)
{
	seen.window_end_ns = clock_ns(CLOCK_MONOTONIC);
	seen.busy_end = cpus_busy_seconds(cpu_used, ARRAY_SIZE(cpu_used));
}

static void measure(void)
{
	meet();
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
	seen.peak_rss = peak_rss_bytes();
	seen.own_bytes = own_bytes();
	seen.huge_coverage = huge_coverage();
}

static void threads_finish(void)
{
	meet();
	for (unsigned int i = 0; i < options.nr_threads; i++)
		pthread_join(threads[i].id, NULL);
}

/* ---- Placement ---- */

/*
 * Spread: thread i runs on node i, round and round.  Pinned: all on node 0.  Within
 * a node each thread keeps one processor, the next one in turn.
 */
static void worker_place(struct worker *worker)
{
	unsigned int nr_nodes = options.placement == PLACE_SPREAD ? machine_nr_nodes() : 1;

	worker->node = worker->index % nr_nodes;
	worker->cpu = node_cpu(worker->node, worker->index / nr_nodes);
	if (worker->cpu < ARRAY_SIZE(cpu_used))
		cpu_used[worker->cpu] = 1;
}

/* Who frees for @worker: the next thread of another node; of any, if all share one. */
static struct worker *reader_of(const struct worker *worker)
{
	unsigned int nr = options.nr_threads;

	if (options.load->kind == LOAD_HANDOVER)
		return worker->index % 2 ? NULL : &team[worker->index + 1];
	for (unsigned int i = 1; i < nr; i++)
		if (team[(worker->index + i) % nr].node != worker->node)
			return &team[(worker->index + i) % nr];
	return nr > 1 ? &team[(worker->index + 1) % nr] : NULL;
}

static void team_prepare(void)
{
	unsigned int i, nr = options.nr_threads;

	team = own_map(nr * sizeof(*team));
	for (i = 0; i < nr; i++) {
		team[i].team = team;
		team[i].nr_team = nr;
		team[i].index = i;
		worker_place(&team[i]);
	}
	for (i = 0; i < nr; i++) {
		team[i].reader = reader_of(&team[i]);
		worker_prepare(&team[i], options.load, options.seed,
			       options.remote_percent / 100.0);
	}
	for (i = 0; i < nr; i++)
		worker_link(&team[i]);
}

/* ---- The row ---- */

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

	for (unsigned int i = 0; i < options.nr_threads; i++)
		worker_each(&team[i], visit_usable, &sum);
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
	for (unsigned int i = 0; i < options.nr_threads; i++)
		worker_each(&team[i], visit_locality, NULL);
	return locality_share();
}

static double plain_seconds(void)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (unsigned int i = 0; i < options.nr_threads; i++) {
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

	for (unsigned int i = 0; i < options.nr_threads; i++)
		sum += threads[i].cpu_ns;
	return (double)sum / 1e9;
}

static double remote_free_share(void)
{
	uint64_t frees = 0, remote_frees = 0;

	for (unsigned int i = 0; i < options.nr_threads; i++) {
		frees += threads[i].nr_frees;
		remote_frees += threads[i].nr_remote_frees;
	}
	return frees ? (double)remote_frees / (double)frees : NOT_MEASURED;
}

static double peak_live_bytes(void)
{
	int64_t peak = 0;

	for (unsigned int i = 0; i < options.nr_threads; i++)
		if (team[i].peak_bytes > peak)
			peak = team[i].peak_bytes;
	return (double)peak;
}

/*
 * Seconds that others, the hypervisor included, spent on our processors between the
 * passes' start and end.
 */
static double others_cpu_seconds(void)
{
	double others = seen.busy_end - seen.busy_start;

	if (seen.busy_start < 0 || seen.busy_end < 0)
		return NOT_MEASURED;
	for (unsigned int i = 0; i < options.nr_threads; i++)
		others -= (double)(threads[i].cpu_end_ns - threads[i].cpu_start_ns) / 1e9;
	return others > 0 ? others : 0;
}

static double others_cpu_share(void)
{
	double window = (double)(seen.window_end_ns - seen.window_start_ns) / 1e9;
	double others = others_cpu_seconds();
	unsigned int nr_cpus = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(cpu_used); i++)
		nr_cpus += cpu_used[i];
	return others < 0 || !nr_cpus ? NOT_MEASURED : others / (window * nr_cpus);
}

static double is_disturbed(void)
{
	double share = others_cpu_share();

	if (share < 0)
		return NOT_MEASURED;
	return share > DISTURBED_SHARE && others_cpu_seconds() > DISTURBED_SECONDS;
}

/* A row grows in a buffer of our own: stdio would allocate. */
static char row[2048];
static size_t row_len;

static void row_add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void row_add(const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(row + row_len, sizeof(row) - row_len, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(row) - row_len)
		die("row too long");
	row_len += (size_t)len;
}

static void text_write(const char *text, size_t len)
{
	if (write(STDOUT_FILENO, text, len) != (ssize_t)len)
		die("cannot write to stdout: %s", strerror(errno));
}

/* The next value, empty if it could not be measured. */
static void row_value(double value, int decimals)
{
	if (value < 0)
		row_add(",");
	else
		row_add(",%.*f", decimals, value);
}

static const char columns[] =
	"workload,allocator,threads,round,ops,seconds,ops_per_sec,"
	"alloc_p50_ns,alloc_p99_ns,alloc_p999_ns,free_p50_ns,free_p99_ns,free_p999_ns,"
	"usable_ratio,peak_live_bytes,peak_rss_bytes,page_faults,huge_coverage,"
	"nodes,placement,remote_free_share,local_page_share,"
	"remote_percent,seed,latency_ops,timer,timer_overhead_ns,timer_step_ns,bench_own_bytes,"
	"cpu_seconds,others_cpu_share,disturbed";

static void row_latency(void)
{
	static const double quantile[] = { 0.5, 0.99, 0.999 };
	static struct histogram alloc, free;
	unsigned int i;

	for (i = 0; i < options.nr_threads; i++) {
		histogram_merge(&alloc, &team[i].alloc);
		histogram_merge(&free, &team[i].free);
	}
	for (i = 0; i < ARRAY_SIZE(quantile); i++)
		row_value(histogram_quantile_ns(&alloc, quantile[i]), 1);
	for (i = 0; i < ARRAY_SIZE(quantile); i++)
		row_value(histogram_quantile_ns(&free, quantile[i]), 1);
}

/* In the order of columns[]. */
static void row_print(void)
{
	double seconds = plain_seconds();

	row_add("%s,%s,%u,%s,%" PRIu64, options.load->name, options.allocator,
		options.nr_threads, options.round, options.nr_ops);
	row_value(seconds, 6);
	row_value((double)options.nr_ops / seconds, 0);
	row_latency();
	row_value(usable_ratio(), 4);
	row_value(peak_live_bytes(), 0);
	row_value(seen.peak_rss, 0);
	row_value((double)(seen.faults_after - seen.faults_before), 0);
	row_value(seen.huge_coverage, 4);
	row_add(",%u,%s", machine_nr_nodes(), placement_names[options.placement]);
	row_value(remote_free_share(), 4);
	row_value(local_page_share(), 4);
	row_add(",%u,%" PRIu64 ",%" PRIu64 ",%s", options.remote_percent, options.seed,
		options.nr_timed_ops, ticks_source());
	row_value(ticks_overhead_ns(), 1);
	row_value(ticks_step_ns(), 1);
	row_value((double)seen.own_bytes, 0);
	row_value(cpu_seconds(), 6);
	row_value(others_cpu_share(), 4);
	row_value(is_disturbed(), 0);
	row_add("\n");
	text_write(row, row_len);
}

/* ---- Options ---- */

static const char usage_text[] =
"usage: numarena_bench --workload NAME [option ...]	one run; prints a row\n"
"       numarena_bench --columns | --describe | --nodes	about the rows, the machine\n"
"       numarena_bench --touch MIB	touch so much memory, and leave\n"
"\n"
"  --threads N		worker threads (1)\n"
"  --ops N		operations of the throughput pass, all threads together\n"
"  --latency-ops N	of the latency pass\n"
"  --seed N		of the random sizes and slots (1)\n"
"  --placement P		pinned: all threads on one node; spread: over the nodes\n"
"  --remote PERCENT	of frees made by another thread, of another node if there is one\n"
"  --pretend-nodes N	share the processors out to N nodes, to test placement\n"
"  --library NAME	fail unless malloc comes from a file of this name\n"
"  --allocator NAME, --round N	labels for the row\n";

static _Noreturn void bad_value(const char *option, const char *value)
{
	fprintf(stderr, "numarena_bench: --%s: bad value \"%s\"\n", option, value);
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		bad_value(option, text);
	return value;
}

static enum placement placement_find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(placement_names); i++)
		if (!strcmp(name, placement_names[i]))
			return (enum placement)i;
	bad_value("placement", name);
}

/*
 * A hypervisor takes idle memory back, and whoever touches it next waits for it.  A
 * process that touches as much as the run will need and leaves takes that wait away.
 */
static int touch(uint64_t mib)
{
	size_t bytes = mib << MIB_SHIFT;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("%" PRIu64 " MiB to touch: %s", mib, strerror(errno));
	madvise(p, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes; i += 4096)
		((volatile char *)p)[i] = 1;
	return 0;
}

static int print_columns(void)
{
	printf("%s\n", columns);
	return 0;
}

static int print_workloads(void)
{
	const struct workload *load;

	for (unsigned int i = 0; (load = workload_at(i)); i++)
		printf("%s: %s\n", load->name, load->text);
	return 0;
}

static int print_nodes(void)
{
	machine_read();
	printf("%u\n", machine_nr_nodes());
	return 0;
}

enum {
	OPT_WORKLOAD = 1, OPT_THREADS, OPT_OPS, OPT_LATENCY_OPS, OPT_SEED, OPT_PLACEMENT,
	OPT_REMOTE, OPT_PRETEND_NODES, OPT_LIBRARY, OPT_ALLOCATOR, OPT_ROUND, OPT_TOUCH,
	OPT_COLUMNS, OPT_DESCRIBE, OPT_NODES, OPT_HELP,
};

static const struct option long_options[] = {
	{ "workload", required_argument, NULL, OPT_WORKLOAD },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "ops", required_argument, NULL, OPT_OPS },
	{ "latency-ops", required_argument, NULL, OPT_LATENCY_OPS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "placement", required_argument, NULL, OPT_PLACEMENT },
	{ "remote", required_argument, NULL, OPT_REMOTE },
	{ "pretend-nodes", required_argument, NULL, OPT_PRETEND_NODES },
	{ "library", required_argument, NULL, OPT_LIBRARY },
	{ "allocator", required_argument, NULL, OPT_ALLOCATOR },
	{ "round", required_argument, NULL, OPT_ROUND },
	{ "touch", required_argument, NULL, OPT_TOUCH },
	{ "columns", no_argument, NULL, OPT_COLUMNS },
	{ "describe", no_argument, NULL, OPT_DESCRIBE },
	{ "nodes", no_argument, NULL, OPT_NODES },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int print_help(void)
{
	printf("%s", usage_text);
	return 0;
}

static void option_apply(int option, const char *name, const char *value)
{
	switch (option) {
	case OPT_WORKLOAD:
		options.load = workload_find(value);
		if (!options.load)
			bad_value(name, value);
		break;
	case OPT_THREADS:
		options.nr_threads = (unsigned int)number(name, value, 1, MAX_THREADS);
		break;
	case OPT_OPS:
		options.nr_ops = number(name, value, 1, UINT64_MAX / 2);
		break;
	case OPT_LATENCY_OPS:
		options.nr_timed_ops = number(name, value, 0, UINT64_MAX / 2);
		break;
	case OPT_SEED:
		options.seed = number(name, value, 0, UINT64_MAX);
		break;
	case OPT_PLACEMENT:
		options.placement = placement_find(value);
		break;
	case OPT_REMOTE:
		options.remote_percent = (unsigned int)number(name, value, 0, 100);
		break;
	case OPT_PRETEND_NODES:
		options.pretend_nodes = (unsigned int)number(name, value, 1, MAX_NODES);
		break;
	case OPT_LIBRARY:
		options.library = value;
		break;
	case OPT_ALLOCATOR:
		options.allocator = value;
		break;
	case OPT_ROUND:
		options.round = value;
		break;
	case OPT_TOUCH:
		exit(touch(number(name, value, 0, UINT64_MAX >> MIB_SHIFT)));
	case OPT_COLUMNS:
		exit(print_columns());
	case OPT_DESCRIBE:
		exit(print_workloads());
	case OPT_NODES:
		exit(print_nodes());
	case OPT_HELP:
		exit(print_help());
	}
}

static void options_read(int argc, char **argv)
{
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (option == '?')
			exit(2);
		option_apply(option, long_options[index].name, optarg);
	}
	if (optind < argc || !options.load) {
		fputs(usage_text, stderr);
		exit(2);
	}
	if (options.load->kind == LOAD_HANDOVER && options.nr_threads % 2)
		bad_value("threads", "an odd number, where threads work in pairs");
}

/* A preload that failed is only a warning of the loader's: the rival would be glibc. */
static void library_check(void)
{
	const char *path = malloc_library(), *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	if (options.library && strcmp(name, options.library))
		die("malloc is from %s, not from %s", path, options.library);
}

int main(int argc, char **argv)
{
	options_read(argc, argv);
	library_check();
	machine_read();
	if (options.pretend_nodes)
		machine_pretend(options.pretend_nodes);
	ticks_calibrate();
	team_prepare();
	threads_start();
	measure();
	row_print();
	threads_finish();
	return 0;
}
