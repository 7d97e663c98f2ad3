// SPDX-License-Identifier: MIT
/*
 * One fork at a time: who catches holds all of the library's locks.  The handler stands in
 * for the program's while that is so, and hands on what is none of its business.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"

static struct {
	bool (*try_mend)(const void *addr);
	pid_t parent;
	struct sigaction action;		/* the program's, on SIGBUS */
	sigset_t mask;				/* ... and the forking thread's */
	volatile sig_atomic_t is_copying;	/* the child's; so is the next */
	sigjmp_buf lost;
} bus;

bool nar_bus_try_copy(void *to, const void *from, size_t bytes)
{
	if (sigsetjmp(bus.lost, 1)) {
		bus.is_copying = false;
		return false;
	}
	/* Of objects that are free, too. */
	nar_unpoison(from, bytes);
	bus.is_copying = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(to, from, bytes);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	bus.is_copying = false;
	return true;
}

/* As if we had not been here: the fault comes again, a signal that was sent is sent. */
static void hand_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *theirs = &bus.action;
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

	if (getpid() != bus.parent) {
		if (bus.is_copying)
			siglongjmp(bus.lost, 1);
		if (bus.try_mend(info->si_addr)) {
			errno = saved;
			return;
		}
	}
	hand_on(sig, info, context);
}

void nar_bus_catch(bool (*try_mend)(const void *addr))
{
	struct sigaction action = { .sa_sigaction = on_bus };
	sigset_t set;

	bus.try_mend = try_mend;
	bus.parent = getpid();
	action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &bus.action);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, &bus.mask);
}

void nar_bus_release(void)
{
	sigaction(SIGBUS, &bus.action, NULL);
	pthread_sigmask(SIG_SETMASK, &bus.mask, NULL);
}
