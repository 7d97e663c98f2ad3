/* SPDX-License-Identifier: MIT */
/*
 * The lobby: arenas whose threads have ended wait here for the next thread, slabs, magazines
 * and all.  A program that has a thread for each request would otherwise take its slabs
 * apart and put them together again for each.
 *
 * One that waits is gone to those who post to it: they put back themselves what they free.
 */
#ifndef NAR_LOBBY_H
#define NAR_LOBBY_H

#include "stock.h"

/*
 * Let @a wait, of which the caller is sure.  Return: false if it has too much, too many do, or
 * memory that is free is to go at once.
 */
bool nar_lobby_try_enter(struct nar_arena *a);

/* The newest that is of @heap and @node: the caller's own from here on; NULL. */
struct nar_arena *nar_lobby_call(const struct nar_heap *heap, unsigned int node);

/* One that has waited for its memory's decay at @now_ms, or with @any waited then at all; NULL. */
struct nar_arena *nar_lobby_turn_out(u64 now_ms, bool any);

void nar_lobby_each_lock(void (*fn)(struct nar_lock *));

#endif /* NAR_LOBBY_H */
