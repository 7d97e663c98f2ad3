/* SPDX-License-Identifier: MIT */
/*
 * A board: a file in shared memory that this process writes and others read.  See
 * internal/statpage.h for what is on it.
 */
#ifndef NAR_BOARD_H
#define NAR_BOARD_H

#include "internal/compiler.h"

/* "/dev/shm/numarena-4294967295-18446744073709551615" */
#define NAR_BOARD_PATH_BYTES 64

struct nar_statpage;

struct nar_board {
	void *memory;		/* zeros at first; NULL: there is none */
	size_t bytes;
	char path[NAR_BOARD_PATH_BYTES];
};

/*
 * As large and of the name that @head says: mode 0600, all memory there, so that writing to it
 * cannot fail later.  One that is there already is what an exec has left, or of another
 * namespace and -EEXIST.  Return: 0 or -errno, and path[] says what was tried.
 */
int nar_board_make(struct nar_board *b, const struct nar_statpage *head);

/* The file goes, the memory stays for who has mapped it. */
void nar_board_remove(const struct nar_board *b);

/* In the child of a fork: it is the parent's. */
void nar_board_forget(struct nar_board *b);

/*
 * Remove what processes of this user and @pid_namespace have left that were ended by a
 * signal.
 */
void nar_board_sweep(u64 pid_namespace);

/* Memory that is not shared, and zeros again in a fork's child (Linux 4.14); NULL. */
void *nar_board_draft(size_t bytes);

#endif /* NAR_BOARD_H */
