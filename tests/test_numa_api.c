// SPDX-License-Identifier: MIT
/*
 * What numarena.h promises of nodes, and what it answers to nonsense.
 *
 *	before start | main | threads, their destructors | a child | another exec
 *	    each calls everything: right, wrong, with 0, with too much
 *
 * Expect: a result or an errno as documented; errno left alone where there is a result; a
 * structure filled as far as its size goes, and untouched where the answer is -1.
 *
 * Works on one node.  What needs several is in tests/numa/.
 */
#include <errno.h>
#include <limits.h>
#include <numarena.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIB ((size_t)1 << 20)

/* No call sets it. */
#define MARK 12345

/* The line of the first that is not true, from any context. */
#define EXPECT(condition) do { if (!(condition)) return __LINE__; } while (0)

#define FAILS(call, err) (errno = MARK, (call) == -1 && errno == (err))
#define WORKS(call) (errno = MARK, (call) >= 0 && errno == MARK)

/* Nobody's, ours, and at the edges. */
static int nonsense_pointers(void)
{
	int on_stack;

	EXPECT(FAILS(numarena_node_of(NULL), ENOENT));
	EXPECT(FAILS(numarena_node_of((void *)1), ENOENT));
	EXPECT(FAILS(numarena_node_of((void *)UINTPTR_MAX), ENOENT));
	EXPECT(FAILS(numarena_node_of((void *)INTPTR_MAX), ENOENT));
	EXPECT(FAILS(numarena_node_of((void *)INTPTR_MIN), ENOENT));
	EXPECT(FAILS(numarena_node_of(&on_stack), ENOENT));
	EXPECT(FAILS(numarena_node_of((const void *)"constant"), ENOENT));
	return 0;
}

static int nonsense_nodes(void)
{
	/* 65536 is 0 in 16 bits, 256 in 8. */
	static const int nodes[] = { -2, INT_MIN, INT_MAX, 256, 1023, 1024, 65536, 1 << 24 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		EXPECT(FAILS(numarena_thread_bind(nodes[i]), EINVAL));
		EXPECT(FAILS(numarena_reserve(nodes[i], MIB, 0), EINVAL));
	}
	return 0;
}

static int nonsense_sizes(void)
{
	EXPECT(FAILS(numarena_reserve(-1, MIB, 8), EINVAL));
	EXPECT(FAILS(numarena_reserve(-1, 0, 8), EINVAL));
	EXPECT(FAILS(numarena_reserve(-1, MIB, 1u << 31), EINVAL));
	EXPECT(FAILS(numarena_reserve(-1, MIB, ~0u), EINVAL));
	EXPECT(FAILS(numarena_reserve(-1, MIB, NUMARENA_RESERVE_SMALL | NUMARENA_RESERVE_HUGETLB),
		     EINVAL));
	EXPECT(FAILS(numarena_reserve(-1, SIZE_MAX, 0), ENOMEM));
	EXPECT(FAILS(numarena_reserve(-1, (size_t)PTRDIFF_MAX + 1, 0), ENOMEM));
	EXPECT(FAILS(numarena_reserve(-1, PTRDIFF_MAX, 0), ENOMEM));
	EXPECT(FAILS(numarena_reserve(-1, PTRDIFF_MAX, NUMARENA_RESERVE_SMALL), ENOMEM));
	return 0;
}

static bool is_all(const void *p, size_t size, unsigned char value)
{
	const unsigned char *bytes = p;

	while (size--)
		if (*bytes++ != value)
			return false;
	return true;
}

#define ROOM_BYTES 65536

static union room {
	unsigned char bytes[ROOM_BYTES];
	struct numarena_stats stats;
	struct numarena_node_stats node;
	struct numarena_audit audit;
	uint64_t matrix[ROOM_BYTES / 8];
} room;

static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;

static void paint(void)
{
	memset(&room, 0xa5, sizeof(room));
}

static bool is_painted_from(size_t from)
{
	return is_all(room.bytes + from, sizeof(room) - from, 0xa5);
}

/* Filled to @size, zeros where the caller knows more than we do, and nothing beyond. */
static bool is_filled(size_t size, size_t known)
{
	return is_painted_from(size) &&
	       (size <= known || is_all(room.bytes + known, size - known, 0));
}

