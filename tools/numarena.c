// SPDX-License-Identifier: MIT
/*
 * The command: `numarena COMMAND ...`.  A command is a row of the table below and a file of
 * its name; everything else it brings itself.
 */
#include "tool.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <numarena.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;	/* one line */
};

static const struct command commands[] = {
	{ "run", cmd_run, "run a program on numarena" },
	{ "record", cmd_record, "write down what a program allocates and frees" },
	{ "replay", cmd_replay, "do it again on another malloc, and see what that takes" },
	{ "stat", cmd_stat, "the statistics of a process that publishes them" },
	{ "top", cmd_top, "all processes that publish statistics, again and again" },
	{ "audit", cmd_audit, "where the memory of a process should be, and where it is" },
	{ "doctor", cmd_doctor, "what of this machine is in the way, and what mends it" },
	{ "help", cmd_help, "print the help of a command" },
};

static const struct tool_option options[] = {
	{ "version", NULL, 'V', "print the version and end" },
	{ NULL, NULL, 0, NULL },
};

static void list_commands(void)
{
	size_t i;

	printf("\nCommands:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].about);
	printf("\n'numarena help COMMAND' tells more of one.\n");
}

static const struct tool_usage usage = {
	.synopsis = "[OPTION] COMMAND [ARGUMENT]...",
	.about = "Runs programs on numarena, looks at those that run, and at the machine.",
	.options = options,
	.print_more = list_commands,
};

static const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int command_run(const char *name, int argc, char **argv)
{
	const struct command *c = command_find(name);

	if (!c)
		tool_usage_error(&usage, "there is no command '%s'", name);
	/* Anew: getopt has looked at the words before the command. */
	optind = 0;
	return c->run(argc, argv);
}

static const struct tool_option no_options[] = { { NULL, NULL, 0, NULL } };

static const struct tool_usage help_usage = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.about = "Prints the help of a command, or of all of numarena.",
	.options = no_options,
};

int cmd_help(int argc, char **argv)
{
	char help[] = "--help", *words[] = { argv[0], help, NULL };

	while (tool_option(&help_usage, argc, argv) != -1)
		;
	if (optind < argc - 1)
		tool_usage_error(&help_usage, "one command at a time");
	if (optind < argc)
		return command_run(argv[optind], 2, words);
	optind = 0;
	return tool_option(&usage, 2, words);
}

/*
 * A descriptor of 0 to 2 that is closed would be given to the next file that is opened, and
 * what is printed would go there.  These fail instead; a program that is run finds them closed.
 */
static void fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_PATH | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	int key;

	fill_descriptors();
	while ((key = tool_option(&usage, argc, argv)) != -1) {
		if (key != 'V')
			continue;
		printf("numarena %d.%d.%d\n", NUMARENA_VERSION_MAJOR, NUMARENA_VERSION_MINOR,
		       NUMARENA_VERSION_PATCH);
		return tool_end(TOOL_OK);
	}
	if (optind == argc)
		tool_usage_error(&usage, "which command?");
	return tool_end(command_run(argv[optind], argc - optind, argv + optind));
}
