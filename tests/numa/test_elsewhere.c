// SPDX-License-Identifier: MIT
/*
 * A node that has memory, but no 2 MiB of it in a row.
 *
 *	memory of node n: |x       |  x     |     x  |x       | ...	x: a page that cannot move
 *
 * There the kernel serves what is advised huge with a huge page of another node.
 */
#include <sys/uio.h>

#include "guest.h"

#define BLOCK MIB(16)
#define UNITS (BLOCK / HUGE_BYTES)
#define UNIT_PAGES (HUGE_BYTES / PAGE_BYTES)

/* A second, where a thousand steps of 10 ms could be made: what is emulated is slow. */
#define PATIENCE_MS 30000
#define IDLE_MS 1000

/* ---- To shred a node ---- */

#define STEP_BYTES KIB(256)

/* Of the machine: 128 GiB. */
#define MAX_BLOCKS 65536

static void prefer(void *p, size_t bytes, int id)
{
	unsigned long mask[MAX_IDS / 64 + 1] = { 1ul << id };

	require(!mbind(p, bytes, MPOL_PREFERRED, mask, MAX_IDS, 0), "mbind: %s", strerror(errno));
}

static char *map_on(int id, size_t bytes, int advice)
{
	char *p = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	require(p != MAP_FAILED, "%zu bytes", bytes);
	p = (char *)ALIGN_UP((uintptr_t)p, HUGE_BYTES);
	madvise(p, bytes, advice);
	prefer(p, bytes, id);
	return p;
}

/* Small pages until the next would lie elsewhere.  Return: bytes. */
static size_t fill(char *p, size_t bytes, int id)
{
	size_t at;

	for (at = 0; at < bytes; at += STEP_BYTES) {
		memset(p + at, 1, STEP_BYTES);
		if (look_at(p + at, STEP_BYTES, id).misplaced)
			break;
	}
	madvise(p + at, bytes - at, MADV_DONTNEED);
	return at;
}

/* In a pipe it is in use by the kernel, and not to be moved. */
static void pin(int pipe_in, char *page)
{
	struct iovec part = { page, PAGE_BYTES };

	require(vmsplice(pipe_in, &part, 1, SPLICE_F_NONBLOCK) == (ssize_t)PAGE_BYTES, "vmsplice: %s",
		strerror(errno));
}

static uint64_t physical_block(int pagemap, const char *page)
{
	uint64_t entry = 0;
	off_t at = (off_t)((uintptr_t)page / PAGE_BYTES * sizeof(entry));

	require(pread(pagemap, &entry, sizeof(entry), at) == sizeof(entry), "pagemap");
	return (entry & ((1ull << 55) - 1)) / UNIT_PAGES;
}

/* One page of each 2 MiB of the machine's stays, the others are free again. */
static void keep_one_a_block(char *p, size_t bytes)
{
	static bool is_kept[MAX_BLOCKS];
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), ends[2];
	char *page, *from = p;

	require(pagemap >= 0 && !pipe(ends), "pagemap, pipe");
	require(fcntl(ends[1], F_SETPIPE_SZ, MIB(4)) > 0, "a pipe of 4 MiB: %s", strerror(errno));
	for (page = p; page < p + bytes; page += PAGE_BYTES) {
		uint64_t block = physical_block(pagemap, page);

		require(block && block < MAX_BLOCKS, "block %" PRIu64, block);
		if (is_kept[block])
			continue;
		is_kept[block] = true;
		pin(ends[1], page);
		madvise(from, (size_t)(page - from), MADV_DONTNEED);
		from = page + PAGE_BYTES;
	}
	madvise(from, (size_t)(p + bytes - from), MADV_DONTNEED);
	close(pagemap);
}

/* Those that nobody of us had a page of. */
static unsigned int use_up_huge_pages(int id)
{
	unsigned int nr = 0;
	char *p;

	do {
		p = map_on(id, HUGE_BYTES, MADV_HUGEPAGE);
		memset(p, 1, HUGE_BYTES);
		nr++;
	} while (!look_at(p, HUGE_BYTES, id).misplaced);
	munmap(p, HUGE_BYTES);
	return nr - 1;
}

