// SPDX-License-Identifier: MIT
#include "layout.h"
#include "page.h"

#include <string.h>
#include <unistd.h>

#include "internal/option.h"
#include "internal/statpage.h"

static bool read_windows(int fd, const struct nar_statpage_part *part, struct layout *l)
{
	unsigned int i;

	l->nr = part->nr < LAYOUT_MAX_WINDOWS ? part->nr : LAYOUT_MAX_WINDOWS;
	for (i = 0; i < l->nr; i++) {
		struct nar_statpage_window w = { 0 };
		size_t bytes = part->bytes < sizeof(w) ? part->bytes : sizeof(w);

		if (pread(fd, &w, bytes, (off_t)part->offset + (off_t)i * part->bytes) != (ssize_t)bytes)
			return false;
		l->window[i] = (struct layout_window){ w.start, w.start + w.bytes, w.node,
							w.is_allowed };
	}
	return l->nr;
}

/* Between two equal even sequences. */
static bool read_whole(int fd, struct layout *l)
{
	struct nar_statpage before, after;
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (pread(fd, &before, sizeof(before), 0) != (ssize_t)sizeof(before) ||
		    memcmp(before.magic, NAR_STATPAGE_MAGIC, sizeof(before.magic)) ||
		    before.version != NAR_STATPAGE_VERSION ||
		    !read_windows(fd, &before.part[STATPAGE_WINDOWS], l) ||
		    pread(fd, &after, sizeof(after), 0) != (ssize_t)sizeof(after))
			return false;
		l->inherits = before.policy == BIND_INHERIT;
		if (before.sequence == after.sequence && !(before.sequence & 1))
			return true;
	}
	return false;
}

bool layout_read(struct layout *l, pid_t pid)
{
	int fd = page_open(pid);
	bool is_read = fd >= 0 && read_whole(fd, l);

	if (fd >= 0)
		close(fd);
	return is_read;
}

const struct layout_window *layout_find(const struct layout *l, uintptr_t address)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (address >= l->window[i].start && address < l->window[i].end)
			return &l->window[i];
	return NULL;
}