/* An older caller's, one that ends inside a field, ours, a younger one's. */
static int sizes_of_stats(void)
{
	static const size_t sizes[] = { 1, 8, 20, sizeof(struct numarena_stats), 4096 };
	size_t i;

	paint();
	EXPECT(FAILS(numarena_stats_get(&room.stats, 0), EINVAL));
	EXPECT(FAILS(numarena_stats_get(NULL, sizeof(room.stats)), EINVAL));
	EXPECT(is_painted_from(0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		paint();
		EXPECT(WORKS(numarena_stats_get(&room.stats, sizes[i])));
		EXPECT(is_filled(sizes[i], sizeof(room.stats)));
	}
	return 0;
}

static int sizes_of_node_stats(unsigned int nr_nodes)
{
	static const size_t sizes[] = { 1, 4, 20, sizeof(struct numarena_node_stats), 4096 };
	size_t i;

	paint();
	EXPECT(FAILS(numarena_node_stats_get(0, &room.node, 0), EINVAL));
	EXPECT(FAILS(numarena_node_stats_get(0, NULL, sizeof(room.node)), EINVAL));
	EXPECT(FAILS(numarena_node_stats_get(nr_nodes, &room.node, sizeof(room.node)), EINVAL));
	EXPECT(FAILS(numarena_node_stats_get(UINT_MAX, &room.node, sizeof(room.node)), EINVAL));
	EXPECT(is_painted_from(0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		paint();
		EXPECT(WORKS(numarena_node_stats_get(nr_nodes - 1, &room.node, sizes[i])));
		EXPECT(is_filled(sizes[i], sizeof(room.node)));
	}
	return 0;
}

static int sizes_of_matrix(unsigned int nr_nodes)
{
	size_t bytes = (size_t)nr_nodes * nr_nodes * 8;

	paint();
	EXPECT(FAILS(numarena_remote_matrix(room.matrix, room.matrix, 0), EINVAL));
	EXPECT(FAILS(numarena_remote_matrix(room.matrix, NULL, nr_nodes + 1), EINVAL));
	EXPECT(FAILS(numarena_remote_matrix(NULL, NULL, UINT_MAX), EINVAL));
	EXPECT(is_painted_from(0));
	EXPECT(WORKS(numarena_remote_matrix(NULL, NULL, nr_nodes)));
	EXPECT(is_painted_from(0));
	EXPECT(WORKS(numarena_remote_matrix(room.matrix, NULL, nr_nodes)));
	EXPECT(is_painted_from(bytes));
	paint();
	EXPECT(WORKS(numarena_remote_matrix(NULL, room.matrix, nr_nodes)));
	EXPECT(is_painted_from(bytes));
	return 0;
}

static bool audit_refuses(size_t size)
{
	paint();
	room.audit.size = (uint32_t)size;
	return FAILS(numarena_audit(&room.audit), EINVAL) && room.audit.size == size &&
	       is_painted_from(sizeof(room.audit.size));
}

static uint64_t sum_of(const uint64_t *by_kind)
{
	uint64_t sum = 0;
	int kind;

	for (kind = 0; kind < NUMARENA_NR_KINDS; kind++)
		sum += by_kind[kind];
	return sum;
}

static int check_audit(const struct numarena_audit *audit, unsigned int nr_nodes)
{
	uint64_t resident = 0, misplaced = 0, huge = 0;
	unsigned int i;

	EXPECT(audit->nr_nodes == nr_nodes && !audit->reserved);
	for (i = 0; i < nr_nodes; i++) {
		const struct numarena_audit_node *at = &audit->at[i];

		EXPECT(sum_of(at->misplaced) + at->unbound <= sum_of(at->resident));
		resident += sum_of(at->resident);
		misplaced += sum_of(at->misplaced);
		huge += at->huge;
	}
	EXPECT(resident == audit->resident && misplaced == audit->misplaced && huge == audit->huge);
	return 0;
}

static int sizes_of_audit(unsigned int nr_nodes)
{
	static const size_t more[] = { 0, 1, 4096 };
	size_t i;

	EXPECT(FAILS(numarena_audit(NULL), EINVAL));
	EXPECT(audit_refuses(0) && audit_refuses(4) && audit_refuses(sizeof(room.audit) - 1));
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		size_t size = sizeof(room.audit) + more[i];

		paint();
		room.audit.size = (uint32_t)size;
		EXPECT(WORKS(numarena_audit(&room.audit)));
		EXPECT(is_filled(size, sizeof(room.audit)));
		EXPECT(!check_audit(&room.audit, nr_nodes));
	}
	return 0;
}

static int one_after_the_other(unsigned int nr_nodes)
{
	int line = sizes_of_stats();

	line = line ? line : sizes_of_node_stats(nr_nodes);
	line = line ? line : sizes_of_matrix(nr_nodes);
	return line ? line : sizes_of_audit(nr_nodes);
}

static int sizes(unsigned int nr_nodes)
{
	int line;

	pthread_mutex_lock(&room_lock);
	line = one_after_the_other(nr_nodes);
	pthread_mutex_unlock(&room_lock);
	return line;
}

static int first_node(void)
{
	struct numarena_node_stats stats;

	return numarena_node_stats_get(0, &stats, sizeof(stats)) ? -1 : stats.node;
}

/* Any byte of it; @node: the kernel's number, or -1 under a policy that names none. */
static int lies_on(char *p, size_t size, int node)
{
	const size_t at[] = { 0, 1, size / 2, size - 1 };
	size_t i;

	EXPECT(p);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (node < 0) {
			EXPECT(FAILS(numarena_node_of(p + at[i]), ENODATA));
		} else {
			EXPECT(WORKS(numarena_node_of(p + at[i])));
			EXPECT(numarena_node_of(p + at[i]) == node);
		}
	}
	return 0;
}

