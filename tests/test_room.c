// SPDX-License-Identifier: MIT
/*
 * Whether a node has room, with an open() of our own that counts.
 *
 *	is there room?	-> no, by node0/meminfo		is there for more?	-> no
 *			   for less?	-> node0/meminfo again
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/node.h"
#include "numa/pages.h"

#include "tap.h"

#define NR_ASKED 1000

/* More than any machine has. */
#define TOO_MUCH ((size_t)1 << 50)

static unsigned int nr_opened;

/* In libc's place; nobody here creates files. */
int open(const char *path, int flags, ...)
{
	nr_opened += strstr(path, "/meminfo") != NULL;
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

/*
 *	1000 questions, each for more than there is and than the last one
 *
 * Expect: no each time, and few looks.
 */
START_TEST(full_node_is_not_asked_each_time)
{
	size_t i;

	nr_opened = 0;
	for (i = 0; i < NR_ASKED; i++)
		ck_assert(!nar_node_has_room(0, TOO_MUCH + i));
	ck_assert_uint_ge(nr_opened, 1);
	ck_assert_uint_lt(nr_opened, NR_ASKED / 2);
}
END_TEST

/*
 * Expect: a no to much is no answer to a little.
 */
START_TEST(less_is_asked_anew)
{
	ck_assert(!nar_node_has_room(0, TOO_MUCH));
	nr_opened = 0;
	nar_node_has_room(0, PAGE_BYTES);
	ck_assert_uint_eq(nr_opened, 1);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tc;

	if (access("/sys/devices/system/node/node0/meminfo", R_OK)) {
		puts("no /sys/devices/system/node/node0/meminfo");
		return 77;
	}
	nar_nodes_early();
	suite = suite_create("room");
	tc = tcase_create("node 0");
	tcase_add_test(tc, full_node_is_not_asked_each_time);
	tcase_add_test(tc, less_is_asked_anew);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
