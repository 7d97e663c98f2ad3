// SPDX-License-Identifier: MIT
/*
 * The cpuset and the CPUs change while the process runs.
 *
 *	cpuset.mems	0-3 | 0 | 0-3 | 1 | 0-3 | ...
 *	CPU 1		on  | off | on
 *
 * The kernel moves what there is to nodes that are allowed; numarena has to see that, and
 * give new memory from there.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "guest.h"

#define CGROUP "/sys/fs/cgroup/numarena"
#define CPUS "/sys/devices/system/cpu"

#define BLOCK MIB(2)
#define SMALL 1536
#define NR_SMALL 200
#define MAX_WORKERS 16
#define MAX_SHIFT 16

static bool try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), nr = (int)strlen(text);
	bool done = fd >= 0 && write(fd, text, (size_t)nr) == nr;

	if (fd >= 0)
		close(fd);
	return done;
}

/* ---- Nodes that are allowed ---- */

static void allow(uint64_t nodes)
{
	char text[256] = "";
	int id;

	for (id = 0; id < (int)machine.nr_ids; id++)
		if (nodes >> id & 1)
			sprintf(text + strlen(text), "%s%d", *text ? "," : "", id);
	require(try_write(CGROUP "/cpuset.mems", text), "cpuset.mems %s: %s", text, strerror(errno));
}

static void make_cgroup(void)
{
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		ck_abort_msg("%s: %s", CGROUP, strerror(errno));
}

static void remove_cgroup(void)
{
	rmdir(CGROUP);
}

/* By distance from @cpu. */
static int nearest_allowed(int cpu, uint64_t nodes)
{
	return nearest_but(machine.node_of_cpu[cpu], ~nodes);
}

struct visit {
	int cpu;
	uint64_t allowed;
	uint64_t nr_new;	/* pages */
};

static void ask_all(char *page, size_t nr, int *status)
{
	size_t i, n;

	for (i = 0; i < nr; i += n) {
		n = min_of(nr - i, (size_t)PAGES_AT_ONCE);
		ask_pages(page + i * PAGE_BYTES, n, NULL, status + i);
	}
}

/*
 * Write to memory just handed out.  What was not there until then is new and lies on @home;
 * what the kernel had moved while less was allowed stays where it is until it is purged.
 */
static void write_new(struct visit *v, char *p, size_t bytes, int home)
{
	static __thread int before[BLOCK / PAGE_BYTES + 1], after[BLOCK / PAGE_BYTES + 1];
	char *page = page_start(p);
	size_t nr = DIV_ROUND_UP((size_t)(p + bytes - page), PAGE_BYTES), i;

	ask_all(page, nr, before);
	memset(p, 1, bytes);
	ask_all(page, nr, after);
	for (i = 0; i < nr; i++) {
		require(before[i] >= 0 || after[i] == home, "CPU %d: a new page on node %d, not %d",
			v->cpu, after[i], home);
		v->nr_new += before[i] < 0;
	}
}

/* What it takes stays taken, so that what comes after is new too. */
static void *visit_run(void *arg)
{
	struct visit *v = arg;
	int home = nearest_allowed(v->cpu, v->allowed);
	unsigned int i;

	numarena_malloc_trim(0);
	write_new(v, must_malloc(BLOCK), BLOCK, home);
	for (i = 0; i < NR_SMALL; i++)
		write_new(v, must_malloc(SMALL), SMALL, home);
	return NULL;
}

static bool is_one(uint64_t nodes)
{
	return !(nodes & (nodes - 1));
}

static void require_allowed(uint64_t nodes)
{
	const struct numarena_audit *audit = audit_now();
	unsigned int dense;

	for (dense = 0; dense < audit->nr_nodes; dense++)
		require(audit->at[dense].is_allowed == (int)(nodes >> audit->at[dense].node & 1),
			"node %d", audit->at[dense].node);
	printf("# nodes %#" PRIx64 ": %" PRIu64 " of %" PRIu64 " pages misplaced\n", nodes,
	       audit->misplaced, audit->resident);
	/* Wherever they were meant for, there is one node only that they can be on. */
	require(!is_one(nodes) || audit->misplaced * 1000 <= audit->resident, "%" PRIu64 " pages",
		audit->misplaced);
}

static void narrow_or_widen(uint64_t nodes)
{
	struct visit v = { .allowed = nodes };

	allow(nodes);
	require_allowed(nodes);
	for_each_cpu(v.cpu)
		run_on(v.cpu, visit_run, &v);
	/* Threads beside it may leave some memory that is there already, but not so much. */
	require(v.nr_new >= BLOCK / PAGE_BYTES, "%" PRIu64 " new pages", v.nr_new);
}

/* Objects of its own, looked at before each is freed, whatever the kernel does to them. */
struct worker {
	pthread_t thread;
	struct churn churn;
	atomic_bool *is_over;
};

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(w->is_over))
		churn_step(&w->churn);
	churn_end(&w->churn);
	return NULL;
}

