/* SPDX-License-Identifier: MIT */
/*
 * Publishing: the stats page, see internal/statpage.h.
 */
#ifndef NAR_PUBLISH_H
#define NAR_PUBLISH_H

#include "internal/compiler.h"

/* In our constructor, if the option wants it. */
void nar_publish_begin(void);

/* On a slow path, no lock held: if it is time.  Makes a fork's child a page of its own. */
void nar_publish_poll(void);

/* Whatever the time. */
void nar_publish_now(void);

/* The process ends: for the last time, and the file goes. */
void nar_publish_end(void);

#endif /* NAR_PUBLISH_H */
