/* SPDX-License-Identifier: MIT */
/*
 * The dynamic loader's code.  What it allocates (threads' TLS, what dlopen loads) lasts, and
 * may be allocated at any time, by whichever function first touches a variable.
 */
#ifndef NAR_LOADER_H
#define NAR_LOADER_H

#include "internal/compiler.h"

struct nar_loader {
	uintptr_t base;		/* relaxed, before the other; both are 0 where there is none */
	size_t bytes;
};

extern struct nar_loader nar_loader;

/* Find it.  Allocates nothing, and may be done again. */
void nar_loader_find(void);

/* Acquire: who has seen that it is, knows where. */
static inline bool nar_loader_is_found(void)
{
	return load_acquire(&nar_loader.bytes);
}

static inline bool nar_is_loader(const void *code)
{
	return (uintptr_t)code - READ_ONCE(nar_loader.base) < READ_ONCE(nar_loader.bytes);
}

#endif /* NAR_LOADER_H */
