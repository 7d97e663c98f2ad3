// SPDX-License-Identifier: MIT
/*
 * `numarena replay`: a recorded program's allocations on another malloc.  That is preloaded,
 * which wants an exec of this command; it comes back here with --preloaded.
 */
#include "json.h"
#include "library.h"
#include "plan.h"
#include "player.h"
#include "summary.h"
#include "timeline.h"
#include "tool.h"
#include "trace.h"

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
		 "thread has not allocated yet.  Prints what that took, and checks that all objects kept\n"
		 "what was written into them and that those live at the end are the recorded ones.",
	.options = options,
	.notes = "Without --allocator the malloc is what LD_PRELOAD names, or numarena if it names none;\n"
		 "NUMARENA_CONF is heeded.  A byte of each page of each object is written.  Peak memory is\n"
		 "what was resident at most, less what was before: the trace's own.  The exit status is 0 if\n"
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

static void preload(const char *allocator)
{
	const char *others = getenv("LD_PRELOAD");
	char path[PATH_MAX];

	if (!allocator && others && *others)
		return;
	unsetenv("LD_PRELOAD");
	if (!allocator || !strcmp(allocator, "numarena"))
		library_find(LIBRARY_NUMARENA, path, sizeof(path));
	else if (!strcmp(allocator, "system"))
		return;
	else if (!realpath(allocator, path))
		tool_die(TOOL_FAILED, "%s: %s", allocator, strerror(errno));
	library_preload(path);
}

static _Noreturn void start_anew(const char *allocator, char **argv, int argc)
{
	char **words = calloc((size_t)argc + 3, sizeof(*words));
	char command[] = "numarena", mark[] = "--preloaded";
	int i;

	if (!words)
		tool_die(TOOL_FAILED, "%s", strerror(ENOMEM));
	preload(allocator);
	words[0] = command;
	words[1] = argv[0];
	words[2] = mark;
	for (i = 1; i < argc; i++)
		words[i + 2] = argv[i];
	execv("/proc/self/exe", words);
	tool_die(TOOL_FAILED, "/proc/self/exe: %s", strerror(errno));
}

/* The loader only warns of a library that it cannot preload. */
static void expect_allocator(const char *allocator)
{
	char wanted[PATH_MAX], has[PATH_MAX];
	bool is_system = allocator && !strcmp(allocator, "system");

	if (!allocator || is_system || !strcmp(allocator, "numarena")) {
		if (allocator && !is_system && !strstr(malloc_library(), "numarena"))
			tool_die(TOOL_FAILED, "malloc is from %s, not from numarena", malloc_library());
		return;
	}
	if (realpath(allocator, wanted) && realpath(malloc_library(), has) && strcmp(wanted, has))
		tool_die(TOOL_FAILED, "malloc is from %s: %s has none, or cannot be loaded", has, wanted);
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

static void print_play(const struct plan *plan, const struct play *p)
{
	printf("%-13s %12" PRIu32 "\n", "threads", plan->nr_threads);
	printf("%-13s %12zu\n", "operations", p->nr_ops);
	printf("%-13s %12.6f s, %.1f ns an operation\n", "time", p->seconds,
	       p->nr_ops ? p->seconds * 1e9 / (double)p->nr_ops : 0.0);
	printf("%-13s %12.6f s\n", "CPU", p->cpu_seconds);
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

static void print_text(const struct source *s, const struct plan *plan, const struct play *p)
{
	print_source(s);
	printf("%-13s %s\n", "allocator", malloc_library());
	print_calls(&s->line);
	print_play(plan, p);
}

static void print_json(const struct source *s, const struct plan *plan, const struct play *p)
{
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
	json_real("peak_bytes", p->peak_bytes);
	json_number("live_objects", p->nr_live);
	json_number("live_bytes", p->live_bytes);
	json_bool("as_recorded", is_as_recorded(p));
	json_close();
}

/* ---- The command ---- */

static void source_read(struct source *s, const char *file)
{
	struct trace trace;

	s->file = file;
	trace_open(&trace, file);
	trace_command(&trace, s->command, sizeof(s->command));
	timeline_make(&s->line, &trace);
	trace_close(&trace);
}

static int replay(struct source *s, bool is_json)
{
	struct plan plan;
	struct play play;

	plan_make(&plan, &s->line);
	timeline_free(&s->line);
	player_run(&plan, &play);
	if (is_json)
		print_json(s, &plan, &play);
	else
		print_text(s, &plan, &play);
	return is_as_recorded(&play) ? TOOL_OK : TOOL_FAILED;
}

int cmd_replay(int argc, char **argv)
{
	bool is_preloaded = false, is_summary = false, is_json = false;
	const char *allocator = NULL;
	struct source source;
	int key;

	while ((key = tool_option(&usage, argc, argv)) != -1) {
		is_preloaded |= key == KEY_PRELOADED;
		is_summary |= key == 's';
		is_json |= key == 'j';
		if (key == 'a')
			allocator = optarg;
	}
	if (optind != argc - 1)
		tool_usage_error(&usage, optind == argc ? "which trace?" : "one trace at a time");
	if (is_summary && is_json)
		tool_usage_error(&usage, "--summary is text only");
	if (!is_summary && !is_preloaded)
		start_anew(allocator, argv, argc);
	if (!is_summary)
		expect_allocator(allocator);
	source_read(&source, argv[optind]);
	if (!is_summary)
		return replay(&source, is_json);
	print_source(&source);
	print_calls(&source.line);
	summary_print(&source.line);
	return TOOL_OK;
}
