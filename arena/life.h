/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of heaps that the program makes.
 */
#ifndef NAR_LIFE_H
#define NAR_LIFE_H

#include "arena.h"

/* @attr is as numarena.h says, all of it.  Return: 0 or -errno. */
int nar_heap_create(const struct numarena_heap_attr *attr, u64 *handle);

/* Return: false if it was destroyed already, or there never was one. */
bool nar_heap_try_destroy(u64 handle);

/*
 * At its limit: whatever no object is in, of whichever thread, is given up.  Hold no lock.
 */
void nar_heap_give_up(struct nar_heap *h);

/* Return: false if it was destroyed. */
bool nar_heap_read(u64 handle, struct numarena_heap_stats *s);

/*
 * In the child of a fork: heaps have what is in their lists, and nothing that a lost thread was
 * about to put there or had taken from there.
 */
void nar_heaps_forget_threads(void);

#endif /* NAR_LIFE_H */
