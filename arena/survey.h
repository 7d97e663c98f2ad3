/* SPDX-License-Identifier: MIT */
/*
 * What lies where, for those who only look.  Extents come and go meanwhile: each answer was
 * true at some moment.
 */
#ifndef NAR_SURVEY_H
#define NAR_SURVEY_H

#include "extent.h"

struct nar_run {
	void *start;
	size_t nr_pages;
	u8 state;		/* enum nar_extent_state */
	u8 node;		/* for which it is meant ... */
	u8 policy;		/* ... under this; POLICY_HAND if moved */
	u8 backing;		/* enum nar_backing */
};

/*
 * Up to @max extents of @node that begin at page *@page or after; moves *@page past them.
 * Return: how many; 0 at the end.
 */
unsigned int nar_survey_walk(unsigned int node, u32 *page, struct nar_run *runs, unsigned int max);

/* Where the large block that covers @p is meant to be.  Return: 0; -ENOENT if none does. */
int nar_survey_place(const void *p, struct nar_place *place);

struct nar_survey_usage {
	size_t committed_bytes[NR_BACKINGS];
	size_t large_bytes;
	size_t free_bytes;
};

/* Racy sums, for statistics and policy. */
void nar_survey_usage(unsigned int node, struct nar_survey_usage *u);

/* What covers @p, for a message: its first byte, pages and state; else false. */
bool nar_survey_around(const void *p, void **start, size_t *nr_pages,
		       enum nar_extent_state *state);

#endif /* NAR_SURVEY_H */
