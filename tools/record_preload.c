// SPDX-License-Identifier: MIT
/*
 * libnumarena-record.so: preloaded, it writes down what a program asks of the malloc behind
 * it.  The file is described in trace.h.
 *
 * It stands inside malloc, so it allocates nothing, takes no lock that could be waited for,
 * and makes system calls only to have a block of the file mapped, once in some thousand
 * records.  Each thread has a block for itself (its tape); what is common are three counters.
 *
 * Which file, and whether at all, is in the environment, with the process's id: a child has
 * another, and the program that a recorded one becomes by exec has the same and begins anew.
 * A forked child sees that by a page that reads as zeros there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "birth.h"
#include "trace.h"

#define EXPORT __attribute__((visibility("default")))

/* C23; glibc's headers may not declare them. */
EXPORT void free_sized(void *ptr, size_t size);
EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size);

/* ---- The malloc behind this one ---- */

static struct {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t nmemb, size_t size);
	void *(*realloc)(void *ptr, size_t size);
	int (*posix_memalign)(void **ptr, size_t alignment, size_t size);
	void *(*memalign)(size_t alignment, size_t size);
	void *(*aligned_alloc)(size_t alignment, size_t size);
	void (*free)(void *ptr);
} next;

/* The first call comes from the loader or a constructor, when there is one thread. */
static enum { UNKNOWN, ASKING, KNOWN } next_state;

/*
 * What the loader itself allocates while it is asked for the above: it gives out a few hundred
 * bytes, and is never given anything back.
 */
static _Alignas(16) char pool[16384];
static size_t pool_used;

static void *pool_alloc(size_t size)
{
	char *p = pool + pool_used;

	size = (size + 15) & ~(size_t)15;
	if (size > sizeof(pool) - pool_used) {
		errno = ENOMEM;
		return NULL;
	}
	pool_used += size;
	return p;
}

static bool is_in_pool(const void *ptr)
{
	return (const char *)ptr >= pool && (const char *)ptr < pool + sizeof(pool);
}

/* ISO C has no cast from an object pointer to a function; POSIX promises this one. */
static void ask(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof(found));
}

static void next_ask(void)
{
	next_state = ASKING;
	ask(&next.malloc, "malloc");
	ask(&next.calloc, "calloc");
	ask(&next.realloc, "realloc");
	ask(&next.posix_memalign, "posix_memalign");
	ask(&next.memalign, "memalign");
	ask(&next.aligned_alloc, "aligned_alloc");
	ask(&next.free, "free");
	next_state = KNOWN;
}

/* ---- The file ---- */

/* On a page of its own that a fork wipes: NULL or false, nothing is recorded. */
static bool *is_on;

static char path[PATH_MAX];
static dev_t path_dev;
static ino_t path_ino;
static uint64_t next_block = 1;		/* 0 is the header */
static uint64_t next_order;
static uint32_t next_thread;
static pthread_key_t end_key;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_recording(void)
{
	return is_on && __atomic_load_n(is_on, __ATOMIC_RELAXED);
}

/* Says so once. */
static void give_up(const char *what, int err)
{
	char text[PATH_MAX + 128];
	int len;

	if (is_on && !__atomic_exchange_n(is_on, false, __ATOMIC_RELAXED))
		return;
	len = snprintf(text, sizeof(text), "numarena record: %s: %s: %s: recording ends here\n", path,
		       what, strerror(err));
	if (len > 0 && syscall(SYS_write, STDERR_FILENO, text, (size_t)len) < 0)
		return;		/* nobody to tell */
}

/*
 * By name each time: a program may close descriptors that it has not opened, and ours would be
 * another file then.  These are no wrappers of libc's, in which the thread could be cancelled.
 */
static int file_open(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_dev == path_dev && st.st_ino == path_ino)
		return fd;
	if (fd >= 0) {
		syscall(SYS_close, fd);
		errno = ESTALE;
	}
	return -1;
}

/*
 * Written, so that a full file system says so here, and not by SIGBUS; a file that has reached
 * its limit (ulimit -f) would say so by SIGXFSZ.
 */
