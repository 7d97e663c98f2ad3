/* SPDX-License-Identifier: MIT */
/*
 * Printing a report in one of the formats of enum numarena_stats_format.
 */
#ifndef NAR_PRINT_H
#define NAR_PRINT_H

#include "internal/compiler.h"

/*
 * Gather and write all statistics.  One thread at a time: a second waits.  Return: 0 or -errno.
 */
int nar_print(int fd, unsigned int format);

/* The same, but if somebody is at it, only wait so long too.  Return: -EBUSY then. */
int nar_print_try(int fd, unsigned int format, int patience_ms);

/* Whether a thread of this process is at it. */
bool nar_print_is_busy(void);

#endif /* NAR_PRINT_H */
