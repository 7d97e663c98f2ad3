// SPDX-License-Identifier: MIT
/*
 * numarena_stats_print(): each format is what it says it is and agrees with what
 * numarena_stats_get() answers in the same quiet moment; descriptors that fail are told of.
 */
#include "printed.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

static const char *const formats[] = { "text", "json", "prometheus" };

static int print_to_memory(enum numarena_stats_format format)
{
	int fd = memfd_create("printed", 0), result;

	ck_assert_int_ge(fd, 0);
	errno = ERRNO_MARK;
	result = numarena_stats_print(fd, format);
	ck_assert_msg(!result && errno == ERRNO_MARK, "%s: %d, errno %d", formats[format], result, errno);
	return fd;
}

/* ---- Agreement ---- */

/* Something of everything: small, large, remote, two sizes of pages. */
static void *held[4000];

static void *free_third(void *unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(held); i += 3) {
		numarena_free(held[i]);
		held[i] = NULL;
	}
	return unused;
}

static void be_busy(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		held[i] = must_give(numarena_malloc(i % 100 ? 1 + 7 * i % 3000 : KIB(100)));
	thread_join(thread_start(free_third, NULL));
}

static void be_done(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		numarena_free(held[i]);
}

#define AGREE(flat, prefix, stats, field, suffix)						\
	do {											\
		uint64_t printed_ = figure(flat, prefix suffix);				\
												\
		expect(printed_ == (stats).field, "%s: %" PRIu64 ", not %" PRIu64, prefix suffix, \
		       printed_, (stats).field);						\
	} while (0)

START_TEST(json_agrees)
{
	struct numarena_stats before, after;
	struct numarena_node_stats node;
	const char *flat;
	int fd;

	be_busy();
	numarena_stats_get(&before, sizeof(before));
	fd = print_to_memory(NUMARENA_STATS_JSON);
	numarena_stats_get(&after, sizeof(after));
	numarena_node_stats_get(0, &node, sizeof(node));
	ck_assert_msg(!memcmp(&before, &after, sizeof(after)), "printing has changed the statistics");
	flat = flatten(fd, "json");
	AGREE(flat, "stats.", after, reserved_bytes, "reserved_bytes");
	AGREE(flat, "stats.", after, committed_bytes, "committed_bytes");
	AGREE(flat, "stats.", after, metadata_bytes, "metadata_bytes");
	AGREE(flat, "stats.", after, slab_bytes, "slab_bytes");
	AGREE(flat, "stats.", after, large_bytes, "large_bytes");
	AGREE(flat, "stats.", after, free_bytes, "free_bytes");
	AGREE(flat, "stats.", after, nr_nodes, "nr_nodes");
	AGREE(flat, "stats.", after, nr_arenas, "nr_arenas");
	AGREE(flat, "stats.", after, nr_classes, "nr_classes");
	AGREE(flat, "stats.", after, nr_refills, "nr_refills");
	AGREE(flat, "stats.", after, nr_flushes, "nr_flushes");
	AGREE(flat, "stats.", after, nr_remote_frees, "nr_remote_frees");
	AGREE(flat, "stats.", after, nr_remote_batches, "nr_remote_batches");
	AGREE(flat, "stats.", after, bind_done, "bind_done");
	AGREE(flat, "stats.", after, huge_off, "huge_off");
	AGREE(flat, "stats.", after, purged_bytes, "purged_bytes");
	AGREE(flat, "stats.", after, lock_contended, "lock_contended");
	AGREE(flat, "stats.", after, nr_scopes_open, "nr_scopes_open");
	AGREE(flat, "stats.", after, scope_open_bytes, "scope_open_bytes");
	AGREE(flat, "nodes.0.", node, committed_bytes, "committed_bytes");
	AGREE(flat, "nodes.0.", node, slab_bytes, "slab_bytes");
	AGREE(flat, "nodes.0.", node, remote_frees_in, "remote_frees_in");
	ck_assert_uint_eq(figure(flat, "pid"), (uint64_t)getpid());
	be_done();
}
END_TEST

START_TEST(prometheus_agrees)
{
	struct numarena_stats now;
	const char *flat;
	int fd;

	be_busy();
	fd = print_to_memory(NUMARENA_STATS_PROMETHEUS);
	numarena_stats_get(&now, sizeof(now));
	flat = flatten(fd, "prometheus");
	AGREE(flat, "numarena_", now, committed_bytes, "committed_bytes");
	AGREE(flat, "numarena_", now, slab_bytes, "slab_bytes");
	AGREE(flat, "numarena_", now, large_bytes, "large_bytes");
	AGREE(flat, "numarena_", now, nr_refills, "refills_total");
	AGREE(flat, "numarena_", now, nr_remote_frees, "remote_frees_total");
	AGREE(flat, "numarena_", now, purged_bytes, "purged_bytes_total");
	AGREE(flat, "numarena_", now, limit_hit, "fallbacks_total..limit_hit");
	if (now.nr_nodes == 1)
		AGREE(flat, "numarena_", now, huge_refused, "fallbacks_total.0.huge_refused");
	be_done();
}
END_TEST

