// SPDX-License-Identifier: MIT
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any command has. */
#define MAX_OPTIONS 32

/* Of the command that runs, for messages: tool_option() sets it. */
static const char *tool_name;

/* Why stdout has failed, which it tells once: errno of tool_flush(). */
static int output_error;

/* ---- Messages ---- */

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list args)
{
	fflush(stdout);
	fprintf(stderr, tool_name ? "numarena %s: " : "numarena: ", tool_name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void tool_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}

void tool_die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	exit(status);
}

static _Noreturn void usage_hint(void)
{
	fprintf(stderr, "Try 'numarena %s%s--help'.\n", tool_name ? tool_name : "",
		tool_name ? " " : "");
	exit(TOOL_USAGE);
}

void tool_usage_error(const struct tool_usage *usage, const char *fmt, ...)
{
	va_list args;

	tool_name = usage->name;
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	usage_hint();
}

bool tool_flush(void)
{
	bool was_bad = ferror(stdout);

	errno = 0;
	if (!fflush(stdout) && !was_bad)
		return true;
	if (!output_error)
		output_error = errno ? errno : EIO;
	return false;
}

int tool_end(int status)
{
	if (tool_flush())
		return status;
	tool_warn("cannot write the output: %s", strerror(output_error));
	return TOOL_FAILED;
}

/* ---- Help ---- */

/* Text behind an option, its further lines below its first. */
static void print_indented(const char *text, int column)
{
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("%*s", column, "");
	}
	putchar('\n');
}

#define HELP_COLUMN 26

static void print_option(char letter, const char *name, const char *arg, const char *help)
{
	int width = letter ? printf("  -%c, --%s", letter, name) : printf("      --%s", name);

	if (arg)
		width += printf(" %s", arg);
	if (width > HELP_COLUMN - 2)
		width = printf("\n") - 1;
	printf("%*s", HELP_COLUMN - width, "");
	print_indented(help, HELP_COLUMN);
}

static bool has_letter(const struct tool_option *o)
{
	return o->key < 256;
}

static void print_help(const struct tool_usage *usage)
{
	const struct tool_option *o;

	printf("Usage: numarena %s%s%s\n\n%s\n\nOptions:\n", usage->name ? usage->name : "",
	       usage->name ? " " : "", usage->synopsis, usage->about);
	for (o = usage->options; o->name; o++)
		if (o->help)
			print_option(has_letter(o) ? (char)o->key : '\0', o->name, o->arg, o->help);
	print_option('h', "help", NULL, "print this help and end");
	if (usage->notes)
		printf("\n%s\n", usage->notes);
	if (usage->print_more)
		usage->print_more();
}

/* ---- Options ---- */

struct forms {
	struct option longs[MAX_OPTIONS + 2];
	char shorts[2 * MAX_OPTIONS + 5];
};

static void forms_add(struct forms *f, size_t i, const char *name, bool has_arg, int key)
{
	size_t len = strlen(f->shorts);

	f->longs[i] = (struct option){ name, has_arg ? required_argument : no_argument, NULL, key };
	if (key > 255)
		return;
	f->shorts[len] = (char)key;
	if (has_arg)
		f->shorts[len + 1] = ':';
}

/* '+': stop at the first operand, ':': tell what is missing from what is unknown. */
static void forms_make(struct forms *f, const struct tool_usage *usage)
{
	const struct tool_option *options = usage->options;
	size_t i;

	*f = (struct forms){ .shorts = "" };
	strcpy(f->shorts, usage->is_launcher ? "+:" : ":");
	for (i = 0; options[i].name && i < MAX_OPTIONS; i++)
		forms_add(f, i, options[i].name, options[i].arg, options[i].key);
	forms_add(f, i, "help", false, 'h');
}

/*
 * optopt is an unknown letter, which may stand among others in a word that is not done with; or
 * the key of an option that lacks a value, or has one too many; or 0: then it is the last word.
 */
static _Noreturn void refuse(const struct tool_usage *usage, char **argv, const struct forms *f,
			     const char *what)
{
	if (optopt && optopt < 256 && !strchr(f->shorts, optopt))
		tool_usage_error(usage, "%s '-%c'", what, optopt);
	tool_usage_error(usage, "%s '%s'", what, argv[optind - 1]);
}

/* A part of a name may be of several. */
static bool is_ambiguous(const struct forms *f, const char *word)
{
	const struct option *o;
	unsigned int nr = 0;

	if (strncmp(word, "--", 2))
		return false;
	for (o = f->longs; o->name; o++)
		nr += !strncmp(o->name, word + 2, strcspn(word + 2, "="));
	return nr > 1;
}

static const char *what_is_wrong(const struct forms *f, const char *word)
{
	if (optopt > 255 || (optopt && strchr(f->shorts, optopt)))
		return "a value for an option that takes none:";
	return !optopt && is_ambiguous(f, word) ? "several options begin with" : "there is no option";
}

int tool_option(const struct tool_usage *usage, int argc, char **argv)
{
	struct forms forms;
	int key;

	tool_name = usage->name;
	forms_make(&forms, usage);
	opterr = 0;
	key = getopt_long(argc, argv, forms.shorts, forms.longs, NULL);
	if (key == 'h') {
		print_help(usage);
		exit(tool_end(TOOL_OK));
	}
	if (key == ':')
		refuse(usage, argv, &forms, "no value for option");
	if (key == '?')
		refuse(usage, argv, &forms, what_is_wrong(&forms, argv[optind - 1]));
	return key;
}

static int to_pid(const struct tool_usage *usage, const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (end == text || *end || errno || pid < 1 || pid > INT_MAX)
		tool_usage_error(usage, "'%s' is no process's number", text);
	return (int)pid;
}

int tool_process(const struct tool_usage *usage, int argc, char **argv, bool *is_json)
{
	int key;

	*is_json = false;
	while ((key = tool_option(usage, argc, argv)) != -1)
		*is_json |= key == 'j';
	if (optind != argc - 1)
		tool_usage_error(usage, optind == argc ? "which process?" : "one process at a time");
	return to_pid(usage, argv[optind]);
}
