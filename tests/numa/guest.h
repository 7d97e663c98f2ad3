/* SPDX-License-Identifier: MIT */
/*
 * What tests on real nodes share: the machine as sysfs shows it, threads at a given place,
 * and where pages are by the kernel's word, asked without the library's help.
 *
 *	CPU    -> its node -> home	the nearest node that has memory
 *	page   -> move_pages(2)		page by page
 *	window -> /proc/self/numa_maps	mapping by mapping
 *
 * Nodes are called by the kernel's numbers here, the library's own are `dense`.
 */
#ifndef NAR_TESTS_GUEST_H
#define NAR_TESTS_GUEST_H

#include <numaif.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/stress.h"
#include "tests/tap.h"

#include "arena/thread.h"
#include "numa/node.h"

#define NODES "/sys/devices/system/node"

/* The kernel's default; NAR_MAX_NODES are those that have memory. */
#define MAX_IDS 1024
#define MAX_LOOKS 1000		/* before two counts differ for good */

/* By the kernel's numbers. */
static struct machine {
	unsigned int nr_ids;		/* the highest number, plus one */
	bool is_online[MAX_IDS];
	bool has_memory[MAX_IDS];
	int distance[MAX_IDS][MAX_IDS];
	int node_of_cpu[NAR_MAX_CPUS];	/* -1: offline, or there is none */
} machine;

/* ---- The machine ---- */

static inline FILE *machine_open(unsigned int id, const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), NODES "/node%u/%s", id, name);
	file = fopen(path, "re");
	require(file, "cannot read %s", path);
	return file;
}

/* A field of a node's meminfo, as "MemTotal"; bytes. */
static inline size_t machine_meminfo(unsigned int id, const char *field)
{
	FILE *file = machine_open(id, "meminfo");
	char line[128], label[32];
	size_t kib = 0;

	snprintf(label, sizeof(label), " %s:", field);
	while (fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, label);

		if (at)
			kib = strtoul(at + strlen(label), NULL, 10);
	}
	fclose(file);
	return kib * 1024;
}

/* A distance for each node that is online, in order. */
static inline void machine_read_distances(unsigned int id)
{
	FILE *file = machine_open(id, "distance");
	unsigned int to;

	for (to = 0; to < machine.nr_ids; to++)
		if (machine.is_online[to])
			require(fscanf(file, "%d", &machine.distance[id][to]) == 1, "node %u", id);
	fclose(file);
}

/* Of those that are online: "0-1,4\n". */
static inline void machine_read_cpus(unsigned int id)
{
	FILE *file = machine_open(id, "cpulist");
	unsigned int first, last;

	while (fscanf(file, "%u", &first) == 1) {
		last = first;
		if (getc(file) == '-') {
			require(fscanf(file, "%u", &last) == 1, "CPUs of node %u", id);
			getc(file);
		}
		require(last < NAR_MAX_CPUS, "CPU %u", last);
		for (; first <= last; first++)
			machine.node_of_cpu[first] = (int)id;
	}
	fclose(file);
}

static inline void machine_read(void)
{
	char path[64];
	unsigned int id;

	memset(machine.node_of_cpu, -1, sizeof(machine.node_of_cpu));
	for (id = 0; id < MAX_IDS; id++) {
		snprintf(path, sizeof(path), NODES "/node%u", id);
		machine.is_online[id] = !access(path, F_OK);
		if (machine.is_online[id])
			machine.nr_ids = id + 1;
	}
	for (id = 0; id < machine.nr_ids; id++) {
		if (!machine.is_online[id])
			continue;
		machine.has_memory[id] = machine_meminfo(id, "MemTotal");
		machine_read_distances(id);
		machine_read_cpus(id);
	}
}

/* The constructor comes along, which learns what all tests look at. */
static inline void guest_begin(void)
{
	numarena_free(numarena_malloc(1));
	if (access(NODES "/node0", F_OK))
		tap_skip_all("the kernel shows no nodes");
	machine_read();
}

/* The node with memory that is nearest to @id but none of @except, a bit a node; -1. */
static inline int nearest_but(int id, uint64_t except)
{
	int to, best = -1;

	for (to = 0; to < (int)machine.nr_ids; to++)
		if (machine.has_memory[to] && !(except >> to & 1) &&
		    (best < 0 || machine.distance[id][to] < machine.distance[id][best]))
			best = to;
	return best;
}

