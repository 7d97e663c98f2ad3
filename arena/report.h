/* SPDX-License-Identifier: MIT */
/*
 * A report: what statistics there are, gathered, and as tables.
 */
#ifndef NAR_REPORT_H
#define NAR_REPORT_H

#include "figures.h"

/* Histograms of all arenas, those included that wait, and of threads without one. */
void nar_report_laps(struct nar_laps *laps);

/* Of the process as a whole.  Does not allocate; takes short locks. */
void nar_report_take(struct nar_report *r);

/* In the order in which they are printed. */
extern const struct nar_table *const nar_tables[];
extern const unsigned int nar_nr_tables;

/* Apart, since some formats print it as a matrix: a line for each pair of nodes. */
extern const struct nar_table nar_table_remote;

/* Row @from of the matrix of remote frees, into @r. */
void nar_report_row(struct nar_report *r, unsigned int from);

#endif /* NAR_REPORT_H */
