// SPDX-License-Identifier: MIT
/*
 * A program that does with memory what programs do, and tells what became of it.
 *
 *	node 0			node 1			...
 *	thread	thread		thread	thread			each pinned before it begins
 *	| small objects, large blocks of each, written |	kept until all has been looked at
 *
 * Expect: contents stay, and every call of numarena.h does what it says, whatever is
 * refused.  Ends with status 1 and a line that says why if not.
 *
 * What may differ is printed, a fact a line, for a script to judge:
 *
 *	nodes 2			nodes that numarena knows
 *	placed 8190 of 8192	pages of the threads' memory, on the threads' nodes, as the kernel
 *				tells it, not numarena
 *	how maps		numarena_audit(): who was asked ...
 *	proven 9000 of 9001	... and pages that are on the node they are meant for
 *	strict_unproven 0
 *	missing mbind libnuma
 *
 * and malloc_stats() on stderr.  Its own place does not matter to a thread of no node: run
 * it on one CPU, so that main() stays where it began.
 */
#include <numarena.h>

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define MIB ((size_t)1 << 20)

#define MAX_IDS 1024		/* kernels' numbers of nodes */
#define THREADS_PER_NODE 2
#define MAX_THREADS (8 * THREADS_PER_NODE)

/* A thread's memory: about 3.5 MiB in small objects, 5.5 MiB in large blocks. */
#define NR_SMALL 3000
#define NR_LARGE 14
#define NR_OBJECTS (NR_SMALL + NR_LARGE)
#define SMALL_STEP 40
#define SMALL_SIZES 60
#define LARGE_STEP ((size_t)54 * 1024)

#define RESERVED (8 * MIB)

/* The library is preloaded, so its names are not there yet when this is linked. */
static struct {
	__typeof__(numarena_stats_get) *stats_get;
	__typeof__(numarena_node_stats_get) *node_stats_get;
	__typeof__(numarena_thread_bind) *thread_bind;
	__typeof__(numarena_node_of) *node_of;
	__typeof__(numarena_reserve) *reserve;
	__typeof__(numarena_fork_recover) *fork_recover;
	__typeof__(numarena_class_add) *class_add;
	__typeof__(numarena_audit) *audit;
} lib;

struct worker {
	pthread_t thread;
	unsigned int cpu;
	int node;		/* where the kernel puts what this thread touches first */
	unsigned char *object[NR_OBJECTS];
};

static struct worker worker[MAX_THREADS];
static unsigned int nr_workers;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("failed: ", stdout);
	vprintf(fmt, ap);
	printf(" (%s)\n", strerror(errno));
	va_end(ap);
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

static void *find(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	if (!p)
		fail("there is no %s", name);
	return p;
}

static void find_all(void)
{
	lib.stats_get = find("numarena_stats_get");
	lib.node_stats_get = find("numarena_node_stats_get");
	lib.thread_bind = find("numarena_thread_bind");
	lib.node_of = find("numarena_node_of");
	lib.reserve = find("numarena_reserve");
	lib.fork_recover = find("numarena_fork_recover");
	lib.class_add = find("numarena_class_add");
	lib.audit = find("numarena_audit");
}

/* ---- Where pages lie, by the kernel ---- */

#define MAX_MAPPINGS 4096

static struct mapping {
	uintptr_t start;
	unsigned long pages[MAX_IDS];
	int node;		/* of the threads whose memory it has; -1: nobody's yet */
} *mapping;
static size_t nr_mappings;

static void read_line(struct mapping *m, char *line)
{
	unsigned long kib = 4, nr, id;
	char *word, *rest, *unit = strstr(line, "kernelpagesize_kB=");

	if (unit)
		sscanf(unit, "kernelpagesize_kB=%lu", &kib);
	m->start = strtoul(strtok_r(line, " \n", &rest), NULL, 16);
	m->node = -1;
	while ((word = strtok_r(NULL, " \n", &rest)))
		if (sscanf(word, "N%lu=%lu", &id, &nr) == 2 && id < MAX_IDS)
			m->pages[id] = nr * (kib / 4);
}