/* Where memory of threads on @cpu belongs. */
static inline int home_of_cpu(int cpu)
{
	require(machine.node_of_cpu[cpu] >= 0, "CPU %d is offline", cpu);
	return nearest_but(machine.node_of_cpu[cpu], 0);
}

/* CPUs that are online: the first from @cpu on; -1. */
static inline int next_cpu(int cpu)
{
	for (; cpu < NAR_MAX_CPUS && cpu < CPU_SETSIZE; cpu++)
		if (machine.node_of_cpu[cpu] >= 0)
			return cpu;
	return -1;
}

#define for_each_cpu(cpu) for ((cpu) = next_cpu(0); (cpu) >= 0; (cpu) = next_cpu((cpu) + 1))

/* The first CPU that has its home at @id; -1. */
static inline int cpu_at(int id)
{
	int cpu;

	for_each_cpu(cpu)
		if (home_of_cpu(cpu) == id)
			return cpu;
	return -1;
}

/* The first CPU that has another home than @cpu; -1. */
static inline int cpu_away_from(int cpu)
{
	int other;

	for_each_cpu(other)
		if (home_of_cpu(other) != home_of_cpu(cpu))
			return other;
	return -1;
}

/* The library's number of node @id. */
static inline unsigned int dense_of(int id)
{
	unsigned int dense;

	for (dense = 0; dense < nar_nodes.nr && nar_nodes.id[dense] != id; dense++)
		;
	require(dense < nar_nodes.nr, "numarena does not know node %d", id);
	return dense;
}

/* ---- Memory ---- */

/* Also where Check is not running, whose own assertions only work in its tests. */
static inline void *must_malloc(size_t size)
{
	void *p = numarena_malloc(size);

	require(p, "%zu bytes: %s", size, strerror(errno));
	return p;
}

/* ---- Threads ---- */

static inline void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	require(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: %s", cpu, strerror(errno));
}

/* A thread that never runs anywhere else. */
static inline pthread_t thread_start_on(int cpu, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	err = pthread_create(&thread, &attr, run, arg);
	require(!err, "a thread on CPU %d: %s", cpu, strerror(err));
	pthread_attr_destroy(&attr);
	return thread;
}

static inline void run_on(int cpu, void *(*run)(void *), void *arg)
{
	thread_join(thread_start_on(cpu, run, arg));
}

/* ---- A thread that has moved ---- */

/* thread.c's patience: so many refills on another node, and so long. */
#define AWAY_REFILLS 2
#define AWAY_MS 10