/* Expect: rows add up to the sums, and the matrix is that of numarena_remote_matrix(). */
START_TEST(parts_add_up)
{
	uint64_t sums[3] = { 0 }, heaps = 0, refills = 0, matrix[NUMARENA_MAX_NODES * NUMARENA_MAX_NODES];
	struct numarena_stats now;
	const char *flat;
	char name[64];
	int fd, i;

	be_busy();
	fd = print_to_memory(NUMARENA_STATS_JSON);
	numarena_stats_get(&now, sizeof(now));
	numarena_remote_matrix(matrix, NULL, (unsigned int)now.nr_nodes);
	flat = flatten(fd, "json");
	for (i = 0; i < (int)now.nr_classes; i++) {
		sums[0] += line_figure(flat, "classes", i, "slab_bytes");
		sums[1] += line_figure(flat, "classes", i, "live_bytes");
		sums[2] += line_figure(flat, "classes", i, "cached_bytes");
	}
	ck_assert_uint_eq(sums[0], now.slab_bytes);
	heaps = line_figure(flat, "heaps", line_where(flat, "heaps", "name", "default"), "slab_bytes");
	ck_assert_uint_eq(heaps, now.slab_bytes);
	ck_assert_uint_ge(figure(flat, "totals.live_bytes"), sums[1]);
	ck_assert_uint_ge(figure(flat, "totals.cached_bytes"), sums[2]);
	for (i = 0; strstr(flat, (snprintf(name, sizeof(name), "\nthreads.%d.", i), name)); i++)
		refills += line_figure(flat, "threads", i, "nr_refills");
	ck_assert_uint_eq(refills, now.nr_refills);
	ck_assert_uint_eq(figure(flat, "slow_steps.refill.count"), now.nr_refills);
	ck_assert_uint_eq(figure(flat, "remote.frees.0.0"), matrix[0]);
	if (has_arenas())
		ck_assert_uint_gt(matrix[0], 0);
	be_done();
}
END_TEST

/* A size that nobody else has: 4,016 bytes. */
#define ODD_BYTES 4016
#define NR_ODD 300

static void must_count(uint64_t live, uint64_t at_most_cached)
{
	const char *flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	int i = line_where(flat, "classes", "size", "4016");

	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(line_figure(flat, "classes", i, "live_objects"), live);
	ck_assert_uint_eq(line_figure(flat, "classes", i, "live_bytes"), live * ODD_BYTES);
	ck_assert_uint_le(line_figure(flat, "classes", i, "cached_objects"), at_most_cached);
	ck_assert_uint_ge(line_figure(flat, "classes", i, "objects"), live);
}

/* Expect: to the object; and what is in use is resident. */
START_TEST(live_objects_are_counted)
{
	void *odd[NR_ODD];
	const char *flat;
	int i;

	if (!has_arenas())
		return;
	ck_assert_int_ge(numarena_class_add(ODD_BYTES), 0);
	for (i = 0; i < NR_ODD; i++)
		memset(odd[i] = must_give(numarena_malloc(ODD_BYTES)), 1, ODD_BYTES);
	must_count(NR_ODD, 1024);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	i = line_where(flat, "classes", "size", "4016");
	ck_assert_uint_ge(line_figure(flat, "classes", i, "resident_bytes"), NR_ODD * ODD_BYTES);
	for (i = 0; i < NR_ODD / 2; i++)
		numarena_free(odd[i]);
	must_count(NR_ODD - NR_ODD / 2, 1024);
	for (; i < NR_ODD; i++)
		numarena_free(odd[i]);
	must_count(0, 1024);
	numarena_malloc_trim(0);
	must_count(0, 0);
}
END_TEST

static int own_line(const char *flat)
{
	char tid[16];

	snprintf(tid, sizeof(tid), "%d", (int)gettid());
	return line_where(flat, "threads", "tid", tid);
}

