// SPDX-License-Identifier: MIT
#include "json.h"

#include "internal/utf8.h"

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

/* What is no UTF-8, as paths and cut names need not be, becomes U+FFFD. */
static void print_quoted(const char *text)
{
	unsigned int len;

	putchar('"');
	for (; *text; text += len ? len : 1) {
		len = nar_utf8_length(text);
		if (!len)
			printf("\\ufffd");
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (!nar_utf8_plain_length(text))
			printf("\\u%04x", (unsigned char)text[len - 1]);
		else
			printf("%.*s", (int)len, text);
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
