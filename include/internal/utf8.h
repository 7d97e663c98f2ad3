/* SPDX-License-Identifier: MIT */
/*
 * Text of any origin: names of threads, programs and files may be any bytes.  Shared with
 * the command, which links with libc alone.
 */
#ifndef NAR_UTF8_H
#define NAR_UTF8_H

#include <stdbool.h>

/* Bytes of the character at @text; 0 if it is no UTF-8 (RFC 3629, table of section 4). */
static inline unsigned int nar_utf8_length(const char *text)
{
	static const struct {
		unsigned char from, to, second_from, second_to, length;
	} row[] = {
		{ 0x00, 0x7f, 0, 0, 1 },	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },	{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *at = (const unsigned char *)text;
	unsigned int i, k;

	for (i = 0; i < sizeof(row) / sizeof(*row); i++) {
		if (*at < row[i].from || *at > row[i].to)
			continue;
		if (row[i].length > 1 && (at[1] < row[i].second_from || at[1] > row[i].second_to))
			return 0;
		for (k = 2; k < row[i].length; k++)
			if (at[k] < 0x80 || at[k] > 0xbf)
				return 0;
		return row[i].length;
	}
	return 0;
}

/* The same; 0 also if it would move the cursor: C0, DEL and C1, which terminals obey, too. */
static inline unsigned int nar_utf8_plain_length(const char *text)
{
	unsigned char first = (unsigned char)text[0];
	bool is_c1 = first == 0xc2 && (unsigned char)text[1] < 0xa0;

	return first < 0x20 || first == 0x7f || is_c1 ? 0 : nar_utf8_length(text);
}

#endif /* NAR_UTF8_H */