static bool names_no_node(void)
{
	char policy[16];

	return numarena_option_get("policy", policy, sizeof(policy)) > 0 &&
	       (!strcmp(policy, "interleave") || !strcmp(policy, "inherit"));
}

static int memory_of_bound_thread(void)
{
	static const size_t kinds[] = { 1, 100, 4096, 32768, 32769, 100000, 5 * MIB };
	int node = first_node(), line;
	size_t i;

	EXPECT(node >= 0);
	EXPECT(WORKS(numarena_thread_bind(node)));
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		char *p = numarena_malloc(kinds[i]);

		line = lies_on(p, kinds[i], names_no_node() ? -1 : node);
		EXPECT(!line);
		numarena_free(p);
	}
	EXPECT(WORKS(numarena_thread_bind(NUMARENA_NODE_FOLLOW)));
	return 0;
}

static int small_calls(void)
{
	char *p = numarena_malloc(100);
	char text[8];

	EXPECT(p);
	numarena_free(p);
	EXPECT(WORKS(numarena_reserve(-1, 0, 0)));
	EXPECT(WORKS(numarena_reserve(-1, 0, NUMARENA_RESERVE_1GIB)));
	EXPECT(WORKS(numarena_fork_recover()));
	EXPECT(WORKS(numarena_option_get("decay_ms", NULL, 0)));
	EXPECT(FAILS(numarena_option_get("decay_ms", NULL, sizeof(text)), EINVAL));
	EXPECT(WORKS(numarena_option_get("decay_ms", text, sizeof(text))));
	EXPECT(WORKS(numarena_option_set("decay_ms", "1000")));
	EXPECT(FAILS(numarena_option_set("decay_ms", "much"), EINVAL));
	EXPECT(FAILS(numarena_option_set("policy", "strict"), EPERM));
	EXPECT(FAILS(numarena_option_set("", "1"), ENOENT));
	return 0;
}

/* Return: 0, or the line of this file that was not true. */
static int call_everything(void)
{
	struct numarena_stats stats;
	int line;

	EXPECT(WORKS(numarena_stats_get(&stats, sizeof(stats))) && stats.nr_nodes >= 1);
	line = nonsense_pointers();
	line = line ? line : nonsense_nodes();
	line = line ? line : nonsense_sizes();
	line = line ? line : sizes((unsigned int)stats.nr_nodes);
	line = line ? line : memory_of_bound_thread();
	return line ? line : small_calls();
}

