// SPDX-License-Identifier: MIT
#include "procmaps.h"
#include "text.h"
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- smaps ---- */

static void next_line(struct procmaps *m)
{
	m->has_line = getline(&m->line, &m->line_size, m->smaps) > 0;
}

/* "7f10c0200000-7f10c0a00000 rw-p 00000000 00:00 0      /path"; facts begin with a capital. */
static bool read_range(const char *line, struct procmap *at)
{
	int name = 0;

	if (sscanf(line, "%lx-%lx %*s %*x %*s %*u %n", &at->start, &at->end, &name) < 2)
		return false;
	snprintf(at->name, sizeof(at->name), "%.*s", (int)strcspn(line + name, "\n"), line + name);
	return true;
}

static bool is_one_of(const char *line, const char *const *labels, size_t nr)
{
	while (nr--)
		if (!strncmp(line, labels[nr], strlen(labels[nr])))
			return true;
	return false;
}

/* Rss knows nothing of hugetlb. */
static void read_fact(const char *line, struct procmap *at)
{
	static const char *const thp[] = { "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:" };
	static const char *const hugetlb[] = { "Private_Hugetlb:", "Shared_Hugetlb:" };
	bool is_hugetlb = is_one_of(line, hugetlb, ARRAY_SIZE(hugetlb));
	const char *value = strchr(line, ':');
	uint64_t kib = value ? strtoull(value + 1, NULL, 10) : 0;

	if (is_hugetlb || !strncmp(line, "Rss:", 4))
		at->resident_kib += kib;
	if (is_hugetlb || is_one_of(line, thp, ARRAY_SIZE(thp)))
		at->huge_kib += kib;
}

static bool next_mapping(struct procmaps *m, struct procmap *at)
{
	memset(at, 0, sizeof(*at));
	if (!m->has_line || !read_range(m->line, at))
		return false;
	for (next_line(m); m->has_line && isupper((unsigned char)m->line[0]); next_line(m))
		read_fact(m->line, at);
	return true;
}

/* ---- numa_maps ---- */

static void next_nodes_line(struct procmaps *m)
{
	m->has_nodes_line = getline(&m->nodes_line, &m->nodes_size, m->nodes) > 0;
}

unsigned int procmaps_place(struct procmaps *m, unsigned int node)
{
	unsigned int i;

	for (i = 0; i < m->nr_places; i++)
		if (m->node[i] == node)
			return i;
	if (m->nr_places == MAX_PLACES)
		return MAX_PLACES - 1;
	m->node[m->nr_places] = node;
	return m->nr_places++;
}

/* "N0=1000" */
static void read_node(struct procmaps *m, const char *word, uint64_t *nr)
{
	char *end;
	unsigned long node = strtoul(word + 1, &end, 10);

	if (end > word + 1 && *end == '=')
		nr[procmaps_place(m, (unsigned int)node)] += strtoull(end + 1, NULL, 10);
}

/*
 * "7f10c0200000 prefer:0 anon=1024 N0=1000 N1=24 kernelpagesize_kB=4".  THP is counted in
 * small pages, hugetlb in its own, and which it is comes last.  A policy may have a space in
 * it: "prefer (many):0-1".
 */
static void read_places(struct procmaps *m, char *words, struct procmap *at)
{
	static const char unit[] = "kernelpagesize_kB=";
	char *word, *rest = words;
	uint64_t page_kib = 4;
	unsigned int i;

	strtok_r(words, " \n", &rest);
	word = strtok_r(NULL, " \n", &rest);
	snprintf(at->policy, sizeof(at->policy), "%s", word ? word : "");
	while ((word = strtok_r(NULL, " \n", &rest))) {
		if (word[0] == 'N')
			read_node(m, word, at->on_kib);
		else if (word[0] == '(')
			snprintf(at->policy + strlen(at->policy),
				 sizeof(at->policy) - strlen(at->policy), " %s", word);
		else if (!strncmp(word, unit, strlen(unit)))
			page_kib = strtoull(word + strlen(unit), NULL, 10);
	}
	for (i = 0; i < m->nr_places; i++)
		at->on_kib[i] *= page_kib;
}

/* A mapping that is in one of the files only changed between the two readings. */
static void find_places(struct procmaps *m, struct procmap *at)
{
	while (m->has_nodes_line) {
		uintptr_t start = strtoul(m->nodes_line, NULL, 16);

		if (start > at->start)
			return;
		if (start == at->start) {
			read_places(m, m->nodes_line, at);
			next_nodes_line(m);
			return;
		}
		next_nodes_line(m);
	}
}

/* ---- Both ---- */

bool procmaps_next(struct procmaps *m, struct procmap *at)
{
	if (!next_mapping(m, at))
		return false;
	find_places(m, at);
	return true;
}

static FILE *open_file(pid_t pid, const char *name)
{
	char path[PATH_MAX];

	text_path(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

int procmaps_open(struct procmaps *m, pid_t pid)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->smaps = open_file(pid, "smaps");
	if (!m->smaps)
		return errno;
	m->nodes = open_file(pid, "numa_maps");
	if (!m->nodes) {
		err = errno;
		fclose(m->smaps);
		return err;
	}
	next_line(m);
	next_nodes_line(m);
	return 0;
}

void procmaps_close(struct procmaps *m)
{
	fclose(m->smaps);
	fclose(m->nodes);
	free(m->line);
	free(m->nodes_line);
}
