// SPDX-License-Identifier: MIT
/*
 * `numarena replay`: a recorded program's allocations on another malloc.  That is preloaded,
 * which wants an exec of this command; it comes back here with --preloaded.
 */
#include "json.h"
#include "library.h"
#include "plan.h"
#include "player.h"
#include "preload.h"
#include "summary.h"
#include "timeline.h"
#include "tool.h"
#include "trace.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_PRELOADED = 256 };

static const struct tool_option options[] = {
	{ "allocator", "LIB", 'a', "the malloc: a library's path, or numarena, or system" },
	{ "repeat", "N", 'r', "replay so many times, 1 to 1000, in one process; print each and the\n"
			      "median" },
	{ "summary", NULL, 's', "replay nothing; print the sizes and lifetimes of the trace" },
	{ "json", NULL, 'j', "print JSON" },
	{ "preloaded", NULL, KEY_PRELOADED, NULL },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "replay",
	.synopsis = "[OPTION]... FILE",
	.about = "Does again, with as many threads, what 'numarena record' has written down: each thread\n"
		 "its own calls in their order, as fast as it can, waiting only for objects that another\n"
		 "thread has not allocated yet.  Prints what that took, and checks that objects of\n"
		 "4 bytes and more still begin with what was written there, and that those live at the\n"
		 "end are the recorded ones.",
	.options = options,
	.notes = "Without --allocator the malloc is what LD_PRELOAD names, or numarena if it names none;\n"
		 "NUMARENA_CONF is heeded.  A byte of each page of each object is written.  Peak memory is\n"
		 "what was resident at most, less what was before: the trace's own.  Between two rounds what\n"
		 "is live is freed; what the malloc keeps then, later rounds find.  The exit status is 0 if\n"
		 "all is as recorded, 1 if not or if the trace cannot be read, 2 for a wrong call.",
};

/* ---- Which malloc ---- */

/* ISO C has no cast from a function to an object pointer; POSIX promises this one. */
static const char *malloc_library(void)
{
	union { void *(*function)(size_t size); void *object; } address = { malloc };
	Dl_info info;

	return dladdr(address.object, &info) && info.dli_fname ? info.dli_fname : "(unknown)";
}

/* Of one that is not the system's. */
static void find_allocator(const char *allocator, char path[PATH_MAX])
{
	if (!strcmp(allocator, "numarena")) {
		library_find(LIBRARY_NUMARENA, path, PATH_MAX, TOOL_FAILED);
		return;
	}
	if (!realpath(allocator, path))
		tool_die(TOOL_FAILED, "%s: %s", allocator, strerror(errno));
	if (!preload_is_library(path))
		tool_die(TOOL_FAILED, "%s is no shared library of this kind of machine, or cannot be read", allocator);
	library_require_loadable(path, TOOL_FAILED);
}

static void preload(const char *allocator)
{
	char path[PATH_MAX];

	unsetenv("LD_PRELOAD");
	if (!strcmp(allocator, "system"))
		return;
	find_allocator(allocator, path);
	library_preload(path);
}

static _Noreturn void start_anew(const char *allocator, char **argv, int argc)
{
	char **words = calloc((size_t)argc + 4, sizeof(*words));
	char command[] = "numarena", mark[] = "--preloaded", usual[] = "--allocator=numarena";
	const char *others = getenv("LD_PRELOAD");
	int i;

	if (!words)
		tool_die(TOOL_FAILED, "%s", strerror(ENOMEM));
	words[0] = command;
	words[1] = argv[0];
	words[2] = mark;
	for (i = 1; i < argc; i++)
		words[i + 2] = argv[i];
	if (allocator) {
		preload(allocator);
	} else if (!others || !*others) {
		preload("numarena");
		memmove(words + 4, words + 3, (size_t)(argc - 1) * sizeof(*words));
		words[3] = usual;
	}
	execv("/proc/self/exe", words);
	tool_die(TOOL_FAILED, "/proc/self/exe: %s", strerror(errno));
}

/* The loader only warns of a library that it cannot preload. */
static void expect_allocator(const char *allocator)
{
	char wanted[PATH_MAX], has[PATH_MAX];

	if (!allocator || !strcmp(allocator, "system"))
		return;
	find_allocator(allocator, wanted);
	if (!realpath(malloc_library(), has) || strcmp(wanted, has))
		tool_die(TOOL_FAILED, "malloc is from %s: %s has none, or cannot be loaded",
			 malloc_library(), wanted);
}

/* ---- Rounds ---- */

#define MAX_ROUNDS 1000

