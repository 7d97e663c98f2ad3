// SPDX-License-Identifier: MIT
/*
 * What the first write to each page of 1 GiB costs on huge pages and on pages of 4 KiB.
 *
 * usage: first_touch LIBRARY [ROUNDS]
 *
 * Prints a line for huge:thp and one for huge:off: milliseconds, the median and the quartiles
 * of the rounds; then how many times faster huge pages are, by the medians, and if their bad
 * quarter met the good one of small pages.
 */
#include "child.h"

#include <stdio.h>
#include <string.h>

#define BYTES ((size_t)1 << 30)
#define USUAL_ROUNDS 11

static int touch(void)
{
	char *p = memory_or_die(BYTES);
	double start = now_seconds();

	memory_touch(p, BYTES);
	printf("%f\n", (now_seconds() - start) * 1e3);
	return 0;
}

static void print_series(const struct series *s)
{
	printf("%-10s %9.1f %9.1f %9.1f\n", s->conf, series_quarter(s, 2), series_quarter(s, 1),
	       series_quarter(s, 3));
}

int main(int argc, char **argv)
{
	static struct series series[] = { { .conf = "huge:thp" }, { .conf = "huge:off" } };
	const struct series *huge = &series[0], *small = &series[1];

	if (argc == 2 && !strcmp(argv[1], "touch"))
		return touch();
	series_run(series, 2, "touch", argv[1], rounds_of(argc, argv, USUAL_ROUNDS));
	printf("1 GiB      ms median       25%%       75%%\n");
	print_series(huge);
	print_series(small);
	printf("ratio %.1f, of quartiles %.1f\n", series_quarter(small, 2) / series_quarter(huge, 2),
	       series_quarter(small, 1) / series_quarter(huge, 3));
	return 0;
}
