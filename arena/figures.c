// SPDX-License-Identifier: MIT
#include "figures.h"

#define OF_PROCESS(field, kind, help) \
	{ #field, help, offsetof(struct numarena_stats, field), FIGURE_##kind, false }
#define PROCESS_LOSS(field, help) \
	{ #field, help, offsetof(struct numarena_stats, field), FIGURE_COUNTER, true }

const struct nar_figure nar_process_figures[] = {
	OF_PROCESS(reserved_bytes, GAUGE, "Address space reserved for memory."),
	OF_PROCESS(committed_bytes, GAUGE, "Address space made usable."),
	OF_PROCESS(metadata_bytes, GAUGE, "Tables beside the objects."),
	OF_PROCESS(slab_bytes, GAUGE, "Memory cut into slabs."),
	OF_PROCESS(large_bytes, GAUGE, "Blocks above 32 KiB, those that wait with a thread included."),
	OF_PROCESS(scope_bytes, GAUGE, "Regions of scopes, and those kept for the next."),
	OF_PROCESS(scope_peak_bytes, GAUGE, "The most there were of them."),
	OF_PROCESS(nr_scopes, COUNTER, "Scopes begun."),
	OF_PROCESS(nr_scopes_open, GAUGE, "Scopes that are open."),
	OF_PROCESS(scope_open_bytes, GAUGE, "Regions of scopes that are open."),
	OF_PROCESS(free_bytes, GAUGE, "Committed and in no chunk or block."),
	OF_PROCESS(nr_nodes, GAUGE, "NUMA nodes with memory."),
	OF_PROCESS(nr_arenas, GAUGE, "Arenas in use."),
	OF_PROCESS(nr_classes, GAUGE, "Size classes."),
	OF_PROCESS(nr_slabs_made, COUNTER, "Slabs cut."),
	OF_PROCESS(nr_refills, COUNTER, "Magazines filled."),
	OF_PROCESS(nr_flushes, COUNTER, "Magazines flushed because full."),
	OF_PROCESS(nr_remote_frees, COUNTER, "Objects posted to the arena of another thread."),
	OF_PROCESS(nr_remote_batches, COUNTER, "Batches they were sent in."),
	OF_PROCESS(nr_orphans, COUNTER, "Slabs shelved by threads that ended or moved."),
	OF_PROCESS(nr_adopted, COUNTER, "Slabs taken from a shelf."),
	OF_PROCESS(bind_done, COUNTER, "Spans bound to their node."),
	PROCESS_LOSS(bind_refused, "Spans that the kernel refused to bind."),
	PROCESS_LOSS(bind_skipped, "Spans left to the program's own memory policy."),
	PROCESS_LOSS(huge_refused, "Units of 2 MiB for which huge pages were refused."),
	PROCESS_LOSS(huge_off, "Units of 2 MiB that are small since THP is off."),
	PROCESS_LOSS(huge_pool_empty, "Units of 2 MiB for which a hugetlb pool had none left."),
	PROCESS_LOSS(huge_forked, "Units of 2 MiB that a fork shared."),
	PROCESS_LOSS(huge_parted, "Units of 2 MiB of which a part was given back."),
	PROCESS_LOSS(huge_elsewhere, "Units of 2 MiB that were found on another node."),
	OF_PROCESS(huge_brought_home, COUNTER, "Units of 2 MiB moved home since."),
	OF_PROCESS(collapse_done, COUNTER, "Units of 2 MiB made huge after they had filled."),
	PROCESS_LOSS(collapse_failed, "Units of 2 MiB that the kernel would not make huge."),
	OF_PROCESS(purged_bytes, COUNTER, "Memory given back to the kernel."),
	OF_PROCESS(moved_bytes, COUNTER, "Blocks that realloc moved without copying."),
	PROCESS_LOSS(limit_hit, "Growth refused by RLIMIT_AS."),
	PROCESS_LOSS(commit_failed, "Growth refused by the kernel."),
	OF_PROCESS(node_switches, COUNTER, "Threads that followed their CPU to another node."),
	OF_PROCESS(policy_switches, COUNTER, "Threads that followed a memory policy of the program's."),
	PROCESS_LOSS(node_fallback, "Blocks taken from a farther node."),
	PROCESS_LOSS(strict_failed, "Allocations refused under policy:strict."),
	PROCESS_LOSS(strict_unproven, "Strict allocations that nobody may verify."),
	PROCESS_LOSS(fork_leaked, "Arenas of threads that a fork left behind."),
	OF_PROCESS(lock_contended, COUNTER, "Acquisitions of arena and shard locks that had to wait."),
};

#define OF_NODE(field, kind, help) \
	{ #field, help, offsetof(struct numarena_node_stats, field), FIGURE_##kind, false }
#define NODE_LOSS(field, help) \
	{ #field, help, offsetof(struct numarena_node_stats, field), FIGURE_COUNTER, true }

const struct nar_figure nar_node_figures[] = {
	OF_NODE(committed_bytes, GAUGE, "Address space made usable."),
	OF_NODE(hugetlb_bytes, GAUGE, "Of the committed bytes, those from a hugetlb pool."),
	OF_NODE(slab_bytes, GAUGE, "Memory cut into slabs."),
	OF_NODE(large_bytes, GAUGE, "Blocks above 32 KiB."),
	OF_NODE(scope_bytes, GAUGE, "Regions of scopes, and those kept for the next."),
	OF_NODE(free_bytes, GAUGE, "Committed and in no chunk or block."),
	OF_NODE(bind_done, COUNTER, "Spans bound to the node."),
	NODE_LOSS(bind_refused, "Spans that the kernel refused to bind."),
	NODE_LOSS(bind_skipped, "Spans left to the program's own memory policy."),
	NODE_LOSS(node_fallback, "Blocks taken from a farther node."),
	NODE_LOSS(strict_failed, "Allocations refused under policy:strict."),
	NODE_LOSS(strict_unproven, "Strict allocations that nobody may verify."),
	NODE_LOSS(huge_refused, "Units of 2 MiB for which huge pages were refused."),
	NODE_LOSS(huge_off, "Units of 2 MiB that are small since THP is off."),
	NODE_LOSS(huge_pool_empty, "Units of 2 MiB for which the hugetlb pool had none left."),
	NODE_LOSS(huge_forked, "Units of 2 MiB that a fork shared."),
	NODE_LOSS(huge_parted, "Units of 2 MiB of which a part was given back."),
	NODE_LOSS(huge_elsewhere, "Units of 2 MiB that were found on another node."),
	OF_NODE(huge_brought_home, COUNTER, "Units of 2 MiB moved home since."),
	OF_NODE(collapse_done, COUNTER, "Units of 2 MiB made huge after they had filled."),
	NODE_LOSS(collapse_failed, "Units of 2 MiB that the kernel would not make huge."),
	OF_NODE(purged_bytes, COUNTER, "Memory given back to the kernel."),
	OF_NODE(remote_frees_in, COUNTER, "Frees of what lies here by threads of other nodes."),
	OF_NODE(remote_bytes_in, COUNTER, "... and their bytes."),
};

#define OF_SCOPE(field, kind, help) \
	{ #field, help, offsetof(struct nar_roster_line, field), FIGURE_##kind, false }

const struct nar_figure nar_scope_figures[] = {
	OF_SCOPE(node, GAUGE, "The node that the scope's memory is to come from."),
	OF_SCOPE(used_bytes, GAUGE, "What the scope has given out and not released."),
	OF_SCOPE(peak_bytes, GAUGE, "The most that was since the scope began, over all its resets."),
	OF_SCOPE(held_bytes, GAUGE, "Memory that the scope has: its regions."),
	OF_SCOPE(nr_captured, COUNTER, "Objects in it since it began, of a scope that captures."),
	OF_SCOPE(nr_resets, COUNTER, "Resets of the scope since it began."),
};

#define OF_TOTAL(field, kind, help) \
	{ #field, help, offsetof(struct nar_total_line, field), FIGURE_##kind, false }

/* The same for the process, by another way: all that is counted and not known to numarena.h. */
const struct nar_figure nar_total_figures[] = {
	OF_TOTAL(live_bytes, GAUGE, "What the program holds, with what waits in messages between threads."),
	OF_TOTAL(cached_bytes, GAUGE, "Free objects in magazines and free blocks that wait with a thread."),
	OF_TOTAL(resident_bytes, GAUGE, "Pages of the windows in memory."),
	OF_TOTAL(huge_bytes, GAUGE, "Of those, on huge pages."),
	OF_TOTAL(huge_coverage, RATIO, "Huge bytes a resident byte."),
	OF_TOTAL(fragmentation, RATIO, "Resident bytes that nothing alive fills, a resident byte."),
};

#define OF_CLASS(field, kind, help) \
	{ #field, help, offsetof(struct nar_class_line, field), FIGURE_##kind, false }

const struct nar_figure nar_class_figures[] = {
	OF_CLASS(slabs, GAUGE, "Slabs of the class."),
	OF_CLASS(slab_bytes, GAUGE, "... and their size."),
	OF_CLASS(objects, GAUGE, "Objects that fit into them."),
	OF_CLASS(live_objects, GAUGE, "Objects that the program holds."),
	OF_CLASS(cached_objects, GAUGE, "Free objects in magazines."),
	OF_CLASS(live_bytes, GAUGE, "Objects that the program holds."),
	OF_CLASS(cached_bytes, GAUGE, "Free objects in magazines."),
	OF_CLASS(resident_bytes, GAUGE, "Pages of the slabs in memory."),
	OF_CLASS(fragmentation, RATIO, "Resident bytes that nothing alive fills, a resident byte."),
};

#define OF_HEAP(field, kind, help) \
	{ #field, help, offsetof(struct nar_heap_line, field), FIGURE_##kind, false }

const struct nar_figure nar_heap_figures[] = {
	OF_HEAP(slabs, GAUGE, "Slabs of the heap."),
	OF_HEAP(slab_bytes, GAUGE, "... and their size."),
	OF_HEAP(large_bytes, GAUGE, "Blocks above 32 KiB."),
	OF_HEAP(live_bytes, GAUGE, "What the program holds."),
	OF_HEAP(cached_bytes, GAUGE, "Free objects in magazines and free blocks that wait with a thread."),
	OF_HEAP(resident_bytes, GAUGE, "Pages of all that in memory."),
	OF_HEAP(fragmentation, RATIO, "Resident bytes that nothing alive fills, a resident byte."),
	OF_HEAP(charged_bytes, GAUGE, "What counts against the heap's limit, of heaps that the program has made."),
	OF_HEAP(peak_bytes, GAUGE, "The most that was."),
	OF_HEAP(limit_bytes, GAUGE, "The heap's limit; 0 is none."),
	OF_HEAP(nr_limit_hit, COUNTER, "Allocations that met the limit."),
};

#define OF_THREAD(field, kind, help) \
	{ #field, help, offsetof(struct nar_thread_line, field), FIGURE_##kind, false }

const struct nar_figure nar_thread_figures[] = {
	OF_THREAD(heap, GAUGE, "The heap that it allocates in, by number."),
	OF_THREAD(slab_bytes, GAUGE, "Slabs that the thread owns."),
	OF_THREAD(live_bytes, GAUGE, "Of those, what the program holds, whoever does."),
	OF_THREAD(cached_bytes, GAUGE, "Free objects in its magazines and free blocks that wait with it."),
	OF_THREAD(resident_bytes, GAUGE, "Pages of these slabs in memory."),
	OF_THREAD(fragmentation, RATIO, "Resident bytes that nothing alive fills, a resident byte."),
	OF_THREAD(queued_bytes, GAUGE, "What others have freed and it has not collected yet."),
	OF_THREAD(nr_refills, COUNTER, "Magazines filled."),
	OF_THREAD(nr_flushes, COUNTER, "Magazines flushed because full."),
	OF_THREAD(nr_remote_frees, COUNTER, "Objects posted to the arena of another thread."),
	OF_THREAD(nr_remote_batches, COUNTER, "Batches they were sent in."),
	OF_THREAD(lock_contended, COUNTER, "Acquisitions of its arena's lock that had to wait."),
};

const char *const nar_missing_names[NR_MISSING] = {
	"get_mempolicy", "mbind", "move_pages", "sysfs", "libnuma", "rseq", "thp", "populate",
	"collapse",
};

const char *const nar_step_names[NR_STEPS] = {
	"refill", "flush", "drain", "large", "commit", "purge",
};
