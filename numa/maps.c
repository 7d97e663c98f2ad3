// SPDX-License-Identifier: MIT
/*
 * Reading /proc/self/smaps and /proc/self/numa_maps.
 *
 *	smaps			7f10c0200000-7f10c0a00000 rw-p ...	the mapping
 *				Rss:                4096 kB		and a line a fact
 *				...
 *	numa_maps		7f10c0200000 default anon=1024 N0=1000 N1=24 kernelpagesize_kB=4
 *
 * They are taken word by word through a small buffer: a name may be longer than any
 * buffer, and is cut; what is looked for is short, and is not.  A space in a name is
 * no word's end in numa_maps (the kernel escapes it) and ends the line for us in smaps.
 *
 * numa_maps has starts only and knows nothing of huge pages, so both are read side by
 * side.  A mapping that changes between the two readings is in one of them alone: then
 * nothing is known of its nodes, and nothing is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps.h"

#define SMAPS "/proc/self/smaps"
#define NUMA_MAPS "/proc/self/numa_maps"

#define PAGE_KIB 4

/* The longest words looked for: two addresses, "kernelpagesize_kB=" and a number. */
#define WORD_BYTES 64

int nar_where_node(unsigned int id)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		if (nar_nodes.id[node] == id)
			return (int)node;
	return -ENODEV;
}

void nar_where_add(struct nar_where *w, unsigned int id, u64 nr_pages)
{
	int node = nar_where_node(id);

	if (node < 0)
		w->elsewhere += nr_pages;
	else
		w->on_node[node] += nr_pages;
}

/* ---- A file, word by word ---- */

static int file_open(struct nar_proc_file *f, const char *path)
{
	f->pos = 0;
	f->end = 0;
	f->err = 0;
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	return f->fd < 0 ? -errno : 0;
}

