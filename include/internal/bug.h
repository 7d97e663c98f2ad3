/* SPDX-License-Identifier: MIT */
/*
 * How numarena dies and how it warns.  Both write one line to stderr through a
 * buffer on the stack: the heap may be what is broken.
 */
#ifndef NAR_BUG_H
#define NAR_BUG_H

#include "internal/compiler.h"

/* Writes "numarena: <message>\n" to stderr and aborts. */
__attribute__((__noreturn__)) __cold __printf(1, 2) void nar_die(const char *fmt, ...);

/* Writes "numarena: <message>\n" to stderr. */
__cold __printf(1, 2) void nar_warn(const char *fmt, ...);

#ifdef NAR_DEBUG
#define NAR_ASSERT(cond)                                                                    \
	do {                                                                                \
		if (unlikely(!(cond)))                                                      \
			nar_die("assertion failed: %s (%s:%d)", #cond, __FILE__, __LINE__); \
	} while (0)
#else
#define NAR_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#endif /* NAR_BUG_H */
