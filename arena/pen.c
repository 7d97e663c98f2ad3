// SPDX-License-Identifier: MIT
#include <string.h>

#include "internal/utf8.h"
#include "numa/text.h"

#include "figures.h"
#include "pen.h"

/* As many digits as 2^64 has, a sign, and an end. */
#define NUMBER_BYTES 24

static char *digits(char number[NUMBER_BYTES], u64 n)
{
	nar_text_number(number, n);
	return number;
}

void nar_pen_text(struct nar_sink *s, const char *text)
{
	nar_sink_put(s, text, strlen(text));
}

void nar_pen_char(struct nar_sink *s, char c)
{
	nar_sink_put(s, &c, 1);
}

void nar_pen_u64(struct nar_sink *s, u64 n)
{
	char number[NUMBER_BYTES];

	nar_pen_text(s, digits(number, n));
}

void nar_pen_i64(struct nar_sink *s, int64_t n)
{
	if (n < 0)
		nar_pen_char(s, '-');
	nar_pen_u64(s, n < 0 ? 0 - (u64)n : (u64)n);
}

/* "@n.@part@suffix", the part of so many digits. */
static void put_fixed(char *to, u64 n, u64 part, unsigned int nr_digits, const char *suffix)
{
	char number[NUMBER_BYTES], *at = digits(number, part);

	strcpy(to, digits((char[NUMBER_BYTES]){ 0 }, n));
	strcat(to, ".");
	for (size_t len = strlen(at); len < nr_digits; len++)
		strcat(to, "0");
	strcat(strcat(to, at), suffix);
}

void nar_pen_ratio(struct nar_sink *s, u64 ratio)
{
	char text[2 * NUMBER_BYTES];

	put_fixed(text, ratio / NAR_RATIO_ONE, ratio % NAR_RATIO_ONE, 4, "");
	nar_pen_text(s, text);
}

/* ---- Columns ---- */

static void spaces(struct nar_sink *s, size_t used, unsigned int width)
{
	for (; used < width; used++)
		nar_pen_char(s, ' ');
}

void nar_pen_right(struct nar_sink *s, const char *text, unsigned int width)
{
	spaces(s, strlen(text), width);
	nar_pen_text(s, text);
}

void nar_pen_left(struct nar_sink *s, const char *text, unsigned int width)
{
	nar_pen_plain(s, text);
	spaces(s, strlen(text), width);
}

void nar_pen_right_u64(struct nar_sink *s, u64 n, unsigned int width)
{
	char number[NUMBER_BYTES];

	nar_pen_right(s, n == NAR_UNKNOWN ? "-" : digits(number, n), width);
}

/* A tenth of the unit is as near as people want it. */
static void right_scaled(struct nar_sink *s, u64 n, const u64 *unit, const char *const *suffix,
			 unsigned int width)
{
	char text[2 * NUMBER_BYTES];

	while (unit[1] && n >= unit[1]) {
		unit++;
		suffix++;
	}
	if (*unit == 1)
		strcat(strcpy(text, digits((char[NUMBER_BYTES]){ 0 }, n)), *suffix);
	else
		put_fixed(text, n / *unit, n % *unit * 10 / *unit, 1, *suffix);
	nar_pen_right(s, n == NAR_UNKNOWN ? "-" : text, width);
}

void nar_pen_right_bytes(struct nar_sink *s, u64 bytes, unsigned int width)
{
	static const u64 unit[] = { 1, KIB(1), MIB(1), GIB(1), KIB(GIB(1)), 0 };
	static const char *const suffix[] = { "", "K", "M", "G", "T" };

	right_scaled(s, bytes, unit, suffix, width);
}

void nar_pen_right_ns(struct nar_sink *s, u64 ns, unsigned int width)
{
	static const u64 unit[] = { 1, 1000, 1000000, 1000000000, 0 };
	static const char *const suffix[] = { "ns", "us", "ms", "s" };

	right_scaled(s, ns, unit, suffix, width);
}

void nar_pen_right_ratio(struct nar_sink *s, u64 ratio, unsigned int width)
{
	char text[2 * NUMBER_BYTES];

	/* Cut, not rounded: what is not whole is not 100 %. */
	put_fixed(text, ratio / 100, ratio % 100 / 10, 1, "%");
	nar_pen_right(s, ratio == NAR_UNKNOWN ? "-" : text, width);
}

/* ---- Text of any origin ---- */

/* @escape writes what stands for a character and says whether it did. */
static void quoted(struct nar_sink *s, const char *text, bool (*escape)(struct nar_sink *s, char c))
{
	unsigned int len;

	nar_pen_char(s, '"');
	for (; *text; text += len ? len : 1) {
		len = nar_utf8_length(text);
		if (!len)
			nar_pen_text(s, "\xef\xbf\xbd");
		else if (len > 1 || !escape(s, *text))
			nar_sink_put(s, text, len);
	}
	nar_pen_char(s, '"');
}

static bool escape_json(struct nar_sink *s, char c)
{
	static const char hex[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		nar_pen_char(s, '\\');
		nar_pen_char(s, c);
		return true;
	}
	if ((unsigned char)c >= 0x20)
		return false;
	nar_pen_text(s, "\\u00");
	nar_pen_char(s, hex[c >> 4 & 15]);
	nar_pen_char(s, hex[c & 15]);
	return true;
}

static bool escape_label(struct nar_sink *s, char c)
{
	if (c != '"' && c != '\\' && c != '\n')
		return false;
	nar_pen_char(s, '\\');
	nar_pen_char(s, c == '\n' ? 'n' : c);
	return true;
}

void nar_pen_json(struct nar_sink *s, const char *text)
{
	quoted(s, text, escape_json);
}

void nar_pen_label(struct nar_sink *s, const char *text)
{
	quoted(s, text, escape_label);
}

void nar_pen_plain(struct nar_sink *s, const char *text)
{
	unsigned int len;

	for (; *text; text += len ? len : 1) {
		len = nar_utf8_plain_length(text);
		nar_sink_put(s, len ? text : "?", len ? len : 1);
	}
}
