// SPDX-License-Identifier: MIT
/*
 * A fork inside an RCU read section while another thread waits for a grace period.
 *
 *	reader	|- read section ------- fork ------- end -|
 *	writer	     |- grace period, holds RCU's lock -----|
 *
 * Who forks must not wait for RCU's lock: its holder waits for this very reader.
 * Expect: the fork returns, then the grace period ends.
 */
#include "stress.h"

#include <sys/syscall.h>
#include <urcu/urcu-bp.h>

#define NR_FORKS 20

static atomic_int writer_tid;

static void *write_run(void *unused)
{
	atomic_store(&writer_tid, (int)syscall(SYS_gettid));
	urcu_bp_synchronize_rcu();
	return unused;
}

/* The state of thread @tid of this process, as a letter of /proc. */
static char thread_state(int tid)
{
	char path[64], text[128];
	const char *name_end;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	require(fd >= 0, "%s", path);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	require(len > 0, "%s", path);
	text[len] = '\0';
	name_end = strrchr(text, ')');
	require(name_end, "%s: %s", path, text);
	return name_end[2];
}

/* Once it has told its number, the writer sleeps nowhere but in the grace period. */
static void await_grace_period(void)
{
	int tid;

	while (!(tid = atomic_load(&writer_tid)))
		sched_yield();
	while (thread_state(tid) != 'S')
		sched_yield();
}

static void fork_in_read_section(struct churn *churn)
{
	pthread_t writer;
	pid_t pid;

	atomic_store(&writer_tid, 0);
	urcu_bp_read_lock();
	writer = thread_start(write_run, NULL);
	await_grace_period();
	churn_step(churn);
	pid = fork_or_fail();
	if (!pid)
		_exit(EXIT_SUCCESS);
	child_join(pid);
	urcu_bp_read_unlock();
	thread_join(writer);
}

int main(void)
{
	static struct churn churn;
	unsigned long nr_forks = stress_scaled(NR_FORKS);

	stress_begin();
	churn_begin(&churn, 0, SMALL_SHIFT + 3);
	for (unsigned long i = 0; i < nr_forks; i++)
		fork_in_read_section(&churn);
	churn_end(&churn);
	return EXIT_SUCCESS;
}
