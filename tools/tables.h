/* SPDX-License-Identifier: MIT */
/*
 * What a process's stats page has of all memory, classes, heaps, threads and open scopes: each a table in
 * text, and a list in JSON with the names that numarena_stats_print() gives.
 */
#ifndef TOOL_TABLES_H
#define TOOL_TABLES_H

#include "page.h"

struct nar_figure;

/* What is not known is null. */
void tables_json_figures(const struct nar_figure *f, size_t nr, const void *stats);

void tables_print_totals(const struct page *p);
void tables_json_totals(const struct page *p);

void tables_print(const struct page *p, pid_t pid);
void tables_json(const struct page *p, pid_t pid);

#endif /* TOOL_TABLES_H */
