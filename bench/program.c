// SPDX-License-Identifier: MIT
#include "program.h"
#include "latency.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork, not vfork: see start_cost.c. */
static pid_t program_start(char **argv, const char *library)
{
	pid_t child = fork();
	int out;

	if (child)
		return child;
	out = open("/dev/null", O_WRONLY);
	if (out < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    (library && setenv("LD_PRELOAD", library, 1)))
		_exit(126);
	execvp(argv[0], argv);
	_exit(127);
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void program_run(char **argv, const char *library, struct program_result *result)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	struct rusage usage;
	pid_t child;
	int status;

	if (library && access(library, R_OK))
		die("%s: %s", library, strerror(errno));
	child = program_start(argv, library);
	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		die("%s: %s", argv[0], strerror(errno));
	result->seconds = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("%s: status %#x", argv[0], (unsigned int)status);
	result->cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
	result->peak_rss_bytes = (double)usage.ru_maxrss * 1024;
	result->nr_faults = (double)(usage.ru_minflt + usage.ru_majflt);
}
