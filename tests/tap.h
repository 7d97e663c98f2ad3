/* SPDX-License-Identifier: MIT */
/*
 * A Check suite as a TAP program.  libcheck writes the TAP; tap_run() asks it to,
 * on stdout and with nothing else there, and turns the outcome into an exit status.
 */
#ifndef NAR_TESTS_TAP_H
#define NAR_TESTS_TAP_H

#include <check.h>

/* Return: EXIT_SUCCESS if every check of @suite passed. */
int tap_run(Suite *suite);

/* End the program as skipped, because of @reason. */
_Noreturn void tap_skip_all(const char *reason);

#endif
