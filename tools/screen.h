/* SPDX-License-Identifier: MIT */
/*
 * A terminal that is drawn on again and again.  Whatever ends the program, the terminal is as
 * it was; a program that is stopped gives it back meanwhile.
 */
#ifndef TOOL_SCREEN_H
#define TOOL_SCREEN_H

#include <stdbool.h>

/* Return: false if standard output is no terminal that can be drawn on; then nothing was done. */
bool screen_open(void);
void screen_close(void);

/* As large as the terminal is now. */
unsigned int screen_rows(void);
unsigned int screen_columns(void);

/* A new picture: lines are cut at the edge, and what is left of the old one goes at the end. */
void screen_begin(void);
void screen_line(const char *text, bool is_marked);
void screen_end(void);

/*
 * Until a key is pressed, the size changes or the time is over.  Return: the key, or 0.  A
 * signal that asks the program to end ends it here.
 */
int screen_wait(unsigned int ms);

#endif /* TOOL_SCREEN_H */
