// SPDX-License-Identifier: MIT
/*
 * One run: one workload, one number of threads, whatever malloc is preloaded.
 *
 * Prints one row of bench.csv.  scripts/numa_bench.sh runs this program for each
 * allocator in turn and compares the rows.
 */
#include "latency.h"
#include "machine.h"
#include "process.h"
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB_SHIFT	20

static const char *const placement_names[] = {
	[PLACE_PINNED] = "pinned",
	[PLACE_SPREAD] = "spread",
};

static struct run_settings settings = {
	.nr_threads = 1, .nr_ops = 1000000, .nr_timed_ops = 200000, .seed = 1,
};

static struct {
	const char *allocator, *round;	/* labels for the row */
	const char *library;		/* malloc must be from a file so named; or NULL */
	unsigned int pretend_nodes;	/* 0: those of the machine */
} options = { .allocator = "system", .round = "0" };

/* ---- The row ---- */

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

static void row_write(void)
{
	if (write(STDOUT_FILENO, row, row_len) != (ssize_t)row_len)
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

static void row_latency(const struct histogram *histogram)
{
	static const double quantile[] = { 0.5, 0.99, 0.999 };

	for (unsigned int i = 0; i < ARRAY_SIZE(quantile); i++)
		row_value(histogram_quantile_ns(histogram, quantile[i]), 1);
}

/* In the order of columns[]. */
static void row_print(const struct run_result *result)
{
	row_add("%s,%s,%u,%s,%" PRIu64, settings.load->name, options.allocator,
		settings.nr_threads, options.round, settings.nr_ops);
	row_value(result->seconds, 6);
	row_value((double)settings.nr_ops / result->seconds, 0);
	row_latency(&result->alloc);
	row_latency(&result->free);
	row_value(result->usable_ratio, 4);
	row_value(result->peak_live_bytes, 0);
	row_value(result->peak_rss_bytes, 0);
	row_value(result->page_faults, 0);
	row_value(result->huge_coverage, 4);
	row_add(",%u,%s", machine_nr_nodes(), placement_names[settings.placement]);
	row_value(result->remote_free_share, 4);
	row_value(result->local_page_share, 4);
	row_add(",%u,%" PRIu64 ",%" PRIu64 ",%s", settings.remote_percent, settings.seed,
		settings.nr_timed_ops, ticks_source());
	row_value(ticks_overhead_ns(), 1);
	row_value(ticks_step_ns(), 1);
	row_value(result->own_bytes, 0);
	row_value(result->cpu_seconds, 6);
	row_value(result->others_cpu_share, 4);
	row_value(result->is_disturbed, 0);
	row_add("\n");
	row_write();
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
		settings.load = workload_find(value);
		if (!settings.load)
			bad_value(name, value);
		break;
	case OPT_THREADS:
		settings.nr_threads = (unsigned int)number(name, value, 1, MAX_THREADS);
		break;
	case OPT_OPS:
		settings.nr_ops = number(name, value, 1, UINT64_MAX / 2);
		break;
	case OPT_LATENCY_OPS:
		settings.nr_timed_ops = number(name, value, 0, UINT64_MAX / 2);
		break;
	case OPT_SEED:
		settings.seed = number(name, value, 0, UINT64_MAX);
		break;
	case OPT_PLACEMENT:
		settings.placement = placement_find(value);
		break;
	case OPT_REMOTE:
		settings.remote_percent = (unsigned int)number(name, value, 0, 100);
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
	if (optind < argc || !settings.load) {
		fputs(usage_text, stderr);
		exit(2);
	}
	if (settings.load->kind == LOAD_HANDOVER && settings.nr_threads % 2)
		bad_value("threads", "an odd number, where threads work in pairs");
}

int main(int argc, char **argv)
{
	static struct run_result result;

	options_read(argc, argv);
	if (options.library)
		malloc_library_expect(options.library);
	machine_read();
	if (options.pretend_nodes)
		machine_pretend(options.pretend_nodes);
	ticks_calibrate();
	run(&settings, &result);
	row_print(&result);
	return 0;
}
