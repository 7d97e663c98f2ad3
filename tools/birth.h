/* SPDX-License-Identifier: MIT */
/* When a process began, which an exec leaves as it is: with its number, it names a process. */
#ifndef TOOL_BIRTH_H
#define TOOL_BIRTH_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Field 22 of /proc/self/stat; 0 without /proc.  The second, a name in brackets, may hold anything. */
static inline unsigned long long process_birth(void)
{
	unsigned long long ticks = 0;
	char stat[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	stat[len > 0 ? len : 0] = '\0';
	at = strrchr(stat, ')');
	if (at)
		sscanf(at + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			       "%*s %*s %llu", &ticks);
	return ticks;
}

#endif /* TOOL_BIRTH_H */
