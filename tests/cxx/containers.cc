// SPDX-License-Identifier: MIT
/*
 * numarena.hpp, used: containers over scopes and heaps, what a scope captures of new, and
 * what is thrown.  Prints nothing if all is right.
 */
#include <numarena.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#define REQUIRE(cond)								\
	do {									\
		if (!(cond)) {							\
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			std::exit(EXIT_FAILURE);				\
		}								\
	} while (0)

namespace {

struct alignas(64) line {
	char bytes[64];
};

numarena_stats stats()
{
	numarena_stats s;

	REQUIRE(!numarena_stats_get(&s, sizeof(s)));
	return s;
}

std::uint64_t live_bytes(const numarena::heap &h)
{
	numarena_heap_stats s;

	REQUIRE(!numarena_heap_stats_get(h.get(), &s, sizeof(s)));
	return s.live_bytes;
}

bool is_aligned(const void *p, std::size_t alignment)
{
	return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

template<class F>
bool throws_bad_alloc(F &&f)
{
	try {
		f();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

/* ---- Scopes ---- */

void scopes_end_with_their_block()
{
	const auto before = stats().nr_scopes;
	numarena::scope outer("outer");
	const auto mark = outer.mark();

	try {
		numarena::scope inner("inner");

		REQUIRE(is_aligned(inner.allocate(100, 256), 256));
		throw std::runtime_error("early");
	} catch (const std::runtime_error &) {
	}
	int *p = outer.make<int>(42);
	REQUIRE(*p == 42);
	{
		numarena::scope_mark m(outer);

		outer.allocate(1000);
	}
	REQUIRE(outer.mark() == mark + 16);
	outer.reset();
	REQUIRE(outer.mark() == 0);
	REQUIRE(stats().nr_scopes == before + 2);
}

void pmr_containers_in_a_scope()
{
	numarena::scope s("pmr");
	numarena::scope_resource r(s), same(s);
	numarena::heap_resource other;

	REQUIRE(r == same && r != other && !(other == r));
	{
		std::pmr::vector<std::pmr::string> names(&r);
		std::pmr::unordered_map<int, std::pmr::string> map(&r);

		for (int i = 0; i < 10000; i++) {
			names.emplace_back("a string that is too long to lie in the object itself");
			map[i] = names.back();
		}
		REQUIRE(names.size() == 10000 && map[9999] == names[0]);
		REQUIRE(names[0].get_allocator().resource() == &r);
	}
	std::pmr::vector<line> lines(100, &r);
	REQUIRE(is_aligned(lines.data(), alignof(line)));
	REQUIRE(s.mark() > 10000 * 64);
}

void stl_containers_in_a_scope()
{
	numarena::scope s("stl"), t("other");
	std::vector<int, numarena::scope_allocator<int>> v{ numarena::scope_allocator<int>(s) };
	std::list<line, numarena::scope_allocator<line>> l{ numarena::scope_allocator<line>(s) };

	for (int i = 0; i < 10000; i++)
		v.push_back(i);
	REQUIRE(std::accumulate(v.begin(), v.end(), 0) == 49995000);
	l.emplace_back();
	REQUIRE(is_aligned(&l.front(), alignof(line)));
	REQUIRE(v.get_allocator() == l.get_allocator());
	REQUIRE(v.get_allocator() != numarena::scope_allocator<int>(t));
}

void new_is_captured()
{
	std::unique_ptr<int> outside = std::make_unique<int>(1);
	std::string *lost;
	char *kept;

	{
		numarena::capture c("library");
		std::vector<std::string> work;

		for (int i = 0; i < 1000; i++)
			work.push_back(std::string(100, 'x') + std::to_string(i));
		lost = new std::string(1000, 'y');		/* no leak: it goes with the scope */
		REQUIRE(c.mark() > 100000 && lost->size() == 1000);
		kept = static_cast<char *>(numarena_scope_keep(strdup("kept")));
		outside.reset();
	}
	REQUIRE(!std::strcmp(kept, "kept"));
	std::free(kept);
	outside = std::make_unique<int>(2);
	REQUIRE(*outside == 2);
}

/* ---- Heaps ---- */

void containers_in_a_heap()
{
	numarena::heap h;
	numarena::heap_resource r(h), same(h), other;

	REQUIRE(r == same && r != other);
	{
		std::pmr::map<int, std::pmr::string> map(&r);
		std::vector<line, numarena::allocator<line>> lines{ numarena::allocator<line>(h) };

		for (int i = 0; i < 1000; i++)
			map[i] = std::pmr::string(100, 'x');
		lines.resize(1000);
		REQUIRE(is_aligned(lines.data(), alignof(line)));
		REQUIRE(live_bytes(h) >= 1000 * 164);
		/* Another thread's container takes over what this one's has. */
		std::thread([v = std::move(lines)]() mutable { v.resize(2000); v.clear(); }).join();
	}
	std::vector<int, numarena::allocator<int>> in_default(1000, 7);
	REQUIRE(in_default[999] == 7);
	REQUIRE(numarena::allocator<int>() == numarena::allocator<line>());
	REQUIRE(numarena::allocator<int>(h) != numarena::allocator<int>());
}

void heaps_have_limits_and_owners()
{
	numarena_heap_attr attr = {};

	attr.size = sizeof(attr);
	attr.limit_bytes = 1 << 20;
	attr.name = "small";

	numarena::heap h(attr), moved(std::move(h));

	REQUIRE(!h.get() && moved.get());
	REQUIRE(throws_bad_alloc([&] { moved.allocate(2 << 20); }));
	moved.limit(0);
	moved.deallocate(moved.allocate(2 << 20, 4096));
	h = std::move(moved);
	REQUIRE(h.get() && !moved.get());
	/* Not the process's. */
	moved.limit(1 << 20);
	void *more = std::malloc(8 << 20);
	REQUIRE(more);
	std::free(more);
	attr.size = 1;
	REQUIRE(throws_bad_alloc([&] { numarena::heap bad(attr); }));
}

/* ---- What is thrown ---- */

void what_cannot_be_had_is_thrown()
{
	numarena::scope s;
	numarena::scope_resource r(s);
	numarena::heap_resource hr;
	numarena::scope_allocator<line> a(s);
	const std::size_t too_much = SIZE_MAX / 2 + 1;
	volatile std::size_t n = SIZE_MAX / 64 + 1;

	REQUIRE(throws_bad_alloc([] { numarena::scope bad("flags", ~0u); }));
	REQUIRE(throws_bad_alloc([&] { s.allocate(too_much); }));
	REQUIRE(throws_bad_alloc([&] { (void)r.allocate(too_much); }));
	REQUIRE(throws_bad_alloc([&] { (void)hr.allocate(too_much, 64); }));
	REQUIRE(throws_bad_alloc([&] { (void)a.allocate(n); }));
	REQUIRE(throws_bad_alloc([&] { (void)numarena::allocator<line>().allocate(n); }));
}

static_assert(!std::is_copy_constructible<numarena::scope>::value, "a scope has one owner");
static_assert(!std::is_move_constructible<numarena::scope>::value, "and one block");
static_assert(!std::is_copy_constructible<numarena::heap>::value, "a heap has one owner");
static_assert(std::is_nothrow_move_constructible<numarena::heap>::value, "that may change");

} /* namespace */

int main()
{
	scopes_end_with_their_block();
	pmr_containers_in_a_scope();
	stl_containers_in_a_scope();
	new_is_captured();
	containers_in_a_heap();
	heaps_have_limits_and_owners();
	what_cannot_be_had_is_thrown();
	return EXIT_SUCCESS;
}