static bool block_write(int fd, off_t at)
{
	static const char zeros[TRACE_BLOCK_BYTES / 16];
	struct rlimit limit;
	size_t done;

	if (getrlimit(RLIMIT_FSIZE, &limit) || (rlim_t)at + TRACE_BLOCK_BYTES > limit.rlim_cur) {
		errno = EFBIG;
		return false;
	}
	for (done = 0; done < TRACE_BLOCK_BYTES; done += sizeof(zeros))
		if (syscall(SYS_pwrite64, fd, zeros, sizeof(zeros), at + (off_t)done) !=
		    (long)sizeof(zeros))
			return false;
	return true;
}

static struct trace_block *block_map(void)
{
	off_t at = (off_t)__atomic_fetch_add(&next_block, 1, __ATOMIC_RELAXED) * TRACE_BLOCK_BYTES;
	int fd = file_open();
	void *block = MAP_FAILED;

	if (fd >= 0 && block_write(fd, at))
		block = mmap(NULL, TRACE_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	if (block == MAP_FAILED) {
		give_up("no further block", errno);
		block = NULL;
	} else {
		madvise(block, TRACE_BLOCK_BYTES, MADV_DONTFORK);
	}
	if (fd >= 0)
		syscall(SYS_close, fd);
	return block;
}

/* ---- A thread's tape ---- */

struct tape {
	struct trace_block *block;	/* NULL: none yet, or the thread has ended */
	size_t used;
	uint64_t order, time_ns, address;	/* of the record before */
};

static __thread struct tape tape;
static __thread uint32_t thread;	/* number + 1; 0: it has none yet */
static __thread bool is_inside;		/* what comes now is not the program's call */
static __thread bool has_ended;		/* nobody would be told again to give a tape back */

/* Begun blocks of threads that have ended.  Whoever finds the lock held does without. */
#define MAX_SPARE 64

static struct tape spare[MAX_SPARE];
static size_t nr_spare;
static bool spare_lock;

static bool spare_trylock(void)
{
	return !__atomic_exchange_n(&spare_lock, true, __ATOMIC_ACQUIRE);
}

static void spare_unlock(void)
{
	__atomic_store_n(&spare_lock, false, __ATOMIC_RELEASE);
}

static size_t tape_room(const struct tape *t)
{
	return sizeof(t->block->records) - t->used;
}

static bool spare_put(const struct tape *t)
{
	bool is_put;

	if (tape_room(t) < 2 * TRACE_RECORD_MAX || !spare_trylock())
		return false;
	is_put = nr_spare < MAX_SPARE;
	if (is_put)
		spare[nr_spare++] = *t;
	spare_unlock();
	return is_put;
}

static bool spare_take(struct tape *t)
{
	bool is_taken;

	if (!spare_trylock())
		return false;
	is_taken = nr_spare;
	if (is_taken)
		*t = spare[--nr_spare];
	spare_unlock();
	return is_taken;
}

static unsigned char *put_varint(unsigned char *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (unsigned char)value | 0x80;
		value >>= 7;
	}
	*at++ = (unsigned char)value;
	return at;
}

static unsigned char *put_address(unsigned char *at, const void *ptr)
{
	uint64_t address = (uintptr_t)ptr;
	int64_t more = (int64_t)(address - tape.address) >> TRACE_ADDRESS_SHIFT;

	tape.address = address;
	return put_varint(at, (uint64_t)more << 1 ^ (uint64_t)(more >> 63));
}

static uint64_t take_order(void)
{
	return __atomic_fetch_add(&next_order, 1, __ATOMIC_ACQ_REL);
}

/* There is room: tape_ready() has seen to it. */
static unsigned char *record_begin(enum trace_kind kind, uint64_t order)
{
	uint64_t time_ns = now_ns(CLOCK_MONOTONIC);
	unsigned char *at = tape.block->records + tape.used;

	at = put_varint(at, (time_ns - tape.time_ns) << TRACE_KIND_BITS | kind);
	at = put_varint(at, order - tape.order);
	tape.time_ns = time_ns;
	tape.order = order;
	return at;
}

/* The reader goes by the count: a record that is being written is not there. */
static void record_end(const unsigned char *at)
{
	tape.used = (size_t)(at - tape.block->records);
	__atomic_store_n(&tape.block->used, (uint32_t)tape.used, __ATOMIC_RELEASE);
}

