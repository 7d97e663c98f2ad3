// SPDX-License-Identifier: MIT
/*
 * The libc names: that they are numarena's in this program, that they are one
 * allocator with the explicit names, and the contract of those that have no
 * explicit twin.  What twins do is tested by their explicit names.
 */
#include "contract.h"

#include <ctype.h>
#include <malloc.h>

/* C23, newer than this libc's headers. */
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);

/* glibc's, in no header. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);
void cfree(void *ptr);

#define PAGE_BYTES ((size_t)sysconf(_SC_PAGESIZE))

/*
 * Expect: memory of either set of names is freed by the other, which a foreign
 * pointer would not survive.
 */
START_TEST(both_sets_of_names_are_one)
{
	void *p;

	numarena_free(must_give(malloc(100)));
	numarena_free(must_give(calloc(10, 10)));
	numarena_free(must_give(realloc(NULL, 100)));
	numarena_free(must_give(reallocarray(NULL, 10, 10)));
	numarena_free(must_give(aligned_alloc(64, 128)));
	numarena_free(must_give(memalign(64, 100)));
	numarena_free(must_give(valloc(100)));
	numarena_free(must_give(pvalloc(100)));
	must_keep_errno(ck_assert_int_eq(posix_memalign(&p, 64, 100), 0));
	numarena_free(p);
	must_keep_errno(free(must_give(numarena_malloc(100))));
	must_keep_errno(free(must_give(numarena_malloc(MIB(1)))));
	must_keep_errno(free_sized(must_give(numarena_malloc(100)), 100));
	must_keep_errno(free_aligned_sized(must_give(aligned_alloc(64, 128)), 64, 128));
	numarena_free(must_give(__libc_malloc(100)));
	numarena_free(must_give(__libc_calloc(10, 10)));
	numarena_free(must_give(__libc_realloc(NULL, 100)));
	numarena_free(must_give(__libc_memalign(64, 100)));
	must_keep_errno(__libc_free(must_give(numarena_malloc(100))));
	must_keep_errno(cfree(must_give(numarena_malloc(100))));
}
END_TEST

/* Expect: libc itself, which calls malloc and free by name, uses numarena too. */
START_TEST(libc_allocates_here)
{
	char *copy = must_give(strdup("strdup allocates inside libc")), *line = NULL;
	size_t room = 0;
	FILE *file = must_give(fopen("/proc/self/stat", "r"));

	ck_assert_uint_ge(numarena_malloc_usable_size(copy), strlen(copy) + 1);
	ck_assert_int_gt(getline(&line, &room, file), 0);
	ck_assert_uint_ge(numarena_malloc_usable_size(line), room);
	fclose(file);
	numarena_free(line);
	numarena_free(copy);
}
END_TEST

START_TEST(failures_are_the_same)
{
	volatile size_t too_much = SIZE_MAX, no_power = 3;	/* compilers know better */
	void *untouched = &untouched, *p = untouched;
	int err = 0;

	must_refuse(malloc(too_much), ENOMEM);
	must_refuse(calloc(too_much, 2), ENOMEM);
	must_refuse(realloc(NULL, too_much), ENOMEM);
	must_refuse(reallocarray(NULL, too_much, 2), ENOMEM);
	must_refuse(aligned_alloc(no_power, 64), EINVAL);
	must_refuse(aligned_alloc(64, too_much), ENOMEM);
	must_refuse(memalign(too_much, 64), EINVAL);
	must_refuse(valloc(too_much), ENOMEM);
	must_refuse(valloc(too_much - 100), ENOMEM);
	must_refuse(pvalloc(too_much), ENOMEM);
	must_refuse(pvalloc(too_much - 100), ENOMEM);
	must_keep_errno(err = posix_memalign(&p, 4, 64));
	ck_assert_int_eq(err, EINVAL);
	ck_assert_ptr_eq(p, untouched);
}
END_TEST

START_TEST(usable_size_by_libc_name)
{
	ck_assert_uint_eq(malloc_usable_size(NULL), 0);
	for (size_t size = 0; size < MIB(1); size += 1 + size / 3) {
		char *p = must_give(malloc(size));

		ck_assert_uint_ge(malloc_usable_size(p), size);
		ck_assert_uint_eq(malloc_usable_size(p), numarena_malloc_usable_size(p));
		memset(p, 1, malloc_usable_size(p));
		free(p);
	}
}
END_TEST