/* More than any magazine holds, so there is a refill in it. */
static inline void refill(void)
{
	void *p[NAR_MAG_MAX + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = must_malloc(NAR_SMALL_MAX);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		numarena_free(p[i]);
}

/* To a CPU of @home.  Once away often and long enough, the next refill has to follow. */
static inline void refill_until_followed(int home)
{
	unsigned int nr = 0;
	u64 first = 0;

	while (nar_nodes.id[nar_arena_own->member.node] != home) {
		u64 before = nar_clock_ms();

		refill();
		nr++;
		require(nr <= AWAY_REFILLS || before - first < AWAY_MS ||
			nar_nodes.id[nar_arena_own->member.node] == home,
			"still not on node %d after %u refills", home, nr);
		if (nr == 1)
			first = nar_clock_ms();
	}
}

/* ---- Pages ---- */

#define PAGES_AT_ONCE 256

struct pages {
	uint64_t resident;
	uint64_t misplaced;
};

static inline char *page_start(const void *p)
{
	return (char *)ALIGN_DOWN((uintptr_t)p, PAGE_BYTES);
}

static inline void ask_pages(char *page, size_t nr, const int *to, int *status)
{
	void *pages[PAGES_AT_ONCE];
	size_t i;

	for (i = 0; i < nr; i++)
		pages[i] = page + i * PAGE_BYTES;
	require(syscall(SYS_move_pages, 0, nr, pages, to, status, MPOL_MF_MOVE) >= 0, "move_pages: %s",
		strerror(errno));
}

/* The node of the page; -errno if there is none. */
static inline int page_node(const void *p)
{
	int status;

	ask_pages(page_start(p), 1, NULL, &status);
	return status;
}

/* How many pages of a range there are, and how many of them not on @id. */
static inline struct pages look_at(const void *start, size_t bytes, int id)
{
	char *page = page_start(start), *end = (char *)start + bytes;
	struct pages sum = { 0, 0 };
	int status[PAGES_AT_ONCE];

	while (page < end) {
		size_t left = DIV_ROUND_UP((size_t)(end - page), PAGE_BYTES);
		size_t i, nr = min_of(left, (size_t)PAGES_AT_ONCE);

		ask_pages(page, nr, NULL, status);
		for (i = 0; i < nr; i++) {
			sum.resident += status[i] >= 0;
			sum.misplaced += status[i] >= 0 && status[i] != id;
		}
		page += nr * PAGE_BYTES;
	}
	return sum;
}

/* All of it was written, so all of it is there, and on @id. */
static inline void require_on(const void *start, size_t bytes, int id, const char *what)
{
	uint64_t nr = (uint64_t)((char *)start + bytes - 1 - page_start(start)) / PAGE_BYTES + 1;
	struct pages pages = look_at(start, bytes, id);

	require(pages.resident == nr && !pages.misplaced,
		"%s of %zu bytes at %p: of %" PRIu64 " pages %" PRIu64 " are there, %" PRIu64
		" of these not on node %d", what, bytes, start, nr, pages.resident, pages.misplaced, id);
}

/* A block meant for @id, written, and there. */
static inline void *alloc_on(size_t size, int id)
{
	void *p = must_malloc(size);

	memset(p, 0x5a, size);
	require_on(p, size, id, "a block");
	require(numarena_node_of(p) == id, "%p is meant for node %d, not %d", p,
		numarena_node_of(p), id);
	return p;
}

static inline void require_no_node(const void *p)
{
	errno = 0;
	require(numarena_node_of(p) == -1 && errno == ENODATA, "%d: %s", numarena_node_of(p),
		strerror(errno));
}

/* By share, of all nodes with memory; one huge page more or less. */
static inline void require_spread(const char *p, size_t bytes)
{
	size_t share = bytes / nar_nodes.nr / PAGE_BYTES, unit = HUGE_BYTES / PAGE_BYTES;
	unsigned int dense;

	for (dense = 0; dense < nar_nodes.nr; dense++) {
		int id = nar_nodes.id[dense];
		struct pages pages = look_at(p, bytes, id);
		uint64_t here = pages.resident - pages.misplaced;

		printf("# %" PRIu64 " of %" PRIu64 " pages on node %d\n", here, pages.resident, id);
		require(pages.resident == bytes / PAGE_BYTES, "%" PRIu64 " pages", pages.resident);
		require(here + unit >= share && here <= share + unit, "%zu is its share", share);
	}
}

/* Of a size that 2, 3 and 4 nodes have equal shares of huge pages. */
#define SPREAD_BYTES MIB(48)

/* ---- Policies of the program ---- */

/* @nodes: a bit a node. */
static inline void set_policy(int mode, uint64_t nodes)
{
	unsigned long mask[MAX_IDS / 64 + 1] = { nodes };

	require(!set_mempolicy(mode, nodes ? mask : NULL, MAX_IDS), "mode %d of nodes %#" PRIx64 ": %s",
		mode, nodes, strerror(errno));
}

static inline uint64_t all_nodes_mask(void)
{
	uint64_t mask = 0;
	unsigned int dense;

	for (dense = 0; dense < nar_nodes.nr; dense++)
		mask |= 1ull << nar_nodes.id[dense];
	return mask;
}

/* ---- Mappings ---- */

/* Resident pages of 4 KiB by node, of all mappings that begin in a range. */
struct by_node {
	uint64_t on[MAX_IDS];
};

static inline const char *read_numa_maps(void)
{
	static char text[1 << 20];
	int fd = open("/proc/self/numa_maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	require(fd >= 0, "numa_maps: %s", strerror(errno));
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	require(!n && len < sizeof(text) - 1, "numa_maps is too long");
	close(fd);
	text[len] = '\0';
	return text;
}

/* "7f0012345000 prefer:1 anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=4" */
static inline void add_mapping(const char *line, size_t len, struct by_node *sum)
{
	const char *at = memmem(line, len, "kernelpagesize_kB=", 18), *end = line + len;
	uint64_t pages = at ? strtoul(at + 18, NULL, 10) / 4 : 1;

	for (at = line; (at = memmem(at, (size_t)(end - at), " N", 2)); at += 2) {
		unsigned int id;
		uint64_t nr;

		if (sscanf(at, " N%u=%" SCNu64, &id, &nr) == 2 && id < MAX_IDS)
			sum->on[id] += nr * pages;
	}
}

static inline struct by_node maps_of(const void *start, const void *end)
{
	const char *line, *eol;
	struct by_node sum = { { 0 } };

	for (line = read_numa_maps(); (eol = strchr(line, '\n')); line = eol + 1) {
		uintptr_t at = strtoul(line, NULL, 16);

		if (at >= (uintptr_t)start && at < (uintptr_t)end)
			add_mapping(line, (size_t)(eol - line), &sum);
	}
	return sum;
}

/* ---- What the library says ---- */

static inline struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	require(!numarena_stats_get(&stats, sizeof(stats)), "%s", strerror(errno));
	return stats;
}

static inline struct numarena_node_stats node_stats_now(int id)
{
	struct numarena_node_stats stats;

	require(!numarena_node_stats_get(dense_of(id), &stats, sizeof(stats)), "%s", strerror(errno));
	return stats;
}

static inline const struct numarena_audit *audit_now(void)
{
	static struct numarena_audit audit;

	audit.size = sizeof(audit);
	require(!numarena_audit(&audit), "audit: %s", strerror(errno));
	require(audit.how == NUMARENA_AUDIT_PAGES, "move_pages was refused");
	require(audit.nr_nodes == nar_nodes.nr, "%u nodes", audit.nr_nodes);
	return &audit;
}

/* Of one node's window, that is without tables. */
static inline uint64_t window_sum(const uint64_t *by_kind)
{
	return by_kind[NUMARENA_KIND_SLAB] + by_kind[NUMARENA_KIND_LARGE] + by_kind[NUMARENA_KIND_FREE] +
	       by_kind[NUMARENA_KIND_SCOPE];
}

static inline bool maps_agree(const struct numarena_audit_node *at, unsigned int dense, bool required)
{
	const char *start = nar_at(nar_window_offset(dense));
	struct by_node seen = maps_of(start, start + nar_mem.window_bytes);
	uint64_t here = window_sum(at->resident), away = window_sum(at->misplaced), sum = 0, elsewhere;
	unsigned int id;

	for (id = 0; id < MAX_IDS; id++)
		sum += seen.on[id];
	elsewhere = sum - seen.on[at->node];
	require(!required || sum == here, "node %d: %" PRIu64 " pages by numa_maps, %" PRIu64
		" by the audit", at->node, sum, here);
	require(!required || elsewhere == away, "node %d: %" PRIu64 " pages elsewhere by numa_maps, %"
		PRIu64 " by the audit", at->node, elsewhere, away);
	return sum == here && elsewhere == away;
}

static inline bool all_maps_agree(const struct numarena_audit *audit, bool required)
{
	unsigned int dense;

	for (dense = 0; dense < nar_nodes.nr; dense++) {
		if (!maps_agree(&audit->at[dense], dense, required))
			return false;
	}
	return true;
}

/*
 * An audit that numa_maps agrees with in each window.  The process is at rest, but the kernel
 * need not be: where memory was just scarce it compacts what there is, and a page that is being
 * moved is counted by neither.  So a difference counts if it stays.
 */
static inline const struct numarena_audit *audit_by_both(void)
{
	const struct numarena_audit *audit;
	unsigned int looks = 0;

	do {
		audit = audit_now();
	} while (!all_maps_agree(audit, ++looks == MAX_LOOKS));
	return audit;
}

/*
 * At least 999 of 1,000 pages are where they should be, and numa_maps says the same of each
 * window.  The process is at rest, and all nodes are allowed.
 */
static inline void require_right(void)
{
	const struct numarena_audit *audit = audit_by_both();

	printf("# %" PRIu64 " pages, %" PRIu64 " misplaced, %" PRIu64 " huge\n", audit->resident,
	       audit->misplaced, audit->huge);
	require(audit->resident, "nothing is resident");
	require(audit->misplaced * 1000 <= audit->resident, "%" PRIu64 " of %" PRIu64
		" pages are misplaced", audit->misplaced, audit->resident);
}

/* By the audit, of all but tables. */
static inline void require_no_user_page_elsewhere(void)
{
	const struct numarena_audit *audit = audit_now();
	unsigned int dense;

	for (dense = 0; dense < audit->nr_nodes; dense++)
		require(!window_sum(audit->at[dense].misplaced), "%" PRIu64 " pages of node %d",
			window_sum(audit->at[dense].misplaced), audit->at[dense].node);
}

/* ---- Suites ---- */

/* Guests are slow, and who waits is the one who started them. */
static inline TCase *guest_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 0);
	suite_add_tcase(suite, tc);
	return tc;
}

#endif
