// SPDX-License-Identifier: MIT
/*
 * One run of one row of the suite, whatever malloc is preloaded; prints a line of its CSV.
 *
 * The lanes pass through these steps together, a barrier between any two:
 *
 *	fill	the row's live objects
 *	warm	an eighth of the time
 *	work	by the clock, from the barrier until the last lane is done
 *	look	the main thread looks at the memory
 *	empty	everything is freed, each object looked at
 *	settle	with --settle: a wait, one malloc by each lane, malloc_trim(0) where there is one
 *
 * --program runs a real program instead, preloaded, and prints what it took.
 */
#include "lane.h"
#include "latency.h"
#include "machine.h"
#include "program.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_DIVISOR	8

/* As in run.c: others took more than this, and more than the kernel's ticks err. */
#define DISTURBED_SHARE		0.05
#define DISTURBED_SECONDS	0.03

/* lane_pass: lanes work while it is odd. */
enum { PASS_WARM = 1, PASS_WORK = 3 };

static struct {
	const char *allocator, *round, *library, *preload;
	const struct row *row;
	unsigned int nr_lanes, msec, settle_msec, reserve_mib;
	uint64_t seed;
	bool marks;
} options = { .allocator = "system", .round = "0", .nr_lanes = 1, .msec = 400, .seed = 1 };

/* What a run has found; NOT_MEASURED leaves a field empty. */
static struct {
	uint64_t nr_ops;
	double seconds, start_rss, peak_rss, settled_rss, nr_faults;
	double others_cpu_share;
	bool is_disturbed;
} found = { .settled_rss = NOT_MEASURED };

static struct {
	pthread_t id;
	uint64_t start_ns, end_ns;
} threads[MAX_LANES];

static struct lane lanes[MAX_LANES];
static unsigned char cpu_used[MAX_CPUS];
static pthread_barrier_t barrier;

/* ---- The lanes' side ---- */

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

/* Fails, and is seen by strace: what stands between two of them are the lane's own calls. */
static void mark(void)
{
	if (options.marks && write(-1, "mark", 4) == 4)
		die("a mark was written");
}

