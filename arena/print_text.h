/* SPDX-License-Identifier: MIT */
#ifndef NAR_PRINT_TEXT_H
#define NAR_PRINT_TEXT_H

#include "pen.h"
#include "report.h"

void nar_print_text(struct nar_sink *s, struct nar_report *r);

#endif /* NAR_PRINT_TEXT_H */
