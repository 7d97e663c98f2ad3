// SPDX-License-Identifier: MIT
/*
 * The library's own table of settings.  The command links with libc alone, so it has a copy,
 * which is the same text.
 */
#include "../arena/setting.c"
