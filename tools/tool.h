/* SPDX-License-Identifier: MIT */
/*
 * What all commands of `numarena` share: a command's options and its help are one table, so
 * that neither can tell of something that the other has not; errors are one line on stderr.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* How a command ends, besides what it says of itself in its help. */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_FAILED = 1,	/* it could not do it, or something is wrong */
	TOOL_USAGE = 2,		/* it was not called as it should be */
};

struct tool_option {
	const char *name;	/* the long form; NULL ends the table */
	const char *arg;	/* what it takes, as shown in the help; NULL: nothing */
	int key;		/* what tool_option() answers: its letter, or above 255 without one */
	const char *help;	/* lines after the first are indented by the printer */
};

/* --help is understood by all and in no table. */
struct tool_usage {
	const char *name;	/* of the command */
	const char *synopsis;	/* what stands behind the name */
	const char *about;	/* some lines */
	bool is_launcher;	/* options end at the first operand: the rest is another program's */
	const struct tool_option *options;
	const char *notes;	/* behind the options: exit codes, examples; may be NULL */
	void (*print_more)(void);	/* behind those; may be NULL */
};

/*
 * The next option, -1 after the last one; then optind is the first operand's index: options may
 * stand behind operands, which are moved to the end.  Prints the help and ends the process at
 * --help; ends it at an option that the command has not.
 */
int tool_option(const struct tool_usage *usage, int argc, char **argv);

/* One line on stderr, "numarena NAME: ...", and a hint; ends the process with 2. */
_Noreturn void tool_usage_error(const struct tool_usage *usage, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One line on stderr, "numarena NAME: ..."; the latter ends the process with @status. */
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void tool_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends what was printed; false if not all of it got to where it should, ever. */
bool tool_flush(void);

/* @status, or 1 after one line if what was printed has not got to where it should. */
int tool_end(int status);

/*
 * For a command whose only option is --json and whose operand is one process.  Return: its
 * number.  Ends the process at any other call.
 */
int tool_process(const struct tool_usage *usage, int argc, char **argv, bool *is_json);

/* The commands, each in the file of its name.  Return: the exit status. */
int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif /* TOOL_H */
