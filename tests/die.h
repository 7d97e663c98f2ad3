/* SPDX-License-Identifier: MIT */
/*
 * Programs that abuse the allocator and must die of it.
 *
 *	die_x list		the abuses it knows, a line each: "name when"
 *	die_x name [at-once]	commits one
 *
 * An abuse says on stdout, as an extended regular expression, what stderr must
 * say; then it does the bad thing.  `when` is what is promised without harden:1:
 *
 *	at-once		the bad call itself ends the process
 *	late		it ends when the magazine or queue with the pointer is emptied
 *	hardened	nothing is promised
 *
 * With the second argument (the driver passes it where harden:1 is set) each
 * must die in the bad call.  Who lives on says so and exits 1.
 */
#ifndef NAR_TESTS_DIE_H
#define NAR_TESTS_DIE_H

#include "stress.h"

#include <stdarg.h>

/* More than any magazine (64) and any unsent batch (64) hold. */
#define NR_OTHERS 1000

struct abuse {
	const char *name;
	const char *when;
	void (*commit)(void);
};

static bool must_die_at_once;

__attribute__((__format__(__printf__, 1, 2)))
static inline void expect_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* What a line says of an object's class and of who owns its slab. */
#define CLASS_AND_OWNER "\\(class %zu bytes, owner [^)]+\\)"

static inline void expect_double_free(const void *p)
{
	expect_line("double free of %p " CLASS_AND_OWNER, p, numarena_malloc_usable_size((void *)p));
}

/* After the bad call. */
static inline void bad_call_returned(void)
{
	if (!must_die_at_once)
		return;
	fputs("the bad call returned\n", stderr);
	_exit(EXIT_FAILURE);
}

/* ---- Pushing other objects through what holds the bad pointer ---- */

struct others {
	void *objects[NR_OTHERS];
};

static inline void others_make(struct others *others, size_t size)
{
	for (unsigned int i = 0; i < NR_OTHERS; i++)
		others->objects[i] = numarena_malloc(size);
}

static inline void others_free(const struct others *others)
{
	for (unsigned int i = 0; i < NR_OTHERS; i++)
		numarena_free(others->objects[i]);
}

static inline int die_main(int argc, char **argv, const struct abuse *abuses, size_t nr)
{
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < nr; i++)
			printf("%s %s\n", abuses[i].name, abuses[i].when);
		return EXIT_SUCCESS;
	}
	must_die_at_once = argc == 3 && !strcmp(argv[2], "at-once");
	for (size_t i = 0; argc >= 2 && i < nr; i++) {
		if (strcmp(argv[1], abuses[i].name))
			continue;
		must_die_at_once |= !strcmp(abuses[i].when, "at-once");
		abuses[i].commit();
		fputs("alive after all\n", stderr);
		return EXIT_FAILURE;
	}
	fprintf(stderr, "usage: %s list | name [at-once]\n", argv[0]);
	return 2;
}

#endif
