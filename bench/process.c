// SPDX-License-Identifier: MIT
#include "process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Main thread only. */
static size_t mapped_bytes;

_Noreturn void die(const char *fmt, ...)
{
	char text[512];
	size_t len = (size_t)snprintf(text, sizeof(text) / 2, "%s: ",
				      program_invocation_short_name);
	va_list args;

	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - len - 1, fmt, args);
	va_end(args);
	strcat(text, "\n");
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_FAILURE + 1);
	_exit(EXIT_FAILURE);
}

void *own_map(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	bytes = (bytes + page - 1) & -page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("%zu bytes for the benchmark itself: %s", bytes, strerror(errno));
	/* Huge pages under our arrays would be counted as the allocator's. */
	madvise(p, bytes, MADV_NOHUGEPAGE);
	memset(p, 0, bytes);
	mapped_bytes += bytes;
	return p;
}

size_t own_bytes(void)
{
	return mapped_bytes;
}

int file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	do {
		got = read(fd, text + len, size - 1 - len);
		if (got > 0)
			len += (size_t)got;
	} while (got > 0 && len < size - 1);
	close(fd);
	text[len] = '\0';
	return got < 0 ? -1 : 0;
}

uint64_t faults_count(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

/* The number of kB that stands behind @label at a line's start, in bytes. */
static double field_bytes(const char *text, const char *label)
{
	const char *line = strstr(text, label);

	return line ? strtod(line + strlen(label), NULL) * 1024 : NOT_MEASURED;
}

/* Not ru_maxrss: that remembers the process which called exec. */
double peak_rss_bytes(void)
{
	char text[4096];

	if (file_read("/proc/self/status", text, sizeof(text)))
		return NOT_MEASURED;
	return field_bytes(text, "\nVmHWM:");
}

double rss_bytes(void)
{
	char text[4096];

	if (file_read("/proc/self/status", text, sizeof(text)))
		return NOT_MEASURED;
	return field_bytes(text, "\nVmRSS:");
}

double huge_coverage(void)
{
	char text[4096];
	double anon, huge;

	if (file_read("/proc/self/smaps_rollup", text, sizeof(text)))
		return NOT_MEASURED;
	anon = field_bytes(text, "\nAnonymous:") - (double)mapped_bytes;
	huge = field_bytes(text, "\nAnonHugePages:");
	if (anon <= 0 || huge < 0)
		return NOT_MEASURED;
	return huge / anon;
}

/* Path of the object that a function is in. */
static const char *library_of(void (*function)(void))
{
	/* ISO C has no cast from a function to an object pointer; POSIX promises this one. */
	union { void (*function)(void); void *object; } address = { .function = function };
	Dl_info info;

	return dladdr(address.object, &info) ? info.dli_fname : "";
}

static const char *malloc_library(void)
{
	return library_of((void (*)(void))malloc);
}

void malloc_give_back(void)
{
	if (!strcmp(library_of((void (*)(void))malloc_trim), malloc_library()))
		malloc_trim(0);
}

void malloc_library_expect(const char *file)
{
	const char *path = malloc_library(), *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	if (strcmp(name, file))
		die("malloc is from %s, not from %s", path, file);
}