/* A block begins with its thread, and one that was begun goes on with another. */
static bool __attribute__((noinline)) tape_change(void)
{
	int err = errno;

	is_inside = true;
	if (tape.block)
		munmap(tape.block, TRACE_BLOCK_BYTES);
	if (!spare_take(&tape))
		tape = (struct tape){ .block = block_map() };
	if (!thread)
		thread = __atomic_add_fetch(&next_thread, 1, __ATOMIC_RELAXED);
	if (tape.block)
		record_end(put_varint(record_begin(TRACE_THREAD, take_order()), thread - 1));
	if (!has_ended)
		pthread_setspecific(end_key, &tape);
	is_inside = false;
	errno = err;
	return tape.block;
}

/* Whether to record the call that begins now; if so, there is room for it and it is alone. */
static inline bool tape_enter(void)
{
	if (!is_recording() || is_inside)
		return false;
	if (!tape.block || tape_room(&tape) < TRACE_RECORD_MAX)
		if (!tape_change())
			return false;
	is_inside = true;
	return true;
}

static void tape_give_back(void)
{
	struct tape t = tape;

	tape = (struct tape){ NULL, 0, 0, 0, 0 };
	if (!spare_put(&t))
		munmap(t.block, TRACE_BLOCK_BYTES);
}

static void tape_leave(void)
{
	if (has_ended)
		tape_give_back();
	is_inside = false;
}

/*
 * The thread's end, as far as it can be seen: destructors that run later, and the C library
 * after them, allocate and free, and have a tape for each such call.
 */
static void thread_end(void *unused)
{
	(void)unused;
	if (!tape_enter())
		return;
	record_end(record_begin(TRACE_THREAD_END, take_order()));
	has_ended = true;
	tape_leave();
}

/* ---- Start ---- */

static void header_fill(struct trace_header *h)
{
	int fd;

	*h = (struct trace_header){
		.magic = TRACE_MAGIC,
		.endian = TRACE_ENDIAN,
		.version = TRACE_VERSION,
		.block_bytes = TRACE_BLOCK_BYTES,
		.pid = (uint32_t)getpid(),
		.started_ns = now_ns(CLOCK_REALTIME),
		.started_clock_ns = now_ns(CLOCK_MONOTONIC),
	};
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, h->command, sizeof(h->command) - 1) < 0)
		h->command[0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Emptied: what this process has recorded before an exec is gone with its memory. */
static bool file_create(void)
{
	static struct trace_header header;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct stat st;
	bool is_good;

	if (fd < 0)
		return false;
	header_fill(&header);
	is_good = !fstat(fd, &st) && !ftruncate(fd, TRACE_BLOCK_BYTES) &&
		  pwrite(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header);
	path_dev = st.st_dev;
	path_ino = st.st_ino;
	close(fd);
	return is_good;
}

/* Return: whether this is the process that is to be recorded; then path[] is set. */
static bool is_meant(void)
{
	const char *text = secure_getenv(TRACE_ENVIRONMENT);
	unsigned long long birth;
	int pid, file = 0;

	return text && sscanf(text, "%d:%llu:%n", &pid, &birth, &file) == 2 && file &&
	       pid == getpid() && birth == process_birth() &&
	       snprintf(path, sizeof(path), "%s", text + file) < (int)sizeof(path);
}

static void record_start(void)
{
	void *page;

	if (!is_meant())
		return;
	page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || madvise(page, 1, MADV_WIPEONFORK))
		give_up("a page that fork wipes", errno);
	else if (!file_create())
		give_up("cannot be written", errno);
	else if (pthread_key_create(&end_key, thread_end))
		give_up("no key for the end of threads", EAGAIN);
	else
		__atomic_store_n(&is_on, page, __ATOMIC_RELEASE);
	if (is_on)
		*is_on = true;
}

/* The first call, or the constructor if none comes before it. */
static void __attribute__((noinline, cold)) start(void)
{
	int err = errno;

	if (next_state != UNKNOWN)
		return;
	is_inside = true;
	next_ask();
	record_start();
	is_inside = false;
	errno = err;
}

static void __attribute__((constructor)) construct(void)
{
	start();
}

/* Return: false to a call that start() itself makes, while it asks. */
static inline bool is_started(void)
{
	if (__builtin_expect(next_state == UNKNOWN, 0))
		start();
	return next_state == KNOWN;
}

/* ---- The calls ---- */

static void note_alloc(enum trace_kind kind, const void *ptr, size_t size)
{
	unsigned char *at = put_address(record_begin(kind, take_order()), ptr);

	record_end(put_varint(at, size));
}

