/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that the program moves to another node at their address.
 */
#ifndef NAR_MIGRATE_H
#define NAR_MIGRATE_H

#include "internal/compiler.h"

/*
 * Have the large block at @p, which is ours and in no slab, on @node (dense) from now on.  Hold
 * no lock.  Return: 0; -EINVAL
 * if no live large block starts there; -ENOMEM, -EBUSY, -EPERM, -EOPNOTSUPP, -ENOSPC as
 * numarena_migrate() says, and it is meant for where it was meant for.
 */
int nar_migrate(void *p, unsigned int node);

/* Its content is not needed any more: the pages go, and the block is like any of its window. */
void nar_migrate_undo(void *p);

#endif /* NAR_MIGRATE_H */
