// SPDX-License-Identifier: MIT
/*
 * The explicit names of placement by hand; numarena.h says what each does.
 */
#include <errno.h>

#include <numarena.h>

#include "api.h"
#include "hand.h"
#include "migrate.h"
#include "replica.h"
#include "start.h"
#include "step.h"

static int node_or_own(int node)
{
	if (node != NUMARENA_NODE_FOLLOW)
		return nar_api_node(node);
	return nar_start_early() ? nar_thread_place().node : -ENOMEM;
}

static void *alloc_on(int node, const struct nar_block *block)
{
	int saved = errno, dense = nar_api_node_often(node);
	void *p = dense < 0 ? NULL : nar_hand_alloc((unsigned int)dense, block);

	errno = p ? saved : dense < 0 ? -dense : ENOMEM;
	if (p)
		nar_unpoison(p, block->size);
	return p;
}

__exported void *numarena_alloc_on(int node, size_t size, size_t alignment)
{
	alignment = alignment ? alignment : 1;
	if (!is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	if (node == NUMARENA_NODE_FOLLOW)
		return nar_front_aligned(alignment, size);
	return alloc_on(node, &(struct nar_block){ .size = size, .alignment = alignment });
}

__exported int numarena_migrate(void *ptr, int node)
{
	int saved = errno, dense = node_or_own(node);

	if (dense >= 0 && (!nar_is_ours(ptr) || nar_entry_of(ptr)))
		dense = -EINVAL;
	return answer(dense < 0 ? dense : nar_migrate(ptr, (unsigned int)dense), saved);
}

static struct numarena_replicas *replicate(const void *ptr, size_t size)
{
	return nar_start_early() ? nar_replica_create(ptr, size) : NULL;
}

__exported struct numarena_replicas *numarena_replicate(const void *ptr, size_t size)
{
	struct numarena_replicas *replicas;
	int saved = errno;

	if (!ptr || !size) {
		errno = EINVAL;
		return NULL;
	}
	replicas = replicate(ptr, size);
	errno = replicas ? saved : ENOMEM;
	return replicas;
}

__exported const void *numarena_replica(const struct numarena_replicas *replicas)
{
	return likely(replicas) ? nar_replica_near(replicas) : NULL;
}

__exported void numarena_replica_free(struct numarena_replicas *replicas)
{
	int saved = errno;

	if (replicas)
		nar_replica_destroy(replicas);
	errno = saved;
}

__exported unsigned long numarena_step(unsigned int budget_us)
{
	unsigned long nr_left;
	int saved = errno;

	nr_left = nar_start_early() ? nar_step(budget_us) : 0;
	errno = saved;
	return nr_left;
}
