// SPDX-License-Identifier: MIT
/*
 * fork() by a thread that holds one of our locks, as in a signal handler that has interrupted
 * it, while another holds one that ranks lower and waits for it.
 *
 *	this thread	| has the pane's ........... fork ... | lets go
 *	another		| has the lot's, waits for the pane's ........ | goes on
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/chunk.h"
#include "arena/fork.h"
#include "arena/pane.h"
#include "arena/start.h"
#include "internal/option.h"

#include "fake_numa.h"
#include "tap.h"

#define NODE 0u

static struct nar_lock *lots_lock;

static void note_lock(struct nar_lock *l)
{
	lots_lock = lots_lock ? lots_lock : l;
}

static struct nar_lock *panes_lock(void)
{
	return &nar_pane_of(NODE)->lock;
}

static void *take_both(void *arg)
{
	nar_lock(lots_lock);
	nar_lock(panes_lock());
	nar_unlock(panes_lock());
	nar_unlock(lots_lock);
	return arg;
}

/* A child that must end well. */
static void check_child(pid_t pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
}

/*
 * Expect: the fork does not wait for the lot's lock; in the parent each thread has what it
 * had, and then all is free; in the child all locks are free.
 */
START_TEST(who_holds_one_waits_for_none)
{
	u32 before = panes_lock()->nr_contended;
	pthread_t thread;
	pid_t pid;

	nar_chunk_each_lock(note_lock);
	nar_lock(panes_lock());
	ck_assert_int_eq(pthread_create(&thread, NULL, take_both, NULL), 0);
	while (READ_ONCE(panes_lock()->nr_contended) == before)
		sched_yield();
	ck_assert(nar_fork_is_locked_by_me());
	pid = fork();
	if (!pid)
		_exit(READ_ONCE(lots_lock->word) || READ_ONCE(panes_lock()->word));
	ck_assert(nar_lock_is_mine(panes_lock()));
	ck_assert(!nar_lock_is_mine(lots_lock));
	nar_unlock(panes_lock());
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	check_child(pid);
	ck_assert(!nar_fork_is_locked_by_me());
	ck_assert(!READ_ONCE(lots_lock->word) && !READ_ONCE(panes_lock()->word));
}
END_TEST

/* Expect: who holds none takes all, and gives all back, here and in the child. */
START_TEST(who_holds_none_takes_all)
{
	pid_t pid;

	nar_chunk_each_lock(note_lock);
	pid = fork();
	if (!pid)
		_exit(READ_ONCE(lots_lock->word) || READ_ONCE(panes_lock()->word) ||
		      nar_fork_is_locked_by_me());
	check_child(pid);
	ck_assert(!nar_fork_is_locked_by_me());
	ck_assert(!READ_ONCE(lots_lock->word) && !READ_ONCE(panes_lock()->word));
}
END_TEST

/* What happens after numarena's own step before a fork, and before its step after it. */
static void (*amid_fork)(void);
static bool was_amid;

static void before_fork(void)
{
	if (amid_fork)
		amid_fork();
}

/* Who comes first is called last. */
__attribute__((constructor(101))) static void register_first(void)
{
	pthread_atfork(before_fork, NULL, NULL);
}

static volatile sig_atomic_t nr_forks;

static void fork_too(int sig)
{
	int saved = errno, status = 1;
	pid_t pid = fork();

	(void)sig;
	if (!pid)
		_exit(nar_fork_is_locked_by_me());
	if (waitpid(pid, &status, 0) == pid && !status)
		nr_forks++;
	errno = saved;
}

static void interrupt(void)
{
	amid_fork = NULL;
	was_amid = nar_fork_is_locked_by_me();
	raise(SIGUSR1);
	ck_assert_int_eq(nr_forks, 0);
}

/*
 *	fork | all locks | signal ... | fork's end |	its handler forks, too
 *
 * Expect: the handler waits until the locks are free, so both forks have all of them.
 */
START_TEST(handler_waits_for_forks_end)
{
	pid_t pid;

	nar_opt.fork_rcu = false;	/* RCU's own step masks signals, too */
	signal(SIGUSR1, fork_too);
	amid_fork = interrupt;
	pid = fork();
	if (!pid)
		_exit(nar_fork_is_locked_by_me());
	check_child(pid);
	ck_assert(was_amid);
	ck_assert_int_eq(nr_forks, 1);
	ck_assert(!nar_fork_is_locked_by_me());
}
END_TEST

static void start(void)
{
	ck_assert(nar_start_early());
}

int main(void)
{
	Suite *suite = suite_create("fork");
	TCase *tc = tcase_create("forks amid a step");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, who_holds_one_waits_for_none);
	tcase_add_test(tc, who_holds_none_takes_all);
	tcase_add_test(tc, handler_waits_for_forks_end);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
