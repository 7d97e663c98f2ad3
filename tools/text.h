/* SPDX-License-Identifier: MIT */
/* What the kernel tells in text, below /proc and /sys, and the sets of numbers in it. */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What stands before each path below: "", or a folder that pretends to be the machine,
 * without a slash at its end.
 */
extern const char *text_root;

/* A path below text_root, made as by printf.  Return: false if it has no room. */
bool text_path(char *path, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * A file's text, cut to @size - 1 bytes, white space at its end left out.  Return: whether it
 * could be read; if not, @text is empty, and errno says why.
 */
bool text_read(char *text, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A file with one number, or "max", which is UINT64_MAX.  Return: whether there is one. */
bool text_number(uint64_t *number, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What stands behind @label at the start of a line, up to its end.  Return: whether it does. */
bool text_field(const char *text, const char *label, char *value, size_t size);

/* As far as it has room, and without what would move the cursor.  Return: @to. */
const char *text_plain(char *to, size_t size, const char *text);

/* The word in brackets of "always [madvise] never"; the whole text if there are none. */
void text_chosen(const char *text, char *word, size_t size);

/* Linux has at most 8192 CPUs (x86) and 1024 nodes. */
#define IDS_MAX 8192

struct ids {
	uint64_t word[IDS_MAX / 64];
};

/* "0-3,8", as the kernel and people write it; nothing is the empty set.  Return: whether it is one. */
bool ids_parse(struct ids *ids, const char *text);
void ids_format(const struct ids *ids, char *text, size_t size);

bool ids_has(const struct ids *ids, unsigned int id);
unsigned int ids_count(const struct ids *ids);
void ids_add_all(struct ids *ids, const struct ids *more);
void ids_keep(struct ids *ids, const struct ids *allowed);

/* The first of @ids from @id on, or IDS_MAX. */
unsigned int ids_next(const struct ids *ids, unsigned int id);

#define ids_for_each(id, ids) \
	for ((id) = ids_next(ids, 0); (id) < IDS_MAX; (id) = ids_next(ids, (id) + 1))

#endif /* TOOL_TEXT_H */
