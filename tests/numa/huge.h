/* SPDX-License-Identifier: MIT */
/*
 * What the suites about huge pages share.
 *
 * Settings of the library are fixed once a process has started, so a suite is a program
 * of two kinds: run plainly it is the judge, which sets the machine up and starts itself
 * again for each part, with NUMARENA_CONF as that part wants it.
 *
 *	judge	sysfs: pools, THP -> | exec part "dry" huge:hugetlb |	exit 0 is good
 *
 * Files are read without the heap, which is what is looked at.
 */
#ifndef NAR_TESTS_NUMA_HUGE_H
#define NAR_TESTS_NUMA_HUGE_H

#include "arena/extent.h"
#include "numa/node.h"
#include "numa/pages.h"

#include "tests/contract.h"

#include <numaif.h>

/* ---- Parts ---- */

struct part {
	const char *name;
	void (*run)(void);
};

/* 77: the part says why it cannot be. */
static inline int part_status(const char *name, const char *conf)
{
	pid_t child = fork();
	int status;

	if (!child) {
		setenv("NUMARENA_CONF", conf, 1);
		/* A part ends amid the suite: what Check has allocated is no leak of ours. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl("/proc/self/exe", "part", name, NULL);
		_exit(126);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

static inline void part_must_pass(const char *name, const char *conf)
{
	int status = part_status(name, conf);

	ck_assert_msg(!status, "%s under %s: %s %d", name, conf,
		      WIFSIGNALED(status) ? "signal" : "exit status",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static inline _Noreturn void part_run(const char *name, const struct part *parts, size_t nr)
{
	size_t i;

	alarm(CHILD_TIMEOUT);
	for (i = 0; i < nr; i++) {
		if (strcmp(parts[i].name, name))
			continue;
		parts[i].run();
		exit(EXIT_SUCCESS);
	}
	exit(126);
}

/* The machine's settings are changed in a guest only. */
static inline bool is_guest(void)
{
	return !geteuid() && !access("/numarena/top", F_OK);
}

/* ---- Files ---- */

static char file_text[1 << 20];

static inline const char *file_read(const char *path)
{
	size_t len = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((n = read(fd, file_text + len, sizeof(file_text) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	file_text[len] = '\0';
	return file_text;
}

static inline bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static inline bool has_thp(void)
{
	const char *text = file_read("/sys/kernel/mm/transparent_hugepage/enabled");

	return text && !strstr(text, "[never]");
}

static inline unsigned int nr_open_files(void)
{
	unsigned int nr = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* ---- Pools, of 2 MiB pages, by numarena's numbers of nodes ---- */

static inline void pool_path(char path[128], unsigned int node, const char *file)
{
	snprintf(path, 128, "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/%s",
		 nar_nodes.id[node], file);
}

static inline unsigned long pool_number(unsigned int node, const char *file)
{
	char path[128];
	const char *text;

	pool_path(path, node, file);
	text = file_read(path);
	require(text, "cannot read %s", path);
	return strtoul(text, NULL, 10);
}

static inline unsigned long pool_free(unsigned int node)
{
	return pool_number(node, "free_hugepages");
}

/* Of all nodes together. */
static inline unsigned long pool_reserved(void)
{
	const char *text = file_read("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages");

	require(text, "no pools");
	return strtoul(text, NULL, 10);
}

static inline void pool_set(unsigned int node, unsigned long nr)
{
	char path[128], text[32];

	pool_path(path, node, "nr_hugepages");
	snprintf(text, sizeof(text), "%lu", nr);
	require(file_write(path, text), "cannot write %s", path);
}

static inline void pools_set(unsigned long nr)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++) {
		pool_set(node, nr);
		require(pool_number(node, "nr_hugepages") == nr, "no %lu pages for the pool of node %u",
			nr, node);
	}
}

/* Not used for anything, by the kernel's word. */
static inline size_t node_free_bytes(unsigned int node)
{
	char path[128];
	const char *at;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", nar_nodes.id[node]);
	at = file_read(path) ? strstr(file_text, "MemFree:") : NULL;
	require(at, "cannot read %s", path);
	return strtoul(at + strlen("MemFree:"), NULL, 10) * 1024;
}

/* ---- What /proc says of this process ---- */

/* Pages of 2 MiB of pools, by numarena's numbers of nodes. */
static inline void pool_pages_used(unsigned long used[NAR_MAX_NODES])
{
	char *line, *rest = NULL, *word;
	unsigned int node;

	memset(used, 0, NAR_MAX_NODES * sizeof(used[0]));
	require(file_read("/proc/self/numa_maps"), "no numa_maps");
	for (line = strtok_r(file_text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strstr(line, " huge ") || !strstr(line, "kernelpagesize_kB=2048"))
			continue;
		for (node = 0; node < nar_nodes.nr; node++) {
			char key[16];

			snprintf(key, sizeof(key), " N%u=", nar_nodes.id[node]);
			word = strstr(line, key);
			used[node] += word ? strtoul(word + strlen(key), NULL, 10) : 0;
		}
	}
}

static inline unsigned long pool_pages_used_on(unsigned int node)
{
	unsigned long used[NAR_MAX_NODES];

	pool_pages_used(used);
	return used[node];
}

/* Of numarena's windows: bytes of @field of smaps, as "AnonHugePages:". */
static inline size_t smaps_bytes(const char *field)
{
	size_t sum = 0, len = strlen(field);
	char *line, *rest = NULL;
	bool is_ours = false;
	unsigned long start, end;

	require(file_read("/proc/self/smaps"), "no smaps");
	for (line = strtok_r(file_text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_ours = nar_is_ours((void *)start);
		else if (is_ours && !strncmp(line, field, len))
			sum += strtoul(line + len, NULL, 10) * 1024;
	}
	return sum;
}

/* ---- Threads of a node, and their memory ---- */

static inline void bind_to(unsigned int node)
{
	require(!numarena_thread_bind(nar_nodes.id[node]), "node %u: %s", node, strerror(errno));
}

static inline struct numarena_node_stats node_stats(unsigned int node)
{
	struct numarena_node_stats stats;

	require(!numarena_node_stats_get(node, &stats, sizeof(stats)), "node_stats_get");
	return stats;
}

static inline struct numarena_stats all_stats(void)
{
	struct numarena_stats stats;

	require(!numarena_stats_get(&stats, sizeof(stats)), "stats_get");
	return stats;
}

/* Every page of a range that has been written to, by asking the kernel here. */
static inline void must_lie_on(const void *p, size_t bytes, unsigned int node)
{
	enum { BATCH = 512 };
	const char *at = (char *)((uintptr_t)p & ~(PAGE_BYTES - 1)), *end = (const char *)p + bytes;
	void *pages[BATCH];
	int status[BATCH];
	unsigned int nr, i;

	while (at < end) {
		for (nr = 0; nr < BATCH && at < end; nr++, at += PAGE_BYTES)
			pages[nr] = (void *)at;
		require(!move_pages(0, nr, pages, NULL, status, 0), "move_pages: %s", strerror(errno));
		for (i = 0; i < nr; i++)
			require(status[i] == nar_nodes.id[node], "%p is on %d, not %u", pages[i], status[i],
				nar_nodes.id[node]);
	}
}

/* Of a few hundred tables of ours the library's own word: nothing is where it should not be. */
static inline void must_be_at_home(void)
{
	static struct numarena_audit audit;

	audit.size = sizeof(audit);
	require(!numarena_audit(&audit), "audit: %s", strerror(errno));
	require(!audit.misplaced, "%" PRIu64 " pages misplaced", audit.misplaced);
	require(audit.resident, "nothing is resident");
}

/* What a test does once it has started the library. */
static inline void start_library(void)
{
	numarena_free(numarena_malloc(1));
	require(nar_nodes.nr, "no nodes");
}

/* ---- Suites ---- */

/*
 * For main(): run the part that was asked for, or all that @add puts into the case, @seconds
 * for each.  @why_not, unless NULL, says why the machine does not do.
 */
struct huge_suite {
	const char *name, *tests;
	double seconds;
	const struct part *parts;
	size_t nr_parts;
	const char *(*why_not)(void);
	void (*add)(TCase *tc);
};

static inline int huge_main(int argc, char **argv, const struct huge_suite *what)
{
	const char *reason;
	Suite *suite;
	TCase *tc;

	if (argc == 2)
		part_run(argv[1], what->parts, what->nr_parts);
	start_library();
	reason = what->why_not ? what->why_not() : NULL;
	if (reason)
		tap_skip_all(reason);
	suite = suite_create(what->name);
	tc = tcase_create(what->tests);
	tcase_set_timeout(tc, what->seconds);
	what->add(tc);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}

#endif /* NAR_TESTS_NUMA_HUGE_H */