/* Return: false if there is no /proc. */
static bool read_numa_maps(void)
{
	static char line[8192];
	FILE *file = fopen("/proc/self/numa_maps", "re");

	if (!file)
		return false;
	if (!mapping)
		mapping = mmap(NULL, MAX_MAPPINGS * sizeof(*mapping), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	memset(mapping, 0, nr_mappings * sizeof(*mapping));
	nr_mappings = 0;
	while (fgets(line, sizeof(line), file) && nr_mappings < MAX_MAPPINGS)
		read_line(&mapping[nr_mappings++], line);
	fclose(file);
	return true;
}

/* The last that begins at @p or before: @p is mapped. */
static struct mapping *mapping_of(const void *p)
{
	size_t low = 0, high = nr_mappings;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (mapping[middle].start <= (uintptr_t)p)
			low = middle;
		else
			high = middle;
	}
	return &mapping[low];
}

static int node_by_maps(const void *p)
{
	const struct mapping *m;
	int id;

	if (!read_numa_maps())
		return -1;
	m = mapping_of(p);
	for (id = 0; id < MAX_IDS; id++)
		if (m->pages[id])
			return id;
	return -1;
}

/* -1: nobody tells. */
static int node_of_page(const void *p)
{
	const void *page = (const void *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1));
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) || status < 0)
		return -1;
	return status;
}

/* A page alone in its mapping, which this thread is the first to touch. */
static int first_touch(void)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int node;

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE))
		fail("no page to touch");
	p[PAGE] = 1;
	node = node_of_page(p + PAGE);
	if (node < 0) {
		pthread_mutex_lock(&lock);
		node = node_by_maps(p + PAGE);
		pthread_mutex_unlock(&lock);
	}
	munmap(p, 3 * PAGE);
	return node;
}

/* ---- Threads and their memory ---- */

static size_t size_of(unsigned int nr)
{
	if (nr < NR_SMALL)
		return 16 + (size_t)(nr % SMALL_SIZES) * SMALL_STEP;
	return (nr - NR_SMALL + 1) * LARGE_STEP;
}

static void fill(struct worker *w, unsigned int nr)
{
	memset(w->object[nr], (int)(w - worker) * 37 + (int)nr, size_of(nr));
}

static void check(const struct worker *w, unsigned int nr)
{
	const unsigned char value = (unsigned char)((w - worker) * 37 + nr);
	const unsigned char *p = w->object[nr];
	size_t size = size_of(nr);

	if (p[0] != value || memcmp(p, p + 1, size - 1))
		fail("object %u of thread %td has changed", nr, w - worker);
}

static void allocate(struct worker *w, unsigned int nr)
{
	w->object[nr] = malloc(size_of(nr));
	if (!w->object[nr])
		fail("no memory for %zu bytes", size_of(nr));
	fill(w, nr);
}

/* Some come and go before they stay. */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int nr;

	w->node = first_touch();
	for (nr = 0; nr < NR_OBJECTS; nr++) {
		allocate(w, nr);
		if (nr % 3)
			continue;
		check(w, nr);
		free(w->object[nr]);
		allocate(w, nr);
	}
	for (nr = 0; nr < NR_OBJECTS; nr++)
		check(w, nr);
	return NULL;
}

/* Frees what another thread has allocated. */
static void *free_others(void *arg)
{
	struct worker *w = arg;
	unsigned int nr;

	for (nr = 0; nr < NR_OBJECTS; nr++) {
		check(w, nr);
		free(w->object[nr]);
	}
	return NULL;
}

static bool try_start(pthread_t *thread, unsigned int cpu, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	bool done;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	done = !pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return done;
}

static void *ask_node(void *arg)
{
	unsigned int *node = arg;

	if (getcpu(NULL, node))
		fail("getcpu");
	return NULL;
}