/* Expect: what a thread has is its own line's, resident too, and hardly fragmented. */
START_TEST(threads_are_counted)
{
	uint64_t live, resident;
	const char *flat;
	void *odd[NR_ODD];
	char name[64];
	int i;

	if (!has_arenas())
		return;
	numarena_free(must_give(numarena_malloc(1)));
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	i = own_line(flat);
	ck_assert_int_ge(i, 0);
	live = line_figure(flat, "threads", i, "live_bytes");
	resident = line_figure(flat, "threads", i, "resident_bytes");
	for (i = 0; i < NR_ODD; i++)
		memset(odd[i] = must_give(numarena_malloc(ODD_BYTES)), 1, ODD_BYTES);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	i = own_line(flat);
	/* The first few of a size come from the shards. */
	ck_assert_uint_ge(line_figure(flat, "threads", i, "live_bytes"), live + (NR_ODD - 16) * ODD_BYTES);
	ck_assert_uint_ge(line_figure(flat, "threads", i, "resident_bytes"), resident + (NR_ODD - 16) * ODD_BYTES);
	ck_assert_uint_le(line_figure(flat, "threads", i, "resident_bytes"),
			  line_figure(flat, "threads", i, "slab_bytes"));
	snprintf(name, sizeof(name), "threads.%d.fragmentation", i);
	ck_assert_double_lt(strtod(figure_text(flat, name), NULL), 0.5);
	for (i = 0; i < NR_ODD; i++)
		numarena_free(odd[i]);
	numarena_malloc_trim(0);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	ck_assert_uint_lt(line_figure(flat, "threads", own_line(flat), "live_bytes"), live + ODD_BYTES);
}
END_TEST

/* Expect: a large block is live, then waits with its thread or is free. */
START_TEST(large_blocks_are_counted)
{
	const char *flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	uint64_t before = figure(flat, "totals.live_bytes"), resident;
	void *block;

	resident = figure(flat, "totals.resident_bytes");
	block = must_give(numarena_malloc(MIB(64)));
	memset(block, 1, MIB(64));
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	ck_assert_uint_ge(figure(flat, "totals.live_bytes"), before + MIB(64));
	ck_assert_uint_ge(figure(flat, "totals.resident_bytes"), resident + MIB(64));
	numarena_free(block);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	ck_assert_uint_lt(figure(flat, "totals.live_bytes"), before + MIB(1));
}
END_TEST

/* Quotes, a line's end, a backslash, two bytes of UTF-8 and one that is none. */
#define ODD_NAME "we\"ights\n\\ \303\251\377"

static int heap_line(const char *flat)
{
	return line_where(flat, "heaps", "limit_bytes", "67108864");
}