/* ---- At every time ---- */

static int early_line = -1;

/* Before numarena's own constructor, which has no priority. */
__attribute__((constructor(101))) static void before_start(void)
{
	early_line = call_everything();
}

/*
 *	| constructor 101: everything | numarena's constructor | main
 *
 * Expect: the first calls of a process are answered like any others.
 */
START_TEST(before_the_constructor)
{
	ck_assert_int_eq(early_line, 0);
}
END_TEST

START_TEST(in_main)
{
	ck_assert_int_eq(call_everything(), 0);
	ck_assert_int_eq(call_everything(), 0);
}
END_TEST

/* TSan's own destructor ends a thread for it in the last round, before ours. */
#if defined(__SANITIZE_THREAD__)
#define NR_ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define NR_ROUNDS PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static int lines_of_rounds[NR_ROUNDS];
static pthread_key_t key;

static void destructor(void *arg)
{
	int *line = arg;

	*line = call_everything();
	if (line + 1 < lines_of_rounds + ARRAY_SIZE(lines_of_rounds))
		pthread_setspecific(key, line + 1);
}

static void *end_in_destructors(void *arg)
{
	pthread_setspecific(key, lines_of_rounds);
	numarena_free(numarena_malloc(1));
	return arg;
}

/*
 *	thread | numarena's destructor | ours | ours | ours | ours
 *
 * Expect: a thread past its arena's end calls what it likes.
 */
START_TEST(in_destructors_of_threads)
{
	pthread_t thread;
	size_t i;

	memset(lines_of_rounds, -1, sizeof(lines_of_rounds));
	ck_assert_int_eq(pthread_key_create(&key, destructor), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_in_destructors, NULL), 0);
	pthread_join(thread, NULL);
	for (i = 0; i < ARRAY_SIZE(lines_of_rounds); i++)
		ck_assert_int_eq(lines_of_rounds[i], 0);
}
END_TEST

static int wait_for(pid_t child)
{
	int status = -1;

	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

static void tell(int line)
{
	if (line)
		printf("# line %d of " __FILE__ "\n", line);
	fflush(stdout);
	_exit(line != 0);
}

START_TEST(after_a_fork)
{
	pid_t child = fork();

	if (!child)
		tell(call_everything());
	ck_assert_int_eq(wait_for(child), 0);
	ck_assert_int_eq(call_everything(), 0);
}
END_TEST

/* This program again, under other settings. */
static int run_under(const char *conf, const char *what)
{
	pid_t child = fork();

	if (!child) {
		setenv("NUMARENA_CONF", conf, 1);
		execl("/proc/self/exe", "test_numa_api", what, NULL);
		_exit(99);
	}
	return wait_for(child);
}

static const char *const confs[] = {
	"mode:baseline", "mode:sharded", "harden:1", "huge:off", "huge:thp", "huge:hugetlb",
	"policy:strict", "policy:interleave", "policy:inherit",
};

START_TEST(under_any_settings)
{
	ck_assert_int_eq(run_under(confs[_i], "everything"), 0);
}
END_TEST

/* ---- With too little ---- */

/* Answers may be ENOMEM then, but must be answers. */
static bool is_an_answer(long long result)
{
	return result >= 0 || (result == -1 && (errno == ENOMEM || errno == EINVAL));
}

static int call_without_memory(void)
{
	static struct numarena_stats stats;
	static struct numarena_node_stats node;
	static struct numarena_audit audit;

	audit.size = sizeof(audit);
	EXPECT(is_an_answer(numarena_thread_bind(0)));
	EXPECT(is_an_answer(numarena_thread_bind(NUMARENA_NODE_FOLLOW)));
	EXPECT(is_an_answer(numarena_reserve(-1, MIB, 0)));
	EXPECT(FAILS(numarena_reserve(-1, (size_t)8192 * MIB, 0), ENOMEM));
	EXPECT(is_an_answer(numarena_stats_get(&stats, sizeof(stats))));
	EXPECT(is_an_answer(numarena_node_stats_get(0, &node, sizeof(node))));
	EXPECT(is_an_answer(numarena_remote_matrix(NULL, NULL, 1)));
	EXPECT(is_an_answer(numarena_audit(&audit)));
	EXPECT(is_an_answer(numarena_fork_recover()));
	EXPECT(is_an_answer(numarena_class_add(528)));
	EXPECT(FAILS(numarena_node_of(NULL), ENOENT));
	return 0;
}

/* 16 MiB beyond what the program has is less than numarena needs to start. */
static const size_t limits_mib[] = { 16, 100, 300, 1000 };

static int run_limited(const char *mib)
{
	struct rlimit limit = { 0, 0 };

	/* A new program has none of what this one has reserved. */
	limit.rlim_cur = limit.rlim_max = (strtoul(mib, NULL, 10) + 16) * MIB;
	if (setrlimit(RLIMIT_AS, &limit))
		return 98;
	execl("/proc/self/exe", "test_numa_api", "little", NULL);
	return 99;
}

/*
 *	RLIMIT_AS: 32 MiB ... 1 GiB
 *
 * Expect: where memory is refused, even the first, that is the answer.
 */
START_TEST(under_a_limit)
{
	char mib[16];
	pid_t child;

	if (getenv("NUMARENA_SAN") && *getenv("NUMARENA_SAN"))
		return;	/* no sanitizer runs under a limit */
	snprintf(mib, sizeof(mib), "%zu", limits_mib[_i]);
	child = fork();
	if (!child)
		_exit(run_limited(mib));
	ck_assert_int_eq(wait_for(child), 0);
}
END_TEST

/*
 *	no file descriptor is left
 *
 * Expect: an audit says so.  What the library does behind malloc does without.
 */
START_TEST(without_descriptors)
{
	static struct numarena_audit audit;
	struct rlimit some, none;
	int node = first_node();

	audit.size = sizeof(audit);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &some), 0);
	none = (struct rlimit){ 0, some.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	ck_assert_int_eq(numarena_audit(&audit), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert(WORKS(numarena_thread_bind(node)));
	ck_assert_int_eq(memory_of_bound_thread(), 0);
	ck_assert(WORKS(numarena_reserve(node, MIB, NUMARENA_RESERVE_SMALL)));
	/* A sanitizer has files to read at the end. */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &some), 0);
}
END_TEST

