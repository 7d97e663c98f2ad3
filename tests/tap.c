/* SPDX-License-Identifier: MIT */
/*
 * Running a suite.  Check forks a child a test unless CK_FORK=no, so that a crash
 * is one failed test; the plan and the verdicts come from the parent.
 */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

int tap_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

_Noreturn void tap_skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	exit(EXIT_SUCCESS);
}
