// SPDX-License-Identifier: MIT
/*
 * Stage 2 of start-up: libnuma and liburcu are initialised by now, since the library
 * depends on them.  They allocate; that is served without arenas, see start.h.
 */
#include "internal/lap.h"
#include "numa/node.h"

#include "init.h"
#include "outlet.h"
#include "start.h"
#include "thread.h"

void nar_init(void)
{
	if (!nar_start_early())
		nar_warn("no address space: every allocation will fail; raise the limit (ulimit -v)");
	nar_nodes_probe();
	nar_lap_init();
	nar_thread_init();
	if (nar_heaps[0])
		nar_outlets_open();
	/* Release: who sees it sees the key of nar_thread_init(). */
	store_release(&nar_is_started, true);
}

void nar_fini(void)
{
	if (nar_heaps[0])
		nar_outlets_close();
}
