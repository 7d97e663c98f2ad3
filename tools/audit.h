/* SPDX-License-Identifier: MIT */
/* Where a process's memory should be and where it is, for all commands that show it. */
#ifndef TOOL_AUDIT_H
#define TOOL_AUDIT_H

#include "layout.h"
#include "procmaps.h"

struct odd {
	uintptr_t start, end;
	int meant;
	uint64_t misplaced_kib;
	char policy[64];
};

/* Enough to see a pattern; all are in the sums. */
#define MAX_ODD 32

struct finding {
	pid_t pid;
	char name[64];
	bool has_layout, is_loaded, has_memory;
	struct layout layout;
	struct procmaps maps;
	uint64_t meant_kib[MAX_PLACES], misplaced_kib[MAX_PLACES], huge_kib[MAX_PLACES];
	uint64_t on_kib[MAX_PLACES];
	uint64_t unbound_kib, unbound_huge_kib;
	struct odd odd[MAX_ODD];
	unsigned int nr_odd;
};

/* @f is zero but for its pid.  Return: 0, or the errno of what could not be read. */
int audit_look(struct finding *f);

/* Over all places. */
uint64_t audit_sum(const uint64_t *kib);

#endif /* TOOL_AUDIT_H */
