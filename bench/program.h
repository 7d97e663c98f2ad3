/* SPDX-License-Identifier: MIT */
/* What a whole program takes under a preloaded library. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

struct program_result {
	double seconds;			/* from fork to the end */
	double cpu_seconds;		/* with all that it waited for */
	double peak_rss_bytes;		/* the largest of those processes */
	double nr_faults;
};

/*
 * Runs @argv, its output thrown away, with LD_PRELOAD=@library unless that is NULL.  Ends the
 * process if the program fails.
 */
void program_run(char **argv, const char *library, struct program_result *result);

#endif
