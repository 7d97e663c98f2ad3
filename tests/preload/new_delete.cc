/* SPDX-License-Identifier: MIT */
/*
 * Every form of operator new and delete, and what they promise when memory is short.
 *
 *	new_delete library
 *
 * Expect: all of them are the library's; throwing forms call the new-handler until it
 * gives up, nothrow forms do so too and answer nullptr.  Exits 0, or names what was not
 * as it should be.
 */
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define require(truth)								\
	do {									\
		if (!(truth)) {							\
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
			std::exit(EXIT_FAILURE);				\
		}								\
	} while (0)

using std::align_val_t;
using std::nothrow;
using std::nothrow_t;
using std::size_t;

/* More than there is, less than what is refused for being no size at all. */
static volatile size_t too_large = PTRDIFF_MAX / 2;

/* ---- Whose they are ---- */

template <typename Signature>
static void *address_of(Signature *function)
{
	return reinterpret_cast<void *>(function);
}

static void check_owner(const char *name, void *address, const char *library)
{
	Dl_info info;

	if (dladdr(address, &info) && !std::strcmp(info.dli_fname, library))
		return;
	std::fprintf(stderr, "%s is not of %s\n", name, library);
	std::exit(EXIT_FAILURE);
}

#define CHECK_OWNER(function, ...) \
	check_owner(#function "(" #__VA_ARGS__ ")", \
		    address_of<__VA_ARGS__>(::function), library)

static void check_owners(const char *library)
{
	CHECK_OWNER(operator new, void *(size_t));
	CHECK_OWNER(operator new, void *(size_t, const nothrow_t &) noexcept);
	CHECK_OWNER(operator new, void *(size_t, align_val_t));
	CHECK_OWNER(operator new, void *(size_t, align_val_t, const nothrow_t &) noexcept);
	CHECK_OWNER(operator new[], void *(size_t));
	CHECK_OWNER(operator new[], void *(size_t, const nothrow_t &) noexcept);
	CHECK_OWNER(operator new[], void *(size_t, align_val_t));
	CHECK_OWNER(operator new[], void *(size_t, align_val_t, const nothrow_t &) noexcept);

	CHECK_OWNER(operator delete, void(void *) noexcept);
	CHECK_OWNER(operator delete, void(void *, size_t) noexcept);
	CHECK_OWNER(operator delete, void(void *, const nothrow_t &) noexcept);
	CHECK_OWNER(operator delete, void(void *, align_val_t) noexcept);
	CHECK_OWNER(operator delete, void(void *, size_t, align_val_t) noexcept);
	CHECK_OWNER(operator delete, void(void *, align_val_t, const nothrow_t &) noexcept);
	CHECK_OWNER(operator delete[], void(void *) noexcept);
	CHECK_OWNER(operator delete[], void(void *, size_t) noexcept);
	CHECK_OWNER(operator delete[], void(void *, const nothrow_t &) noexcept);
	CHECK_OWNER(operator delete[], void(void *, align_val_t) noexcept);
	CHECK_OWNER(operator delete[], void(void *, size_t, align_val_t) noexcept);
	CHECK_OWNER(operator delete[], void(void *, align_val_t, const nothrow_t &) noexcept);
}

/* ---- They give memory, and take it back ---- */

static void *use(void *p, size_t size, size_t alignment)
{
	require(p);
	require(reinterpret_cast<uintptr_t>(p) % alignment == 0);
	std::memset(p, 0xa5, size);
	return p;
}

/* The operators by name: a new-expression may be left out by the compiler. */
static void check_plain(size_t size)
{
	const size_t natural = alignof(std::max_align_t);

	::operator delete(use(::operator new(size), size, natural));
	::operator delete(use(::operator new(size), size, natural), size);
	::operator delete(use(::operator new(size, nothrow), size, natural), nothrow);
	::operator delete[](use(::operator new[](size), size, natural));
	::operator delete[](use(::operator new[](size), size, natural), size);
	::operator delete[](use(::operator new[](size, nothrow), size, natural), nothrow);
}

static void check_aligned(size_t size, size_t alignment)
{
	const auto align = align_val_t(alignment);

	::operator delete(use(::operator new(size, align), size, alignment), align);
	::operator delete(use(::operator new(size, align), size, alignment), size, align);
	::operator delete(use(::operator new(size, align, nothrow), size, alignment), align,
			  nothrow);
	::operator delete[](use(::operator new[](size, align), size, alignment), align);
	::operator delete[](use(::operator new[](size, align), size, alignment), size, align);
	::operator delete[](use(::operator new[](size, align, nothrow), size, alignment), align,
			    nothrow);
}

