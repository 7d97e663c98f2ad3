// SPDX-License-Identifier: MIT
/*
 * Scopes that are used after their end, out of order, or by others; objects of scopes that
 * are freed where they may not be, or written to when they are gone.
 */
#include "die.h"

#define SIZE 100
#define LARGE (3u << 20)

static struct numarena_scope *begin(unsigned int flags)
{
	struct numarena_scope *s = numarena_scope_begin("request", flags);

	require(s, "no scope");
	return s;
}

static void *give(struct numarena_scope *s, size_t size)
{
	void *p = numarena_scope_alloc(s, size);

	object_check_start(p, size);
	return p;
}

/* ---- Scopes ---- */

static void expect_ended(const struct numarena_scope *s)
{
	expect_line("scope %p \\(\"request\"\\) has ended already", (const void *)s);
}

static struct numarena_scope *ended(void)
{
	struct numarena_scope *s = begin(0);

	give(s, SIZE);
	numarena_scope_end(s);
	expect_ended(s);
	return s;
}

static void alloc_after_end(void)
{
	numarena_scope_alloc(ended(), SIZE);
	bad_call_returned();
}

static void aligned_alloc_after_end(void)
{
	numarena_scope_aligned_alloc(ended(), 64, SIZE);
	bad_call_returned();
}

static void mark_after_end(void)
{
	numarena_scope_mark(ended());
	bad_call_returned();
}

static void release_after_end(void)
{
	numarena_scope_release(ended(), 0);
	bad_call_returned();
}

static void reset_after_end(void)
{
	numarena_scope_reset(ended());
	bad_call_returned();
}

static void end_twice(void)
{
	numarena_scope_end(ended());
	bad_call_returned();
}

/* Though the thread has begun others since. */
static void end_twice_late(void)
{
	struct numarena_scope *s = begin(0);

	numarena_scope_end(s);
	for (unsigned int i = 0; i < 25; i++)
		numarena_scope_end(numarena_scope_begin("another", 0));
	expect_ended(s);
	numarena_scope_end(s);
	bad_call_returned();
}

static void end_inner_after_outer(void)
{
	struct numarena_scope *outer = begin(0), *inner = begin(0);

	numarena_scope_end(outer);
	expect_ended(inner);
	numarena_scope_end(inner);
	bad_call_returned();
}

static void expect_anothers(const struct numarena_scope *s)
{
	expect_line("scope %p \\(\"request\"\\) is another thread's", (const void *)s);
}

static void *end_it(void *s)
{
	numarena_scope_end(s);
	bad_call_returned();
	return NULL;
}

static void *reset_it(void *s)
{
	numarena_scope_reset(s);
	bad_call_returned();
	return NULL;
}

static void *alloc_from_it(void *s)
{
	numarena_scope_alloc(s, SIZE);
	bad_call_returned();
	return NULL;
}

static void in_another_thread(void *(*run)(void *), struct numarena_scope *s)
{
	expect_anothers(s);
	thread_join(thread_start(run, s));
}

static void anothers_end(void)
{
	in_another_thread(end_it, begin(0));
}

static void anothers_reset(void)
{
	in_another_thread(reset_it, begin(0));
}

static void anothers_first_alloc(void)
{
	in_another_thread(alloc_from_it, begin(0));
}

static void anothers_alloc(void)
{
	struct numarena_scope *s = begin(0);

	give(s, SIZE);
	in_another_thread(alloc_from_it, s);
}

static struct numarena_scope *of_lost_thread;

static void *begin_and_wait(void *barrier)
{
	of_lost_thread = begin(0);
	pthread_barrier_wait(barrier);
	pause();
	return NULL;
}

/* A fork's child ends the scope of a thread that it does not have. */
static void lost_threads_end(void)
{
	static pthread_barrier_t barrier;
	int status;
	pid_t pid;

	pthread_barrier_init(&barrier, NULL, 2);
	thread_start(begin_and_wait, &barrier);
	pthread_barrier_wait(&barrier);
	expect_anothers(of_lost_thread);
	pid = fork_or_fail();
	if (!pid)
		end_it(of_lost_thread);
	require(waitpid(pid, &status, 0) == pid, "waitpid");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
		abort();
}

/* ---- Objects ---- */

static void expect_given(const char *call, const void *p)
{
	expect_line("%s of %p, which scope \"request\" has given", call, p);
}

static void free_of_given(void)
{
	void *p = give(begin(0), SIZE);

	expect_given("free", p);
	numarena_free(p);
	bad_call_returned();
}

static void free_of_large_given(void)
{
	void *p = give(begin(0), LARGE);

	expect_given("free", p);
	numarena_free(p);
	bad_call_returned();
}

