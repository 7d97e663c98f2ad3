/* SPDX-License-Identifier: MIT */
/* Whether the loader would preload a library into a program. */
#ifndef TOOL_PRELOAD_H
#define TOOL_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What can be told from the file, and for a script from its interpreter's: a static program
 * has no loader, a foreign machine's has another, and a setuid one's takes no library from
 * the environment.  @name is looked for as execvp() does.
 *
 * Return: whether it is in vain, and @why says so in a few words that begin with the path.
 */
bool preload_is_hopeless(const char *name, char *why, size_t size);

/* Whether @path is a shared library of this kind of machine; of others the loader tells in its own words. */
bool preload_is_library(const char *path);

/*
 * execvp(), but for a program of another machine: that would be run as a shell's script.  Return:
 * the errno.
 */
int preload_exec(char **argv);

#endif /* TOOL_PRELOAD_H */
