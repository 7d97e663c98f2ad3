/* SPDX-License-Identifier: MIT */
/*
 * Threads and small objects: the fast paths, and what a thread does when they run
 * out.
 */
#ifndef NAR_THREAD_H
#define NAR_THREAD_H

#include "arena.h"
#include "large.h"

/*
 * The thread's arena of the default heap on the node it runs on; nar_arena_none until
 * it has one, after it is gone, and for good under harden, mode:baseline and
 * mode:sharded.  So the fast paths need no test of their own for any of these.
 */
extern __thread struct nar_arena *nar_self;

/* When the tries below decline.  NULL if there is no memory; dies of a bad pointer. */
void *nar_thread_alloc_slow(size_t size);
void nar_thread_free_slow(void *p);

/* An object of a built-in class; nar_start_early() was called. */
void *nar_thread_alloc_class_slow(unsigned int class);

/* A large block, as nar_large_alloc(). */
void *nar_thread_alloc_large(const struct nar_block *block, bool *is_zero);

/* In our constructor: the key whose destructor ends a thread's arena. */
void nar_thread_init(void);

/*
 * Have the calling thread's memory from @node (dense), wherever it runs; -1: from where it
 * runs.  Return: 0 or -ENOMEM.
 */
int nar_thread_bind(int node);

/* Where the calling thread's memory is to come from: a node, and the policy it is under. */
struct nar_place nar_thread_place(void);

/* As nar_scope_begin() and nar_scope_end(), for a scope where the thread runs. */
struct numarena_scope *nar_thread_scope_begin(const char *name, bool is_capturing);
void nar_thread_scope_end(struct numarena_scope *s);

/* Let another scope capture, or none.  Return: the one that did. */
struct numarena_scope *nar_thread_swap_captor(struct numarena_scope *captor);

/* The calling thread's arena of the default heap; NULL if it is to have none, or not yet. */
struct nar_arena *nar_thread_arena(void);

/* Magazines, outboxes, kept slabs and kept regions of this thread go back. */
void nar_thread_trim(void);

/*
 * At a limit: the same, and what nobody uses goes back to the kernel.  Return: whether it is
 * worth trying again.
 */
bool nar_thread_give_up(void);

/* See a class that this thread has added at once. */
void nar_thread_update_classes(void);

/* @size is at most NAR_SMALL_MAX.  Four loads, one store, one branch. */
static __always_inline void *nar_thread_try_alloc(size_t size)
{
	struct nar_arena *a = nar_self;

	return nar_mag_try_pop(&a->mag, a->view.of_size[nar_size_step(size)]);
}

/* The same, aligned to NAR_LINE. */
static __always_inline void *nar_thread_try_alloc_lines(size_t size)
{
	struct nar_arena *a = nar_self;

	return nar_mag_try_pop(&a->mag, a->view.of_lines[nar_size_lines(size)]);
}

static __always_inline void *nar_thread_try_alloc_class(unsigned int class)
{
	return nar_mag_try_pop(&nar_self->mag, class);
}

/*
 * Is it ours, whose is it, is there room, is it new: the object is not touched.  A
 * foreign pointer, another's object and a large block fail the comparison of tags.
 */
static __always_inline bool nar_thread_try_free(void *p)
{
	struct nar_arena *a = nar_self;
	size_t offset = (uintptr_t)p - a->base;
	size_t class;
	void **top;

	if (unlikely(offset >= a->span_bytes))
		return false;
	class = READ_ONCE(a->map[offset >> SLICE_SHIFT]) ^ a->tag;
	if (unlikely(class >= NAR_MAX_CLASSES))
		return false;
	top = a->mag.top[class];
	if (unlikely(top == a->mag.end[class] || p == top[-1] || p == top[-2]))
		return false;
	*top = p;
	/* One instruction adds in memory, where two would use the top that is known. */
	OPTIMIZER_HIDE_VAR(class);
	a->mag.top[class]++;
	return true;
}

/*
 * Another arena's object, if the message for its owner has room for two.  Called when the
 * above declines; what it cannot tell apart, the slow path does.
 */
static __always_inline bool nar_thread_try_post(void *p)
{
	struct nar_arena *a = nar_self;
	size_t offset = (uintptr_t)p - a->base, bytes;
	struct nar_message *m;
	u32 entry, owner;

	if (unlikely(offset >= a->span_bytes))
		return false;
	entry = READ_ONCE(a->map[offset >> SLICE_SHIFT]);
	owner = nar_entry_owner(entry);
	m = a->outbox[owner % NR_OUTBOXES];
	bytes = nar_class[nar_entry_class(entry)].shape.size;
	if (m->owner != owner || m->nr + 1 >= NAR_MESSAGE_MAX || m->bytes + bytes >= NAR_MESSAGE_BYTES)
		return false;
	if (unlikely(nar_message_ends_with(m, p)))
		return false;
	nar_message_add(m, p, bytes);
	a->nr_posts++;
	return true;
}

#endif /* NAR_THREAD_H */
