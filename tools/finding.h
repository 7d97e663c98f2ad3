/* SPDX-License-Identifier: MIT */
/*
 * What `numarena doctor` finds.  Each doctor_* file looks at one side of the machine and
 * calls finding_add() once for each thing it looks at, fine or not: silence would leave open
 * whether anyone has looked.
 */
#ifndef TOOL_FINDING_H
#define TOOL_FINDING_H

#include <stdbool.h>

enum finding_level {
	FINDING_FINE,
	FINDING_NOTE,	/* right for some; better otherwise for others */
	FINDING_MEND,	/* costs speed, memory or locality: counts in the exit status */
};

struct finding {
	const char *id;		/* a word, for --json and tests */
	enum finding_level level;
	char is[512];		/* what is, in one line */
	const char *why;	/* why it matters */
	char mend[512];		/* the command, or where none can, what to do; empty: nothing */
};

/* A finding that is fine so far: @is is made as by printf. */
struct finding *finding_add(const char *id, const char *why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* It is not fine; what mends it is made as by printf. */
void finding_set(struct finding *f, enum finding_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* More to what is. */
void finding_more(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether NUMARENA_CONF asks for @setting, as in "huge:hugetlb". */
bool finding_is_configured(const char *setting);

void doctor_pages(void);	/* huge pages of all kinds */
void doctor_nodes(void);	/* nodes, cpusets, the kernel's own moving of pages */
void doctor_limits(void);	/* of the process, the user, the cgroup */
void doctor_kernel(void);	/* what the kernel and the C library have, and a sandbox refuses */

#endif /* TOOL_FINDING_H */