static void realloc_of_given(void)
{
	void *p = give(begin(0), SIZE);

	expect_given("realloc", p);
	numarena_free(numarena_realloc(p, 2 * SIZE));
	bad_call_returned();
}

static void keep_of_given(void)
{
	void *p = give(begin(0), SIZE);

	expect_given("numarena_scope_keep", p);
	numarena_scope_keep(p);
	bad_call_returned();
}

static void *captured(size_t size, struct numarena_scope **s)
{
	void *p;

	*s = begin(NUMARENA_SCOPE_CAPTURE);
	p = numarena_malloc(size);
	object_check_start(p, size);
	return p;
}

static void expect_in_no_scope(const void *p)
{
	expect_line("free of %p, which is in no scope", p);
}

static void free_after_end(void)
{
	struct numarena_scope *s;
	void *p = captured(SIZE, &s);

	numarena_scope_end(s);
	expect_in_no_scope(p);
	numarena_free(p);
	bad_call_returned();
}

static void *free_it(void *p)
{
	numarena_free(p);
	bad_call_returned();
	return NULL;
}

static void anothers_free_after_end(void)
{
	struct numarena_scope *s;
	void *p = captured(SIZE, &s);

	numarena_scope_end(s);
	expect_in_no_scope(p);
	thread_join(thread_start(free_it, p));
}

static void expect_no_object(const void *p)
{
	expect_line("free of %p, where scope \"request\" has no object", p);
}

static void free_after_reset(void)
{
	struct numarena_scope *s;
	void *p = captured(SIZE, &s);

	numarena_scope_reset(s);
	expect_no_object(p);
	numarena_free(p);
	bad_call_returned();
}

static void double_free_of_last(void)
{
	struct numarena_scope *s;
	void *p = captured(SIZE, &s);

	numarena_free(p);
	expect_no_object(p);
	numarena_free(p);
	bad_call_returned();
}

static void double_free_of_another(void)
{
	struct numarena_scope *s;
	void *p = captured(SIZE, &s);

	numarena_malloc(SIZE);
	numarena_free(p);
	expect_no_object(p);
	numarena_free(p);
	bad_call_returned();
}

static void double_free_of_large(void)
{
	struct numarena_scope *s;
	void *p = captured(LARGE, &s);

	numarena_free(p);
	expect_in_no_scope(p);
	numarena_free(p);
	bad_call_returned();
}

static void free_inside(size_t offset)
{
	struct numarena_scope *s;
	char *p = captured(SIZE, &s);

	expect_no_object(p + offset);
	numarena_free(p + offset);
	bad_call_returned();
}

static void free_inside_odd(void)
{
	free_inside(1);
}

static void free_inside_even(void)
{
	free_inside(16);
}

static void free_inside_large(void)
{
	struct numarena_scope *s;
	char *p = captured(LARGE, &s);

	expect_line("free of %p, which is inside an object of a scope", (void *)(p + (LARGE / 2)));
	numarena_free(p + LARGE / 2);
	bad_call_returned();
}

/* ---- Written to when they are gone ---- */

static void expect_written(const void *p)
{
	expect_line("%p was written to after its scope \"request\" had ended or was reset$", p);
}

static void expect_written_of_nobody(const void *p)
{
	expect_line("%p was written to after its scope had ended or was reset$", p);
}

static void written_after_end_seen_by_begin(void)
{
	struct numarena_scope *s = begin(0);
	char *p = give(s, SIZE);

	numarena_scope_end(s);
	p[SIZE / 2] = 1;
	expect_written(p + SIZE / 2);
	begin(0);
	bad_call_returned();
}

static void written_after_reset_seen_by_alloc(void)
{
	struct numarena_scope *s = begin(0);
	char *p = give(s, SIZE);

	numarena_scope_reset(s);
	p[SIZE - 1] = 1;
	expect_written(p + SIZE - 1);
	numarena_scope_alloc(s, SIZE);
	bad_call_returned();
}

static void written_after_release_seen_by_end(void)
{
	struct numarena_scope *s = begin(0);
	size_t mark;
	char *p;

	give(s, SIZE);
	mark = numarena_scope_mark(s);
	p = give(s, SIZE);
	numarena_scope_release(s, mark);
	p[0] = 1;
	expect_written(p);
	numarena_scope_end(s);
	bad_call_returned();
}

static void written_after_free_seen_by_malloc(void)
{
	struct numarena_scope *s;
	char *p = captured(SIZE, &s);

	numarena_free(p);
	p[3] = 1;
	expect_written(p + 3);
	numarena_malloc(SIZE);
	bad_call_returned();
}

