/* SPDX-License-Identifier: MIT */
/*
 * numarena for C++17: scopes and heaps as objects, as std::pmr::memory_resource and as
 * allocators.  Nothing but what numarena.h has, in the language's own terms; header only.
 * Needs exceptions and RTTI, as std::pmr does.
 *
 *	numarena::scope s("request");
 *	numarena::scope_resource r(s);
 *	std::pmr::vector<int> v(&r);
 */
#ifndef NUMARENA_HPP
#define NUMARENA_HPP

#include <cstddef>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include <numarena.h>

namespace numarena {

namespace detail {

inline void *or_throw(void *p)
{
	if (!p)
		throw std::bad_alloc();
	return p;
}

template<class T>
std::size_t bytes_of(std::size_t n)
{
	if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
		throw std::bad_array_new_length();
	return n * sizeof(T);
}

inline void *allocate(numarena_scope *s, std::size_t bytes, std::size_t alignment)
{
	return or_throw(alignment <= alignof(std::max_align_t) ? numarena_scope_alloc(s, bytes) :
			numarena_scope_aligned_alloc(s, alignment, bytes));
}

inline void *allocate(numarena_heap *h, std::size_t bytes, std::size_t alignment)
{
	return or_throw(alignment <= alignof(std::max_align_t) ? numarena_heap_alloc(h, bytes) :
			numarena_heap_aligned_alloc(h, alignment, bytes));
}

} /* namespace detail */

/* ---- Scopes ---- */

/*
 * A scope of the thread that makes it, from here to the end of the block: see
 * numarena_scope_begin().  Scopes end in the opposite order, as objects of blocks do, so it
 * can be neither copied nor moved, and must not outlive one that was made before it.
 *
 * Throws std::bad_alloc where C answers NULL.
 */
class scope {
public:
	explicit scope(const char *name = nullptr, unsigned int flags = 0)
		: scope_(numarena_scope_begin(name, flags))
	{
		if (!scope_)
			throw std::bad_alloc();
	}

	~scope() { numarena_scope_end(scope_); }

	scope(const scope &) = delete;
	scope &operator=(const scope &) = delete;

	void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
	{
		return detail::allocate(scope_, bytes, alignment);
	}

	/* An object whose destructor nobody misses: none will be called. */
	template<class T, class... Args>
	T *make(Args &&...args)
	{
		static_assert(std::is_trivially_destructible<T>::value,
			      "a scope calls no destructors: see numarena::scope_resource");
		return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
	}

	std::size_t mark() const { return numarena_scope_mark(scope_); }
	void release(std::size_t mark) { numarena_scope_release(scope_, mark); }
	void reset() { numarena_scope_reset(scope_); }

	numarena_scope *get() const noexcept { return scope_; }

private:
	numarena_scope *scope_;
};

/* What malloc and new of the thread give until the end of the block goes with it. */
class capture : public scope {
public:
	explicit capture(const char *name = nullptr) : scope(name, NUMARENA_SCOPE_CAPTURE) {}
};

/* What the scope has given since goes at the end of the block. */
class scope_mark {
public:
	explicit scope_mark(scope &s) : scope_(s), mark_(s.mark()) {}
	~scope_mark() { scope_.release(mark_); }

	scope_mark(const scope_mark &) = delete;
	scope_mark &operator=(const scope_mark &) = delete;

private:
	scope &scope_;
	std::size_t mark_;
};

/*
 * Memory of a scope, for containers that end before it: deallocate does nothing.  Used by the
 * scope's thread only.
 */
class scope_resource : public std::pmr::memory_resource {
public:
	explicit scope_resource(scope &s) noexcept : scope_(s.get()) {}
	explicit scope_resource(numarena_scope *s) noexcept : scope_(s) {}

private:
	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		return detail::allocate(scope_, bytes, alignment);
	}

	void do_deallocate(void *, std::size_t, std::size_t) override {}

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		const scope_resource *r = dynamic_cast<const scope_resource *>(&other);

		return r && r->scope_ == scope_;
	}

	numarena_scope *scope_;
};

/* ---- Heaps ---- */

/* A heap that is destroyed, with all that is in it, by its owner's end. */
class heap {
public:
	heap() : heap(nullptr) {}
	explicit heap(const numarena_heap_attr &attr) : heap(&attr) {}