static void file_close(struct nar_proc_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int file_rewind(struct nar_proc_file *f)
{
	f->pos = 0;
	f->end = 0;
	f->err = f->fd >= 0 && lseek(f->fd, 0, SEEK_SET) < 0 ? -errno : 0;
	return f->err;
}

/* Return: whether there is more to read. */
static bool file_has_more(struct nar_proc_file *f)
{
	ssize_t n;

	if (f->pos < f->end)
		return true;
	if (f->err)
		return false;
	n = read(f->fd, f->buffer, sizeof(f->buffer));
	f->err = n < 0 ? -errno : 0;
	f->pos = 0;
	f->end = n > 0 ? (unsigned int)n : 0;
	return n > 0;
}

static void file_skip_line(struct nar_proc_file *f)
{
	while (file_has_more(f)) {
		const char *from = f->buffer + f->pos;
		const char *eol = memchr(from, '\n', f->end - f->pos);

		f->pos = eol ? f->pos + (unsigned int)(eol + 1 - from) : f->end;
		if (eol)
			return;
	}
}

static void file_skip_blanks(struct nar_proc_file *f)
{
	while (file_has_more(f) && f->buffer[f->pos] == ' ')
		f->pos++;
}

/* The next word of this line, cut if need be.  Return: false at the line's end. */
static bool file_word(struct nar_proc_file *f, char word[WORD_BYTES])
{
	size_t n = 0;

	file_skip_blanks(f);
	while (file_has_more(f) && f->buffer[f->pos] != ' ' && f->buffer[f->pos] != '\n') {
		if (n < WORD_BYTES - 1)
			word[n++] = f->buffer[f->pos];
		f->pos++;
	}
	word[n] = '\0';
	return n;
}

/* ---- smaps ---- */

/* Facts begin with a capital letter, mappings with a small hexadecimal digit. */
static bool starts_mapping(const char *word)
{
	return (*word >= '0' && *word <= '9') || (*word >= 'a' && *word <= 'f');
}

static void note_next(struct nar_maps *m, const char *word)
{
	char *end;

	m->next_start = strtoul(word, &end, 16);
	m->next_end = *end == '-' ? strtoul(end + 1, NULL, 16) : 0;
}

static bool is_one_of(const char *word, const char *const *names, size_t nr)
{
	while (nr--)
		if (!strcmp(word, names[nr]))
			return true;
	return false;
}

/* Rss knows nothing of hugetlb. */
static void note_fact(struct nar_mapping *at, const char *name, u64 nr_pages)
{
	static const char *const thp[] = { "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:" };
	static const char *const hugetlb[] = { "Private_Hugetlb:", "Shared_Hugetlb:" };
	bool is_hugetlb = is_one_of(name, hugetlb, ARRAY_SIZE(hugetlb));

	if (is_hugetlb || !strcmp(name, "Rss:"))
		at->nr_resident += nr_pages;
	if (is_hugetlb || is_one_of(name, thp, ARRAY_SIZE(thp)))
		at->nr_huge += nr_pages;
}

/* One line.  Return: false at the end of the file. */
static bool read_smaps_line(struct nar_maps *m)
{
	char word[WORD_BYTES], value[WORD_BYTES];

	if (!file_word(&m->smaps, word))
		return false;
	if (starts_mapping(word))
		note_next(m, word);
	else if (file_word(&m->smaps, value))
		note_fact(&m->at, word, strtoul(value, NULL, 10) / PAGE_KIB);
	file_skip_line(&m->smaps);
	return true;
}

/* A mapping's facts end where the next one's begin, or the file does. */
static bool read_mapping(struct nar_maps *m)
{
	while (!m->next_end)
		if (!read_smaps_line(m))
			return false;
	m->at = (struct nar_mapping){ .start = m->next_start, .end = m->next_end };
	m->next_end = 0;
	while (!m->next_end && read_smaps_line(m))
		;
	m->at.nr_huge_left = m->at.nr_huge;
	return true;
}

static int begin_anew(struct nar_maps *m)
{
	int err = file_rewind(&m->smaps);

	m->at = (struct nar_mapping){ 0 };
	m->next_end = 0;
	m->nodes_start = 0;
	return err ? err : file_rewind(&m->nodes);
}

int nar_maps_find(struct nar_maps *m, uintptr_t addr)
{
	int err = addr < m->asked ? begin_anew(m) : 0;

	if (err)
		return err;
	m->asked = addr;
	while (m->at.end <= addr)
		if (!read_mapping(m))
			return m->smaps.err ? m->smaps.err : -ENOENT;
	return 0;
}

/* ---- numa_maps ---- */

/* Whether the line of m->at is begun now: its first word is read, no more. */
static bool begin_nodes_line(struct nar_maps *m)
{
	char word[WORD_BYTES];

	while (m->nodes_start < m->at.start) {
		if (m->nodes_start)
			file_skip_line(&m->nodes);
		if (!file_word(&m->nodes, word))
			return false;
		m->nodes_start = strtoul(word, NULL, 16);
	}
	return m->nodes_start == m->at.start;
}

/* "N0=1000" */
static void note_node(struct nar_where *line, const char *word)
{
	char *end;
	unsigned long id = strtoul(word + 1, &end, 10);

	if (end > word + 1 && *end == '=')
		nar_where_add(line, (unsigned int)id, strtoul(end + 1, NULL, 10));
}

static void add_scaled(struct nar_where *w, const struct nar_where *line, u64 factor)
{
	unsigned int node;

	for (node = 0; node < nar_nodes.nr; node++)
		w->on_node[node] += line->on_node[node] * factor;
	w->elsewhere += line->elsewhere * factor;
}

/*
 * THP is counted in small pages, hugetlb in its own.  Which it is comes last; it is left
 * out where nothing is resident.
 */
int nar_maps_count_nodes(struct nar_maps *m, struct nar_where *w)
{
	static const char unit[] = "kernelpagesize_kB=";
	struct nar_where line = { 0 };
	char word[WORD_BYTES];
	u64 page_kib = PAGE_KIB;
	int err = m->nodes.fd < 0 ? file_open(&m->nodes, NUMA_MAPS) : 0;

	if (err)
		return err;
	if (!begin_nodes_line(m))
		return m->nodes.err;
	while (file_word(&m->nodes, word)) {
		if (word[0] == 'N')
			note_node(&line, word);
		else if (!strncmp(word, unit, strlen(unit)))
			page_kib = strtoul(word + strlen(unit), NULL, 10);
	}
	add_scaled(w, &line, page_kib / PAGE_KIB);
	return m->nodes.err;
}

int nar_maps_open(struct nar_maps *m)
{
	m->at = (struct nar_mapping){ 0 };
	m->asked = 0;
	m->next_end = 0;
	m->nodes_start = 0;
	m->nodes.fd = -1;
	return file_open(&m->smaps, SMAPS);
}

void nar_maps_close(struct nar_maps *m)
{
	file_close(&m->smaps);
	file_close(&m->nodes);
}
