/* SPDX-License-Identifier: MIT */
/*
 * Memory that the program wants to have before it needs it.
 */
#ifndef NAR_RESERVE_H
#define NAR_RESERVE_H

#include "numa/bind.h"

/* See numarena_reserve().  Return: bytes on pages of the kind asked for, or -errno. */
long long nar_reserve(struct nar_place place, size_t bytes, unsigned int flags);

#endif /* NAR_RESERVE_H */
