/* SPDX-License-Identifier: MIT */
#ifndef NAR_PRINT_PROMETHEUS_H
#define NAR_PRINT_PROMETHEUS_H

#include "pen.h"
#include "report.h"

void nar_print_prometheus(struct nar_sink *s, struct nar_report *r);

#endif /* NAR_PRINT_PROMETHEUS_H */
