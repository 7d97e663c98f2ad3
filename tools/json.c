// SPDX-License-Identifier: MIT
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* More than any command nests. */
#define MAX_DEPTH 16

static struct {
	char bracket;
	bool has_items;
} open[MAX_DEPTH];
static int depth;

/* Bytes above 127 are taken for UTF-8, which paths need not be: readers cope with that. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 127)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void begin_line(void)
{
	printf("\n%*s", 2 * depth, "");
}

static void begin_item(const char *key)
{
	if (depth) {
		if (open[depth - 1].has_items)
			putchar(',');
		open[depth - 1].has_items = true;
		begin_line();
	}
	if (key) {
		print_quoted(key);
		printf(": ");
	}
}

void json_open(const char *key, char bracket)
{
	begin_item(key);
	putchar(bracket);
	open[depth].bracket = bracket;
	open[depth++].has_items = false;
}

void json_close(void)
{
	depth--;
	if (open[depth].has_items)
		begin_line();
	putchar(open[depth].bracket == '{' ? '}' : ']');
	if (!depth)
		putchar('\n');
}

void json_string(const char *key, const char *value)
{
	begin_item(key);
	if (value)
		print_quoted(value);
	else
		printf("null");
}

void json_number(const char *key, uint64_t value)
{
	begin_item(key);
	printf("%" PRIu64, value);
}

void json_bool(const char *key, bool value)
{
	begin_item(key);
	printf(value ? "true" : "false");
}

/* JSON knows neither infinity nor what is not a number. */
void json_real(const char *key, double value)
{
	begin_item(key);
	if (isfinite(value))
		printf("%.6g", value);
	else
		printf("null");
}