static void written_after_end_of_large(void)
{
	struct numarena_scope *s = begin(0);
	char *p = give(s, LARGE);

	numarena_scope_end(s);
	p[LARGE / 2] = 1;
	expect_line("%p was written to after its scope \"request\" had ended or was reset: byte %u of the object at %p$",
		    (void *)(p + LARGE / 2), LARGE / 2, (void *)p);
	begin(0);
	bad_call_returned();
}

/*
 *	| another | request ... |	memory of the first scope, of which a second has used less
 */
static char *give_to_two(struct numarena_scope **another)
{
	struct numarena_scope *s = begin(0);
	char *p = give(s, 100 * SIZE);

	numarena_scope_end(s);
	*another = numarena_scope_begin("another", 0);
	require(give(*another, SIZE) == p, "not the same memory");
	return p;
}

static void written_in_anothers_time(void)
{
	struct numarena_scope *another;
	char *p = give_to_two(&another) + 50 * SIZE;

	*p = 1;
	expect_written(p);
	numarena_scope_alloc(another, 100 * SIZE);
	bad_call_returned();
}

/* The one that had it last. */
static void written_after_anothers_end(void)
{
	struct numarena_scope *another;
	char *p = give_to_two(&another);

	numarena_scope_end(another);
	*p = 1;
	expect_line("%p was written to after its scope \"another\" had ended", p);
	begin(0);
	bad_call_returned();
}

/* Only who had it last is remembered, and that has not had this. */
static void written_above_anothers(void)
{
	struct numarena_scope *another;
	char *p = give_to_two(&another) + 50 * SIZE;

	numarena_scope_end(another);
	*p = 1;
	expect_written_of_nobody(p);
	begin(0);
	bad_call_returned();
}

/* Its structure has served others since, and has their name. */
static void written_long_after_end(void)
{
	struct numarena_scope *s = begin(0);
	char *p = give(s, SIZE);

	numarena_scope_end(s);
	for (unsigned int i = 0; i < 50; i++)
		numarena_scope_end(numarena_scope_begin("another", 0));
	*p = 1;
	expect_written_of_nobody(p);
	begin(0);
	bad_call_returned();
}

int main(int argc, char **argv)
{
	static const struct abuse abuses[] = {
		{ "alloc_after_end", "at-once", alloc_after_end },
		{ "aligned_alloc_after_end", "at-once", aligned_alloc_after_end },
		{ "mark_after_end", "at-once", mark_after_end },
		{ "release_after_end", "at-once", release_after_end },
		{ "reset_after_end", "at-once", reset_after_end },
		{ "end_twice", "at-once", end_twice },
		{ "end_twice_late", "at-once", end_twice_late },
		{ "end_inner_after_outer", "at-once", end_inner_after_outer },
		{ "anothers_end", "at-once", anothers_end },
		{ "anothers_reset", "at-once", anothers_reset },
		{ "anothers_first_alloc", "at-once", anothers_first_alloc },
		{ "anothers_alloc", "hardened", anothers_alloc },
		{ "lost_threads_end", "at-once", lost_threads_end },
		{ "free_of_given", "at-once", free_of_given },
		{ "free_of_large_given", "at-once", free_of_large_given },
		{ "realloc_of_given", "at-once", realloc_of_given },
		{ "keep_of_given", "at-once", keep_of_given },
		{ "free_after_end", "at-once", free_after_end },
		{ "anothers_free_after_end", "at-once", anothers_free_after_end },
		{ "free_after_reset", "at-once", free_after_reset },
		{ "double_free_of_last", "at-once", double_free_of_last },
		{ "double_free_of_another", "hardened", double_free_of_another },
		{ "double_free_of_large", "at-once", double_free_of_large },
		{ "free_inside_odd", "at-once", free_inside_odd },
		{ "free_inside_even", "at-once", free_inside_even },
		{ "free_inside_large", "at-once", free_inside_large },
		/* ASan's shadow sees these before we do. */
		{ "written_after_end_seen_by_begin", "hardened", written_after_end_seen_by_begin },
		{ "written_after_reset_seen_by_alloc", "hardened", written_after_reset_seen_by_alloc },
		{ "written_after_release_seen_by_end", "hardened", written_after_release_seen_by_end },
		{ "written_after_free_seen_by_malloc", "hardened", written_after_free_seen_by_malloc },
		{ "written_after_end_of_large", "hardened", written_after_end_of_large },
		{ "written_in_anothers_time", "hardened", written_in_anothers_time },
		{ "written_after_anothers_end", "hardened", written_after_anothers_end },
		{ "written_above_anothers", "hardened", written_above_anothers },
		{ "written_long_after_end", "hardened", written_long_after_end },
	};

	return die_main(argc, argv, abuses, ARRAY_SIZE(abuses) - (HAS_ASAN ? 9 : 0));
}
