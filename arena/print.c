// SPDX-License-Identifier: MIT
/*
 * A report is too large for a thread's stack, and memory for it may not be had.  So there is
 * one, and whoever prints has it: marked by the thread's id, which is no lock, since writing
 * may take long.  In the child of a fork the mark of a lost thread is nobody's.
 */
#include <errno.h>

#include "internal/lock.h"
#include "numa/cancel.h"

#include "print.h"
#include "print_json.h"
#include "print_prometheus.h"
#include "print_text.h"

static struct nar_report report;

/* The process and the thread that have it; 0: nobody. */
static u64 holder;

static u64 myself(void)
{
	return (u64)nar_process_id() << 32 | nar_tid();
}

static int report_try_hold(void)
{
	u64 seen = READ_ONCE(holder);

	if (seen >> 32 == nar_process_id())
		return -EBUSY;
	/* Acquire: pairs with report_release(). */
	return __atomic_compare_exchange_n(&holder, &seen, myself(), false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED) ? 0 : -EBUSY;
}

bool nar_print_is_busy(void)
{
	return READ_ONCE(holder) >> 32 == nar_process_id();
}

static void report_release(void)
{
	store_release(&holder, 0);
}

static int print(int fd, unsigned int format, int patience_ms)
{
	static struct nar_sink sink;
	int cancel = nar_cancel_forbid(), err;

	nar_report_take(&report);
	nar_sink_begin(&sink, fd, patience_ms);
	if (format == NUMARENA_STATS_JSON)
		nar_print_json(&sink, &report);
	else if (format == NUMARENA_STATS_PROMETHEUS)
		nar_print_prometheus(&sink, &report);
	else
		nar_print_text(&sink, &report);
	err = nar_sink_end(&sink);
	nar_cancel_restore(cancel);
	return err;
}

int nar_print_try(int fd, unsigned int format, int patience_ms)
{
	int err, waited_ms = 0;

	while ((err = report_try_hold()) && waited_ms++ < patience_ms)
		nar_process_pause();
	if (err)
		return err;
	err = print(fd, format, patience_ms);
	report_release();
	return err;
}

int nar_print(int fd, unsigned int format)
{
	int err;

	while (report_try_hold()) {
		/* A handler has interrupted this very thread amid it. */
		if (READ_ONCE(holder) == myself())
			return -EBUSY;
		nar_process_pause();
	}
	err = print(fd, format, 0);
	report_release();
	return err;
}
