/* SPDX-License-Identifier: MIT */
#ifndef NAR_INIT_H
#define NAR_INIT_H

/* Stage 2 of start-up, once. */
void nar_init(void);

/* In our destructor: what is to be said at the end of the process. */
void nar_fini(void);

#endif /* NAR_INIT_H */
