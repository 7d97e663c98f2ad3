/* SPDX-License-Identifier: MIT */
/* JSON on standard output, an item at a time; commas and line ends are put where they belong. */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* @key is NULL for the outermost item and for those of a list. */
void json_open(const char *key, char bracket);	/* '{' or '[' */
void json_close(void);				/* the innermost; after the outermost ends the line */
void json_string(const char *key, const char *value);	/* NULL is null */
void json_number(const char *key, uint64_t value);
void json_bool(const char *key, bool value);
void json_real(const char *key, double value);

#endif /* TOOL_JSON_H */
