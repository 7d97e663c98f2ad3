// SPDX-License-Identifier: MIT
#include <string.h>

#include "numa/pages.h"

#include "magazine.h"

/* Added in few steps, since slots that have been outgrown are not used again. */
#define GROWTH 4

/* What a magazine may hold in the end; and NAR_MAG_GROWN_MAX objects. */
#define GROWN_BYTES_MAX KIB(256)

static u32 slot_of_class[NAR_MAX_CLASSES];
static u32 nr_slots;

static unsigned int first_cap(unsigned int class)
{
	return class < NAR_NR_BUILTIN ? nar_class[class].cap : NAR_MAG_MAX;
}

void nar_mags_layout(void)
{
	unsigned int class;

	for (class = 0; class < NAR_MAX_CLASSES; class++) {
		slot_of_class[class] = nr_slots + NAR_MAG_GUARDS;
		nr_slots += NAR_MAG_GUARDS + first_cap(class);
	}
}

size_t nar_mags_nr_slots(void)
{
	return nr_slots;
}

void nar_mags_init(struct nar_mags *m, void **slot)
{
	unsigned int class;

	*m = (struct nar_mags){ 0 };
	for (class = 0; class < NAR_MAX_CLASSES; class++) {
		m->room[class] = (u16)first_cap(class);
		m->start[class] = m->top[class] = m->end[class] = &slot[slot_of_class[class]];
	}
	nar_mags_open(m, NAR_NR_BUILTIN);
}

void nar_mags_open(struct nar_mags *m, unsigned int nr_classes)
{
	unsigned int class;

	for (class = 0; class < nr_classes; class++)
		if (m->end[class] == m->start[class])
			m->end[class] = m->start[class] + nar_class[class].cap;
}

/* Zeros are guards, and slots that nobody has used. */
void nar_mags_give_back(const struct nar_mags *m)
{
	unsigned int class;

	for (class = 0; class < NAR_MAX_CLASSES; class++) {
		uintptr_t start = (uintptr_t)(m->start[class] - NAR_MAG_GUARDS);
		uintptr_t from = ALIGN_UP(start, PAGE_BYTES);
		uintptr_t to = ALIGN_DOWN((uintptr_t)(m->start[class] + m->room[class]), PAGE_BYTES);

		if (m->room[class] > first_cap(class) && from < to)
			nar_pages_purge((void *)from, to - from);
	}
}

void nar_mags_restart(struct nar_mags *m)
{
	unsigned int class;

	memset(m->ran_dry, 0, sizeof(m->ran_dry));
	memset(m->refilled, 0, sizeof(m->refilled));
	m->grown_bytes = 0;
	for (class = 0; class < NAR_MAX_CLASSES; class++)
		if (m->end[class] != m->start[class])
			m->end[class] = m->start[class] + nar_class[class].cap;
}

/* ---- Growth ---- */

static size_t added_bytes(const struct nar_mags *m, unsigned int class)
{
	return (size_t)(nar_mag_cap(m, class) - nar_class[class].cap) * nar_class[class].shape.size;
}

static unsigned int grown_cap(const struct nar_mags *m, unsigned int class)
{
	size_t max = min_of((size_t)NAR_MAG_GROWN_MAX, GROWN_BYTES_MAX / nar_class[class].shape.size);

	return (unsigned int)min_of((size_t)nar_mag_cap(m, class) * GROWTH, max);
}

/* New slots with what is in the old ones, which stay the arena's to no use. */
static bool move_to(struct nar_mags *m, unsigned int class, unsigned int node, unsigned int cap)
{
	void **slot = nar_meta_alloc(node, (NAR_MAG_GUARDS + cap) * sizeof(*slot));
	unsigned int nr = nar_mag_nr(m, class);

	if (!slot)
		return false;
	slot += NAR_MAG_GUARDS;
	memcpy(slot, m->start[class], nr * sizeof(*slot));
	m->start[class] = slot;
	m->top[class] = slot + nr;
	m->room[class] = (u16)cap;
	return true;
}

bool nar_mags_wants_more(const struct nar_mags *m, unsigned int class)
{
	return m->ran_dry[class] && grown_cap(m, class) > nar_mag_cap(m, class);
}

bool nar_mags_try_grow(struct nar_mags *m, unsigned int class, unsigned int node, size_t budget_bytes)
{
	unsigned int cap = grown_cap(m, class);
	size_t bytes = (size_t)(cap - nar_mag_cap(m, class)) * nar_class[class].shape.size;

	if (m->grown_bytes + bytes > budget_bytes)
		return false;
	if (m->room[class] < cap && !move_to(m, class, node, cap))
		return false;
	m->end[class] = m->start[class] + cap;
	m->grown_bytes += bytes;
	m->ran_dry[class] = false;
	return true;
}

unsigned int nar_mags_shrink_next(struct nar_mags *m, unsigned int but)
{
	unsigned int i, class;

	for (i = 0; i < NAR_MAX_CLASSES && m->grown_bytes; i++) {
		class = m->hand++ % NAR_MAX_CLASSES;
		if (class == but || m->end[class] == m->start[class] || !added_bytes(m, class))
			continue;
		m->grown_bytes -= added_bytes(m, class);
		m->end[class] = m->start[class] + nar_class[class].cap;
		m->ran_dry[class] = false;
		m->refilled[class] = (u8)min_of((u16)m->refilled[class], nar_class[class].batch);
		return class;
	}
	return NAR_MAX_CLASSES;
}