/* ---- What answers mean ---- */

static struct numarena_stats stats_now(void)
{
	struct numarena_stats stats;

	ck_assert_int_eq(numarena_stats_get(&stats, sizeof(stats)), 0);
	return stats;
}

/*
 *	reserve: 1 byte	-> a page at least; too much -> nothing, and nothing kept
 *
 * Expect: the bytes that came, in whole pages, are committed; what failed leaves no trace.
 */
START_TEST(reserve_gives_pages)
{
	uint64_t before = stats_now().committed_bytes, after;
	long long got = numarena_reserve(-1, 1, NUMARENA_RESERVE_SMALL);

	ck_assert_int_ge(got, 4096);
	ck_assert_int_eq(got % 4096, 0);
	after = stats_now().committed_bytes;
	ck_assert_uint_ge(after, before + (uint64_t)got);
	ck_assert_int_eq(numarena_reserve(-1, PTRDIFF_MAX, NUMARENA_RESERVE_SMALL), -1);
	ck_assert_uint_eq(stats_now().committed_bytes, after);
}
END_TEST

/*
 *	| large block |	-> free, given back
 *
 * Expect: numarena has nothing there any more.
 */
START_TEST(node_of_nothing)
{
	char *p = numarena_malloc(10 * MIB);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_ge(numarena_node_of(p), 0);
	numarena_free(p);
	numarena_malloc_trim(0);
	ck_assert(FAILS(numarena_node_of(p), ENOENT));
	ck_assert(FAILS(numarena_node_of(p + 5 * MIB), ENOENT));
}
END_TEST

/*
 *	| 64 MiB, of which one page is touched |	-> recover
 *
 * Expect: units without pages are none that the kernel would not make huge; and the
 * kernel is said to lack what it lacks, no more.
 */