static void check_null()
{
	::operator delete(nullptr);
	::operator delete(nullptr, size_t(8));
	::operator delete(nullptr, align_val_t(64));
	::operator delete[](nullptr);
}

static void check_sizes()
{
	const size_t sizes[] = { 0, 1, 16, 24, 100, 512, 513, 4096, 32768, 32769, 5000000 };

	for (size_t size : sizes) {
		check_plain(size);
		for (size_t alignment = 1; alignment <= 65536; alignment *= 2)
			check_aligned(size, alignment);
	}
	check_null();
}

/* ---- They refuse ---- */

/* Where a result goes that should not have come. */
static void *volatile given;

template <typename Allocate>
static bool throws_bad_alloc(Allocate allocate)
{
	try {
		given = allocate();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void check_refusal()
{
	const auto align = align_val_t(64);

	require(throws_bad_alloc([] { return ::operator new(too_large); }));
	require(throws_bad_alloc([] { return ::operator new[](too_large); }));
	require(throws_bad_alloc([=] { return ::operator new(too_large, align); }));
	require(throws_bad_alloc([=] { return ::operator new[](too_large, align); }));
	require(throws_bad_alloc([] { return ::operator new(SIZE_MAX); }));
	require(throws_bad_alloc([=] { return ::operator new(SIZE_MAX, align); }));

	require(!::operator new(too_large, nothrow));
	require(!::operator new[](too_large, nothrow));
	require(!::operator new(too_large, align, nothrow));
	require(!::operator new[](too_large, align, nothrow));
	require(!::operator new(SIZE_MAX, align, nothrow));
}

/* ---- The new-handler ---- */

static int nr_handler_calls;

/* As one that frees a reserve, and has none left at its third call. */
static void give_up_at_third_call()
{
	if (++nr_handler_calls == 3)
		std::set_new_handler(nullptr);
}

static void throw_at_once()
{
	++nr_handler_calls;
	throw std::bad_alloc();
}

template <typename Allocate>
static int handler_calls(std::new_handler handler, Allocate allocate)
{
	nr_handler_calls = 0;
	std::set_new_handler(handler);
	allocate();
	std::set_new_handler(nullptr);
	return nr_handler_calls;
}

template <typename Allocate>
static void check_handler(Allocate allocate)
{
	require(handler_calls(give_up_at_third_call, allocate) == 3);
	require(handler_calls(throw_at_once, allocate) == 1);
}

static void check_handlers()
{
	const auto align = align_val_t(64);

	check_handler([] { require(throws_bad_alloc([] { return ::operator new(too_large); })); });
	check_handler([] { require(throws_bad_alloc([] { return ::operator new[](too_large); })); });
	check_handler([=] {
		require(throws_bad_alloc([=] { return ::operator new(too_large, align); }));
	});
	check_handler([] { require(!::operator new(too_large, nothrow)); });
	check_handler([] { require(!::operator new[](too_large, nothrow)); });
	check_handler([=] { require(!::operator new(too_large, align, nothrow)); });
}

/* ---- As programs use them ---- */

struct alignas(128) line {
	char bytes[128];
};

static void work()
{
	std::map<std::string, std::vector<line>> lines;
	std::vector<std::unique_ptr<std::string>> strings;

	for (int i = 0; i < 20000; i++) {
		lines[std::to_string(i % 300)].emplace_back();
		strings.push_back(std::make_unique<std::string>(i % 1000, 'x'));
		if (i % 3 == 0)
			strings[i / 2].reset();
	}
	for (const auto &entry : lines)
		require(reinterpret_cast<uintptr_t>(entry.second.data()) % 128 == 0);
	require(std::all_of(strings.begin(), strings.end(), [](const auto &string) {
		return !string || string->find_first_not_of('x') == std::string::npos;
	}));
}

static void check_threads()
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++)
		threads.emplace_back(work);
	for (auto &thread : threads)
		thread.join();
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		std::fprintf(stderr, "usage: new_delete library\n");
		return 2;
	}
	check_owners(argv[1]);
	check_sizes();
	check_refusal();
	check_handlers();
	check_threads();
	return EXIT_SUCCESS;
}
