/* SPDX-License-Identifier: MIT */
/*
 * Scopes: memory that is allocated by moving a pointer and released all at once.
 *
 * A scope is one thread's.  Scopes of a thread nest; each has regions of its own, so an
 * outer one may be allocated from while an inner one is open.
 *
 *	scope		single -> single		large objects
 *	  `- region -> region -> region			the newest first
 *	       | used ... top | free | end
 *
 * A position in a scope is the bytes of the regions before and those below the top.  That
 * is what a mark is: everything at or above it goes when it is released.  A large object
 * takes a grain of the region at the top beside its own single region, so that positions
 * tell what came first.
 *
 * What a scope no longer needs waits with the thread for the next scope: the warmest first,
 * up to the option scope_keep, and what has not been needed for decay_ms goes.
 *
 * The fast path takes a scope for what it is.  Where it should not be taken (harden, and
 * where objects are captured), top and end are one, and it declines.
 *
 * Other threads may look at any scope at any time (roster.h): structures never go, and what is
 * looked at is atomic and has its thread as its only writer.  What has to be seen together is
 * changed under a version; the fast paths, which move the top between two changes, do not
 * know of it.
 */
#ifndef NAR_SCOPE_H
#define NAR_SCOPE_H

#include "capture.h"

#define NAR_SCOPE_NAME 24

struct numarena_scope {
	/* The fast paths'; NULL in a scope that has ended. */
	char *top;			/* racy reads */
	char *end;
	char *capture_end;		/* the same for objects that are captured */

	struct numarena_scope *outer;	/* or the next one that is unused */
	const void *thread;		/* whose it is; NULL: ended.  Racy reads */
	u32 region;			/* the newest; 0 */
	u32 single;			/* the newest; 0 */
	u32 nr_begun;			/* times that this structure has served; racy reads */
	u32 version;			/* odd while what follows, thread or top are changed */

	/* Racy reads. */
	char name[NAR_SCOPE_NAME];
	uintptr_t used_from;		/* where the top would be had one region all that is used */
	u64 peak_bytes;			/* used since its begin, before the top last went down */
	u64 nr_captured;		/* since its begin */
	u32 held_pages;			/* of its regions ... */
	u32 single_pages;		/* ... and of the single ones among them, used as a whole */
	u32 nr_resets;			/* modulo 2^32 */
	u32 tid;			/* of its thread; 0: a fork has left that behind */
	u16 depth;			/* scopes around it */
	struct nar_place place;		/* where it is to take regions from */
	bool is_capturing;
	u8 node;			/* of this structure; constant */
} __shared_line;

/* The innermost scope that captures what the calling thread allocates; NULL. */
extern __thread struct numarena_scope *nar_scope_captor;

/* Whether the calling thread has a scope open; and the place of the innermost. */
bool nar_scope_is_open(void);
struct nar_place nar_scope_place(void);

/* Return: NULL if there is no memory. */
struct numarena_scope *nar_scope_begin(const char *name, bool is_capturing, struct nar_place place);

/*
 * All of these die of a scope that has ended or is another thread's.  Those that were begun
 * inside it end with it.
 */
void nar_scope_end(struct numarena_scope *s);

/* In the captor that there is; the same. */
void *nar_scope_capture(size_t size);

/* Any @size and any power of two.  Return: NULL if there is no memory. */
void *nar_scope_alloc_slow(struct numarena_scope *s, size_t size, size_t alignment);

size_t nar_scope_mark(struct numarena_scope *s);
void nar_scope_release(struct numarena_scope *s, size_t mark);

/* ---- Captured objects; @p lies in a region ---- */

/* Any thread.  Both die if @p is none, and say what @call was made with it. */
void nar_scope_free(void *p);
size_t nar_scope_usable(const void *p, const char *call);

/* The scope that it is in, if that is the calling thread's; NULL. */
struct numarena_scope *nar_scope_mine_around(const void *p);

/* Return: whether the object has @size bytes now. */
bool nar_scope_try_resize(void *p, size_t size);

/* ---- A thread's regions ---- */

/* Give back what it keeps; what it has not needed for long, if it is time to look. */
void nar_scope_trim(void);
void nar_scope_poll(void);

/* Its scopes end with it. */
void nar_scope_thread_end(void);

/* In a fork's child: the calling thread's scopes are of its new id, and others' of no thread. */
void nar_scope_forget_threads(void);

/* ---- Sums ---- */

u64 nar_scope_nr_begun(void);

/* Every structure there is, whether it is open or not. */
void nar_scope_each(void (*fn)(void *arg, const struct numarena_scope *s), void *arg);
void nar_scope_each_lock(void (*fn)(struct nar_lock *));

/*
 * Three loads and stores, two branches.  @size 0 and sizes that overflow become the
 * largest there is.
 */
static __always_inline bool nar_scope_try_alloc(struct numarena_scope *s, size_t size, void **p)
{
	size_t last = (size - 1) | (NAR_GRAIN - 1);	/* of the bytes that it takes */
	char *top = s->top, *next;

	if (unlikely(last >= (size_t)(s->end - top)))
		return false;
	next = top + last + 1;
	/* What is returned stays in the register that it is returned in: a move less. */
	OPTIMIZER_HIDE_VAR(top);
	WRITE_ONCE(s->top, next);
	*p = top;
	return true;
}

#endif /* NAR_SCOPE_H */
