// SPDX-License-Identifier: MIT
/*
 * Signals are let in while the program waits and at no other time: so the terminal is set
 * and given back in the main line, and handlers only take note.
 */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH };
#define NR_CAUGHT (sizeof(caught) / sizeof(caught[0]))

static struct termios before;		/* of the terminal that keys come from */
static bool has_keys, is_open;
static sigset_t outside;		/* the mask while it waits */
static volatile sig_atomic_t noted;	/* the signal that came last */

static void note(int sig)
{
	noted = sig;
}

static void enter(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	/* Another screen, so that this one is there again afterwards; no cursor. */
	fputs("\033[?1049h\033[?25l", stdout);
	fflush(stdout);
}

static void leave(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note }, theirs;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < NR_CAUGHT; i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, &outside);
	for (i = 0; i < NR_CAUGHT; i++) {
		sigaction(caught[i], NULL, &theirs);
		/* Who has started us in the background wants some ignored. */
		if (theirs.sa_handler != SIG_IGN)
			sigaction(caught[i], &action, NULL);
		sigdelset(&outside, caught[i]);
	}
}

bool screen_open(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb"))
		return false;
	/* In the background it would be stopped for touching the terminal: then it has no keys. */
	has_keys = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp() &&
		   !tcgetattr(STDIN_FILENO, &before);
	catch_signals();
	is_open = true;
	atexit(screen_close);
	enter();
	return true;
}

void screen_close(void)
{
	if (is_open)
		leave();
	is_open = false;
}

static struct winsize size_now(void)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	/* A terminal that does not know is taken for an old one. */
	if (!size.ws_row || !size.ws_col) {
		size.ws_row = 24;
		size.ws_col = 80;
	}
	return size;
}

unsigned int screen_rows(void)
{
	return size_now().ws_row;
}

unsigned int screen_columns(void)
{
	return size_now().ws_col;
}

void screen_begin(void)
{
	fputs("\033[H", stdout);
}

void screen_line(const char *text, bool is_marked)
{
	printf("%s%.*s\033[K%s\n", is_marked ? "\033[7m" : "", (int)screen_columns() - 1, text,
	       is_marked ? "\033[0m" : "");
}

void screen_end(void)
{
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* By the signal's own doing, so that who waits for us sees why. */
static void obey(int sig)
{
	struct sigaction plain = { .sa_handler = SIG_DFL }, mine;
	sigset_t set;

	leave();
	sigaction(sig, &plain, &mine);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* Only one that has stopped us comes back. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(sig, &mine, NULL);
	enter();
}

static int read_key(void)
{
	unsigned char key;

	return read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}

int screen_wait(unsigned int ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };
	struct pollfd keys = { .fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN };
	int nr;

	noted = 0;
	nr = ppoll(&keys, 1, &time, &outside);
	if (nr < 0 && errno == EINTR && noted && noted != SIGWINCH && noted != SIGCONT)
		obey(noted);
	if (nr <= 0)
		return 0;
	/* A terminal that has gone away is ready for ever. */
	if (!(keys.revents & POLLIN))
		has_keys = false;
	return has_keys ? read_key() : 0;
}
