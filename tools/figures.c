// SPDX-License-Identifier: MIT
/*
 * The library's own table of what its figures are called.  The command links with libc alone,
 * so it has a copy, which is the same text.
 */
#include "../arena/figures.c"