static void nap(unsigned int msec)
{
	struct timespec left = { .tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static void lane_work(struct lane *lane, unsigned int pass)
{
	lane->pass = pass;
	lane->nr_ops = 0;
	options.row->work[lane_checks](lane);
}

static void lane_work_timed(struct lane *lane)
{
	threads[lane->index].start_ns = clock_ns(CLOCK_MONOTONIC);
	mark();
	lane_work(lane, PASS_WORK);
	mark();
	threads[lane->index].end_ns = clock_ns(CLOCK_MONOTONIC);
}

static void lane_settle(void)
{
	nap(options.settle_msec);
	free(malloc(64));
	malloc_give_back();
}

/* Each meet() here has its partner in lanes_watch(). */
static void *lane_main(void *arg)
{
	struct lane *lane = arg;

	cpu_pin(lane->cpu);
	meet();
	if (options.row->fill)
		options.row->fill(lane);
	meet();
	/* The main thread may look at the memory. */
	meet();
	lane_work(lane, PASS_WARM);
	meet();
	/* The main thread opens its window. */
	meet();
	lane_work_timed(lane);
	meet();
	/* The main thread looks at the memory. */
	meet();
	if (options.row->empty)
		options.row->empty(lane);
	meet();
	if (options.settle_msec)
		lane_settle();
	return NULL;
}

/* ---- The main thread's side ---- */

static void lanes_prepare(void)
{
	for (unsigned int i = 0; i < options.nr_lanes; i++) {
		lanes[i] = (struct lane){
			.index = i, .nr_lanes = options.nr_lanes, .cpu = node_cpu(0, i),
			.rng = rng_seeded(options.seed, i),
		};
		cpu_used[lanes[i].cpu] = 1;
		options.row->prepare(&lanes[i]);
	}
}

static void lanes_start(void)
{
	pthread_barrier_init(&barrier, NULL, options.nr_lanes + 1);
	for (unsigned int i = 0; i < options.nr_lanes; i++) {
		int err = pthread_create(&threads[i].id, NULL, lane_main, &lanes[i]);

		if (err)
			die("thread %u: %s", i, strerror(err));
	}
}

static void warm_run(void)
{
	nap(options.msec / WARM_DIVISOR);
	atomic_store_explicit(&lane_pass, PASS_WARM + 1, memory_order_relaxed);
}

/* A look from outside while lanes count: nothing or something is all that it tells. */
static bool has_ops(void)
{
	for (unsigned int i = 0; i < options.nr_lanes; i++)
		if (__atomic_load_n(&lanes[i].nr_ops, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* On a busy machine the lanes may not have had a processor yet: no figure comes of that. */
static void work_run(void)
{
	nap(options.msec);
	while (options.row->kind != ROW_MEMORY && !has_ops())
		nap(1);
	atomic_store_explicit(&lane_pass, PASS_WORK + 1, memory_order_relaxed);
}

static void pass_begin(unsigned int pass)
{
	atomic_store_explicit(&lane_pass, pass, memory_order_relaxed);
	meet();
}

static void disturbance(double busy, double own, double window)
{
	double others = busy - own;
	unsigned int nr_cpus = 0;

	for (unsigned int i = 0; i < MAX_CPUS; i++)
		nr_cpus += cpu_used[i];
	others = others > 0 ? others : 0;
	found.others_cpu_share = others / (window * nr_cpus);
	if (found.others_cpu_share > 1)
		found.others_cpu_share = 1;
	found.is_disturbed = found.others_cpu_share > DISTURBED_SHARE && others > DISTURBED_SECONDS;
}

static void work_watch(void)
{
	double busy = cpus_busy_seconds(cpu_used, MAX_CPUS);
	uint64_t own = clock_ns(CLOCK_PROCESS_CPUTIME_ID), start = clock_ns(CLOCK_MONOTONIC);
	uint64_t nr_faults = faults_count();

	pass_begin(PASS_WORK);
	work_run();
	meet();
	found.nr_faults = (double)(faults_count() - nr_faults);
	found.others_cpu_share = NOT_MEASURED;
	if (busy >= 0)
		disturbance(cpus_busy_seconds(cpu_used, MAX_CPUS) - busy,
			    (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own) / 1e9,
			    (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9);
}

static void lanes_watch(void)
{
	meet();			/* all are there */
	meet();			/* filled */
	if (options.row->peak_is_filled)
		found.peak_rss = peak_rss_bytes();
	pass_begin(PASS_WARM);
	warm_run();
	meet();			/* warm */
	for (unsigned int i = 0; i < options.nr_lanes; i++)
		lanes[i].nr_ops = 0;
	work_watch();
	if (!options.row->peak_is_filled)
		found.peak_rss = peak_rss_bytes();
	meet();
	meet();			/* empty */
}

/* Threads are gone, and so are the reasons to keep what they had. */
static void settle(void)
{
	for (unsigned int i = 0; i < options.nr_lanes; i++)
		pthread_join(threads[i].id, NULL);
	if (!options.settle_msec)
		return;
	free(malloc(64));
	malloc_give_back();
	found.settled_rss = rss_bytes();
}

static void times_sum(void)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (unsigned int i = 0; i < options.nr_lanes; i++) {
		found.nr_ops += lanes[i].nr_ops;
		if (threads[i].start_ns < start)
			start = threads[i].start_ns;
		if (threads[i].end_ns > end)
			end = threads[i].end_ns;
	}
	found.seconds = (double)(end - start) / 1e9;
}

/* numarena is the only one of them that can be asked to. */
static void memory_reserve(void)
{
	union {
		void *object;
		long (*function)(int, size_t, unsigned int);
	} reserve = { .object = dlsym(RTLD_DEFAULT, "numarena_reserve") };

	if (!reserve.object)
		die("--reserve: malloc's library has no numarena_reserve");
	if (reserve.function(-1, (size_t)options.reserve_mib * MIB, 0) < 0)
		die("numarena_reserve: %s", strerror(errno));
}

static void row_run(void)
{
	machine_read();
	ticks_calibrate();
	lanes_prepare();
	found.start_rss = rss_bytes();
	if (options.reserve_mib)
		memory_reserve();
	lanes_start();
	lanes_watch();
	settle();
	times_sum();
}

/* ---- The line ---- */

static const char columns[] =
	"row,threads,allocator,round,ops,ns_per_op,mops_per_sec,peak_rss_kib,start_rss_kib,"
	"settled_rss_kib,page_faults,system_calls,others_cpu_share,disturbed";

/* stdio may allocate by now: everything has been looked at. */
static void value_print(double value, int decimals)
{
	if (value < 0)
		printf(",");
	else
		printf(",%.*f", decimals, value);
}

static void kib_print(double bytes)
{
	value_print(bytes < 0 ? bytes : bytes / KIB, 0);
}

static void times_print(void)
{
	double ns = NOT_MEASURED, mops = NOT_MEASURED;

	if (options.row->kind == ROW_TIME) {
		ns = found.seconds * 1e9 / (double)found.nr_ops;
		mops = (double)found.nr_ops / found.seconds / 1e6;
	} else if (options.row->kind == ROW_LATENCY) {
		ns = options.row->figure();
	}
	value_print(ns, 3);
	value_print(mops, 6);
}

/* In the order of columns[]; system calls are counted by whoever traces us. */
static void line_print(void)
{
	bool is_latency = options.row->kind == ROW_LATENCY;

	printf("%s,%u,%s,%s,%" PRIu64, options.row->name, options.nr_lanes, options.allocator,
	       options.round, found.nr_ops);
	times_print();
	kib_print(is_latency ? NOT_MEASURED : found.peak_rss);
	kib_print(found.start_rss);
	kib_print(is_latency ? NOT_MEASURED : found.settled_rss);
	value_print(found.nr_faults, 0);
	printf(",");
	value_print(found.others_cpu_share, 4);
	printf(",%d\n", found.is_disturbed);
}

/* A program is its own row, and its time is that of one operation. */
static void program_line(const char *name, char **argv)
{
	struct program_result result;
	double busy;

	machine_read();
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		cpu_used[node_cpu(0, i)] = 1;
	busy = cpus_busy_seconds(cpu_used, MAX_CPUS);
	program_run(argv, options.preload, &result);
	found.others_cpu_share = NOT_MEASURED;
	if (busy >= 0)
		disturbance(cpus_busy_seconds(cpu_used, MAX_CPUS) - busy, result.cpu_seconds,
			    result.seconds);
	printf("%s,1,%s,%s,1,%.0f,%.9f,%.0f,,,%.0f,", name, options.allocator, options.round,
	       result.seconds * 1e9, 1 / result.seconds / 1e6, result.peak_rss_bytes / KIB,
	       result.nr_faults);
	value_print(found.others_cpu_share, 4);
	printf(",%d\n", found.is_disturbed);
}

/* ---- The rows ---- */

static const struct row *row_at(size_t i)
{
	const struct {
		const struct row *rows;
		size_t nr;
	} groups[] = {
		{ rows_local, nr_rows_local }, { rows_handover, nr_rows_handover },
		{ rows_threads, nr_rows_threads }, { rows_large, nr_rows_large },
	};

	for (size_t g = 0; g < ARRAY_SIZE(groups); i -= groups[g++].nr)
		if (i < groups[g].nr)
			return &groups[g].rows[i];
	return NULL;
}

static const struct row *row_find(const char *name)
{
	const struct row *row;

	for (size_t i = 0; (row = row_at(i)); i++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

static bool row_takes(const struct row *row, unsigned int nr)
{
	return nr >= row->min_lanes && (!row->max_lanes || nr <= row->max_lanes) &&
		!(row->in_pairs && nr % 2);
}

/* "name kind least most step text", for scripts. */
static void rows_print(void)
{
	static const char *const kinds[] = {
		[ROW_TIME] = "time", [ROW_MEMORY] = "memory", [ROW_LATENCY] = "latency",
	};
	const struct row *row;

	for (size_t i = 0; (row = row_at(i)); i++)
		printf("%s %s %u %u %d %s\n", row->name, kinds[row->kind],
		       row->min_lanes ? row->min_lanes : 1,
		       row->max_lanes ? row->max_lanes : MAX_LANES, row->in_pairs ? 2 : 1, row->text);
}

/* ---- Options ---- */

static const char usage_text[] =
"usage: numarena_suite --row NAME [option ...]		one run; prints a line\n"
"       numarena_suite --program NAME [option ...] -- COMMAND	likewise, of a program\n"
"       numarena_suite --columns | --rows	about the lines\n"
"\n"
"  --threads N		threads of the row (1)\n"
"  --msec N		how long it is timed (400)\n"
"  --seed N		of the random sizes and slots (1)\n"
"  --check		write both ends of each object, look at them before it is freed\n"
"  --settle MSEC		after everything is freed wait so long, then look at the memory\n"
"  --reserve MIB		numarena_reserve() so much before\n"
"  --marks		write to file -1 where a thread's timed work begins and ends\n"
"  --preload PATH	of the program\n"
"  --library NAME	fail unless malloc comes from a file of this name\n"
"  --allocator NAME, --round N	labels for the line\n";

enum {
	OPT_ROW = 1, OPT_PROGRAM, OPT_THREADS, OPT_MSEC, OPT_SEED, OPT_CHECK, OPT_SETTLE,
	OPT_RESERVE, OPT_MARKS, OPT_PRELOAD, OPT_LIBRARY, OPT_ALLOCATOR, OPT_ROUND,
	OPT_COLUMNS, OPT_ROWS, OPT_HELP,
};

static const struct option long_options[] = {
	{ "row", required_argument, NULL, OPT_ROW },
	{ "program", required_argument, NULL, OPT_PROGRAM },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "msec", required_argument, NULL, OPT_MSEC },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "settle", required_argument, NULL, OPT_SETTLE },
	{ "reserve", required_argument, NULL, OPT_RESERVE },
	{ "marks", no_argument, NULL, OPT_MARKS },
	{ "preload", required_argument, NULL, OPT_PRELOAD },
	{ "library", required_argument, NULL, OPT_LIBRARY },
	{ "allocator", required_argument, NULL, OPT_ALLOCATOR },
	{ "round", required_argument, NULL, OPT_ROUND },
	{ "columns", no_argument, NULL, OPT_COLUMNS },
	{ "rows", no_argument, NULL, OPT_ROWS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char *program_name;

static _Noreturn void bad_value(const char *option, const char *value)
{
	fprintf(stderr, "numarena_suite: --%s: bad value \"%s\"\n", option, value);
	exit(2);
}

static unsigned int number(const char *option, const char *text, unsigned int min,
			   unsigned int max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		bad_value(option, text);
	return (unsigned int)value;
}

static void option_tell(int option)
{
	if (option == OPT_COLUMNS)
		printf("%s\n", columns);
	else if (option == OPT_ROWS)
		rows_print();
	else
		printf("%s", usage_text);
	exit(0);
}

static void option_apply(int option, const char *name, const char *value)
{
	switch (option) {
	case OPT_ROW:
		options.row = row_find(value);
		if (!options.row)
			bad_value(name, value);
		break;
	case OPT_PROGRAM:
		program_name = value;
		break;
	case OPT_THREADS:
		options.nr_lanes = number(name, value, 1, MAX_LANES);
		break;
	case OPT_MSEC:
		options.msec = number(name, value, 1, 3600000);
		break;
	case OPT_SEED:
		options.seed = number(name, value, 0, UINT32_MAX);
		break;
	case OPT_CHECK:
		lane_checks = true;
		break;
	case OPT_SETTLE:
		options.settle_msec = number(name, value, 1, 3600000);
		break;
	case OPT_RESERVE:
		options.reserve_mib = number(name, value, 1, 1U << 20);
		break;
	case OPT_MARKS:
		options.marks = true;
		break;
	case OPT_PRELOAD:
		options.preload = value;
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
	default:
		option_tell(option);
	}
}

static void options_read(int argc, char **argv)
{
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "+", long_options, &index)) != -1) {
		if (option == '?')
			exit(2);
		option_apply(option, long_options[index].name, optarg);
	}
	if (!options.row == !program_name || !argv[optind] != !program_name) {
		fprintf(stderr, "%s", usage_text);
		exit(2);
	}
	if (options.row && !row_takes(options.row, options.nr_lanes))
		die("%s does not run on %u threads", options.row->name, options.nr_lanes);
}

int main(int argc, char **argv)
{
	options_read(argc, argv);
	if (program_name) {
		program_line(program_name, argv + optind);
		return 0;
	}
	if (options.library)
		malloc_library_expect(options.library);
	row_run();
	line_print();
	return 0;
}
