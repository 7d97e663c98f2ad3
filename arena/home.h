/* SPDX-License-Identifier: MIT */
/*
 * Huge pages that the kernel took from another node are brought home.
 */
#ifndef NAR_HOME_H
#define NAR_HOME_H

#include "internal/compiler.h"

#include "numa/bind.h"

/*
 * Look where some units of @node are that were handed out and not looked at, and try to
 * bring at most one of them home.  Hold no lock.  Return: whether there was one to bring.
 */
bool nar_home_look(unsigned int node, u32 now_ms);

/* To go through all of a window, a look at a time. */
struct nar_home_tour {
	unsigned int node;
	unsigned int pane;	/* that is being gone through ... */
	bool has_begun;		/* ... already */
	bool is_end;		/* there is no more */
};

/* Begin, then look until the end.  Return: whether the kernel was asked anything. */
void nar_home_begin(struct nar_home_tour *t, unsigned int node);
bool nar_home_look_on(struct nar_home_tour *t, u32 now_ms);

/* All of a range of whole units that was faulted in just now and that nobody has yet. */
void nar_home_bring(struct nar_place place, char *start, size_t bytes);

#endif /* NAR_HOME_H */
