/* SPDX-License-Identifier: MIT */
/* A trace in a page: what it allocates, how large, for how long, and who frees it. */
#ifndef TOOL_SUMMARY_H
#define TOOL_SUMMARY_H

#include "timeline.h"

void summary_print(const struct timeline *line);

#endif /* TOOL_SUMMARY_H */