static void shred(int id)
{
	size_t bytes = ALIGN_DOWN(machine_meminfo((unsigned int)id, "MemTotal"), STEP_BYTES);
	char *p = map_on(id, bytes, MADV_NOHUGEPAGE);
	size_t filled = fill(p, bytes, id);

	keep_one_a_block(p, filled);
	printf("# node %d: %zu MiB shredded, %u huge pages were left, %zu MiB are free\n", id,
	       filled >> 20, use_up_huge_pages(id), machine_meminfo((unsigned int)id, "MemFree") >> 20);
}

/* ---- What comes home ---- */

static uint64_t ms_now(void)
{
	return nar_clock_ms();
}

static void *comes_home_thread(void *arg)
{
	int id = *(int *)arg;
	char *p = must_malloc(BLOCK);
	struct numarena_node_stats s;
	uint64_t start, away;

	memset(p, 0x5a, BLOCK);
	away = look_at(p, BLOCK, id).misplaced;
	printf("# %" PRIu64 " of %zu pages elsewhere\n", away, BLOCK / PAGE_BYTES);
	require(away, "the kernel had huge pages: nothing was tested");
	for (start = ms_now(); look_at(p, BLOCK, id).misplaced; refill())
		require(ms_now() - start < PATIENCE_MS, "%" PRIu64 " pages do not come home",
			look_at(p, BLOCK, id).misplaced);
	printf("# all home after %" PRIu64 " ms\n", ms_now() - start);
	s = node_stats_now(id);
	require(s.huge_elsewhere >= away / UNIT_PAGES, "%" PRIu64 " seen", s.huge_elsewhere);
	require(s.huge_brought_home == s.huge_elsewhere, "%" PRIu64 " brought", s.huge_brought_home);
	require(p[0] == 0x5a && !memcmp(p, p + 1, BLOCK - 1), "not what was written");
	require_on(p, BLOCK, id, "a block");
	require_right();
	return NULL;
}

static void *reserve_thread(void *arg)
{
	int id = *(int *)arg;
	struct numarena_node_stats s;

	require(numarena_reserve(id, BLOCK, 0) == (long long)BLOCK, "reserve: %s", strerror(errno));
	s = node_stats_now(id);
	require(s.huge_elsewhere && s.huge_brought_home == s.huge_elsewhere, "%" PRIu64 " of %" PRIu64,
		s.huge_brought_home, s.huge_elsewhere);
	require_right();
	return NULL;
}

static void *bound_thread(void *arg)
{
	int id = *(int *)arg, other = nearest_but(id, 1ull << id);
	uint64_t start = ms_now();
	char *p = must_malloc(BLOCK);

	require(!((uintptr_t)p % HUGE_BYTES), "%p", (void *)p);
	prefer(p, BLOCK, other);
	memset(p, 1, BLOCK);
	while (ms_now() - start < IDLE_MS)
		refill();
	require_on(p, BLOCK, other, "a block that the program has bound");
	return NULL;
}

/* The first node with a CPU, and the others have huge pages. */
static void on_shredded(void *(*run)(void *))
{
	int cpu = next_cpu(0), home = home_of_cpu(cpu);

	shred(home);
	run_on(cpu, run, &home);
}

/*
 *	block, touched: | away | away | ...	-> | home | home | ...
 *
 * Expect: all of it comes home though there is no huge page, by nothing but malloc and free;
 * counted; with what was written.
 */
START_TEST(touched_memory_comes_home)
{
	on_shredded(comes_home_thread);
}
END_TEST

/* Expect: reserved memory is home when the call returns. */
START_TEST(reserved_memory_is_home)
{
	on_shredded(reserve_thread);
}
END_TEST

/*
 *	block: mbind to another node, touched
 *
 * Expect: it stays where the program has put it.
 */
START_TEST(what_the_program_binds_stays)
{
	int cpu = next_cpu(0), home = home_of_cpu(cpu);

	run_on(cpu, bound_thread, &home);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("elsewhere");
	TCase *tc = guest_case(suite, "no 2 MiB in a row");

	setenv("NUMARENA_CONF", "huge:thp", 0);
	guest_begin();
	if (nar_nodes.nr == 1)
		tap_skip_all("one node: there is no elsewhere");
	tcase_add_test(tc, touched_memory_comes_home);
	tcase_add_test(tc, reserved_memory_is_home);
	tcase_add_test(tc, what_the_program_binds_stays);
	return tap_run(suite);
}