struct rounds {
	unsigned int nr;
	struct play *play;
	struct play all;	/* medians, the highest peak, what was wrong in any; else of the last */
};

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *of, unsigned int nr)
{
	qsort(of, nr, sizeof(*of), compare);
	return (of[(nr - 1) / 2] + of[nr / 2]) / 2;
}

static void sum_up(struct rounds *r)
{
	double seconds[MAX_ROUNDS], cpu_seconds[MAX_ROUNDS];
	unsigned int i;

	r->all = r->play[r->nr - 1];
	for (i = 0; i < r->nr; i++) {
		seconds[i] = r->play[i].seconds;
		cpu_seconds[i] = r->play[i].cpu_seconds;
	}
	for (i = 0; i < r->nr - 1; i++) {
		const struct play *p = &r->play[i];

		r->all.nr_failed += p->nr_failed;
		r->all.nr_overwritten += p->nr_overwritten;
		r->all.nr_not_zero += p->nr_not_zero;
		r->all.nr_misaligned += p->nr_misaligned;
		r->all.nr_wrong_live += p->nr_wrong_live;
		if (p->peak_bytes > r->all.peak_bytes)
			r->all.peak_bytes = p->peak_bytes;
	}
	r->all.seconds = median(seconds, r->nr);
	r->all.cpu_seconds = median(cpu_seconds, r->nr);
}

static unsigned int read_rounds(const char *text)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || !n || n > MAX_ROUNDS)
		tool_usage_error(&usage, "'%s' is no number of rounds from 1 to %d", text, MAX_ROUNDS);
	return (unsigned int)n;
}

/* ---- Printing ---- */

struct source {
	const char *file;
	char command[256];
	struct timeline line;
};

static void print_source(const struct source *s)
{
	const struct timeline *line = &s->line;

	printf("%-13s %s: %s\n", "trace", s->file, s->command);
	if (line->nr_failed)
		printf("%-13s %12zu allocations failed then; left out\n", "", line->nr_failed);
	if (line->nr_unknown)
		printf("%-13s %12zu frees of what was not seen to be allocated; left out\n", "",
		       line->nr_unknown);
	if (line->nr_unfreed)
		printf("%-13s %12zu objects were not seen to be freed; live at the end\n", "",
		       line->nr_unfreed);
	if (line->nr_damaged)
		printf("%-13s %12zu blocks of the trace are damaged; in part left out\n", "",
		       line->nr_damaged);
}

static const struct {
	const char *name;
	enum moment_kind kind;
} calls[] = {
	{ "malloc", MOMENT_MALLOC },   { "calloc", MOMENT_CALLOC }, { "aligned", MOMENT_ALIGNED },
	{ "realloc", MOMENT_REALLOC }, { "free", MOMENT_FREE },
};

static void print_calls(const struct timeline *line)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		printf("%-13s %12zu\n", calls[i].name, line->nr_of[calls[i].kind]);
}

static bool is_as_recorded(const struct play *p)
{
	return !p->nr_failed && !p->nr_overwritten && !p->nr_not_zero && !p->nr_misaligned &&
	       !p->nr_wrong_live;
}

static void print_problem(size_t nr, const char *what)
{
	if (nr)
		printf("%-13s %12zu %s\n", "WRONG", nr, what);
}

static void print_seconds(const char *what, double seconds, size_t nr_ops)
{
	printf("%-13s %12.6f s, %.1f ns an operation\n", what, seconds,
	       nr_ops ? seconds * 1e9 / (double)nr_ops : 0.0);
}

static void print_rounds(const struct rounds *r)
{
	unsigned int i;

	for (i = 0; i < r->nr; i++)
		printf("round %-7u %12.6f s, CPU %.6f s\n", i + 1, r->play[i].seconds,
		       r->play[i].cpu_seconds);
	printf("%-13s %12u rounds:\n", "median of", r->nr);
}

static void print_play(const struct plan *plan, const struct rounds *r)
{
	const struct play *p = &r->all;

	printf("%-13s %12" PRIu32 "\n", "threads", plan->nr_threads);
	printf("%-13s %12zu\n", "operations", p->nr_ops);
	if (r->nr > 1)
		print_rounds(r);
	print_seconds("time", p->seconds, p->nr_ops);
	print_seconds("CPU", p->cpu_seconds, p->nr_ops);
	if (p->peak_bytes >= 0)
		printf("%-13s %12.1f MiB\n", "peak memory", p->peak_bytes / (1 << 20));
	printf("%-13s %12zu objects, %" PRIu64 " bytes%s\n", "live at end", p->nr_live, p->live_bytes,
	       p->nr_wrong_live ? "" : ": as recorded");
	print_problem(p->nr_failed, "allocations failed");
	print_problem(p->nr_overwritten, "objects had been overwritten");
	print_problem(p->nr_not_zero, "objects from calloc were not zero");
	print_problem(p->nr_misaligned, "objects were not aligned as asked");
	print_problem(p->nr_wrong_live, "objects are live, or not live, unlike the recorded");
}

