// SPDX-License-Identifier: MIT
/*
 * What a scope does when its fast path declines, and what a thread does with its scopes.
 * Nothing here takes a lock but for a thread's first scopes, for regions that it has not
 * kept, and at its end.
 *
 * Under harden what is released is filled with a pattern, and looked at when it is handed
 * out again, when the scope ends and when the next one begins: whoever has written to it
 * meanwhile used an object after its scope.  Under ASan the shadow says so at once.
 */
#include <string.h>

#include "internal/option.h"
#include "numa/loader.h"

#include "kept.h"
#include "maint.h"
#include "scope.h"

/* Above this an object has a region of its own: less than a quarter of a region is lost. */
#define SINGLE_BYTES (NAR_REGION_BYTES / 4)

/* Structures that a thread takes from the pool at once, and deeper nesting again. */
#define BATCH_BYTES PAGE_BYTES
#define BATCH_SCOPES 31

/* What released memory is filled with: as a pointer it leads nowhere, as a size it is large. */
#define FILL 0xdb

struct batch {
	struct batch *next;
	struct numarena_scope scope[BATCH_SCOPES];
};

_Static_assert(sizeof(struct batch) <= BATCH_BYTES, "a batch is a page");

/* Scopes that no thread has. */
static struct pool {
	struct nar_lock lock;
	struct numarena_scope *head;
} pool[NAR_MAX_NODES] = {
	[0 ... NAR_MAX_NODES - 1] = { .lock = NAR_LOCK_INIT(RANK_SCOPE) },
};

static struct batch *batches;	/* all there are; compare-and-swap, never removed */
static u64 begun_carry;		/* relaxed: what their counts of 32 bits have lost */

/* The one that was used longest ago comes next: so that what has ended says so for long. */
static __thread struct scopes {
	struct numarena_scope *innermost;
	struct numarena_scope *unused;
	struct numarena_scope *last_unused;
	struct nar_kept kept;
} mine;

__thread struct numarena_scope *nar_scope_captor;

/* ---- Structures ---- */

static void put_unused(struct numarena_scope *s)
{
	s->outer = NULL;
	if (mine.last_unused)
		mine.last_unused->outer = s;
	else
		mine.unused = s;
	mine.last_unused = s;
}

static struct numarena_scope *pop_unused(void)
{
	struct numarena_scope *s = mine.unused;

	if (!s)
		return NULL;
	mine.unused = s->outer;
	if (!s->outer)
		mine.last_unused = NULL;
	return s;
}

static struct numarena_scope *take_from_pool(unsigned int node)
{
	struct numarena_scope *all;

	if (!READ_ONCE(pool[node].head))
		return NULL;
	nar_lock(&pool[node].lock);
	all = pool[node].head;
	WRITE_ONCE(pool[node].head, NULL);
	nar_unlock(&pool[node].lock);
	return all;
}

