// SPDX-License-Identifier: MIT
#include "text.h"
#include "tool.h"

#include "internal/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *text_root = "";

/* ---- Files ---- */

static bool __attribute__((format(printf, 3, 0)))
path_make(char *path, size_t size, const char *fmt, va_list args)
{
	int root = snprintf(path, size, "%s", text_root);
	int rest;

	if (root < 0 || (size_t)root >= size)
		return false;
	rest = vsnprintf(path + root, size - (size_t)root, fmt, args);
	return rest >= 0 && (size_t)rest < size - (size_t)root;
}

bool text_path(char *path, size_t size, const char *fmt, ...)
{
	va_list args;
	bool is_whole;

	va_start(args, fmt);
	is_whole = path_make(path, size, fmt, args);
	va_end(args);
	return is_whole;
}

/* What is in /proc comes a page at a time at most. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t got;

	do {
		got = read(fd, text + len, size - len);
		len += got > 0 ? (size_t)got : 0;
	} while (got > 0 && len < size);
	return got < 0 ? -1 : (ssize_t)len;
}

static bool read_path(char *text, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	ssize_t len = fd < 0 ? -1 : read_all(fd, text, size - 1);

	err = errno;
	if (fd >= 0)
		close(fd);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	text[len > 0 ? len : 0] = '\0';
	errno = err;
	return len >= 0;
}

static bool __attribute__((format(printf, 3, 0)))
read_made(char *text, size_t size, const char *fmt, va_list args)
{
	char path[PATH_MAX];

	*text = '\0';
	errno = ENAMETOOLONG;
	return path_make(path, sizeof(path), fmt, args) && read_path(text, size, path);
}

bool text_read(char *text, size_t size, const char *fmt, ...)
{
	va_list args;
	bool is_read;

	va_start(args, fmt);
	is_read = read_made(text, size, fmt, args);
	va_end(args);
	return is_read;
}

bool text_number(uint64_t *number, const char *fmt, ...)
{
	char text[64], *end;
	va_list args;
	bool is_read;

	va_start(args, fmt);
	is_read = read_made(text, sizeof(text), fmt, args);
	va_end(args);
	*number = UINT64_MAX;
	if (!is_read || !strcmp(text, "max"))
		return is_read;
	*number = strtoull(text, &end, 10);
	return end > text && !*end;
}

/* ---- Words ---- */

static void copy_cut(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

bool text_field(const char *text, const char *label, char *value, size_t size)
{
	const char *line;
	size_t len = strlen(label);

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, len))
			continue;
		line += len;
		line += strspn(line, " \t");
		copy_cut(value, size, line, strcspn(line, "\n"));
		return true;
	}
	*value = '\0';
	return false;
}

const char *text_plain(char *to, size_t size, const char *text)
{
	size_t i, k;

	for (i = 0; text[i]; i += k) {
		unsigned int len = nar_utf8_plain_length(text + i);

		k = len ? len : 1;
		if (i + k >= size)
			break;
		memcpy(to + i, len ? text + i : "?", k);
	}
	to[i] = '\0';
	return to;
}

void text_chosen(const char *text, char *word, size_t size)
{
	const char *open = strchr(text, '[');

	if (open)
		copy_cut(word, size, open + 1, strcspn(open + 1, "]"));
	else
		copy_cut(word, size, text, strlen(text));
}

/* ---- Sets ---- */

static void ids_add(struct ids *ids, unsigned int id)
{
	ids->word[id / 64] |= UINT64_C(1) << id % 64;
}

bool ids_has(const struct ids *ids, unsigned int id)
{
	return id < IDS_MAX && ids->word[id / 64] >> id % 64 & 1;
}

/* A number below IDS_MAX, and no sign or space before it. */
static bool parse_id(const char **text, unsigned int *id)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)**text))
		return false;
	n = strtoul(*text, &end, 10);
	*text = end;
	*id = (unsigned int)n;
	return n < IDS_MAX;
}

static bool parse_range(struct ids *ids, const char **text)
{
	unsigned int first, last;

	if (!parse_id(text, &first))
		return false;
	last = first;
	if (**text == '-') {
		++*text;
		if (!parse_id(text, &last) || last < first)
			return false;
	}
	while (first <= last)
		ids_add(ids, first++);
	return true;
}

bool ids_parse(struct ids *ids, const char *text)
{
	memset(ids, 0, sizeof(*ids));
	if (!*text)
		return true;
	for (;; text++) {
		if (!parse_range(ids, &text))
			return false;
		if (*text != ',')
			return !*text;
	}
}

void ids_format(const struct ids *ids, char *text, size_t size)
{
	unsigned int first, last;
	size_t len = 0;

	*text = '\0';
	for (first = ids_next(ids, 0); first < IDS_MAX && len < size; first = ids_next(ids, last + 1)) {
		for (last = first; ids_has(ids, last + 1); last++)
			;
		len += (size_t)snprintf(text + len, size - len, first == last ? "%s%u" : "%s%u-%u",
					len ? "," : "", first, last);
	}
}

unsigned int ids_count(const struct ids *ids)
{
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(ids->word); i++)
		nr += (unsigned int)__builtin_popcountll(ids->word[i]);
	return nr;
}

void ids_add_all(struct ids *ids, const struct ids *more)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids->word); i++)
		ids->word[i] |= more->word[i];
}

void ids_keep(struct ids *ids, const struct ids *allowed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids->word); i++)
		ids->word[i] &= allowed->word[i];
}

unsigned int ids_next(const struct ids *ids, unsigned int id)
{
	while (id < IDS_MAX && !ids_has(ids, id))
		id++;
	return id;
}
