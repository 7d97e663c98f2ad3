// SPDX-License-Identifier: MIT
/*
 * The waiting half of nar_lock, the rank checker of debug builds, and the one
 * way to die.  Nothing here touches errno: free() may not.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal/lock.h"

#include "cancel.h"

/* About a short critical section's length; more only burns the holder's core. */
#define SPIN_TURNS 64

__thread u32 nar_tid_cached;

u32 nar_tid_slow(void)
{
	nar_tid_cached = (u32)gettid();
	return nar_tid_cached;
}

static bool spin_take(struct nar_lock *l, u32 self)
{
	int i;

	for (i = 0; i < SPIN_TURNS; i++) {
		u32 free = 0;

		if (!READ_ONCE(l->word) &&
		    __atomic_compare_exchange_n(&l->word, &free, self, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
		cpu_relax();
	}
	return false;
}

/* Taken with LOCK_WAITERS set: others may sleep, and one needless wake is cheap. */
void nar_lock_slow(struct nar_lock *l)
{
	u32 self = nar_tid(), seen;
	int saved = errno;

	add_relaxed(&l->nr_contended, 1);
	if ((READ_ONCE(l->word) & ~LOCK_WAITERS) == self)
		nar_die("lock of rank %d taken twice by thread %u: by a fork handler registered before numarena's, or a bug",
			l->rank, self);
	if (spin_take(l, self))
		return;
	for (;;) {
		seen = 0;
		if (__atomic_compare_exchange_n(&l->word, &seen, self | LOCK_WAITERS, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
		if (!(seen & LOCK_WAITERS) &&
		    !__atomic_compare_exchange_n(&l->word, &seen, seen | LOCK_WAITERS, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, seen | LOCK_WAITERS, NULL, NULL, 0);
	}
	errno = saved;
}

void nar_unlock_slow(struct nar_lock *l)
{
	int saved = errno;

	syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

void nar_lock_for_fork(struct nar_lock *l) __no_lock_analysis
{
	u32 free = 0;

	if (!__atomic_compare_exchange_n(&l->word, &free, nar_tid(), false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		nar_lock_slow(l);
	l->is_held_for_fork = true;	/* under the lock, as in nar_unlock_after_fork() */
}

/* The forking thread's own are left to it: a signal handler has interrupted it. */
void nar_trylock_for_fork(struct nar_lock *l) __no_lock_analysis
{
	u32 free = 0;

	if (__atomic_compare_exchange_n(&l->word, &free, nar_tid(), false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		l->is_held_for_fork = true;
}

void nar_unlock_after_fork(struct nar_lock *l) __no_lock_analysis
{
	/* Another thread may be forking, too, and have what this one only tried. */
	if (!nar_lock_is_mine(l) || !l->is_held_for_fork)
		return;
	l->is_held_for_fork = false;
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) & LOCK_WAITERS)
		nar_unlock_slow(l);
}

void nar_lock_reset(struct nar_lock *l)
{
	l->is_held_for_fork = false;
	WRITE_ONCE(l->word, 0);
}

#ifdef NAR_DEBUG
static __thread u8 rank_held[NR_RANKS];

void nar_rank_push(const struct nar_lock *l)
{
	int rank;

	for (rank = l->rank; rank < NR_RANKS; rank++)
		if (rank_held[rank])
			nar_die("lock rank %d taken while rank %d is held: a bug in numarena",
				l->rank, rank);
	rank_held[l->rank] = 1;
}

void nar_rank_pop(const struct nar_lock *l)
{
	rank_held[l->rank] = 0;
}
#endif

__printf(1, 0) static void say(const char *fmt, va_list ap)
{
	char line[512] = "numarena: ";
	int head = 10, n = vsnprintf(line + head, sizeof(line) - 11, fmt, ap);
	size_t len = (size_t)head + (size_t)(n < 0 ? 0 : n);

	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void nar_warn(const char *fmt, ...)
{
	int saved = errno, cancel = nar_cancel_forbid();
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	nar_cancel_restore(cancel);
	errno = saved;
}

void nar_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	abort();
}
