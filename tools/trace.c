// SPDX-License-Identifier: MIT
#include "trace.h"
#include "text.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The file ---- */

static const char *what_is_wrong(const struct trace_header *h, size_t bytes)
{
	if (bytes < sizeof(*h) || memcmp(h->magic, TRACE_MAGIC, sizeof(h->magic)))
		return "is not a trace of numarena record";
	if (h->endian != TRACE_ENDIAN)
		return "is a trace of the other byte order";
	if (h->version != TRACE_VERSION)
		return "is a trace of another version: replay it with the numarena that recorded it";
	if (h->block_bytes != TRACE_BLOCK_BYTES)
		return "is a trace with blocks of another size";
	return NULL;
}

void trace_open(struct trace *t, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *wrong;
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st))
		tool_die(TOOL_FAILED, "%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && !st.st_size)
		tool_die(TOOL_FAILED,
			 "%s is empty: its program took no library, see what numarena record said", path);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(struct trace_header))
		tool_die(TOOL_FAILED, "%s is not a trace of numarena record", path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		tool_die(TOOL_FAILED, "%s: %s", path, strerror(errno));
	close(fd);
	t->map = map;
	t->bytes = (size_t)st.st_size;
	t->header = map;
	wrong = what_is_wrong(t->header, (size_t)st.st_size);
	if (wrong)
		tool_die(TOOL_FAILED, "%s %s", path, wrong);
	t->nr_blocks = (size_t)st.st_size / TRACE_BLOCK_BYTES;
	t->nr_blocks -= t->nr_blocks > 0;
}

void trace_close(struct trace *t)
{
	munmap((void *)(uintptr_t)t->map, t->bytes);
	t->map = NULL;
	t->header = NULL;
}

void trace_command(const struct trace *t, char *text, size_t size)
{
	char words[sizeof(t->header->command) + 1] = "";
	size_t i, len = sizeof(t->header->command);

	memcpy(words, t->header->command, len);
	while (len && !words[len - 1])
		len--;
	for (i = 0; i < len; i++)
		if (words[i] >= 0 && words[i] < ' ')
			words[i] = ' ';
	text_plain(text, size, words);
}

/* ---- Records ---- */

void trace_begin(const struct trace *t, size_t block, struct trace_cursor *c)
{
	const void *at = t->map + (block + 1) * TRACE_BLOCK_BYTES;
	const struct trace_block *b = at;
	size_t used = b->used;

	*c = (struct trace_cursor){ .at = b->records };
	c->end = c->at + (used < sizeof(b->records) ? used : sizeof(b->records));
}

static bool take_varint(struct trace_cursor *c, uint64_t *value)
{
	unsigned int shift;

	*value = 0;
	for (shift = 0; c->at < c->end && shift < 64; shift += 7) {
		unsigned char byte = *c->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool take_address(struct trace_cursor *c, uint64_t *address)
{
	uint64_t z;

	if (!take_varint(c, &z))
		return false;
	*address += ((z >> 1) ^ -(z & 1)) << TRACE_ADDRESS_SHIFT;
	return true;
}

static bool take_realloc(struct trace_cursor *c, struct trace_event *e)
{
	uint64_t more;

	if (!take_address(c, &e->address))
		return false;
	e->old = e->address;
	if (!take_address(c, &e->address) || !take_varint(c, &e->size) || !take_varint(c, &more))
		return false;
	return !__builtin_add_overflow(e->order, more, &e->order_end);
}

static bool take_rest(struct trace_cursor *c, struct trace_event *e)
{
	uint64_t n = 0;
	bool is_good = true;

	switch (e->kind) {
	case TRACE_MALLOC:
	case TRACE_CALLOC:
		return take_address(c, &e->address) && take_varint(c, &e->size);
	case TRACE_ALIGNED:
		is_good = take_address(c, &e->address) && take_varint(c, &e->size) && take_varint(c, &n);
		e->align_shift = (unsigned int)n;
		return is_good && n < 64;
	case TRACE_FREE:
		return take_address(c, &e->address);
	case TRACE_REALLOC:
		return take_realloc(c, e);
	case TRACE_THREAD:
		is_good = take_varint(c, &n);
		e->thread = (uint32_t)n;
		return is_good && n <= UINT32_MAX;
	case TRACE_THREAD_END:
		return true;
	}
	return false;
}

bool trace_next(struct trace_cursor *c, struct trace_event *e)
{
	const unsigned char *start = c->at;
	uint64_t head, more;

	if (c->at == c->end)
		return false;
	*e = c->before;
	/* Not every record has one. */
	e->size = 0;
	if (take_varint(c, &head) && take_varint(c, &more)) {
		e->kind = head & ((1 << TRACE_KIND_BITS) - 1);
		e->time_ns += head >> TRACE_KIND_BITS;
		e->order += more;
		e->order_end = e->order;
		if (take_rest(c, e)) {
			c->before = *e;
			return true;
		}
	}
	c->at = start;
	return false;
}
