// SPDX-License-Identifier: MIT
/*
 * What numarena_audit() costs a GiB of huge pages, and a GiB of pages of 4 KiB.
 *
 * usage: audit_cost LIBRARY [ROUNDS]
 *
 * Prints a line for huge:thp and one for huge:off: microseconds an audit of a process that
 * has 1 GiB, the median and the quartiles of the rounds.
 */
#include "child.h"

#include <dlfcn.h>
#include <numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES ((size_t)1 << 30)
#define USUAL_ROUNDS 9

/* Audits a process: the median counts, and the first one reads cold tables. */
#define NR_AUDITS 21

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The library is preloaded. */
static int audit(void)
{
	int (*run)(struct numarena_audit *) =
		(int (*)(struct numarena_audit *))dlsym(RTLD_DEFAULT, "numarena_audit");
	static struct numarena_audit found = { .size = sizeof(found) };
	char *p = memory_or_die(BYTES);
	double us[NR_AUDITS];

	memory_touch(p, BYTES);
	for (int i = 0; i < NR_AUDITS; i++) {
		double start = now_seconds();

		if (!run || run(&found))
			return EXIT_FAILURE;
		us[i] = (now_seconds() - start) * 1e6;
	}
	qsort(us, NR_AUDITS, sizeof(us[0]), compare);
	printf("%f\n", us[NR_AUDITS / 2]);
	return 0;
}

static void print_series(const struct series *s)
{
	printf("%-10s %9.0f %9.0f %9.0f\n", s->conf, series_quarter(s, 2), series_quarter(s, 1),
	       series_quarter(s, 3));
}

int main(int argc, char **argv)
{
	static struct series series[] = { { .conf = "huge:thp" }, { .conf = "huge:off" } };

	if (argc == 2 && !strcmp(argv[1], "audit"))
		return audit();
	series_run(series, 2, "audit", argv[1], rounds_of(argc, argv, USUAL_ROUNDS));
	printf("1 GiB      us median       25%%       75%%\n");
	print_series(&series[0]);
	print_series(&series[1]);
	return 0;
}
