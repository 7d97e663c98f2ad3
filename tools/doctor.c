// SPDX-License-Identifier: MIT
/*
 * `numarena doctor`: what of this machine, or of the container the command runs in, keeps
 * numarena from what it promises.  It is asked here, before a program is run: run it as the
 * user, and in the container, that the program is for.
 */
#include "finding.h"
#include "json.h"
#include "text.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_ROOT = 256 };

static const struct tool_option options[] = {
	{ "json", NULL, 'j', "print JSON" },
	{ "verbose", NULL, 'v', "say also why what is fine matters" },
	{ "root", "DIR", KEY_ROOT, "read DIR/proc and DIR/sys instead of the machine's" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "doctor",
	.synopsis = "[OPTION]...",
	.about = "Looks at huge pages, nodes, limits, the kernel and the sandbox, if any, and says what\n"
		 "is, whether that is fine, why it matters, and the command that mends it.  Commands\n"
		 "that write to /sys and /proc/sys want root, and last until the next boot.",
	.options = options,
	.notes = "\"note\" is a matter of taste; \"mend\" is not.  With huge:hugetlb in NUMARENA_CONF, empty\n"
		 "pools are to be mended.  The exit status is 0 if nothing is to mend, 1 if something\n"
		 "is, 2 for a wrong call.",
};

/* ---- The list ---- */

#define MAX_FINDINGS 64

static struct finding findings[MAX_FINDINGS];
static size_t nr_findings;

struct finding *finding_add(const char *id, const char *why, const char *fmt, ...)
{
	/* One too many, of which tests would hear, takes the last one's place. */
	struct finding *f = &findings[nr_findings < MAX_FINDINGS ? nr_findings++ : MAX_FINDINGS - 1];
	va_list args;

	*f = (struct finding){ .id = id, .why = why };
	va_start(args, fmt);
	vsnprintf(f->is, sizeof(f->is), fmt, args);
	va_end(args);
	return f;
}

void finding_set(struct finding *f, enum finding_level level, const char *fmt, ...)
{
	va_list args;

	f->level = level;
	va_start(args, fmt);
	vsnprintf(f->mend, sizeof(f->mend), fmt, args);
	va_end(args);
}

void finding_more(struct finding *f, const char *fmt, ...)
{
	size_t len = strlen(f->is);
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->is + len, sizeof(f->is) - len, fmt, args);
	va_end(args);
}

bool finding_is_configured(const char *setting)
{
	const char *conf = getenv("NUMARENA_CONF");
	size_t len = strlen(setting);

	for (; conf; conf = strchr(conf, ',')) {
		conf += *conf == ',';
		if (!strncmp(conf, setting, len) && (!conf[len] || conf[len] == ','))
			return true;
	}
	return false;
}

static unsigned int nr_of(enum finding_level level)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < nr_findings; i++)
		nr += findings[i].level == level;
	return nr;
}

/* ---- Printing ---- */

static const char *const levels[] = { "fine", "note", "mend" };

static void print_text(bool is_verbose)
{
	size_t i;

	for (i = 0; i < nr_findings; i++) {
		const struct finding *f = &findings[i];

		printf("%s  %-17s %s\n", levels[f->level], f->id, f->is);
		if (is_verbose || f->level != FINDING_FINE)
			printf("        why   %s\n", f->why);
		if (*f->mend)
			printf("        do    %s\n", f->mend);
	}
	printf("%u fine, %u to note, %u to mend\n", nr_of(FINDING_FINE), nr_of(FINDING_NOTE),
	       nr_of(FINDING_MEND));
}

static void print_json(void)
{
	size_t i;

	json_open(NULL, '{');
	json_open("findings", '[');
	for (i = 0; i < nr_findings; i++) {
		const struct finding *f = &findings[i];

		json_open(NULL, '{');
		json_string("id", f->id);
		json_string("level", levels[f->level]);
		json_string("is", f->is);
		json_string("why", f->why);
		json_string("mend", *f->mend ? f->mend : NULL);
		json_close();
	}
	json_close();
	json_number("fine", nr_of(FINDING_FINE));
	json_number("note", nr_of(FINDING_NOTE));
	json_number("mend", nr_of(FINDING_MEND));
	json_close();
}

int cmd_doctor(int argc, char **argv)
{
	bool is_json = false, is_verbose = false;
	char path[PATH_MAX];
	int key;

	while ((key = tool_option(&usage, argc, argv)) != -1) {
		is_json |= key == 'j';
		is_verbose |= key == 'v';
		if (key == KEY_ROOT)
			text_root = optarg;
	}
	/* Else it would seem a machine that has nothing. */
	if (!text_path(path, sizeof(path), "/.") || access(path, F_OK))
		tool_die(TOOL_FAILED, "%s: %s", text_root, strerror(errno));
	if (optind < argc)
		tool_usage_error(&usage, "what is '%s'? no operand is taken", argv[optind]);
	doctor_pages();
	doctor_nodes();
	doctor_limits();
	doctor_kernel();
	if (is_json)
		print_json();
	else
		print_text(is_verbose);
	return nr_of(FINDING_MEND) ? TOOL_FAILED : TOOL_OK;
}
