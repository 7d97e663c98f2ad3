// SPDX-License-Identifier: MIT
/*
 * Stage 1: nothing here allocates, and of libc only system calls and getenv() are
 * used.
 */
#include "internal/lock.h"
#include "numa/pages.h"

#include "arena.h"
#include "fork.h"
#include "option.h"
#include "pane.h"
#include "start.h"

bool nar_is_started;

static struct nar_lock start_lock = NAR_LOCK_INIT(RANK_INIT);

static void learn_machine(void)
{
	static bool is_known;

	if (!is_known) {
		if (nar_pages_bytes() != PAGE_BYTES)
			nar_die("the kernel's pages have %zu bytes, and numarena knows those of %zu alone: "
				"run without it", nar_pages_bytes(), PAGE_BYTES);
		nar_options_read();
		nar_nodes_early();
	}
	is_known = true;
}

static bool start_memory(void)
{
	if (nar_meta_init())
		return false;
	nar_pane_init();
	nar_lot_init();
	nar_class_init();
	nar_mags_layout();
	return true;
}

/* Tried again at each malloc while it fails; what has been done is not done twice. */
static bool start_locked(void)
{
	learn_machine();
	return (nar_mem.span_bytes || start_memory()) && !nar_heap_init(&nar_heap_default, 0, POLICY_OURS);
}

bool nar_start_early(void)
{
	bool is_up, was_up;

	/* Acquire: pairs with the release in nar_heap_init(), the last step. */
	if (likely(load_acquire(&nar_heaps[0])))
		return true;
	nar_lock(&start_lock);
	was_up = nar_heaps[0];
	is_up = was_up || start_locked();
	nar_unlock(&start_lock);
	/* It may allocate: by now that works. */
	if (is_up && !was_up)
		nar_fork_init(&start_lock);
	return is_up;
}
