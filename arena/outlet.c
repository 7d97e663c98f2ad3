// SPDX-License-Identifier: MIT
/*
 * A signal is answered in its handler, so that a process says what it has that does
 * nothing else any more.  All that takes is locks of ours, memory of ours and write(2); but a
 * handler may have interrupted its thread while that held such a lock, and then neither
 * waiting for it nor keeping others waiting for a slow descriptor would do.  In that case,
 * and while another thread prints, it leaves word, and the next slow path answers.
 */
#include <errno.h>

#include "internal/bug.h"
#include "internal/option.h"
#include "numa/cancel.h"
#include "numa/sink.h"
#include "numa/usersig.h"

#include "fork.h"
#include "maint.h"
#include "option.h"
#include "outlet.h"
#include "pen.h"
#include "print.h"
#include "publish.h"

/* Who reads stderr may be slow; who does not read it must not keep us for ever. */
#define PATIENCE_MS 1000

static bool is_asked;	/* relaxed: a signal is to be answered */

static bool wants(enum nar_stats_outlet outlet)
{
	return nar_opt.stats >> outlet & 1;
}

static bool has_file(void)
{
	return nar_opt_stats_file[0];
}

static int open_outlet(void)
{
	return has_file() ? nar_sink_open(nar_opt_stats_file) : nar_sink_stderr();
}

static const char *reason(int err)
{
	switch (err) {
	case -ENOSPC: return "no space left";
	case -EACCES: return "permission denied";
	case -ENOENT: return "no such directory";
	case -EROFS: return "read-only file system";
	case -EPIPE: return "nobody reads it";
	case -EAGAIN: return "full, and nobody reads it";
	case -EMFILE: return "too many open files";
	default: return "cannot be written";
	}
}

/* A line where stderr is, or was.  If that is what has failed there is nobody to tell. */
static void complain(int err)
{
	static struct nar_sink s;
	int fd = nar_sink_stderr();

	if (!has_file() || fd < 0)
		return;
	nar_sink_begin(&s, fd, 0);
	nar_pen_text(&s, "numarena: stats_file:");
	nar_pen_plain(&s, nar_opt_stats_file);
	nar_pen_text(&s, ": ");
	nar_pen_text(&s, reason(err));
	nar_pen_text(&s, " (errno ");
	nar_pen_i64(&s, -err);
	nar_pen_text(&s, ")\n");
	nar_sink_end(&s);
}

static void finish(int fd, int err)
{
	if (has_file() && fd >= 0)
		nar_sink_close(fd);
	if (err)
		complain(err);
}

/* The next slow path will. */
static void answer_later(void)
{
	WRITE_ONCE(is_asked, true);
	nar_maint_hurry();
}

static void answer_signal(void)
{
	int fd, err;

	if (nar_fork_is_locked_by_me() || nar_print_is_busy()) {
		answer_later();
		return;
	}
	fd = open_outlet();
	err = fd < 0 ? fd : nar_print_try(fd, (unsigned int)nar_opt.stats_format, 0);
	if (err == -EBUSY) {
		answer_later();
		err = 0;
	}
	finish(fd, err);
}

/* On a slow path, no lock held. */
static void on_step(void)
{
	int saved = errno, cancel = nar_cancel_forbid();

	if (unlikely(__atomic_exchange_n(&is_asked, false, __ATOMIC_RELAXED)))
		answer_signal();
	nar_publish_poll();
	nar_cancel_restore(cancel);
	errno = saved;
}

static void catch_signal(enum nar_usersig which, const char *name)
{
	if (!nar_usersig_try_catch(which, answer_signal))
		nar_warn("stats:%s: the program has its own use for it", name);
}

void nar_outlets_open(void)
{
	if (has_file() || wants(OUTLET_EXIT) || wants(OUTLET_SIGUSR1) || wants(OUTLET_SIGUSR2))
		nar_sink_keep_stderr();
	if (nar_opt.stats)
		nar_maint_on_step(on_step);
	if (wants(OUTLET_SIGUSR1))
		catch_signal(USERSIG_USR1, "SIGUSR1");
	if (wants(OUTLET_SIGUSR2))
		catch_signal(USERSIG_USR2, "SIGUSR2");
	if (wants(OUTLET_PAGE))
		nar_publish_begin();
}

static void print_at_exit(void)
{
	int fd = open_outlet();
	int err = fd < 0 ? fd : nar_print_try(fd, (unsigned int)nar_opt.stats_format, PATIENCE_MS);

	finish(fd, err);
}

void nar_outlets_close(void)
{
	if (wants(OUTLET_EXIT) || has_file())
		print_at_exit();
	nar_publish_end();
}