/* Rounded up to a power of two, as memalign does; 0 is none. */
static unsigned int align_shift(size_t alignment)
{
	return alignment < 2 ? 0 : 64 - (unsigned int)__builtin_clzl(alignment - 1);
}

static void note_aligned(const void *ptr, size_t size, size_t alignment)
{
	unsigned char *at = put_address(record_begin(TRACE_ALIGNED, take_order()), ptr);

	at = put_varint(at, size);
	record_end(put_varint(at, align_shift(alignment)));
}

static void note_free(const void *ptr, uint64_t order)
{
	record_end(put_address(record_begin(TRACE_FREE, order), ptr));
}

static void note_realloc(const void *old, const void *ptr, size_t size, uint64_t order)
{
	unsigned char *at = put_address(record_begin(TRACE_REALLOC, order), old);

	at = put_address(at, ptr);
	at = put_varint(at, size);
	record_end(put_varint(at, take_order() - order));
}

EXPORT void *malloc(size_t size)
{
	void *ptr;

	if (!is_started())
		return pool_alloc(size);
	if (!tape_enter())
		return next.malloc(size);
	ptr = next.malloc(size);
	note_alloc(TRACE_MALLOC, ptr, size);
	tape_leave();
	return ptr;
}

EXPORT void *calloc(size_t nmemb, size_t size)
{
	size_t all;
	void *ptr;

	/* The pool is zero: nothing in it is used twice. */
	if (!is_started())
		return __builtin_mul_overflow(nmemb, size, &all) ? NULL : pool_alloc(all);
	if (__builtin_mul_overflow(nmemb, size, &all) || !tape_enter())
		return next.calloc(nmemb, size);
	ptr = next.calloc(nmemb, size);
	note_alloc(TRACE_CALLOC, ptr, all);
	tape_leave();
	return ptr;
}

EXPORT void free(void *ptr)
{
	if (!ptr || is_in_pool(ptr))
		return;
	if (!is_started())
		return;
	if (tape_enter()) {
		note_free(ptr, take_order());
		next.free(ptr);
		tape_leave();
	} else {
		next.free(ptr);
	}
}

static void *pool_realloc(const void *ptr, size_t size)
{
	size_t rest = (size_t)(pool + sizeof(pool) - (const char *)ptr);
	void *moved = malloc(size);

	if (moved)
		memcpy(moved, ptr, size < rest ? size : rest);
	return moved;
}

/* Its old object may be another thread's before it returns: hence two orders. */
static void *recorded_realloc(void *ptr, size_t size)
{
	uint64_t order = take_order();
	void *moved = next.realloc(ptr, size);

	if (!moved && !size)
		note_free(ptr, order);
	else
		note_realloc(ptr, moved, size, order);
	return moved;
}

EXPORT void *realloc(void *ptr, size_t size)
{
	void *moved;

	if (!ptr)
		return malloc(size);
	if (is_in_pool(ptr))
		return pool_realloc(ptr, size);
	if (!is_started() || !tape_enter())
		return next.realloc(ptr, size);
	moved = recorded_realloc(ptr, size);
	tape_leave();
	return moved;
}

EXPORT void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(nmemb, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(ptr, all);
}

EXPORT int posix_memalign(void **ptr, size_t alignment, size_t size)
{
	int err;

	if (!is_started())
		return ENOMEM;
	if (!tape_enter())
		return next.posix_memalign(ptr, alignment, size);
	err = next.posix_memalign(ptr, alignment, size);
	if (err != EINVAL)
		note_aligned(err ? NULL : *ptr, size, alignment);
	tape_leave();
	return err;
}

/* Alignments that are refused are no allocations that failed. */
static void *recorded_align(void *(*align)(size_t alignment, size_t size), size_t alignment,
			    size_t size)
{
	void *ptr;

	if (!tape_enter())
		return align(alignment, size);
	ptr = align(alignment, size);
	if (ptr || errno != EINVAL)
		note_aligned(ptr, size, alignment);
	tape_leave();
	return ptr;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	return is_started() ? recorded_align(next.memalign, alignment, size) : NULL;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return is_started() ? recorded_align(next.aligned_alloc, alignment, size) : NULL;
}

EXPORT void *valloc(size_t size)
{
	return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), all;

	if (__builtin_add_overflow(size, page - 1, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	all &= -page;
	return memalign(page, all ? all : page);
}

EXPORT void free_sized(void *ptr, size_t size)
{
	(void)size;
	free(ptr);
}

EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	free(ptr);
}
