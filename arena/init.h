/* SPDX-License-Identifier: MIT */
#ifndef NAR_INIT_H
#define NAR_INIT_H

/* Stage 2 of start-up, once. */
void nar_init(void);

#endif /* NAR_INIT_H */
