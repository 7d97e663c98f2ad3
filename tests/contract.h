/* SPDX-License-Identifier: MIT */
/*
 * What the suites about the interface share: calls judged by their result and by
 * what they did to errno.
 */
#ifndef NAR_TESTS_CONTRACT_H
#define NAR_TESTS_CONTRACT_H

#include "stress.h"
#include "tap.h"

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)

/* No error's number: what a call must not touch. */
#define ERRNO_MARK 4321

/* The largest class and the smallest large block. */
#define MAX_CLASS_BYTES KIB(32)

/* Evaluates to the pointer, which is not NULL, and errno was left alone. */
#define must_give(call)								\
	({									\
		void *given_;							\
		int given_errno_;						\
										\
		errno = ERRNO_MARK;						\
		given_ = (call);						\
		given_errno_ = errno;						\
		ck_assert_msg(given_, "%s gave NULL", #call);			\
		ck_assert_msg(given_errno_ == ERRNO_MARK, "%s set errno to %d", #call,	\
			      given_errno_);						\
		given_;								\
	})

/* NULL with errno @code. */
#define must_refuse(call, code)							\
	do {									\
		const void *given_;						\
		int errno_;							\
										\
		errno = ERRNO_MARK;						\
		given_ = (call);						\
		errno_ = errno;							\
		ck_assert_msg(!given_, "%s gave %p", #call, given_);		\
		ck_assert_msg(errno_ == (code), "%s set errno to %d", #call, errno_); \
	} while (0)

/* Whatever it is, errno stays. */
#define must_keep_errno(statement)						\
	do {									\
		int errno_;							\
										\
		errno = ERRNO_MARK;						\
		statement;							\
		errno_ = errno;							\
		ck_assert_msg(errno_ == ERRNO_MARK, "%s set errno to %d", #statement, errno_); \
	} while (0)

/*
 * For loops over thousands of cases, where Check's own bookkeeping of every
 * assertion would take longer than the test.
 */
#define expect(cond, ...)							\
	do {									\
		if (__builtin_expect(!(cond), 0))				\
			ck_abort_msg(__VA_ARGS__);				\
	} while (0)

static inline bool is_aligned(const void *p, size_t alignment)
{
	return (uintptr_t)p % alignment == 0;
}

#endif