static void print_text(const struct source *s, const struct plan *plan, const struct rounds *r)
{
	print_source(s);
	printf("%-13s %s\n", "allocator", malloc_library());
	print_calls(&s->line);
	print_play(plan, r);
}

static void json_rounds(const struct rounds *r)
{
	unsigned int i;

	json_open("rounds", '[');
	for (i = 0; i < r->nr; i++) {
		json_open(NULL, '{');
		json_real("seconds", r->play[i].seconds);
		json_real("cpu_seconds", r->play[i].cpu_seconds);
		json_close();
	}
	json_close();
}

static void print_json(const struct source *s, const struct plan *plan, const struct rounds *r)
{
	const struct play *p = &r->all;
	size_t i;

	json_open(NULL, '{');
	json_string("trace", s->file);
	json_string("command", s->command);
	json_string("allocator", malloc_library());
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		json_number(calls[i].name, s->line.nr_of[calls[i].kind]);
	json_number("threads", plan->nr_threads);
	json_number("operations", p->nr_ops);
	json_real("seconds", p->seconds);
	json_real("cpu_seconds", p->cpu_seconds);
	json_rounds(r);
	if (p->peak_bytes >= 0)
		json_number("peak_bytes", (uint64_t)p->peak_bytes);
	else
		json_string("peak_bytes", NULL);
	json_number("live_objects", p->nr_live);
	json_number("live_bytes", p->live_bytes);
	json_bool("as_recorded", is_as_recorded(p));
	json_close();
}

/* ---- The command ---- */

static void source_read(struct source *s, const char *file)
{
	struct trace trace;
	bool is_cut;

	s->file = file;
	trace_open(&trace, file);
	trace_command(&trace, s->command, sizeof(s->command));
	is_cut = trace.bytes % TRACE_BLOCK_BYTES;
	timeline_make(&s->line, &trace);
	trace_close(&trace);
	if (is_cut && !s->line.nr_objects)
		tool_die(TOOL_FAILED, "%s was cut off before its first allocation", file);
	if (is_cut)
		tool_warn("%s was cut off: what came after its last whole 64 KiB is left out", file);
	if (!s->line.nr_objects)
		tool_die(TOOL_FAILED,
			 "%s has no allocation: its program has a malloc of its own, or made none", file);
}

static int replay(struct source *s, unsigned int nr_rounds, bool is_json)
{
	static struct play play[MAX_ROUNDS];
	struct rounds rounds = { nr_rounds, play, { 0 } };
	struct plan plan;

	plan_make(&plan, &s->line);
	timeline_free(&s->line);
	player_run(&plan, play, nr_rounds);
	sum_up(&rounds);
	if (is_json)
		print_json(s, &plan, &rounds);
	else
		print_text(s, &plan, &rounds);
	return is_as_recorded(&rounds.all) ? TOOL_OK : TOOL_FAILED;
}

int cmd_replay(int argc, char **argv)
{
	bool is_preloaded = false, is_summary = false, is_json = false;
	const char *allocator = NULL;
	unsigned int nr_rounds = 0;
	struct source source;
	int key;

	while ((key = tool_option(&usage, argc, argv)) != -1) {
		is_preloaded |= key == KEY_PRELOADED;
		is_summary |= key == 's';
		is_json |= key == 'j';
		if (key == 'a')
			allocator = optarg;
		if (key == 'r')
			nr_rounds = read_rounds(optarg);
	}
	if (optind < argc - 1)
		tool_usage_error(&usage, "one trace at a time");
	if (optind == argc || !*argv[optind])
		tool_usage_error(&usage, "which trace?");
	if (allocator && !*allocator)
		tool_usage_error(&usage, "--allocator cannot be ''");
	if (is_summary && is_json)
		tool_usage_error(&usage, "--summary is text only");
	if (is_summary && nr_rounds)
		tool_usage_error(&usage, "--summary replays nothing");
	if (!is_summary && !is_preloaded)
		start_anew(allocator, argv, argc);
	if (!is_summary)
		expect_allocator(allocator);
	source_read(&source, argv[optind]);
	if (!is_summary)
		return replay(&source, nr_rounds ? nr_rounds : 1, is_json);
	print_source(&source);
	print_calls(&source.line);
	summary_print(&source.line);
	return TOOL_OK;
}
