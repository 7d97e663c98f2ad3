/* SPDX-License-Identifier: MIT */
/*
 * Outlets: where statistics go without being asked for by a call.  At the end of the
 * process, on a signal, and on the stats page: option "stats".
 */
#ifndef NAR_OUTLET_H
#define NAR_OUTLET_H

/* In our constructor, memory can be had. */
void nar_outlets_open(void);

/* In our destructor. */
void nar_outlets_close(void);

#endif /* NAR_OUTLET_H */