/* Expect: a heap's own line, of small objects and large blocks, whatever its name; then none. */
START_TEST(heaps_are_counted)
{
	const struct numarena_heap_attr attr = {
		.size = sizeof(attr), .limit_bytes = MIB(64), .name = ODD_NAME,
	};
	struct numarena_heap *heap = numarena_heap_create(&attr);
	struct numarena_heap_stats stats;
	const char *flat;
	int i;

	ck_assert_ptr_nonnull(heap);
	for (i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(memset(numarena_heap_alloc(heap, 1000), 1, 1000));
	ck_assert_ptr_nonnull(memset(numarena_heap_alloc(heap, MIB(8)), 1, MIB(8)));
	ck_assert_int_eq(numarena_heap_stats_get(heap, &stats, sizeof(stats)), 0);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	i = heap_line(flat);
	ck_assert_int_ge(i, 0);
	ck_assert_uint_ge(line_figure(flat, "heaps", i, "live_bytes"), MIB(8) + 1000 * 1000);
	ck_assert_uint_le(line_figure(flat, "heaps", i, "live_bytes"), MIB(8) + 1100 * 1024);
	ck_assert_uint_ge(line_figure(flat, "heaps", i, "large_bytes"), MIB(8));
	ck_assert_uint_ge(line_figure(flat, "heaps", i, "resident_bytes"), MIB(8) + 1000 * 1000);
	ck_assert_uint_eq(line_figure(flat, "heaps", i, "charged_bytes"), stats.charged_bytes);
	ck_assert_uint_eq(line_figure(flat, "heaps", i, "charged_bytes"),
			  line_figure(flat, "heaps", i, "slab_bytes") +
			  line_figure(flat, "heaps", i, "large_bytes"));
	flatten(print_to_memory(NUMARENA_STATS_PROMETHEUS), "prometheus");
	numarena_heap_destroy(heap);
	flat = flatten(print_to_memory(NUMARENA_STATS_JSON), "json");
	ck_assert_int_eq(heap_line(flat), -1);
}
END_TEST

START_TEST(text_has_all_sections)
{
	static const char *const sections[] = {
		"numarena ", "\nreserved_bytes ", "\nmissing ", "\nnodes:\n", "\nresidence:\n",
		"\nfallbacks:\n", "\nheaps:\n", "\nclasses:\n", "\nthreads:\n", "\nscopes:\n",
		"\nshards:\n",
		"\nfrees of others' memory", "\nslow steps", "\nrefill ", "\npurge ",
	};
	const char *text = text_of(print_to_memory(NUMARENA_STATS_TEXT));

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		ck_assert_msg(strstr(text, sections[i]), "no %s in:\n%s", sections[i], text);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

/* ---- Descriptors that fail ---- */

static void must_fail(int fd, int format, int code)
{
	int result, err;

	errno = ERRNO_MARK;
	result = numarena_stats_print(fd, (enum numarena_stats_format)format);
	err = errno;
	ck_assert_msg(result == -1 && err == code, "fd %d, format %d: %d, errno %d", fd, format, result, err);
}

START_TEST(bad_arguments_are_refused)
{
	must_fail(-1, NUMARENA_STATS_TEXT, EBADF);
	must_fail(STDOUT_FILENO, NUMARENA_STATS_PROMETHEUS + 1, EINVAL);
	must_fail(STDOUT_FILENO, -1, EINVAL);
	must_fail(open("/dev/null", O_RDONLY), NUMARENA_STATS_JSON, EBADF);
}
END_TEST

START_TEST(full_device_is_told)
{
	int fd = open("/dev/full", O_WRONLY);

	for (int format = 0; format < (int)ARRAY_SIZE(formats); format++)
		must_fail(fd, format, ENOSPC);
}
END_TEST

static int closed_pipe(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	return ends[1];
}

/* Expect: no signal, though its default ends the process. */
START_TEST(closed_pipe_is_told)
{
	signal(SIGPIPE, SIG_DFL);
	for (int format = 0; format < (int)ARRAY_SIZE(formats); format++)
		must_fail(closed_pipe(), format, EPIPE);
}
END_TEST

/* Expect: a SIGPIPE of the program's own, held back by it, is still there. */
START_TEST(own_sigpipe_stays)
{
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	must_fail(closed_pipe(), NUMARENA_STATS_TEXT, EPIPE);
	sigpending(&pending);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
	raise(SIGPIPE);
	must_fail(closed_pipe(), NUMARENA_STATS_TEXT, EPIPE);
	sigpending(&pending);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 1);
}
END_TEST

START_TEST(full_pipe_is_told)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], ends, sizeof(ends)) > 0)
		;
	must_fail(ends[1], NUMARENA_STATS_TEXT, EAGAIN);
}
END_TEST

/* ---- Slow readers ---- */

struct reader {
	int from, to;
	size_t sum;
};

static void *read_slowly(void *arg)
{
	struct reader *r = arg;
	char part[7];
	ssize_t n;

	while ((n = read(r->from, part, sizeof(part))) > 0) {
		if (write(r->to, part, (size_t)n) != n)
			break;
		r->sum += (size_t)n;
	}
	return NULL;
}

static void note(int sig)
{
	(void)sig;
}

/* Expect: writes that are cut short, and interrupted all the time, lose nothing. */
START_TEST(slow_pipes_get_all)
{
	const struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = note };
	struct reader reader = { .to = memfd_create("read", 0) };
	int ends[2], result;
	pthread_t thread;
	sigset_t set;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int));
	reader.from = ends[0];
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	thread = thread_start(read_slowly, &reader);
	sigaction(SIGALRM, &action, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	result = numarena_stats_print(ends[1], NUMARENA_STATS_JSON);
	setitimer(ITIMER_REAL, &never, NULL);
	close(ends[1]);
	thread_join(thread);
	ck_assert_int_eq(result, 0);
	ck_assert_uint_gt(reader.sum, 4096);
	flatten(reader.to, "json");
}
END_TEST

/* ---- Company ---- */

static atomic_bool is_over;

static void *churn_on(void *arg)
{
	struct churn churn;

	churn_begin(&churn, (unsigned int)(uintptr_t)arg, 16);
	while (!atomic_load(&is_over))
		churn_step(&churn);
	churn_end(&churn);
	return NULL;
}

#define NR_PRINTS 2

static void *print_on(void *arg)
{
	int *fds = arg;

	for (int i = 0; i < NR_PRINTS; i++)
		fds[i] = print_to_memory(i % 2 ? NUMARENA_STATS_PROMETHEUS : NUMARENA_STATS_JSON);
	return NULL;
}