START_TEST(recover_counts_what_failed)
{
	char *p = numarena_malloc(64 * MIB);
	bool lacks_collapse = madvise(NULL, 0, 25) != 0, lacks_thp;
	struct numarena_stats stats;
	long nr_failed;

	ck_assert_ptr_nonnull(p);
	p[32 * MIB] = 1;
	nr_failed = numarena_fork_recover();
	stats = stats_now();
	lacks_thp = stats.missing >> NUMARENA_MISSING_THP & 1;
	ck_assert_int_ge(nr_failed, 0);
	ck_assert_int_eq(stats.missing >> NUMARENA_MISSING_COLLAPSE & 1, lacks_collapse && !lacks_thp);
	if (!lacks_collapse && !lacks_thp)
		ck_assert_int_eq(nr_failed, 0);
	numarena_free(p);
}
END_TEST

static void *free_them(void *arg)
{
	void **object = arg;

	while (*object)
		numarena_free(*object++);
	return NULL;
}

/*
 *	main: 100 objects of 64 bytes -> another thread frees them
 *
 * Expect: they are in the matrix, and those of the thread that is gone stay there.
 */
START_TEST(matrix_counts_remote_frees)
{
	unsigned int nr = (unsigned int)stats_now().nr_nodes, i;
	uint64_t *frees = numarena_calloc(2 * nr * nr, 8), *bytes = frees + nr * nr;
	uint64_t sum = 0, sum_bytes = 0;
	void *object[101] = { NULL };
	pthread_t thread;

	for (i = 0; i < 100; i++)
		object[i] = numarena_malloc(64);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_them, object), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(numarena_remote_matrix(frees, bytes, nr), 0);
	for (i = 0; i < nr * nr; i++) {
		sum += frees[i];
		sum_bytes += bytes[i];
	}
	ck_assert_uint_eq(sum, 100);
	ck_assert_uint_eq(sum_bytes, 6400);
	numarena_free(frees);
}
END_TEST

static bool stop;

static void *churn(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		char *small = numarena_malloc(500), *large = numarena_malloc(300000);

		if (!small || !large)
			return NULL;
		small[0] = 1;
		large[0] = 1;
		numarena_free(large);
		numarena_free(small);
	}
	return arg;
}

/*
 *	threads: malloc, free, ...	main: audit, audit, ...
 *
 * Expect: audits that agree with themselves.
 */
START_TEST(audit_beside_threads)
{
	static struct numarena_audit audit;
	pthread_t thread[2];
	void *result;
	int i;

	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, churn, &stop), 0);
	for (i = 0; i < 20; i++) {
		audit.size = sizeof(audit);
		ck_assert_int_eq(numarena_audit(&audit), 0);
		ck_assert_uint_gt(audit.resident, 0);
		ck_assert_int_eq(check_audit(&audit, (unsigned int)stats_now().nr_nodes), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		pthread_join(thread[i], &result);
		ck_assert_ptr_eq(result, &stop);
	}
}
END_TEST

/* ---- The suite ---- */

static void add_times(Suite *suite)
{
	TCase *tc = tcase_create("at every time");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, before_the_constructor);
	tcase_add_test(tc, in_main);
	tcase_add_test(tc, in_destructors_of_threads);
	tcase_add_test(tc, after_a_fork);
	tcase_add_loop_test(tc, under_any_settings, 0, ARRAY_SIZE(confs));
	tcase_add_loop_test(tc, under_a_limit, 0, ARRAY_SIZE(limits_mib));
	tcase_add_test(tc, without_descriptors);
	suite_add_tcase(suite, tc);
}

static void add_meanings(Suite *suite)
{
	TCase *tc = tcase_create("what answers mean");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, reserve_gives_pages);
	tcase_add_test(tc, node_of_nothing);
	tcase_add_test(tc, recover_counts_what_failed);
	tcase_add_test(tc, matrix_counts_remote_frees);
	tcase_add_test(tc, audit_beside_threads);
	suite_add_tcase(suite, tc);
}

int main(int argc, char **argv)
{
	Suite *suite;

	if (argc > 1 && !strcmp(argv[1], "everything"))
		tell(early_line ? early_line : call_everything());
	if (argc > 1 && !strcmp(argv[1], "little"))
		tell(call_without_memory());
	suite = suite_create("numa_api");
	add_times(suite);
	add_meanings(suite);
	return tap_run(suite);
}
