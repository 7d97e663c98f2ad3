// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>

#include "cancel.h"
#include "usersig.h"

static const int number[NR_USERSIGS] = { SIGUSR1, SIGUSR2 };

static void (*caught_fn)(void);

static void on_signal(int sig)
{
	int saved = errno, cancel = nar_cancel_forbid();

	(void)sig;
	caught_fn();
	nar_cancel_restore(cancel);
	errno = saved;
}

/* On the program's own stack for signals, if it has one; its calls go on afterwards. */
bool nar_usersig_try_catch(enum nar_usersig which, void (*fn)(void))
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK };
	struct sigaction theirs;

	if (sigaction(number[which], NULL, &theirs) || theirs.sa_flags & SA_SIGINFO ||
	    theirs.sa_handler != SIG_DFL)
		return false;
	caught_fn = fn;
	sigfillset(&action.sa_mask);
	return !sigaction(number[which], &action, NULL);
}
