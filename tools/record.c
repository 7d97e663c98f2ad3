// SPDX-License-Identifier: MIT
/*
 * `numarena record`: a program with libnumarena-record.so before its malloc.  That library
 * writes the file, which this command has created and whose name it hands on: see
 * record_preload.c.
 */
#include "birth.h"
#include "library.h"
#include "tool.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tool_option options[] = {
	{ "output", "FILE", 'o', "where the trace goes; what is there is lost" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "record",
	.synopsis = "-o FILE [--] PROGRAM [ARGUMENT]...",
	.about = "Runs a program and writes down each malloc, calloc, realloc, aligned allocation and\n"
		 "free that it makes, with thread and time, for 'numarena replay'.  The trace has all\n"
		 "that was done when the program ends, however it ends; if the file can grow no more,\n"
		 "or the program has given up its rights to it, a line on stderr says that it ends\n"
		 "there.  It is of this one process: children are not recorded, and an exec begins anew.",
	.is_launcher = true,
	.options = options,
	.notes = "The program runs on the malloc that it has anyway, several times slower.  A record takes\n"
		 "about 10 bytes, a thread at least 64 KiB.  The exit status is the program's; 125 if\n"
		 "numarena fails, 126 if the program cannot be run, 127 if there is none, 2 for a wrong\n"
		 "call.",
};

/* Made here, so that what is wrong with it is said before the program runs. */
static void create_output(const char *file, char *path)
{
	struct stat st;
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);

	if (fd < 0 || fstat(fd, &st))
		tool_die(LAUNCH_FAILED, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		tool_die(LAUNCH_FAILED, "%s: not a file that can be mapped: name an ordinary one", file);
	close(fd);
	if (!realpath(file, path))
		tool_die(LAUNCH_FAILED, "%s: %s", file, strerror(errno));
}

static void hand_on(const char *path)
{
	char *text;

	if (asprintf(&text, "%ld:%llu:%s", (long)getpid(), process_birth(), path) < 0 ||
	    setenv(TRACE_ENVIRONMENT, text, 1))
		tool_die(LAUNCH_FAILED, "%s", strerror(errno));
	free(text);
}

int cmd_record(int argc, char **argv)
{
	const char *output = NULL;
	char library[PATH_MAX], path[PATH_MAX];

	while (tool_option(&usage, argc, argv) != -1)
		output = optarg;
	if (!output || !*output)
		tool_usage_error(&usage, "where to? -o FILE");
	if (optind == argc)
		tool_usage_error(&usage, "which program?");
	library_find(LIBRARY_RECORD, library, sizeof(library), LAUNCH_FAILED);
	create_output(output, path);
	hand_on(path);
	library_preload(library);
	library_launch(argv + optind);
}
