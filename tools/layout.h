/* SPDX-License-Identifier: MIT */
/*
 * Where in another process numarena's windows are, as its stats page tells (stats:page), and
 * so for which node each address is meant.
 */
#ifndef TOOL_LAYOUT_H
#define TOOL_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <numarena.h>

struct layout_window {
	uintptr_t start, end;
	int node;			/* the kernel's number */
	bool is_allowed;		/* by the cpuset; else its pages are meant for another node */
};

struct layout {
	unsigned int nr;
	struct layout_window window[NUMARENA_MAX_NODES];
	bool inherits;			/* policy:inherit: memory is meant for no node */
};

/* Return: whether the process has a page that can be believed. */
bool layout_read(struct layout *l, pid_t pid);

/* The window that an address is in; NULL: none. */
const struct layout_window *layout_find(const struct layout *l, uintptr_t address);

#endif /* TOOL_LAYOUT_H */
