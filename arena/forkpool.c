// SPDX-License-Identifier: MIT
/*
 * A private page of a hugetlb pool is shared by a fork, and who writes to it first needs
 * another one.  If the pool has none, the kernel kills: a child for its own write, or for
 * its next touch of what the parent has written to.  So a child leaves the pools.  Before
 * anything else it puts ordinary memory, with the same content, in the place of every
 * pool page, and the parent's fork() does not return until that is done.  It costs a copy
 * of that memory and happens only where there is some.
 *
 *	parent	open | fork ---- waits, at the desk ------------- | returns
 *	child		    | copies ... a page is gone ... copies | goes on
 *
 * Two things happen to a process with threads meanwhile.  libc resets the locks of open
 * files in the child before any handler runs, and they lie in our memory; and another
 * thread of the parent may write, whereupon the kernel takes the child's page away.  Both
 * end in SIGBUS, so that signal is ours for as long.  In the first case it leaves the
 * pool at once and goes on.  In the second the content is lost here, and the parent puts
 * its own on the desk, memory that both share: for that unit the child's moment is a little
 * later than the fork, as if the fork had come later and the other thread sooner.
 *
 * Nothing here allocates or takes a lock.  A parent that dies closes its end, and so does
 * a child: neither waits for ever.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "numa/hugetlb.h"

#include "forkpool.h"
#include "span.h"

/* Units in nobody's window: the child has all it needs. */
#define UNIT_NONE 0

static struct {
	bool is_open;
	pid_t parent;
	int end[2];			/* the parent's, the child's; -1: there is none */
	char *desk;
	struct sigaction action;	/* the program's, on SIGBUS */
	sigset_t mask;			/* ... and the forking thread's */
	volatile sig_atomic_t is_copying;	/* the child's; so is the next */
	sigjmp_buf lost;
} fork_now;

/* ---- Which memory ---- */

static bool has_pool_memory(void)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		if (READ_ONCE(nar_window_of(node)->committed[BACKING_HUGETLB]))
			return true;
	return false;
}

/* What a thread that the child does not have was about to give or take is nobody's. */
static bool is_pooled(const struct nar_window *x, u32 page)
{
	return x->table[page].backing == BACKING_HUGETLB && x->table[page].state != EXTENT_HELD &&
	       x->unit[nar_unit_floor(page)].backing == BACKING_HUGETLB;
}

/*
 * The first run of pages on pool pages at or after @page, under one policy.  All of the
 * kernel's pages are whole in it: a span has one policy, and is held as a whole.
 */
static bool find_run(const struct nar_window *x, u32 page, u32 *start, u32 *end)
{
	*start = 0;
	/* A table that a signal has caught half-way may have no next: then no child needs one. */
	for (; page < x->end && x->table[page].nr_pages; page += x->table[page].nr_pages) {
		if (!*start && is_pooled(x, page))
			*start = page;
		else if (*start && (!is_pooled(x, page) ||
				    x->table[page].policy != x->table[*start].policy))
			break;
	}
	*end = page;
	return *start;
}

/* ---- In the child ---- */

static bool try_copy(char *to, const char *from, size_t bytes)
{
	if (sigsetjmp(fork_now.lost, 1)) {
		fork_now.is_copying = false;
		return false;
	}
	/* Of objects that are free, too. */
	nar_unpoison(from, bytes);
	fork_now.is_copying = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(to, from, bytes);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	fork_now.is_copying = false;
	return true;
}

