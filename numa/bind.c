// SPDX-License-Identifier: MIT
/*
 * Binding memory to nodes.
 *
 * The policy is MPOL_PREFERRED: a full node overflows to its neighbours instead
 * of killing the process.  What the program asked for comes first: if the thread
 * that commits has a policy other than the default one (numactl, set_mempolicy), the
 * range is left to that policy.  A node outside the cpuset is refused by the kernel.
 *
 * Containers refuse these calls without CAP_SYS_NICE; then the first touch, made
 * by the thread that will use the memory, places it.
 */
#include <errno.h>
#include <numaif.h>
#include <string.h>

#include "internal/option.h"
#include "internal/stat.h"

#include "bind.h"
#include "node.h"

/* One word to spare: libnuma before 2.0.19 and old kernels round masks up. */
#define MASK_WORDS (1024 / 64 + 1)
#define MASK_BITS 1024ul

static bool is_refused;	/* relaxed: set once, a race costs one more call */

static bool policy_is_default(void)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	int mode = MPOL_DEFAULT;

	if (get_mempolicy(&mode, mask, MASK_BITS, NULL, 0))
		return true;
	return mode == MPOL_DEFAULT;
}

static void bind_failed(void)
{
	if (errno == EPERM || errno == ENOSYS)
		WRITE_ONCE(is_refused, true);
	nar_event(bind_refused, 1);
}

void nar_bind(void *addr, size_t bytes, unsigned int node)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	unsigned int id = nar_nodes.id[node];

	if (!nar_opt.bind)
		return;
	if (READ_ONCE(is_refused)) {
		nar_event(bind_refused, 1);
		return;
	}
	if (!policy_is_default()) {
		nar_event(bind_skipped, 1);
		return;
	}
	mask[id / 64] = 1ul << (id % 64);
	if (mbind(addr, bytes, MPOL_PREFERRED, mask, MASK_BITS, 0))
		bind_failed();
	else
		nar_event(bind_done, 1);
}
