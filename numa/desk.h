/* SPDX-License-Identifier: MIT */
/*
 * A desk between a parent and its child: a huge page's worth of memory that both see, and a
 * line on which each says a number to the other.
 *
 *	parent	open | fork | leave CHILD	| hear, say ... | close
 *	child		    | leave PARENT	| say, hear ... | close
 *
 * Without memory or files for it there is none: then nobody hears and nothing is said.
 */
#ifndef NAR_DESK_H
#define NAR_DESK_H

#include "internal/compiler.h"

enum nar_desk_side { DESK_PARENT, DESK_CHILD };

void nar_desk_open(void);
void nar_desk_close(void);

/* After the fork, the other's: so that who goes on hears it when there is nobody left. */
void nar_desk_leave(enum nar_desk_side side);

/* As one side, also before the other is left.  Return: false if nobody is there, or no more. */
bool nar_desk_say(enum nar_desk_side side, u32 number);
bool nar_desk_hear(enum nar_desk_side side, u32 *number);

/* The memory, HUGE_BYTES of it; only where something was heard. */
void *nar_desk_memory(void);

#endif /* NAR_DESK_H */
