// SPDX-License-Identifier: MIT
#include "layout.h"
#include "page.h"

#include "internal/option.h"

bool layout_read(struct layout *l, pid_t pid)
{
	static struct page page;
	unsigned int i;

	if (page_read(&page, pid) != PAGE_OK)
		return false;
	l->inherits = page.head.policy == BIND_INHERIT;
	l->nr = page.nr_nodes;
	for (i = 0; i < l->nr; i++) {
		const struct nar_statpage_window *w = &page.window[i];

		l->window[i] = (struct layout_window){ w->start, w->start + w->bytes, w->node,
							w->is_allowed };
	}
	return l->nr;
}

const struct layout_window *layout_find(const struct layout *l, uintptr_t address)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (address >= l->window[i].start && address < l->window[i].end)
			return &l->window[i];
	return NULL;
}
