/* SPDX-License-Identifier: MIT */
/*
 * Printed statistics, looked at: text in memory, and numbers by name.  printed.py reads the
 * formats, so that python's own parser says whether JSON is JSON.
 */
#ifndef NAR_TESTS_PRINTED_H
#define NAR_TESTS_PRINTED_H

#include "contract.h"

#include <sys/mman.h>

#define PRINTED_BYTES MIB(4)

static inline char *text_of(int fd)
{
	char *text = mmap(NULL, PRINTED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t len;

	ck_assert_ptr_ne(text, MAP_FAILED);
	len = pread(fd, text, PRINTED_BYTES - 1, 0);
	ck_assert_int_ge(len, 0);
	return text;
}

/* "name value" lines of what was printed into @fd; dies if it is not valid. */
static inline char *flatten(int fd, const char *format)
{
	int flat = memfd_create("flat", 0), status;
	pid_t pid = fork();

	if (!pid) {
		lseek(fd, 0, SEEK_SET);
		dup2(fd, STDIN_FILENO);
		dup2(flat, STDOUT_FILENO);
		execlp("python3", "python3", "tests/printed.py", format, NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(!status, "not valid as %s: status %#x", format, status);
	return text_of(flat);
}

/* The line of @name, which must be there. */
static inline const char *figure_text(const char *flat, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = flat; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, name, len) && at[len] == ' ')
			return at + len + 1;
	ck_abort_msg("no figure %s", name);
}

static inline uint64_t figure(const char *flat, const char *name)
{
	return strtoull(figure_text(flat, name), NULL, 10);
}

/* Index of the line of list @list that has @value as @key; -1. */
static inline int line_where(const char *flat, const char *list, const char *key, const char *value)
{
	char name[128];
	int i;

	for (i = 0; i < 10000; i++) {
		size_t len = strlen(value);
		const char *at;

		snprintf(name, sizeof(name), "\n%s.%d.%s ", list, i, key);
		at = strstr(flat, name);
		if (!at)
			return -1;
		at += strlen(name);
		if (!strncmp(at, value, len) && at[len] == '\n')
			return i;
	}
	return -1;
}

static inline uint64_t line_figure(const char *flat, const char *list, int i, const char *of)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.%d.%s", list, i, of);
	return figure(flat, name);
}

#endif
