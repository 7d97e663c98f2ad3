// SPDX-License-Identifier: MIT
/*
 * libc's own names while a scope captures, and what the dynamic loader allocates meanwhile.
 *
 *	[ malloc strdup asprintf | pthread_create: a thread's TLS ]
 *	  captured		   not captured
 */
#include "arena/scope.h"

#include "contract.h"

#include <malloc.h>

#define SIZE 100

static struct numarena_scope *begin(void)
{
	return must_give((void *)numarena_scope_begin("libc", NUMARENA_SCOPE_CAPTURE));
}

static bool is_captured(const void *p)
{
	return nar_is_ours(p) && nar_entry_is_scope(nar_entry_of(p));
}

/* Expect: libc's functions and the program's calls land in the scope. */
START_TEST(libc_names_are_captured)
{
	struct numarena_scope *s = begin();
	void *p[10], *aligned;
	char *text;
	int err, len;
	size_t nr = 0;

	p[nr++] = malloc(SIZE);
	p[nr++] = calloc(1, SIZE);
	p[nr++] = realloc(NULL, SIZE);
	p[nr++] = aligned_alloc(64, SIZE);
	p[nr++] = memalign(256, SIZE);
	p[nr++] = valloc(SIZE);
	p[nr++] = strdup("a string");
	err = posix_memalign(&aligned, 64, SIZE);
	ck_assert_int_eq(err, 0);
	p[nr++] = aligned;
	len = asprintf(&text, "%d", 12345);
	ck_assert_int_eq(len, 5);
	p[nr++] = text;
	for (size_t i = 0; i < nr; i++)
		expect(is_captured(p[i]), "%zu is not captured", i);
	ck_assert_uint_eq(malloc_usable_size(p[0]), 112);
	for (size_t i = 0; i < nr; i++)
		free(p[i]);
	numarena_scope_end(s);
}
END_TEST

static __thread char of_thread[4000];

static void *touch_tls(void *arg)
{
	of_thread[0] = 1;
	return arg;
}

/*
 *	[ pthread_create ] end | pthread_create
 *
 * Expect: the first thread's TLS is not in the scope, as its stack serves a later one.
 */
START_TEST(what_the_loader_allocates_is_not)
{
	struct numarena_scope *s = begin();
	size_t before = numarena_scope_mark(s), after;

	thread_join(thread_start(touch_tls, NULL));
	after = numarena_scope_mark(s);
	ck_assert_uint_eq(after, before);
	ck_assert(is_captured(malloc(SIZE)));
	numarena_scope_end(s);
	for (unsigned int i = 0; i < 10; i++)
		thread_join(thread_start(touch_tls, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scope_libc");
	TCase *tc = tcase_create("captured");

	tcase_add_test(tc, libc_names_are_captured);
	tcase_add_test(tc, what_the_loader_allocates_is_not);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
