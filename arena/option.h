/* SPDX-License-Identifier: MIT */
/*
 * Settings by name, from NUMARENA_CONF ("key:value,key:value"), from the
 * program's own `const char *numarena_conf`, or built in; the first wins.
 */
#ifndef NAR_ARENA_OPTION_H
#define NAR_ARENA_OPTION_H

#include "internal/option.h"

/* At first use.  Reads the environment, allocates nothing. */
void nar_options_read(void);

/* Return: length of the text, cut at @size; -ENOENT. */
int nar_option_get(const char *name, char *value, size_t size);

/* Return: 0, -ENOENT, -EINVAL, or -EPERM if the setting is fixed after start. */
int nar_option_set(const char *name, const char *value);

#endif /* NAR_ARENA_OPTION_H */
