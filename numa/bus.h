/* SPDX-License-Identifier: MIT */
/*
 * SIGBUS, which says that the page that was touched cannot be had, caught around a fork:
 * see arena/forkpool.c.
 */
#ifndef NAR_BUS_H
#define NAR_BUS_H

#include "internal/compiler.h"

/*
 * From now on a SIGBUS in a child of this process is @try_mend's first, with the address
 * that was touched; all others are the program's, as before.
 */
void nar_bus_catch(bool (*try_mend)(const void *addr));

/* The program's again, all of them. */
void nar_bus_release(void);

/* In the child.  Return: false if a page of @from is gone; what @to has then is of no use. */
bool nar_bus_try_copy(void *to, const void *from, size_t bytes);

#endif /* NAR_BUS_H */