/* Expect: several that print, while others allocate, all write what is valid. */
START_TEST(printing_needs_no_quiet)
{
	static int fds[3][NR_PRINTS];
	pthread_t churners[2], printers[3];

	atomic_store(&is_over, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(churners); i++)
		churners[i] = thread_start(churn_on, (void *)i);
	for (size_t i = 0; i < ARRAY_SIZE(printers); i++)
		printers[i] = thread_start(print_on, fds[i]);
	for (size_t i = 0; i < ARRAY_SIZE(printers); i++)
		thread_join(printers[i]);
	atomic_store(&is_over, true);
	for (size_t i = 0; i < ARRAY_SIZE(churners); i++)
		thread_join(churners[i]);
	for (size_t i = 0; i < ARRAY_SIZE(printers); i++)
		for (int k = 0; k < NR_PRINTS; k++)
			flatten(fds[i][k], k % 2 ? "prometheus" : "json");
}
END_TEST

static void *print_into_pipe(void *fd)
{
	numarena_stats_print(*(int *)fd, NUMARENA_STATS_JSON);
	return NULL;
}

/* Expect: the child does not wait for a thread that it does not have. */
START_TEST(child_prints_for_itself)
{
	int ends[2], fd = memfd_create("child", 0);
	pthread_t thread;
	char first;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	fcntl(ends[1], F_SETPIPE_SZ, 4096);
	thread = thread_start(print_into_pipe, &ends[1]);
	ck_assert_int_eq(read(ends[0], &first, 1), 1);
	pid = fork_or_fail();
	if (!pid)
		_exit(numarena_stats_print(fd, NUMARENA_STATS_JSON) ? 1 : 0);
	child_join(pid);
	flatten(fd, "json");
	close(ends[0]);
	thread_join(thread);
}
END_TEST

/* Expect: after a fork it is the child's thread that has the arenas, not the parent's. */
START_TEST(child_has_its_own_thread)
{
	int fd = memfd_create("child", 0);
	struct numarena_heap *heap;
	const char *flat;
	char tid[16];
	pid_t pid;

	if (!has_arenas())
		return;
	heap = must_give(numarena_heap_create(NULL));
	numarena_free(must_give(numarena_malloc(1)));
	numarena_free(must_give(numarena_heap_alloc(heap, 1)));
	pid = fork_or_fail();
	if (!pid)
		_exit(numarena_stats_print(fd, NUMARENA_STATS_JSON) ? 1 : 0);
	child_join(pid);
	flat = flatten(fd, "json");
	snprintf(tid, sizeof(tid), "%d", (int)pid);
	ck_assert_int_ge(line_where(flat, "threads", "tid", tid), 0);
	ck_assert_int_lt(own_line(flat), 0);
	numarena_heap_destroy(heap);
}
END_TEST

/* Expect: no memory is needed, neither the program's nor address space. */
START_TEST(no_memory_is_needed)
{
	const struct rlimit none = { 4096, RLIM_INFINITY };
	struct rlimit before;
	int fd = memfd_create("printed", 0), result;

	if (HAS_SHADOW_MEMORY)
		return;
	numarena_free(numarena_malloc(1));
	getrlimit(RLIMIT_AS, &before);
	setrlimit(RLIMIT_AS, &none);
	result = numarena_stats_print(fd, NUMARENA_STATS_JSON);
	setrlimit(RLIMIT_AS, &before);
	ck_assert_int_eq(result, 0);
	flatten(fd, "json");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats_print");
	TCase *tc = tcase_create("contract");

	/* Each look at what was printed starts a python. */
	tcase_set_timeout(tc, 240);
	if (has_python()) {
		tcase_add_test(tc, json_agrees);
		tcase_add_test(tc, prometheus_agrees);
		tcase_add_test(tc, parts_add_up);
		tcase_add_test(tc, live_objects_are_counted);
	tcase_add_test(tc, threads_are_counted);
		tcase_add_test(tc, large_blocks_are_counted);
		tcase_add_test(tc, heaps_are_counted);
		tcase_add_test(tc, slow_pipes_get_all);
		tcase_add_test(tc, printing_needs_no_quiet);
		tcase_add_test(tc, child_prints_for_itself);
		tcase_add_test(tc, child_has_its_own_thread);
		tcase_add_test(tc, no_memory_is_needed);
	}
	tcase_add_test(tc, text_has_all_sections);
	tcase_add_test(tc, bad_arguments_are_refused);
	tcase_add_test(tc, full_device_is_told);
	tcase_add_test(tc, closed_pipe_is_told);
	tcase_add_test(tc, own_sigpipe_stays);
	tcase_add_test(tc, full_pipe_is_told);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
