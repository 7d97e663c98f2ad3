/* SPDX-License-Identifier: MIT */
/*
 * Proof: where memory is, against where it was meant to be.
 */
#ifndef NAR_AUDIT_H
#define NAR_AUDIT_H

#include <numarena.h>

/* Return: 0, -EINVAL or -ENOSYS; see numarena_audit(). */
int nar_audit(struct numarena_audit *audit);

/* The kernel's number of the node that @p is meant for; -ENOENT, -ENODATA. */
int nar_audit_node_of(const void *p);

#endif /* NAR_AUDIT_H */