/* One on every CPU.  Return: how many. */
static unsigned int start_workers(struct worker *workers, atomic_bool *is_over)
{
	unsigned int nr = 0;
	int cpu;

	for_each_cpu(cpu) {
		require(nr < MAX_WORKERS, "too many CPUs");
		workers[nr].is_over = is_over;
		churn_begin(&workers[nr].churn, nr, MAX_SHIFT);
		workers[nr].thread = thread_start_on(cpu, worker_run, &workers[nr]);
		nr++;
	}
	return nr;
}

/*
 *	allowed:	A | all | D | B to D | all	while a thread on each CPU goes on
 *
 * Expect: the audit says what is allowed; new pages lie on the nearest node that is; no
 * object has lost its content.
 */
START_TEST(allowed_nodes_change)
{
	static struct worker workers[MAX_WORKERS];
	uint64_t all = all_nodes_mask();
	atomic_bool is_over = false;
	unsigned int nr, i;

	allow(all);
	require(try_write(CGROUP "/cgroup.procs", "0"), "cgroup.procs: %s", strerror(errno));
	nr = start_workers(workers, &is_over);
	narrow_or_widen(1ull << nar_nodes.id[0]);
	narrow_or_widen(all);
	narrow_or_widen(1ull << nar_nodes.id[nar_nodes.nr - 1]);
	narrow_or_widen(all & ~(1ull << nar_nodes.id[0]));
	narrow_or_widen(all);
	atomic_store(&is_over, true);
	for (i = 0; i < nr; i++)
		thread_join(workers[i].thread);
}
END_TEST

/* ---- CPUs that come and go ---- */

static bool was_online[CPU_SETSIZE];

static bool set_online(int cpu, bool is_online)
{
	char path[64];

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	return try_write(path, is_online ? "1" : "0");
}

/* The first one cannot be taken away. */
static bool has_switch(int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	return !access(path, W_OK);
}

static void note_cpus(void)
{
	int cpu;

	for_each_cpu(cpu)
		was_online[cpu] = true;
}

static void restore_cpus(void)
{
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (has_switch(cpu))
			set_online(cpu, was_online[cpu]);
}

static void switch_cpu(int cpu, bool is_online)
{
	require(set_online(cpu, is_online), "CPU %d: %s", cpu, strerror(errno));
	machine_read();
}

static void require_memory_of(int cpu)
{
	int home = home_of_cpu(cpu);

	refill_until_followed(home);
	alloc_on(BLOCK, home);
	alloc_on(SMALL, home);
}

/* The CPU goes from under the thread, which lands on another, and comes back. */
static void *evicted_run(void *arg)
{
	int cpu = *(int *)arg, refuge;

	alloc_on(SMALL, home_of_cpu(cpu));
	switch_cpu(cpu, false);
	refuge = sched_getcpu();
	require(refuge != cpu, "still on CPU %d", cpu);
	move_to(refuge);
	require_memory_of(refuge);
	switch_cpu(cpu, true);
	move_to(cpu);
	require_memory_of(cpu);
	return NULL;
}

/* At once: its first malloc is on the new CPU. */
static void *newcomer_run(void *arg)
{
	int home = home_of_cpu(*(int *)arg);

	alloc_on(SMALL, home);
	alloc_on(BLOCK, home);
	return NULL;
}

/* Started by a thread elsewhere, before which nobody has been on the CPU. */
static void visit_new_cpu(int cpu)
{
	switch_cpu(cpu, true);
	run_on(cpu, newcomer_run, &cpu);
	switch_cpu(cpu, false);
}

/*
 *	thread on CPU c:	c goes off -> another CPU -> c comes on -> c
 *	CPU that was off at start:	comes on -> a thread there
 *
 * Expect: new memory lies on the node of the CPU that the thread runs on, each time.
 */
START_TEST(cpus_come_and_go)
{
	unsigned int nr = 0;
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!has_switch(cpu))
			continue;
		if (was_online[cpu])
			run_on(cpu, evicted_run, &cpu);
		else
			visit_new_cpu(cpu);
		nr++;
	}
	require(nr, "no CPU has a switch");
	require_right();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cpuset");
	TCase *cpus = guest_case(suite, "CPUs"), *nodes = guest_case(suite, "nodes");

	guest_begin();
	tcase_add_test(cpus, cpus_come_and_go);
	tcase_add_unchecked_fixture(cpus, note_cpus, restore_cpus);
	/* Last: the kernel also moves pages that the suite's own process shares with the test. */
	if (nar_nodes.nr > 1)
		tcase_add_test(nodes, allowed_nodes_change);
	tcase_add_unchecked_fixture(nodes, make_cgroup, remove_cgroup);
	return tap_run(suite);
}