static bool make_batch(unsigned int node)
{
	struct batch *b = nar_meta_alloc(node, BATCH_BYTES);
	unsigned int i;

	if (!b)
		return false;
	for (i = 0; i < BATCH_SCOPES; i++) {
		b->scope[i].node = (u8)node;
		put_unused(&b->scope[i]);
	}
	b->next = READ_ONCE(batches);
	/* Release: pairs with the acquire in nar_scope_each(). */
	while (!__atomic_compare_exchange_n(&batches, &b->next, b, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	return true;
}

/* What ended threads have left: all of it, since who needs one may need more. */
static bool get_unused(unsigned int node)
{
	struct numarena_scope *s = take_from_pool(node), *next;

	if (!s)
		return make_batch(node);
	for (; s; s = next) {
		next = s->outer;
		put_unused(s);
	}
	return true;
}

static struct numarena_scope *scope_get(unsigned int node)
{
	struct numarena_scope *s = pop_unused();

	if (likely(s))
		return s;
	return get_unused(node) ? pop_unused() : NULL;
}

static void give_to_pool(struct numarena_scope *s)
{
	struct pool *to = &pool[s->node];

	nar_lock(&to->lock);
	s->outer = to->head;
	WRITE_ONCE(to->head, s);
	nar_unlock(&to->lock);
}

/* ---- Whose it is ---- */

static noinline void __cold die_of_scope(const struct numarena_scope *s)
{
	if (!READ_ONCE(s->thread))
		nar_die("scope %p (\"%s\") has ended already: those begun inside another end with it",
			(const void *)s, s->name);
	nar_die("scope %p (\"%s\") is another thread's: a scope serves the thread that began it",
		(const void *)s, s->name);
}

static void check_mine(const struct numarena_scope *s)
{
	if (unlikely(READ_ONCE(s->thread) != &mine))
		die_of_scope(s);
}

/* ---- Filling and looking ---- */

static bool is_filling(void)
{
	return nar_opt.harden && !NAR_HAS_ASAN;
}

/* Where the first @bytes of it end. */
static char *part_end(u32 region, u32 bytes)
{
	if (bytes && nar_region_at(region)->is_single)
		return nar_region_end(region);
	return nar_region_start(region) + bytes;
}

/* What lies above @bytes, if anything does, another has filled before. */
static void note_filler(struct nar_region *r, const struct numarena_scope *s, u32 bytes)
{
	if (r->filled_by != s || r->filled_by_life != s->nr_begun)
		r->filled_by_bytes = 0;
	r->filled_by = s;
	r->filled_by_life = s->nr_begun;
	r->filled_by_bytes = max_of(r->filled_by_bytes, bytes);
}

static void fill(const struct numarena_scope *s, u32 region, char *from, char *top)
{
	struct nar_region *r = nar_region_at(region);
	u32 bytes = (u32)min_of((size_t)(top - nar_region_start(region)), (size_t)UINT32_MAX);

	if (from == top)
		return;
	memset(from, FILL, (size_t)(top - from));
	r->filled_bytes = max_of(r->filled_bytes, bytes);
	note_filler(r, s, bytes);
}

/* Who has filled it at @p; NULL if that is not known, or the structure has another name by now. */
static const struct numarena_scope *filler_of(u32 region, const char *p)
{
	const struct nar_region *r = nar_region_at(region);
	const struct numarena_scope *s = r->filled_by;

	return p < part_end(region, r->filled_by_bytes) && s->nr_begun == r->filled_by_life ? s : NULL;
}

static noinline __cold __attribute__((__noreturn__)) void die_of_write(u32 region, const char *p)
{
	const struct numarena_scope *s = filler_of(region, p);
	const char *start = nar_region_start(region);

	if (!s)
		nar_die("%p was written to after its scope had ended or was reset", (const void *)p);
	if (!nar_region_at(region)->is_single)
		nar_die("%p was written to after its scope \"%s\" had ended or was reset", (const void *)p, s->name);
	nar_die("%p was written to after its scope \"%s\" had ended or was reset: byte %zu of the object at %p",
		(const void *)p, s->name, (size_t)(p - start), (const void *)start);
}

/* @from to @to, as far as it was filled. */
static void check_filled(u32 region, const char *from, const char *to)
{
	const char *end = part_end(region, nar_region_at(region)->filled_bytes), *p;

	end = min_of(end, to);
	for (p = from; p < end; p++)
		if (*(const unsigned char *)p != FILL)
			die_of_write(region, p);
}

static void check_region(u32 region, const char *from)
{
	check_filled(region, from, nar_region_end(region));
}

static void check_kept(void)
{
	u32 region;

	for (region = mine.kept.newest; region; region = nar_region_at(region)->next)
		check_region(region, nar_region_start(region));
}

/* ---- What others see ---- */

/* The version is odd before what it is about changes; pairs with the fence in roster.c. */
static void change_begin(struct numarena_scope *s)
{
	WRITE_ONCE(s->version, s->version + 1);
	nar_fence_release();
}

/* Release: all of it has changed; pairs with the acquire in roster.c. */
static void change_end(struct numarena_scope *s)
{
	store_release(&s->version, s->version + 1);
}

static u32 pages_of(u32 region)
{
	return (u32)(nar_region_at(region)->bytes >> PAGE_SHIFT);
}

/* Before the top goes down or a single region goes: in between it only grows. */
static void note_peak(struct numarena_scope *s)
{
	u64 used = (uintptr_t)s->top - s->used_from + ((u64)s->single_pages << PAGE_SHIFT);

	if (used > s->peak_bytes)
		WRITE_ONCE(s->peak_bytes, used);
}

/* ---- A scope's regions ---- */

static void set_top(struct numarena_scope *s, char *top)
{
	bool is_looked_at = nar_opt.harden || NAR_HAS_ASAN;

	WRITE_ONCE(s->top, top);
	s->end = is_looked_at || s->is_capturing ? top : nar_region_end(s->region);
	s->capture_end = is_looked_at ? top : nar_region_end(s->region);
}

static size_t position(const struct numarena_scope *s)
{
	if (!s->region)
		return 0;
	return nar_region_at(s->region)->base + (size_t)(s->top - nar_region_start(s->region));
}

static void scrub(const struct numarena_scope *s, u32 region, char *from, char *top)
{
	if (is_filling())
		fill(s, region, from, top);
	nar_poison(from, (size_t)(top - from));
}

/* From @from to @top nothing is in use any more. */
static void forget(struct numarena_scope *s, u32 region, char *from, char *top)
{
	if (s->is_capturing && !nar_region_at(region)->is_single)
		nar_capture_forget(from, top);
	scrub(s, region, from, top);
}

static void drop(struct numarena_scope *s, u32 region)
{
	struct nar_region *r = nar_region_at(region);
	char *start = nar_region_start(region), *top = part_end(region, r->used_bytes);

	if (is_filling())
		check_region(region, top);
	if (s->is_capturing && !r->is_single)
		nar_capture_leave(region, top);
	scrub(s, region, start, top);
	WRITE_ONCE(r->scope, NULL);
	nar_kept_put(&mine.kept, region);
}

/* @before is the newest now, if there is one; @used_bytes lie in it and in those before. */
static void go_back(struct numarena_scope *s, u32 before, size_t used_bytes)
{
	s->region = before;
	if (!before) {
		WRITE_ONCE(s->top, NULL);
		s->end = s->capture_end = NULL;
		WRITE_ONCE(s->used_from, 0);
		return;
	}
	set_top(s, nar_region_start(before) + nar_region_at(before)->used_bytes);
	WRITE_ONCE(s->used_from, (uintptr_t)s->top - used_bytes);
}

static void drop_newest(struct numarena_scope *s)
{
	u32 region = s->region;
	char *start = nar_region_start(region);

	nar_region_at(region)->used_bytes = (u32)(s->top - start);
	change_begin(s);
	go_back(s, nar_region_at(region)->next, (uintptr_t)start - s->used_from);
	WRITE_ONCE(s->held_pages, s->held_pages - pages_of(region));
	change_end(s);
	drop(s, region);
}

static void drop_single(struct numarena_scope *s, u32 *link)
{
	u32 region = *link;

	*link = nar_region_at(region)->next;
	change_begin(s);
	WRITE_ONCE(s->held_pages, s->held_pages - pages_of(region));
	WRITE_ONCE(s->single_pages, s->single_pages - pages_of(region));
	change_end(s);
	drop(s, region);
}

/* In need: what is kept may be of another place, or too small, and is memory all the same. */
static u32 make_region(struct numarena_scope *s, size_t bytes, size_t alignment, bool is_single)
{
	u32 region = nar_region_new(s->place, bytes, alignment, is_single);

	if (likely(region))
		return region;
	nar_kept_trim(&mine.kept);
	nar_maint_in_need(s->place);
	return nar_region_new(s->place, bytes, alignment, is_single);
}

static void own(struct numarena_scope *s, u32 region, size_t base)
{
	struct nar_region *r = nar_region_at(region);

	nar_capture_clean(region);
	r->base = base;
	r->used_bytes = 0;
	WRITE_ONCE(r->scope, s);
}

/* One that has room for @need. */
static bool add_region(struct numarena_scope *s, size_t need)
{
	u32 before = s->region, region = nar_kept_take(&mine.kept, s->place, need);
	bool is_first = !before && need <= NAR_REGION_FIRST_BYTES;
	size_t base = 0, used_bytes = (uintptr_t)s->top - s->used_from;

	if (!region)
		region = make_region(s, is_first ? NAR_REGION_FIRST_BYTES : NAR_REGION_BYTES, 1, false);
	if (!region)
		return false;
	if (before) {
		nar_region_at(before)->used_bytes = (u32)(s->top - nar_region_start(before));
		base = nar_region_at(before)->base + nar_region_at(before)->bytes;
	}
	own(s, region, base);
	nar_region_at(region)->next = before;
	nar_poison(nar_region_start(region), nar_region_at(region)->bytes);
	change_begin(s);
	s->region = region;
	set_top(s, nar_region_start(region));
	WRITE_ONCE(s->used_from, (uintptr_t)s->top - used_bytes);
	WRITE_ONCE(s->held_pages, s->held_pages + pages_of(region));
	change_end(s);
	return true;
}

/* ---- Allocation ---- */

static void note_object(struct numarena_scope *s, char *from, char *end)
{
	if (is_filling())
		check_filled(s->region, s->top, end);
	if (!s->is_capturing)
		return;
	if (from != s->top)
		nar_capture_add(s->top, from, false);
	nar_capture_add(from, end, true);
	count_own(s->nr_captured, 1);
}

/* @bytes is a multiple of the grain.  Return: NULL if the region has no room. */
static void *try_bump(struct numarena_scope *s, size_t bytes, size_t alignment)
{
	char *end, *p;

	if (!s->region)
		return NULL;
	end = nar_region_end(s->region);
	p = s->top + (-(uintptr_t)s->top & (alignment - 1));
	if (p > end || bytes > (size_t)(end - p))
		return NULL;
	note_object(s, p, p + bytes);
	set_top(s, p + bytes);
	return p;
}

static void *bump(struct numarena_scope *s, size_t bytes, size_t alignment)
{
	void *p = try_bump(s, bytes, alignment);

	return p || !add_region(s, bytes + alignment) ? p : try_bump(s, bytes, alignment);
}

static void *alloc_single(struct numarena_scope *s, size_t bytes, size_t alignment)
{
	size_t at = position(s);
	u32 region;

	if (!bump(s, NAR_GRAIN, NAR_GRAIN))
		return NULL;
	region = nar_kept_take_single(&mine.kept, s->place, bytes, alignment);
	if (!region)
		region = make_region(s, bytes, alignment, true);
	if (!region)
		return NULL;
	if (is_filling())
		check_region(region, nar_region_start(region));
	own(s, region, at);
	nar_region_at(region)->filled_bytes = 0;
	nar_region_at(region)->used_bytes = UINT32_MAX;
	nar_region_at(region)->next = s->single;
	s->single = region;
	change_begin(s);
	WRITE_ONCE(s->held_pages, s->held_pages + pages_of(region));
	WRITE_ONCE(s->single_pages, s->single_pages + pages_of(region));
	change_end(s);
	return nar_region_start(region);
}

static void *alloc_any(struct numarena_scope *s, size_t size, size_t alignment)
{
	size_t bytes = ALIGN_UP(max_of(size, (size_t)1), NAR_GRAIN);

	if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX)
		return NULL;
	alignment = max_of(alignment, (size_t)NAR_GRAIN);
	if (bytes + alignment > SINGLE_BYTES)
		return alloc_single(s, bytes, alignment);
	return bump(s, bytes, alignment);
}

noinline void *nar_scope_alloc_slow(struct numarena_scope *s, size_t size, size_t alignment)
{
	void *p;

	check_mine(s);
	p = alloc_any(s, size, alignment);
	if (p)
		nar_unpoison(p, size);
	return p;
}

/* As nar_scope_try_alloc(), and its end is written down. */
void *nar_scope_capture(size_t size)
{
	struct numarena_scope *s = nar_scope_captor;
	size_t last = (size - 1) | (NAR_GRAIN - 1);
	char *p = s->top;

	if (unlikely(last >= (size_t)(s->capture_end - p)))
		return nar_scope_alloc_slow(s, size, 1);
	nar_capture_end_at(p + last + 1);
	s->end = p + last + 1;
	WRITE_ONCE(s->top, s->end);
	count_own(s->nr_captured, 1);
	return p;
}

/* ---- Marks ---- */

size_t nar_scope_mark(struct numarena_scope *s)
{
	check_mine(s);
	return position(s);
}

static void release_to(struct numarena_scope *s, size_t mark)
{
	char *top;

	note_peak(s);
	while (s->single && nar_region_at(s->single)->base >= mark)
		drop_single(s, &s->single);
	while (s->region && nar_region_at(s->region)->base > mark)
		drop_newest(s);
	if (!s->region)
		return;
	/* Its end was left unused, or the top was rewound. */
	if (mark >= position(s))
		return;
	top = nar_region_start(s->region) + (mark - nar_region_at(s->region)->base);
	forget(s, s->region, top, s->top);
	set_top(s, top);
}

void nar_scope_release(struct numarena_scope *s, size_t mark)
{
	check_mine(s);
	if (!mark)
		count_own(s->nr_resets, 1);
	if (mark <= position(s))
		release_to(s, ALIGN_UP(mark, NAR_GRAIN));
}

/* ---- Begin and end ---- */

bool nar_scope_is_open(void)
{
	return mine.innermost;
}

struct nar_place nar_scope_place(void)
{
	return mine.innermost->place;
}

/* memccpy would do, but for what it does to a name that is too long. */
static void copy_name(char *to, const char *name)
{
	size_t i;

	for (i = 0; name && name[i] && i < NAR_SCOPE_NAME - 1; i++)
		WRITE_ONCE(to[i], name[i]);
	WRITE_ONCE(to[i], '\0');
}

/* What the structure's last life has left does not show: all of it under one version. */
static void fill_in(struct numarena_scope *s, const char *name, bool is_capturing, struct nar_place place)
{
	u16 around = mine.innermost ? mine.innermost->depth : 0;

	change_begin(s);
	copy_name(s->name, name);
	WRITE_ONCE(s->place.node, place.node);
	s->place.policy = place.policy;
	WRITE_ONCE(s->is_capturing, is_capturing);
	WRITE_ONCE(s->depth, mine.innermost && around < UINT16_MAX ? around + 1 : around);
	WRITE_ONCE(s->tid, nar_tid());
	WRITE_ONCE(s->peak_bytes, 0);
	WRITE_ONCE(s->nr_captured, 0);
	WRITE_ONCE(s->nr_resets, 0);
	WRITE_ONCE(s->thread, &mine);
	change_end(s);
}

static void count_begun(struct numarena_scope *s)
{
	count_own(s->nr_begun, 1);
	if (unlikely(!s->nr_begun))
		add_relaxed(&begun_carry, 1ull << 32);
}

static void find_captor(void)
{
	struct numarena_scope *s = mine.innermost;

	while (s && !s->is_capturing)
		s = s->outer;
	nar_scope_captor = s;
}

struct numarena_scope *nar_scope_begin(const char *name, bool is_capturing, struct nar_place place)
{
	struct numarena_scope *s = scope_get(place.node);

	if (!s)
		return NULL;
	if (is_filling())
		check_kept();
	if (is_capturing && !nar_loader_is_found())
		nar_loader_find();
	fill_in(s, name, is_capturing, place);
	count_begun(s);
	s->outer = mine.innermost;
	mine.innermost = s;
	if (is_capturing)
		nar_scope_captor = s;
	return s;
}

static void end_innermost(void)
{
	struct numarena_scope *s = mine.innermost;

	while (s->single)
		drop_single(s, &s->single);
	while (s->region)
		drop_newest(s);
	WRITE_ONCE(s->thread, NULL);
	mine.innermost = s->outer;
	put_unused(s);
	if (nar_scope_captor == s)
		find_captor();
}

void nar_scope_end(struct numarena_scope *s)
{
	check_mine(s);
	while (mine.innermost != s)
		end_innermost();
	end_innermost();
	if (mine.innermost)
		return;
	/* A thread that has nothing but scopes comes by no other slow path. */
	nar_kept_poll(&mine.kept);
	nar_maint_poll();
}

/* ---- Captured objects ---- */

static noinline __cold __attribute__((__noreturn__)) void die_of_object(u32 region, const void *p, const char *call)
{
	const struct numarena_scope *s = READ_ONCE(nar_region_at(region)->scope);

	if (!s)
		nar_die("%s of %p, which is in no scope: its scope has ended, or it was freed before", call, p);
	if (!READ_ONCE(s->is_capturing))
		nar_die("%s of %p, which scope \"%s\" has given: it is released with its scope", call, p, s->name);
	nar_die("%s of %p, where scope \"%s\" has no object: it was freed before or is inside one", call, p,
		s->name);
}

/* Its end; dies if it is none that may be freed. */
static char *object_end(u32 region, const void *p, const char *call)
{
	const struct nar_region *r = nar_region_at(region);
	const struct numarena_scope *s = READ_ONCE(r->scope);
	char *end = NULL;

	if (s && READ_ONCE(s->is_capturing)) {
		if (!r->is_single)
			end = nar_capture_end(region, p);
		else if (p == nar_region_start(region))
			end = nar_region_end(region);
	}
	if (unlikely(!end))
		die_of_object(region, p, call);
	return end;
}

/* A large one goes at once: who frees it so early wants its memory for something else. */
static void free_single(struct numarena_scope *s, u32 region)
{
	u32 *link;

	for (link = &s->single; *link != region; link = &nar_region_at(*link)->next)
		;
	drop_single(s, link);
}

/* Whether it is the last of the region at the top. */
static bool is_last(const struct numarena_scope *s, u32 region, const char *end)
{
	return region == s->region && end == s->top;
}

/* Of another thread's scope nothing may be touched: the object is released with the rest. */
void nar_scope_free(void *p)
{
	u32 region = nar_region_around(p);
	char *end = object_end(region, p, "free");
	struct numarena_scope *s = READ_ONCE(nar_region_at(region)->scope);

	if (nar_mem.live && !nar_region_at(region)->is_single && !nar_capture_try_clear_live(p))
		die_of_object(region, p, "free");
	if (READ_ONCE(s->thread) != &mine)
		return;
	note_peak(s);
	if (nar_region_at(region)->is_single) {
		free_single(s, region);
	} else if (is_last(s, region, end)) {
		forget(s, region, p, end);
		set_top(s, p);
	}
}

struct numarena_scope *nar_scope_mine_around(const void *p)
{
	struct numarena_scope *s = READ_ONCE(nar_region_at(nar_region_around(p))->scope);

	return s && READ_ONCE(s->thread) == &mine ? s : NULL;
}

size_t nar_scope_usable(const void *p, const char *call)
{
	return (size_t)(object_end(nar_region_around(p), p, call) - (const char *)p);
}

bool nar_scope_try_resize(void *p, size_t size)
{
	u32 region = nar_region_around(p);
	struct numarena_scope *s = READ_ONCE(nar_region_at(region)->scope);
	char *end = object_end(region, p, "realloc");
	size_t bytes = ALIGN_UP(size, NAR_GRAIN);

	/* What an object no longer needs serves nobody else before the scope ends. */
	if (size <= (size_t)(end - (char *)p))
		return true;
	if (READ_ONCE(s->thread) != &mine || nar_region_at(region)->is_single || !is_last(s, region, end) ||
	    bytes > (size_t)(nar_region_end(region) - (char *)p))
		return false;
	if (is_filling())
		check_filled(region, end, (char *)p + bytes);
	nar_capture_forget(end - NAR_GRAIN, end);
	nar_capture_add(p, (char *)p + bytes, true);
	set_top(s, (char *)p + bytes);
	return true;
}

/* ---- A thread's regions ---- */

void nar_scope_trim(void)
{
	nar_kept_trim(&mine.kept);
}

void nar_scope_poll(void)
{
	nar_kept_poll(&mine.kept);
}

void nar_scope_thread_end(void)
{
	struct numarena_scope *s;

	while (mine.innermost)
		end_innermost();
	nar_kept_trim(&mine.kept);
	while ((s = pop_unused()))
		give_to_pool(s);
}

void nar_scope_forget_threads(void)
{
	struct batch *b;
	unsigned int i;

	for (b = batches; b; b = b->next)
		for (i = 0; i < BATCH_SCOPES; i++)
			WRITE_ONCE(b->scope[i].tid, b->scope[i].thread == &mine ? nar_tid() : 0);
}

/* ---- Sums ---- */

void nar_scope_each(void (*fn)(void *arg, const struct numarena_scope *s), void *arg)
{
	const struct batch *b;
	unsigned int i;

	for (b = load_acquire(&batches); b; b = b->next)
		for (i = 0; i < BATCH_SCOPES; i++)
			fn(arg, &b->scope[i]);
}

static void add_begun(void *sum, const struct numarena_scope *s)
{
	*(u64 *)sum += READ_ONCE(s->nr_begun);
}

u64 nar_scope_nr_begun(void)
{
	u64 sum = READ_ONCE(begun_carry);

	nar_scope_each(add_begun, &sum);
	return sum;
}

void nar_scope_each_lock(void (*fn)(struct nar_lock *))
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		fn(&pool[node].lock);
}