/* Some threads of each node that has CPUs. */
static void find_cpus(void)
{
	unsigned int nr_of[MAX_IDS] = { 0 }, cpu, node = 0;
	pthread_t thread;

	for (cpu = 0; cpu < CPU_SETSIZE && nr_workers < MAX_THREADS; cpu++) {
		if (!try_start(&thread, cpu, ask_node, &node))
			continue;
		pthread_join(thread, NULL);
		while (node < MAX_IDS && nr_of[node]++ < THREADS_PER_NODE && nr_workers < MAX_THREADS)
			worker[nr_workers++].cpu = cpu;
	}
}

static void run_workers(void)
{
	unsigned int i;

	for (i = 0; i < nr_workers; i++)
		if (!try_start(&worker[i].thread, worker[i].cpu, work, &worker[i]))
			fail("no thread on CPU %u", worker[i].cpu);
	for (i = 0; i < nr_workers; i++)
		pthread_join(worker[i].thread, NULL);
}

static void free_all(void)
{
	unsigned int i, by;
	pthread_t thread;

	for (i = 0; i < nr_workers; i++) {
		by = (i + THREADS_PER_NODE) % nr_workers;
		if (!try_start(&thread, worker[by].cpu, free_others, &worker[i]))
			fail("no thread on CPU %u", worker[by].cpu);
		pthread_join(thread, NULL);
	}
}

/* ---- Facts ---- */

static struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	if (lib.stats_get(&stats, sizeof(stats)))
		fail("numarena_stats_get");
	return stats;
}

struct part {
	unsigned long on, of;
};

/* All pages of the mappings that a thread's objects lie in. */
static void count_mapping(struct part *sum, struct mapping *m, int node)
{
	int id;

	if (m->node == node)
		return;
	if (m->node >= 0)
		fail("threads of nodes %d and %d share a mapping", node, m->node);
	m->node = node;
	for (id = 0; id < MAX_IDS; id++) {
		sum->on += id == node ? m->pages[id] : 0;
		sum->of += m->pages[id];
	}
}

static void count_page(struct part *sum, const void *p, int node)
{
	int is_on = node_of_page(p);

	sum->on += is_on == node;
	sum->of += is_on >= 0;
}

static void print_placed(void)
{
	bool has_maps = read_numa_maps();
	struct part sum = { 0, 0 };
	unsigned int i, nr;

	for (i = 0; i < nr_workers && worker[i].node >= 0; i++)
		for (nr = 0; nr < NR_OBJECTS; nr++)
			if (has_maps)
				count_mapping(&sum, mapping_of(worker[i].object[nr]), worker[i].node);
			else
				count_page(&sum, worker[i].object[nr], worker[i].node);
	printf("placed %lu of %lu\n", sum.on, sum.of);
}

static void print_audit(void)
{
	static struct numarena_audit audit;
	unsigned long long unbound = 0;
	unsigned int i;

	audit.size = sizeof(audit);
	errno = 0;
	if (lib.audit(&audit)) {
		if (errno != ENOSYS)
			fail("numarena_audit");
		puts("how nobody");
		return;
	}
	if (errno)
		fail("numarena_audit has changed errno");
	for (i = 0; i < audit.nr_nodes; i++)
		unbound += audit.at[i].unbound;
	printf("how %s\n", audit.how == NUMARENA_AUDIT_PAGES ? "pages" : "maps");
	printf("proven %llu of %llu\n",
	       (unsigned long long)(audit.resident - audit.misplaced - unbound),
	       (unsigned long long)audit.resident);
}

static void print_missing(uint64_t mask)
{
	static const char *const names[] = {
		[NUMARENA_MISSING_GET_MEMPOLICY] = "get_mempolicy",
		[NUMARENA_MISSING_MBIND] = "mbind",
		[NUMARENA_MISSING_MOVE_PAGES] = "move_pages",
		[NUMARENA_MISSING_SYSFS] = "sysfs",
		[NUMARENA_MISSING_LIBNUMA] = "libnuma",
		[NUMARENA_MISSING_RSEQ] = "rseq",
		[NUMARENA_MISSING_THP] = "thp",
		[NUMARENA_MISSING_POPULATE] = "populate",
		[NUMARENA_MISSING_COLLAPSE] = "collapse",
	};
	unsigned int i;

	printf("missing");
	for (i = 0; i < 64; i++)
		if (mask >> i & 1)
			printf(" %s", i < sizeof(names) / sizeof(names[0]) ? names[i] : "?");
	puts("");
}