START_TEST(valloc_gives_pages)
{
	for (size_t size = 0; size < MIB(3); size += 1 + size / 2) {
		void *p = must_give(valloc(size)), *q = must_give(pvalloc(size));

		ck_assert(is_aligned(p, PAGE_BYTES) && is_aligned(q, PAGE_BYTES));
		ck_assert_uint_ge(malloc_usable_size(p), size);
		/* Rounded up to whole pages; of none, as in glibc, there is one to give. */
		ck_assert_uint_ge(malloc_usable_size(q),
				  (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
		memset(q, 1, malloc_usable_size(q));
		free(p);
		free(q);
	}
}
END_TEST

/* Expect: the sums hold, and what is in use follows what the program holds. */
START_TEST(mallinfo2_counts)
{
	struct mallinfo2 before = mallinfo2(), during, after;
	void *small[1000], *large = must_give(malloc(MIB(64)));

	for (size_t i = 0; i < ARRAY_SIZE(small); i++)
		small[i] = must_give(malloc(KIB(16)));
	during = mallinfo2();
	for (size_t i = 0; i < ARRAY_SIZE(small); i++)
		free(small[i]);
	free(large);
	after = mallinfo2();
	ck_assert_uint_ge(during.uordblks + during.hblkhd,
			  before.uordblks + before.hblkhd + MIB(64) + 1000 * KIB(16));
	ck_assert_uint_le(after.uordblks + after.hblkhd, during.uordblks + during.hblkhd - MIB(64));
	ck_assert_uint_ge(during.arena + during.hblkhd, during.uordblks);
}
END_TEST

START_TEST(mallopt_is_accepted)
{
	ck_assert_int_eq(mallopt(M_ARENA_MAX, 2), 1);
	ck_assert_int_eq(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
	ck_assert_int_eq(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
	free(must_give(malloc(100)));
}
END_TEST

START_TEST(trim_by_libc_name)
{
	void *p = must_give(malloc(MIB(64)));

	memset(p, 1, MIB(64));
	free(p);
	ck_assert_int_eq(malloc_trim(0), 1);
}
END_TEST

/* ---- What is printed ---- */

/* All that @print writes, in memory the heap does not know. */
static char *printed_by(void (*print)(FILE *))
{
	static char text[1 << 20];
	FILE *file = must_give(tmpfile());
	size_t len;

	print(file);
	ck_assert_int_eq(fflush(file), 0);
	rewind(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	ck_assert_uint_gt(len, 0);
	text[len] = '\0';
	fclose(file);
	return text;
}

static void print_info(FILE *file)
{
	ck_assert_int_eq(malloc_info(0, file), 0);
}

/* malloc_stats() knows one place to write to. */
static void print_stats(FILE *file)
{
	int saved = dup(STDERR_FILENO);

	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	malloc_stats();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

START_TEST(malloc_stats_prints)
{
	const char *text = printed_by(print_stats);

	ck_assert_ptr_nonnull(strpbrk(text, "0123456789"));
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	ck_assert_ptr_nonnull(strstr(text, "\nmissing"));
	ck_assert_ptr_nonnull(strstr(text, "\nnode "));
}
END_TEST

/* The name at @at, of an element or an attribute; its end. */
static const char *xml_name_end(const char *at)
{
	ck_assert_msg(isalpha((unsigned char)*at) || *at == '_', "no name: %.20s", at);
	while (isalnum((unsigned char)*at) || strchr("_-.:", *at))
		at++;
	return at;
}

static const char *xml_attributes_end(const char *at)
{
	while (isspace((unsigned char)*at)) {
		at += strspn(at, " \t\n");
		if (strchr("/>", *at))
			break;
		at = xml_name_end(at);
		ck_assert_msg(at[0] == '=' && at[1] == '"', "no value: %.20s", at);
		at += 2 + strcspn(at + 2, "\"<&");
		ck_assert_msg(*at++ == '"', "value not closed");
	}
	return at;
}

struct xml_stack {
	unsigned int depth;
	struct {
		const char *name;
		size_t len;
	} open[32];
};

static const char *xml_close(struct xml_stack *stack, const char *at)
{
	size_t len = (size_t)(xml_name_end(at) - at);

	ck_assert_msg(stack->depth--, "</%.20s closes nothing", at);
	ck_assert_msg(stack->open[stack->depth].len == len &&
		      !memcmp(stack->open[stack->depth].name, at, len), "</%.20s not open", at);
	ck_assert_msg(at[len] == '>', "</%.20s not closed", at);
	return at + len + 1;
}

static const char *xml_open(struct xml_stack *stack, const char *at)
{
	const char *name = at, *end = xml_name_end(at);
	bool is_empty;

	at = xml_attributes_end(end);
	is_empty = *at == '/';
	at += is_empty;
	ck_assert_msg(*at == '>', "<%.20s not closed", name);
	if (!is_empty) {
		ck_assert_uint_lt(stack->depth, ARRAY_SIZE(stack->open));
		stack->open[stack->depth].name = name;
		stack->open[stack->depth++].len = (size_t)(end - name);
	}
	return at + 1;
}

/* Elements nest, attributes are quoted, there is one root: enough of XML for this. */
static void xml_check(const char *at)
{
	struct xml_stack stack = { 0 };
	unsigned int nr_roots = 0;

	if (!strncmp(at, "<?xml ", 6))
		at = strstr(at, "?>") + 2;
	while (*(at += strcspn(at, "<&"))) {
		ck_assert_msg(*at++ == '<', "a bare &");
		nr_roots += !stack.depth;
		at = *at == '/' ? xml_close(&stack, at + 1) : xml_open(&stack, at);
	}
	ck_assert_uint_eq(stack.depth, 0);
	ck_assert_uint_eq(nr_roots, 1);
}

START_TEST(malloc_info_is_xml)
{
	const char *text = printed_by(print_info);

	ck_assert_ptr_nonnull(strstr(text, "<malloc"));
	ck_assert_ptr_nonnull(strstr(text, "<node id=\""));
	xml_check(text);
}
END_TEST

START_TEST(malloc_info_has_no_options)
{
	FILE *file = must_give(fopen("/dev/null", "w"));

	ck_assert_int_eq(malloc_info(0, file), 0);
	ck_assert_int_ne(malloc_info(1, file), 0);
	fclose(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libc");
	TCase *tc = tcase_create("contract");

	tcase_add_test(tc, both_sets_of_names_are_one);
	tcase_add_test(tc, libc_allocates_here);
	tcase_add_test(tc, failures_are_the_same);
	tcase_add_test(tc, usable_size_by_libc_name);
	tcase_add_test(tc, valloc_gives_pages);
	tcase_add_test(tc, mallinfo2_counts);
	tcase_add_test(tc, mallopt_is_accepted);
	tcase_add_test(tc, trim_by_libc_name);
	tcase_add_test(tc, malloc_stats_prints);
	tcase_add_test(tc, malloc_info_is_xml);
	tcase_add_test(tc, malloc_info_has_no_options);
	suite_add_tcase(suite, tc);
	return tap_run(suite);
}
