/* SPDX-License-Identifier: MIT */
#ifndef NAR_PRINT_JSON_H
#define NAR_PRINT_JSON_H

#include "pen.h"
#include "report.h"

void nar_print_json(struct nar_sink *s, struct nar_report *r);

#endif /* NAR_PRINT_JSON_H */