static bool say(int fd, u32 unit)
{
	ssize_t n;

	do
		n = send(fd, &unit, sizeof(unit), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(unit);
}

static bool hear(int fd, u32 *unit)
{
	ssize_t n;

	do
		n = recv(fd, unit, sizeof(*unit), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*unit);
}

static bool try_fetch(char *to, u32 unit, size_t bytes)
{
	int fd = fork_now.end[1];

	if (fd < 0 || !say(fd, unit) || !hear(fd, &unit))
		return false;
	memcpy(to, fork_now.desk, bytes);
	return true;
}

static void copy_unit(char *to, u32 unit)
{
	char *from = nar_at((size_t)unit << HUGE_SHIFT);
	size_t bytes = (size_t)nar_mem.unit[unit].touched_pages << PAGE_SHIFT;

	if (bytes && !try_copy(to, from, bytes) && !try_fetch(to, unit, bytes))
		nar_die("a fork's child has lost its memory at %p: the hugetlb pool is empty", from);
}

static void leave_run(struct nar_place place, u32 start, u32 end)
{
	char *from = nar_page_at(place.node, start);
	size_t bytes = (size_t)(end - start) << PAGE_SHIFT, at;
	u32 unit = (u32)(nar_offset(from) >> HUGE_SHIFT);
	char *to = nar_hugetlb_stand_in(bytes);

	if (!to)
		nar_die("no memory for a fork's child: %zu bytes are on hugetlb pages", bytes);
	nar_span_prepare(place, to, bytes, BACKING_HUGE);
	for (at = 0; at < bytes; at += HUGE_BYTES)
		copy_unit(to + at, unit + (u32)(at >> HUGE_SHIFT));
	nar_hugetlb_supplant(from, to, bytes);
	for (at = 0; at < bytes; at += HUGE_BYTES)
		WRITE_ONCE(nar_mem.unit[unit + (at >> HUGE_SHIFT)].backing, BACKING_HUGE);
}

static struct nar_place place_at(unsigned int node, u32 page)
{
	return (struct nar_place){ (u8)node, nar_window_of(node)->table[page].policy };
}

static void leave_window(unsigned int node)
{
	const struct nar_window *x = nar_window_of(node);
	u32 start, end = GUARD_BYTES >> PAGE_SHIFT;

	while (find_run(x, end, &start, &end))
		leave_run(place_at(node, start), start, end);
	nar_window_leave_pool(nar_window_of(node));
}

/* ---- SIGBUS ---- */

static bool try_leave_at(const void *p)
{
	u32 start, end = GUARD_BYTES >> PAGE_SHIFT, page = nar_page_of(p);
	unsigned int node = nar_node_of(p);

	if (!nar_is_ours(p))
		return false;
	while (find_run(nar_window_of(node), end, &start, &end)) {
		if (page < start || page >= end)
			continue;
		leave_run(place_at(node, start), start, end);
		return true;
	}
	return false;
}

/* As if we had not been here: the fault comes again, a signal that was sent is sent. */
static void hand_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *theirs = &fork_now.action;
	bool is_sent = info->si_code <= 0;

	if (theirs->sa_flags & SA_SIGINFO) {
		theirs->sa_sigaction(sig, info, context);
	} else if (theirs->sa_handler != SIG_DFL && theirs->sa_handler != SIG_IGN) {
		theirs->sa_handler(sig);
	} else if (!is_sent || theirs->sa_handler == SIG_DFL) {
		sigaction(sig, theirs, NULL);
		if (is_sent)
			raise(sig);
	}
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	if (getpid() != fork_now.parent) {
		if (fork_now.is_copying)
			siglongjmp(fork_now.lost, 1);
		if (try_leave_at(info->si_addr)) {
			errno = saved;
			return;
		}
	}
	hand_on(sig, info, context);
}

static void catch_bus(void)
{
	struct sigaction action = { .sa_sigaction = on_bus };
	sigset_t set;

	action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &fork_now.action);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, &fork_now.mask);
}

static void release_bus(void)
{
	sigaction(SIGBUS, &fork_now.action, NULL);
	pthread_sigmask(SIG_SETMASK, &fork_now.mask, NULL);
}

/* ---- The fork ---- */

/* Without a desk the child does what it can, and the parent does not wait. */
static void open_desk(void)
{
	fork_now.end[0] = fork_now.end[1] = -1;
	fork_now.desk = nar_hugetlb_map_desk();
	if (!fork_now.desk)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fork_now.end))
		fork_now.end[0] = fork_now.end[1] = -1;
}

static void close_desk(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (fork_now.end[i] >= 0)
			close(fork_now.end[i]);
	if (fork_now.desk)
		nar_pages_release(fork_now.desk, HUGE_BYTES);
}

static void close_end(unsigned int which)
{
	if (fork_now.end[which] >= 0)
		close(fork_now.end[which]);
	fork_now.end[which] = -1;
}

void nar_forkpool_open(void)
{
	int saved = errno;

	fork_now.is_open = has_pool_memory();
	if (!fork_now.is_open)
		return;
	fork_now.parent = getpid();
	open_desk();
	catch_bus();
	errno = saved;
}

void nar_forkpool_parent(void)
{
	int saved = errno;
	u32 unit;

	if (!fork_now.is_open)
		return;
	close_end(1);
	while (fork_now.end[0] >= 0 && hear(fork_now.end[0], &unit) && unit != UNIT_NONE) {
		nar_unpoison(nar_at((size_t)unit << HUGE_SHIFT), HUGE_BYTES);
		memcpy(fork_now.desk, nar_at((size_t)unit << HUGE_SHIFT), HUGE_BYTES);
		say(fork_now.end[0], unit);
	}
	release_bus();
	close_desk();
	errno = saved;
}

void nar_forkpool_child(void)
{
	int saved = errno;
	unsigned int node;

	if (!fork_now.is_open)
		return;
	close_end(0);
	for (node = 0; node < nar_nodes.nr; node++)
		leave_window(node);
	if (fork_now.end[1] >= 0)
		say(fork_now.end[1], UNIT_NONE);
	release_bus();
	close_desk();
	errno = saved;
}
