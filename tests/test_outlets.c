// SPDX-License-Identifier: MIT
/*
 * Statistics that go by themselves: at the end of a process, on a signal, on the stats page.
 *
 * What NUMARENA_CONF says is read once, so this program starts itself again in a mode:
 *
 *	test_outlets MODE, NUMARENA_CONF=...	stdin, stdout: pipes of the suite's
 */
#include "printed.h"

#include "arena/heap.h"
#include "internal/statpage.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/times.h>

/* publish.c's. */
#define PERIOD_NS 100000000

/* ---- What the modes do ---- */

static int work(void)
{
	for (int i = 0; i < 1000; i++)
		numarena_free(numarena_malloc((size_t)i * 10));
	return EXIT_SUCCESS;
}

/* What takes a slow path each time. */
static int work_slowly(void)
{
	for (int i = 0; i < 1000; i++)
		numarena_free(numarena_malloc(KIB(100)));
	return work();
}

static int close_and_end(void)
{
	work();
	fclose(stdout);
	fclose(stderr);
	return EXIT_SUCCESS;
}

static int end_at_once(void)
{
	work();
	_exit(EXIT_SUCCESS);
}

static int fork_and_end(void)
{
	pid_t pid = fork_or_fail();

	if (!pid)
		exit(work());
	child_join(pid);
	return work();
}

static int raise_and_stop(void)
{
	errno = ERRNO_MARK;
	raise(SIGUSR2);
	_exit(errno == ERRNO_MARK ? EXIT_SUCCESS : EXIT_FAILURE);
}

static volatile sig_atomic_t nr_own;

static void own_handler(int sig)
{
	(void)sig;
	nr_own++;
}

