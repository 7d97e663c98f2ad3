/* SPDX-License-Identifier: MIT */
/*
 * What the kernel tells in short files, below /proc and /sys, and numbers for their names.
 */
#ifndef NAR_TEXT_H
#define NAR_TEXT_H

#include <sys/types.h>

#include "internal/compiler.h"

/*
 * The text of a file, cut to @size - 1 bytes, and terminated.  Return: its length; -1 if it
 * cannot be read, and then it is empty.
 */
ssize_t nar_text_read(const char *path, char *buf, size_t size);

/* @n in digits, and an end: 21 bytes at most.  Also in a signal handler.  Return: where the end is. */
char *nar_text_number(char *to, u64 n);

#endif /* NAR_TEXT_H */
