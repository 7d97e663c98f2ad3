/* SPDX-License-Identifier: MIT */
/*
 * The limit of the process: what all slabs and large blocks may take together.
 */
#ifndef NAR_LIMIT_H
#define NAR_LIMIT_H

#include "internal/compiler.h"

/* Memory that is asked for and not counted yet. */
struct nar_claim {
	u64 bytes;		/* 0: there was no limit */
};

/* Claims refused since start. */
extern u64 nar_limit_nr_hit;	/* relaxed */

/* Whether there is a limit. */
bool nar_limit_is_set(void);

/*
 * Before memory is had, and after, whether or not it was: then it is counted.  Hold no lock.
 * Return: false if so much more does not fit below the limit.
 */
bool nar_limit_try_claim(struct nar_claim *claim, u64 bytes);
void nar_limit_settle(const struct nar_claim *claim);

/* In the child of a fork: what lost threads have claimed they do not take. */
void nar_limit_forget_threads(void);

#endif /* NAR_LIMIT_H */