static int raise_own(void)
{
	struct sigaction action = { .sa_handler = own_handler };

	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	_exit(nr_own == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A handler that interrupts a locked step leaves word; nothing is written until the next one. */
static int raise_locked(void)
{
	struct stat before, after;

	work();
	nar_lock(&nar_heap_default.one_lock);
	raise(SIGUSR2);
	fstat(STDERR_FILENO, &before);
	nar_unlock(&nar_heap_default.one_lock);
	for (int i = 0; i < 1000; i++)
		numarena_free(numarena_malloc(KIB(40) + (size_t)i * 4096));
	fstat(STDERR_FILENO, &after);
	_exit(!before.st_size && after.st_size ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A moment's statistics on stdout; then until stdin ends. */
static int publish_and_wait(void)
{
	struct numarena_stats stats;
	int null = open("/dev/null", O_WRONLY);
	char c;

	work();
	numarena_stats_print(null, NUMARENA_STATS_TEXT);
	numarena_stats_get(&stats, sizeof(stats));
	if (write(STDOUT_FILENO, &stats, sizeof(stats)) != sizeof(stats))
		return EXIT_FAILURE;
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return EXIT_SUCCESS;
}

/* ... and publishes all the while. */
static void *publish_on(void *unused)
{
	int null = open("/dev/null", O_WRONLY);

	for (;;) {
		work();
		numarena_stats_print(null, NUMARENA_STATS_TEXT);
	}
	return unused;
}

static int publish_without_end(void)
{
	thread_start(publish_on, NULL);
	return publish_and_wait();
}

/* @pid: 0 is the caller, whose number is another in the namespace that /proc is of. */
static void page_path(char path[128], pid_t pid)
{
	unsigned long long start = 0;
	char stat_path[64], text[1024], *at;
	ssize_t len;
	int fd;

	if (pid)
		snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", pid);
	else
		strcpy(stat_path, "/proc/self/stat");
	fd = open(stat_path, O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	start = at ? strtoull(at, NULL, 10) : 0;
	snprintf(path, 128, NAR_STATPAGE_DIR "/" NAR_STATPAGE_FORMAT, (unsigned int)(pid ? pid : getpid()), start);
}

/* The child makes a page of its own when it comes by; its end takes none but that. */
static int fork_with_page(void)
{
	char mine[128], theirs[128];
	pid_t pid;

	page_path(mine, getpid());
	pid = fork_or_fail();
	if (!pid) {
		page_path(theirs, getpid());
		while (access(theirs, F_OK))
			work_slowly();
		exit(access(mine, F_OK) ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	page_path(theirs, pid);
	child_join(pid);
	return access(mine, F_OK) || !access(theirs, F_OK) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One that does nothing has none, and takes nobody's away. */
static int fork_without_page(void)
{
	char mine[128];
	pid_t pid;

	page_path(mine, getpid());
	pid = fork_or_fail();
	if (!pid)
		exit(EXIT_SUCCESS);
	child_join(pid);
	return access(mine, F_OK) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One that works and soon has its exec: its parent has not come by for long, which is not its age. */
static int fork_and_exec_soon(void)
{
	uint64_t begun = now_ns();
	char theirs[128];
	pid_t pid;

	while (now_ns() - begun < PERIOD_NS)
		;
	begun = now_ns();
	pid = fork_or_fail();
	if (!pid) {
		page_path(theirs, getpid());
		work_slowly();
		_exit(access(theirs, F_OK) || now_ns() - begun >= PERIOD_NS ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	child_join(pid);
	return EXIT_SUCCESS;
}

/* ---- In a namespace of its own ---- */

/* What has begun in another tick has another page. */
static void wait_for_tick(void)
{
	clock_t now = times(NULL);

	while (times(NULL) == now)
		;
}

static uint32_t sequence_at(const char *path)
{
	uint32_t sequence = 1;
	int fd = open(path, O_RDONLY);

	if (pread(fd, &sequence, sizeof(sequence), offsetof(struct nar_statpage, sequence)) < 0)
		sequence = 1;
	close(fd);
	return sequence;
}

static void work_until_there(char path[128])
{
	page_path(path, 0);
	while (access(path, F_OK))
		work_slowly();
}

/* Return: in the child 0, whose number is 1. */
static pid_t fork_into_namespace(void)
{
	require(!unshare(CLONE_NEWPID), "%s", strerror(errno));
	return fork_or_fail();
}

/* Its child has the same number. */
static _Noreturn void be_the_first(void)
{
	char mine[128], theirs[128];
	uint32_t before;
	pid_t pid;

	work_until_there(mine);
	before = sequence_at(mine);
	/* Two ends of a tick are a whole one apart, whenever the kernel's begin. */
	wait_for_tick();
	wait_for_tick();
	pid = fork_into_namespace();
	if (!pid) {
		work_until_there(theirs);
		exit(getpid() == 1 && strcmp(mine, theirs) ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	child_join(pid);
	exit(before % 2 || sequence_at(mine) != before ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int fork_namespaces(void)
{
	pid_t pid;

	/*
	 * Where this is refused there are no namespaces to be had; and LeakSanitizer's thread, which
	 * looks at the process at its end, cannot name it from there.
	 */
	if (HAS_ASAN || unshare(CLONE_NEWUSER))
		return EXIT_SUCCESS;
	pid = fork_into_namespace();
	if (!pid)
		be_the_first();
	child_join(pid);
	return EXIT_SUCCESS;
}

static int end_by_exec(void)
{
	work();
	execl("/proc/self/exe", "test_outlets", "publish", NULL);
	return EXIT_FAILURE;
}

static const struct {
	const char *name;
	int (*run)(void);
} modes[] = {
	{ "work", work }, { "close", close_and_end }, { "at-once", end_at_once },
	{ "fork", fork_and_end }, { "raise", raise_and_stop }, { "raise-own", raise_own },
	{ "raise-locked", raise_locked }, { "publish", publish_and_wait },
	{ "publish-on", publish_without_end }, { "fork-page", fork_with_page },
	{ "fork-quiet", fork_without_page }, { "fork-soon", fork_and_exec_soon }, { "exec", end_by_exec },
	{ "fork-namespaces", fork_namespaces },
};

static int run_mode(const char *name)
{
	alarm(CHILD_TIMEOUT);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i].name, name))
			return modes[i].run();
	return EXIT_FAILURE;
}

/* ---- Starting them ---- */

struct child {
	pid_t pid;
	int in, out, err;	/* to it, from it, and a file with its stderr */
};

static struct child child_start(const char *conf, const char *mode, void (*before)(void))
{
	struct child c = { .err = memfd_create("err", 0) };
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	if (!c.pid) {
		setenv("NUMARENA_CONF", conf, 1);
		if (before)
			before();
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(c.err, STDERR_FILENO);
		execl("/proc/self/exe", "test_outlets", mode, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	return c;
}

/* Its status. */
static int child_wait(struct child *c)
{
	int status;

	close(c->in);
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	return status;
}

static const char *run_before(const char *conf, const char *mode, void (*before)(void))
{
	struct child c = child_start(conf, mode, before);
	int status = child_wait(&c);
	const char *text = text_of(c.err);

	ck_assert_msg(!status, "%s, %s: status %#x\n%s", conf, mode, status, text);
	return text;
}

static const char *run(const char *conf, const char *mode)
{
	return run_before(conf, mode, NULL);
}

static unsigned int nr_reports(const char *text)
{
	unsigned int nr = 0;

	while ((text = strstr(text, "\nreserved_bytes "))) {
		nr++;
		text++;
	}
	return nr;
}

/* ---- At the end ---- */

START_TEST(exit_prints_once)
{
	ck_assert_uint_eq(nr_reports(run("stats:exit", "work")), 1);
	ck_assert_str_eq(run("stats:off", "work"), "");
	ck_assert_str_eq(run("stats:page", "work"), "");
	ck_assert_str_eq(run("stats:exit", "at-once"), "");
}
END_TEST

START_TEST(exit_outlives_stderr)
{
	ck_assert_uint_eq(nr_reports(run("stats:exit", "close")), 1);
}
END_TEST

START_TEST(exit_of_each_process)
{
	ck_assert_uint_eq(nr_reports(run("stats:exit", "fork")), 2);
}
END_TEST

START_TEST(file_is_written)
{
	char conf[128], path[64];
	struct child c;
	int fd;

	snprintf(conf, sizeof(conf), "stats_format:json,stats_file:/tmp/numarena.%%p.%d%%%%", getpid());
	c = child_start(conf, "work", NULL);
	ck_assert_int_eq(child_wait(&c), 0);
	ck_assert_str_eq(text_of(c.err), "");
	snprintf(path, sizeof(path), "/tmp/numarena.%d.%d%%", c.pid, getpid());
	fd = open(path, O_RDONLY);
	ck_assert_msg(fd >= 0, "no %s", path);
	unlink(path);
	ck_assert_uint_eq(figure(flatten(fd, "json"), "pid"), (uint64_t)c.pid);
}
END_TEST

/* Expect: one line; the process ends as it would have. */
START_TEST(file_that_cannot_be_is_told)
{
	static const char *const confs[] = {
		"stats_file:/nosuch/file", "stats_file:/dev/full", "stats_file:/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		const char *text = run(confs[i], i ? "close" : "work");

		ck_assert_msg(!strncmp(text, "numarena: stats_file:/", 22), "%s: %s", confs[i], text);
		ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	}
}
END_TEST

/* ---- Signals ---- */

START_TEST(signal_prints_at_once)
{
	ck_assert_uint_eq(nr_reports(run("stats:SIGUSR2", "raise")), 1);
	ck_assert_uint_eq(nr_reports(run("stats:SIGUSR1+SIGUSR2", "raise")), 1);
}
END_TEST

START_TEST(signal_waits_for_locks)
{
	ck_assert_uint_eq(nr_reports(run("stats:SIGUSR2", "raise-locked")), 1);
}
END_TEST

static void ignore_it(void)
{
	signal(SIGUSR2, SIG_IGN);
}

START_TEST(signal_of_the_program_stays)
{
	const char *text = run_before("stats:SIGUSR2", "raise", ignore_it);

	ck_assert_str_eq(run("stats:SIGUSR2", "raise-own"), "");
	ck_assert_uint_eq(nr_reports(text), 0);
	ck_assert_msg(!strncmp(text, "numarena: stats:SIGUSR2:", 24), "%s", text);
}
END_TEST

/* ---- The page ---- */

static int open_page(pid_t pid)
{
	char path[128];
	struct stat about;
	int fd;

	page_path(path, pid);
	fd = open(path, O_RDONLY | O_NOFOLLOW);
	ck_assert_msg(fd >= 0, "no %s", path);
	ck_assert_int_eq(fstat(fd, &about), 0);
	ck_assert_int_eq(about.st_mode & 07777, 0600);
	return fd;
}

static bool has_page(pid_t pid)
{
	char path[128];

	page_path(path, pid);
	return !access(path, F_OK);
}

/* As another process maps it. */
static const struct nar_statpage *map_page(pid_t pid)
{
	const struct nar_statpage *p;
	struct stat about;
	int fd = open_page(pid);

	fstat(fd, &about);
	p = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(memcmp(p->magic, NAR_STATPAGE_MAGIC, 8), 0);
	ck_assert_uint_eq(p->version, NAR_STATPAGE_VERSION);
	ck_assert_uint_eq(p->bytes, about.st_size);
	ck_assert_uint_eq(p->pid, pid);
	return p;
}

static const void *part(const struct nar_statpage *p, unsigned int id)
{
	ck_assert_uint_gt(p->part[id].offset, 0);
	ck_assert_uint_le(p->part[id].offset + p->part[id].nr * p->part[id].bytes, p->bytes);
	return (const char *)p + p->part[id].offset;
}

START_TEST(page_has_what_the_process_knows)
{
	struct child c = child_start("stats:page", "publish", NULL);
	const struct nar_statpage_window *window;
	const struct numarena_node_stats *node;
	const struct nar_statpage *page;
	struct numarena_stats theirs;

	ck_assert_int_eq(read(c.out, &theirs, sizeof(theirs)), sizeof(theirs));
	page = map_page(c.pid);
	ck_assert_uint_eq(page->sequence % 2, 0);
	ck_assert_uint_eq(page->state, STATPAGE_LIVE);
	ck_assert_uint_ge(page->nr_published, 2);
	ck_assert_int_eq(memcmp(part(page, STATPAGE_STATS), &theirs, sizeof(theirs)), 0);
	window = part(page, STATPAGE_WINDOWS);
	node = part(page, STATPAGE_NODES);
	ck_assert_uint_eq(page->part[STATPAGE_WINDOWS].nr, theirs.nr_nodes);
	ck_assert_uint_eq(window->bytes * theirs.nr_nodes, theirs.reserved_bytes);
	ck_assert_uint_ge(window->end - window->start, node->committed_bytes);
	ck_assert_int_eq(window->node, node->node);
	ck_assert_int_eq(child_wait(&c), 0);
	ck_assert_uint_eq(page->state, STATPAGE_OVER);
	ck_assert(!has_page(c.pid));
}
END_TEST

/* By a system call, which nothing moves across. */
static uint32_t sequence_of(int fd)
{
	uint32_t sequence;

	ck_assert_int_eq(pread(fd, &sequence, sizeof(sequence), offsetof(struct nar_statpage, sequence)),
			 sizeof(sequence));
	return sequence;
}

/* Expect: what lies between two equal even numbers is of one moment. */
START_TEST(page_is_whole)
{
	struct child c = child_start("stats:page", "publish-on", NULL);
	uint64_t last_published = 0, last_refills = 0, nr_seen = 0;
	const struct nar_statpage *page;
	struct numarena_stats theirs;
	int fd;

	ck_assert_int_eq(read(c.out, &theirs, sizeof(theirs)), sizeof(theirs));
	page = map_page(c.pid);
	fd = open_page(c.pid);
	while (nr_seen < 200) {
		uint32_t before = sequence_of(fd), after;
		uint64_t published = __atomic_load_n(&page->nr_published, __ATOMIC_RELAXED);

		memcpy(&theirs, part(page, STATPAGE_STATS), sizeof(theirs));
		after = sequence_of(fd);
		if (before % 2 || before != after || published == last_published)
			continue;
		ck_assert_uint_eq(before / 2, published);
		ck_assert_uint_gt(published, last_published);
		ck_assert_uint_ge(theirs.nr_refills, last_refills);
		last_published = published;
		last_refills = theirs.nr_refills;
		nr_seen++;
	}
	ck_assert_int_eq(child_wait(&c), 0);
}
END_TEST

START_TEST(page_of_a_fork)
{
	ck_assert_str_eq(run("stats:page", "fork-page"), "");
	ck_assert_str_eq(run("stats:page", "fork-quiet"), "");
	ck_assert_str_eq(run("stats:page", "fork-soon"), "");
}
END_TEST

/*
 *	a process of number 1, with a page, forks into a namespace where its child has number 1
 *
 * Expect: the child makes a page of its own and leaves the other one alone, to its end.
 */
START_TEST(page_of_a_fork_with_the_same_number)
{
	ck_assert_str_eq(run("stats:page", "fork-namespaces"), "");
}
END_TEST

START_TEST(page_is_made_anew_by_exec)
{
	struct child c = child_start("stats:page", "exec", NULL);
	struct numarena_stats theirs;

	ck_assert_int_eq(read(c.out, &theirs, sizeof(theirs)), sizeof(theirs));
	ck_assert_int_eq(memcmp(part(map_page(c.pid), STATPAGE_STATS), &theirs, sizeof(theirs)), 0);
	ck_assert_int_eq(child_wait(&c), 0);
	ck_assert(!has_page(c.pid));
}
END_TEST

static void lay_anothers(void)
{
	struct nar_statpage head = { .version = NAR_STATPAGE_VERSION, .pid_namespace = 1 };
	char path[128];
	int fd;

	memcpy(head.magic, NAR_STATPAGE_MAGIC, sizeof(head.magic));
	page_path(path, 0);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (write(fd, &head, sizeof(head)) != sizeof(head))
		_exit(126);
}

/* Expect: a page of another namespace is not taken for one from before the exec. */
START_TEST(page_of_another_namespace_stays)
{
	struct child c = child_start("stats:page", "publish", lay_anothers);
	struct numarena_stats theirs;
	struct stat about;
	char path[128];

	ck_assert_int_eq(read(c.out, &theirs, sizeof(theirs)), sizeof(theirs));
	page_path(path, c.pid);
	ck_assert_int_eq(child_wait(&c), 0);
	ck_assert_int_eq(stat(path, &about), 0);
	unlink(path);
	ck_assert_uint_eq((size_t)about.st_size, sizeof(struct nar_statpage));
	ck_assert_ptr_nonnull(strstr(text_of(c.err), "cannot make"));
}
END_TEST

static char victim[64];

static void lay_a_trap(void)
{
	char path[128];

	page_path(path, getpid());
	if (symlink(victim, path))
		_exit(126);
}

/* Expect: a link of the page's name is not followed, nor taken away. */
START_TEST(links_are_not_followed)
{
	struct child c;
	struct stat about;
	char path[128];
	int fd;

	snprintf(victim, sizeof(victim), "/tmp/numarena-victim-%d", getpid());
	fd = open(victim, O_CREAT | O_EXCL | O_RDWR, 0644);
	ck_assert_int_eq(write(fd, "precious", 8), 8);
	c = child_start("stats:page", "publish", lay_a_trap);
	ck_assert_int_gt(read(c.out, path, sizeof(path)), 0);
	page_path(path, c.pid);
	ck_assert_int_eq(lstat(path, &about), 0);
	ck_assert(S_ISLNK(about.st_mode));
	ck_assert_int_eq(child_wait(&c), 0);
	unlink(path);
	ck_assert_int_eq(fstat(fd, &about), 0);
	ck_assert_int_eq(about.st_size, 8);
	unlink(victim);
	ck_assert_ptr_nonnull(strstr(text_of(c.err), "numarena: stats:page: cannot make "));
}
END_TEST

/* Expect: what a killed process has left is gone when the next one starts. */
START_TEST(pages_of_the_dead_are_swept)
{
	struct child c = child_start("stats:page", "publish", NULL);
	char path[128];

	ck_assert_int_eq(read(c.out, path, 1), 1);
	page_path(path, c.pid);
	kill(c.pid, SIGKILL);
	ck_assert_int_eq(child_wait(&c), SIGKILL);
	ck_assert_int_eq(access(path, F_OK), 0);
	run("stats:page", "work");
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tc;

	if (argc == 2)
		return run_mode(argv[1]);
	suite = suite_create("outlets");
	tc = tcase_create("contract");
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, exit_prints_once);
	tcase_add_test(tc, exit_outlives_stderr);
	tcase_add_test(tc, exit_of_each_process);
	if (has_python())
		tcase_add_test(tc, file_is_written);
	tcase_add_test(tc, file_that_cannot_be_is_told);
	tcase_add_test(tc, signal_prints_at_once);
	tcase_add_test(tc, signal_waits_for_locks);
	tcase_add_test(tc, signal_of_the_program_stays);
	tcase_add_test(tc, page_has_what_the_process_knows);
	tcase_add_test(tc, page_is_whole);
	tcase_add_test(tc, page_of_a_fork);
	tcase_add_test(tc, page_of_a_fork_with_the_same_number);
	tcase_add_test(tc, page_is_made_anew_by_exec);
	tcase_add_test(tc, page_of_another_namespace_stays);
	tcase_add_test(tc, links_are_not_followed);
	tcase_add_test(tc, pages_of_the_dead_are_swept);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