	~heap() { numarena_heap_destroy(heap_); }

	heap(heap &&other) noexcept : heap_(std::exchange(other.heap_, nullptr)) {}
	heap &operator=(heap &&other) noexcept
	{
		std::swap(heap_, other.heap_);
		return *this;
	}

	heap(const heap &) = delete;
	heap &operator=(const heap &) = delete;

	void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
	{
		return detail::allocate(heap_, bytes, alignment);
	}

	void deallocate(void *p) noexcept { numarena_heap_free(heap_, p); }

	/* Bytes; 0: no limit.  One that was moved from has none: NULL would be the process. */
	void limit(std::size_t bytes)
	{
		if (heap_)
			numarena_heap_limit(heap_, bytes);
	}

	numarena_heap *get() const noexcept { return heap_; }

private:
	explicit heap(const numarena_heap_attr *attr) : heap_(numarena_heap_create(attr))
	{
		if (!heap_)
			throw std::bad_alloc();
	}

	numarena_heap *heap_;
};

/* Memory of a heap, or of the default one, for any thread. */
class heap_resource : public std::pmr::memory_resource {
public:
	heap_resource() noexcept : heap_(nullptr) {}
	explicit heap_resource(heap &h) noexcept : heap_(h.get()) {}
	explicit heap_resource(numarena_heap *h) noexcept : heap_(h) {}

private:
	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		return detail::allocate(heap_, bytes, alignment);
	}

	void do_deallocate(void *p, std::size_t, std::size_t) override { numarena_heap_free(heap_, p); }

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		const heap_resource *r = dynamic_cast<const heap_resource *>(&other);

		return r && r->heap_ == heap_;
	}

	numarena_heap *heap_;
};

/* ---- Allocators, for containers without pmr ---- */

/*
 * Of a heap, or of the default one: std::vector<int, numarena::allocator<int>>.  It goes with
 * a container that is moved or swapped, and stays where one is copied from another.
 */
template<class T>
class allocator {
public:
	using value_type = T;
	using propagate_on_container_move_assignment = std::true_type;
	using propagate_on_container_swap = std::true_type;
	using is_always_equal = std::false_type;

	allocator() noexcept : heap_(nullptr) {}
	explicit allocator(heap &h) noexcept : heap_(h.get()) {}
	explicit allocator(numarena_heap *h) noexcept : heap_(h) {}
	template<class U>
	allocator(const allocator<U> &other) noexcept : heap_(other.get()) {}

	T *allocate(std::size_t n)
	{
		return static_cast<T *>(detail::allocate(heap_, detail::bytes_of<T>(n), alignof(T)));
	}

	void deallocate(T *p, std::size_t) noexcept { numarena_heap_free(heap_, p); }

	numarena_heap *get() const noexcept { return heap_; }

private:
	numarena_heap *heap_;
};

template<class T, class U>
bool operator==(const allocator<T> &a, const allocator<U> &b) noexcept
{
	return a.get() == b.get();
}

template<class T, class U>
bool operator!=(const allocator<T> &a, const allocator<U> &b) noexcept
{
	return !(a == b);
}

/* Of a scope, under the terms of scope_resource. */
template<class T>
class scope_allocator {
public:
	using value_type = T;
	using propagate_on_container_move_assignment = std::true_type;
	using propagate_on_container_swap = std::true_type;
	using is_always_equal = std::false_type;

	explicit scope_allocator(scope &s) noexcept : scope_(s.get()) {}
	explicit scope_allocator(numarena_scope *s) noexcept : scope_(s) {}
	template<class U>
	scope_allocator(const scope_allocator<U> &other) noexcept : scope_(other.get()) {}

	T *allocate(std::size_t n)
	{
		return static_cast<T *>(detail::allocate(scope_, detail::bytes_of<T>(n), alignof(T)));
	}

	void deallocate(T *, std::size_t) noexcept {}

	numarena_scope *get() const noexcept { return scope_; }

private:
	numarena_scope *scope_;
};

template<class T, class U>
bool operator==(const scope_allocator<T> &a, const scope_allocator<U> &b) noexcept
{
	return a.get() == b.get();
}

template<class T, class U>
bool operator!=(const scope_allocator<T> &a, const scope_allocator<U> &b) noexcept
{
	return !(a == b);
}

} /* namespace numarena */

#endif /* NUMARENA_HPP */
