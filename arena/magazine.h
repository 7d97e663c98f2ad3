/* SPDX-License-Identifier: MIT */
/*
 * Magazines: a thread's stacks of pointers to free objects, one a class (Bonwick and Adams,
 * "Magazines and vmem", USENIX 2001, has them; here they are not exchanged but emptied).
 *
 *	start              top        end          start + room
 *	| oldest .. newest | ........ | not in use |
 *
 * Only the arena's thread touches them, without a lock.  How much a magazine holds
 * follows what the thread does with it: one that runs dry and runs over by turns swings
 * by more than it holds, and is given more, as far as the arena's budget goes.
 */
#ifndef NAR_MAGAZINE_H
#define NAR_MAGAZINE_H

#include "class.h"

/* Two NULL slots below each magazine end a pop and satisfy the double free check. */
#define NAR_MAG_GUARDS 2

/* Objects that one holds at most, grown as far as it may: whole refills, so that none is left over. */
#define NAR_MAG_GROWN_MAX 1024

/* Arrays of pointers, since a class then scales an address as it is. */
struct nar_mags {
	/* The fast paths'. */
	void **top[NAR_MAX_CLASSES];	/* one above the newest */
	void **end[NAR_MAX_CLASSES];	/* no room from here */

	void **start[NAR_MAX_CLASSES];
	u16 room[NAR_MAX_CLASSES];	/* slots there are */
	bool ran_dry[NAR_MAX_CLASSES];	/* refilled since it last ran over */
	u8 refilled[NAR_MAX_CLASSES];	/* objects at the last refill, while it is a new thread's */
	size_t grown_bytes;		/* of objects that fit in what has been added */
	u32 hand;			/* the class to shrink next */
};

/* After nar_class_init(): where each class's slots lie in an arena's. */
void nar_mags_layout(void);
size_t nar_mags_nr_slots(void);

/* Empty ones in @slot; and those of classes below @nr_classes that were added since. */
void nar_mags_init(struct nar_mags *m, void **slot);
void nar_mags_open(struct nar_mags *m, unsigned int nr_classes);

/* Empty ones, for another thread, of whose habits nothing is known. */
void nar_mags_restart(struct nar_mags *m);

/* They are empty, and nobody's: the pages of what was added go back to the kernel. */
void nar_mags_give_back(const struct nar_mags *m);

/* @class has run over; it has run dry since the last time, and has not all it may have. */
bool nar_mags_wants_more(const struct nar_mags *m, unsigned int class);

/*
 * More room for @class, if all that was added, this included, stays within @budget_bytes.
 * Return: whether there is.
 */
bool nar_mags_try_grow(struct nar_mags *m, unsigned int class, unsigned int node, size_t budget_bytes);

/*
 * The next class, by turns, whose room was added to but @but; it is to hold no more than
 * at first from now on, and the caller sees to that.  Return: NAR_MAX_CLASSES if there is none.
 */
unsigned int nar_mags_shrink_next(struct nar_mags *m, unsigned int but);

static inline unsigned int nar_mag_nr(const struct nar_mags *m, unsigned int class)
{
	return (unsigned int)(m->top[class] - m->start[class]);
}

/* Objects that it has room for as it is. */
static inline unsigned int nar_mag_cap(const struct nar_mags *m, unsigned int class)
{
	return (unsigned int)(m->end[class] - m->start[class]);
}

/* A guard under the oldest object is NULL: the magazine is empty. */
static __always_inline void *nar_mag_try_pop(struct nar_mags *m, size_t class)
{
	void **top = m->top[class], *p = *--top;

	if (likely(p))
		m->top[class] = top;
	return p;
}

/* Return: false if there is no room; dies if @p is one of the two newest. */
static inline bool nar_mag_try_push(struct nar_mags *m, size_t class, void *p)
{
	void **top = m->top[class];

	if (unlikely(p == top[-1] || p == top[-2]))
		nar_die_double_free(p);
	if (top == m->end[class])
		return false;
	*top = p;
	m->top[class] = top + 1;
	return true;
}

#endif /* NAR_MAGAZINE_H */
