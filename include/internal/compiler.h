/* SPDX-License-Identifier: MIT */
/*
 * What the language leaves out: fixed-width names, branch hints, atomics with
 * the kernel's spelling, lock annotations for clang and sparse.  Conditional
 * compilation lives here and in its neighbours, so that no other file has any.
 */
#ifndef NAR_COMPILER_H
#define NAR_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((__noinline__))
#undef __always_inline	/* glibc's, which leaves out `inline` where it likes */
#define __always_inline inline __attribute__((__always_inline__))
#define __cold __attribute__((__cold__))
#define __exported __attribute__((__visibility__("default")))
#define __printf(a, b) __attribute__((__format__(__printf__, a, b)))
#define __cacheline __attribute__((__aligned__(64)))

/* Two lines: the adjacent-line prefetcher couples them (Intel SDM 2.1.5.4). */
#define __shared_line __attribute__((__aligned__(128)))

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + (__typeof__(x))(a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define DIV_ROUND_UP(x, d) (((x) + (d) - 1) / (d))
#define is_pow2(x) ((x) && !((x) & ((x) - 1)))
#define min_of(a, b) ((a) < (b) ? (a) : (b))
#define max_of(a, b) ((a) > (b) ? (a) : (b))
#define container_of(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

/* Relaxed: one access, no order.  Acquire and release name their partner. */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)

/* Many writers: the most there was. */
static inline void raise_relaxed(u64 *p, u64 to)
{
	u64 now = READ_ONCE(*p);

	while (now < to && !__atomic_compare_exchange_n(p, &now, to, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* One writer: a plain increment that a racing reader sees whole. */
#define count_own(x, n) WRITE_ONCE(x, (x) + (n))

/* The compiler forgets what it knows of a variable's value. */
#define OPTIMIZER_HIDE_VAR(x) __asm__("" : "+r"(x))

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield" ::: "memory");
#endif
}

static inline unsigned int log2_floor(size_t n)
{
	return 63 - (unsigned int)__builtin_clzl(n);
}

static inline size_t roundup_pow2(size_t n)
{
	return n <= 1 ? 1 : (size_t)1 << (log2_floor(n - 1) + 1);
}

#if defined(__clang__)
#define __ts(x) __attribute__((x))
#else
#define __ts(x)
#endif
#define __capability __ts(capability("lock"))
#define __acquires(l) __ts(acquire_capability(l))
#define __releases(l) __ts(release_capability(l))
#define __must_hold(l) __ts(requires_capability(l))
#define __no_lock_analysis __ts(no_thread_safety_analysis)

/* Sanitizers.  The allocator's poisoning is the only place that needs to know. */
#if defined(__SANITIZE_ADDRESS__)
#define NAR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NAR_ASAN 1
#endif
#endif

#ifdef NAR_ASAN
#define NAR_HAS_ASAN 1
#include <sanitizer/asan_interface.h>
#define nar_poison(p, n) __asan_poison_memory_region((p), (n))
#define nar_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define NAR_HAS_ASAN 0
#define nar_poison(p, n) ((void)(p), (void)(n))
#define nar_unpoison(p, n) ((void)(p), (void)(n))
#endif

/* ThreadSanitizer does not see the barriers inside liburcu: say what they order. */
#if defined(__SANITIZE_THREAD__)
#define NAR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NAR_TSAN 1
#endif
#endif

/* For readers of what one thread writes without atomics: any value will do. */
#define __no_tsan __attribute__((no_sanitize("thread")))

/*
 * What was written before is seen before what is written after; and what is read before is no
 * younger than what is read after.  TSan has no fences, and needs none here: either other
 * processes read, of whom it knows nothing, or all that is written and read is atomic.
 */
#ifdef NAR_TSAN
#define nar_fence_release() __asm__ volatile("" ::: "memory")
#define nar_fence_acquire() __asm__ volatile("" ::: "memory")
#else
#define nar_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define nar_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

#ifdef NAR_TSAN
#include <sanitizer/tsan_interface.h>
#define nar_tsan_publish(p) __tsan_release(p)
#define nar_tsan_consume(p) __tsan_acquire(p)
#else
#define nar_tsan_publish(p) ((void)(p))
#define nar_tsan_consume(p) ((void)(p))
#endif

#ifdef NAR_DEBUG
#define NAR_DEBUG_DEFAULT 1
#else
#define NAR_DEBUG_DEFAULT 0
#endif

#endif /* NAR_COMPILER_H */
