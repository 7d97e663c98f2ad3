// SPDX-License-Identifier: MIT
/*
 * An arena's slabs: in and out of its lists, and objects back into them.  What has become
 * empty is kept for the next refill, within reason, or destroyed once the lock is let go,
 * since that may take a second lock or the kernel.
 */
#include "stock.h"

/* Empty slabs an arena keeps: a part of what it has, and so much in any case. */
#define KEEP_PART 128
#define KEEP_MIN_BYTES KIB(128)

void nar_stock_link(struct nar_arena *a, unsigned int class, u32 slab)
{
	nar_slab_link(&a->bins[class], slab);
	WRITE_ONCE(a->slab_bytes, a->slab_bytes + nar_slab_bytes(slab));
}

/* An empty slab that was kept is used, or goes. */
void nar_stock_unkeep(struct nar_arena *a, u32 slab)
{
	struct nar_slab *s = nar_slab_at(slab);

	if (s->is_kept)
		a->kept_bytes -= nar_slab_bytes(slab);
	s->is_kept = false;
}

void nar_stock_unlink(struct nar_arena *a, unsigned int class, u32 slab)
{
	nar_slab_unlink(&a->bins[class], slab);
	WRITE_ONCE(a->slab_bytes, a->slab_bytes - nar_slab_bytes(slab));
	nar_stock_unkeep(a, slab);
}

void nar_stock_doom(struct nar_arena *a, u32 slab)
{
	nar_slab_at(slab)->next = a->doomed;
	a->doomed = slab;
}

/* A slab that has just become empty is kept for the next refill, within reason. */
static void settle(struct nar_arena *a, u32 slab) __must_hold(&a->lock)
{
	struct nar_slab *s = nar_slab_at(slab);
	size_t bytes = nar_slab_bytes(slab);

	if (!nar_slab_is_empty(slab) || s->is_kept)
		return;
	if (a->kept_bytes + bytes <= max_of(a->slab_bytes / KEEP_PART, KEEP_MIN_BYTES)) {
		s->is_kept = true;
		a->kept_bytes += bytes;
		return;
	}
	nar_stock_unlink(a, s->class, slab);
	nar_stock_doom(a, slab);
}

/* As many of the first as lie in one slab: what is freed in some order often does. */
unsigned int nar_stock_give_run(struct nar_arena *a, void *const *p, unsigned int nr)
{
	u32 slab = nar_slab_around(*p);
	unsigned int n = nar_slab_give_run(&a->bins[nar_slab_at(slab)->class], slab, p, nr);

	settle(a, slab);
	return n;
}

void nar_stock_give_all(struct nar_arena *a, void *const *p, unsigned int nr)
{
	unsigned int n;

	for (; nr; p += n, nr -= n)
		n = nar_stock_give_run(a, p, nr);
}

void nar_stock_unlock(struct nar_arena *a)
{
	u32 doomed = a->doomed;

	a->doomed = 0;
	nar_unlock(&a->lock);
	nar_slabs_destroy(doomed);
}
