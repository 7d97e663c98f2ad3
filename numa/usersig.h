/* SPDX-License-Identifier: MIT */
/*
 * Signals by which a user asks for something.
 */
#ifndef NAR_USERSIG_H
#define NAR_USERSIG_H

#include "internal/compiler.h"

enum nar_usersig { USERSIG_USR1, USERSIG_USR2, NR_USERSIGS };

/*
 * Have @fn called in the signal's handler, errno kept.  Return: false if the signal does
 * something else already, or is ignored: it is the program's then.
 */
bool nar_usersig_try_catch(enum nar_usersig which, void (*fn)(void));

#endif /* NAR_USERSIG_H */
