/* SPDX-License-Identifier: MIT */
/*
 * Preloaded before the library: tells who served a process's mallocs.
 *
 * When the process ends, one line is added to the file that WITNESS_LOG names:
 *
 *	program <tab> library that malloc comes from <tab> slabs it has cut
 *
 * "-" stands for the slabs of another malloc than numarena.  A process that leaves by
 * _exit or a signal writes nothing.
 */
#include <numarena.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#pragma weak numarena_stats_get

static const char *malloc_library(void)
{
	Dl_info info;
	/*
	 * The next one in search order is the one the program gets.  Its own idea of
	 * malloc's address may be a stub in the executable.
	 */
	void *address = dlsym(RTLD_NEXT, "malloc");

	return address && dladdr(address, &info) ? info.dli_fname : "?";
}

static void print_slabs(char *text, size_t size)
{
	struct numarena_stats stats;

	if (numarena_stats_get && !numarena_stats_get(&stats, sizeof(stats)))
		snprintf(text, size, "%" PRIu64, stats.nr_slabs_made);
	else
		snprintf(text, size, "-");
}

__attribute__((destructor))
static void testify(void)
{
	const char *path = getenv("WITNESS_LOG");
	char slabs[24], line[512];
	int fd, length;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	print_slabs(slabs, sizeof(slabs));
	length = snprintf(line, sizeof(line), "%.15s\t%s\t%s\n",
			  program_invocation_short_name, malloc_library(), slabs);
	/* One write to a file opened for appending: lines of two processes don't mix. */
	if (write(fd, line, length) != length)
		perror("witness");
	close(fd);
}
