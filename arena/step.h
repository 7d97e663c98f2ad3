/* SPDX-License-Identifier: MIT */
/*
 * The boundary of a program's step: maintenance at a time of its choosing.
 */
#ifndef NAR_STEP_H
#define NAR_STEP_H

/*
 * Piece by piece until nothing is due or @budget_us have passed.  Hold no lock.  Return: 0 if all
 * was done; else how many pieces may be left.
 */
unsigned long nar_step(unsigned int budget_us);

#endif /* NAR_STEP_H */