static void print_stats(void)
{
	struct numarena_stats stats = stats_now();

	printf("bind_done %llu\n", (unsigned long long)stats.bind_done);
	printf("bind_refused %llu\n", (unsigned long long)stats.bind_refused);
	printf("bind_skipped %llu\n", (unsigned long long)stats.bind_skipped);
	printf("strict_unproven %llu\n", (unsigned long long)stats.strict_unproven);
	printf("strict_failed %llu\n", (unsigned long long)stats.strict_failed);
	print_missing(stats.missing);
}

/* ---- The interface ---- */

static int node_by_index(unsigned int index)
{
	struct numarena_node_stats stats;

	if (lib.node_stats_get(index, &stats, sizeof(stats)))
		fail("numarena_node_stats_get");
	return stats.node;
}

/* Where there are no CPUs nobody is the first to touch. */
static void reserve_for_workers(void)
{
	unsigned int i;

	for (i = 0; i < nr_workers; i += THREADS_PER_NODE) {
		long long got = worker[i].node < 0 ? 0 : lib.reserve(worker[i].node, RESERVED, 0);

		/* Nothing of it huge where THP is off; the memory is had. */
		if (got != (long long)RESERVED && got)
			fail("numarena_reserve on node %d: %lld", worker[i].node, got);
	}
}

static void bind_everywhere(unsigned int nr_nodes)
{
	unsigned int i, nr;

	for (i = 0; i < nr_nodes; i++) {
		int node = node_by_index(i);

		if (lib.thread_bind(node))
			fail("numarena_thread_bind to %d", node);
		for (nr = 0; nr < 100; nr++) {
			size_t size = nr < 99 ? 3000 : 3 * MIB;
			char *p = malloc(size);

			if (!p || lib.node_of(p) != node)
				fail("bound to %d, memory of %d", node, lib.node_of(p));
			memset(p, 1, size);
			free(p);
		}
	}
	if (lib.thread_bind(NUMARENA_NODE_FOLLOW))
		fail("numarena_thread_bind back");
}

/* Large enough for mremap, with a neighbour that keeps it from growing in place. */
static void move_block(void)
{
	unsigned char *p = malloc(9 * MIB), *neighbour = malloc(9 * MIB), *q;

	if (!p || !neighbour)
		fail("no memory to move");
	memset(p, 7, 9 * MIB);
	q = realloc(p, 40 * MIB);
	if (!q || q[0] != 7 || memcmp(q, q + 1, 9 * MIB - 1))
		fail("realloc has lost something");
	free(q);
	free(neighbour);
}

static void in_child(void)
{
	unsigned int i;

	for (i = 0; i < NR_OBJECTS; i++) {
		check(&worker[0], i);
		free(worker[0].object[i]);
		allocate(&worker[0], i);
	}
	stats_now();
	_exit(0);
}

static void fork_and_recover(void)
{
	int status = -1;
	pid_t child = fork();

	if (!child)
		in_child();
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		fail("a child has ended with %#x", status);
	if (lib.fork_recover() < 0)
		fail("numarena_fork_recover");
}

int main(void)
{
	unsigned int nr_nodes;

	find_all();
	nr_nodes = (unsigned int)stats_now().nr_nodes;
	printf("nodes %u\n", nr_nodes);
	find_cpus();
	run_workers();
	print_placed();
	reserve_for_workers();
	print_audit();
	bind_everywhere(nr_nodes);
	if (lib.class_add(528) < 0)
		fail("numarena_class_add");
	move_block();
	fork_and_recover();
	free_all();
	print_stats();
	malloc_stats();
	return 0;
}
