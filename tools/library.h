/* SPDX-License-Identifier: MIT */
/* The project's own libraries, and how they get into a program. */
#ifndef TOOL_LIBRARY_H
#define TOOL_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#define LIBRARY_NUMARENA "libnumarena.so.0"
#define LIBRARY_RECORD "libnumarena-record.so"

/* What env(1) ends with if it cannot do its own part, cannot run the program, finds none. */
enum { LAUNCH_FAILED = 125, LAUNCH_NOT_RUN = 126, LAUNCH_NOT_FOUND = 127 };

/*
 * The whole path of a library that lies where this command's own does: beside it in the
 * output folder, or in the lib folder of the same prefix.  Return: whether it is there.
 */
bool library_is_there(const char *name, char *path, size_t size);

/* Ends the process with @status if it is not, or if its path cannot stand in LD_PRELOAD. */
void library_find(const char *name, char *path, size_t size, int status);

/* The same of any path. */
void library_require_loadable(const char *path, int status);

/* Put it before what LD_PRELOAD has.  As if by setenv(). */
void library_preload(const char *path);

/* Put settings behind those that NUMARENA_CONF has: the last one of a name is in force. */
void library_configure(const char *settings);

/*
 * Run a program in the place of this one, and never return: with LAUNCH_NOT_FOUND or
 * LAUNCH_NOT_RUN if that cannot be.  A line on stderr warns of one that the loader will not
 * preload anything into.
 */
_Noreturn void library_launch(char **argv);

#endif /* TOOL_LIBRARY_H */
