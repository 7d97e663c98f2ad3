// SPDX-License-Identifier: MIT
/* Huge pages: transparent ones, pools, and whether memory has any in a row. */
#include "finding.h"
#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define THP "/sys/kernel/mm/transparent_hugepage"
#define NODES "/sys/devices/system/node"
#define POOL "hugepages/hugepages-2048kB"

/* ---- Transparent huge pages ---- */

static void look_at_thp(void)
{
	static const char why[] = "on 2 MiB pages a program faults and misses its TLB up to 512 times less";
	char text[256], word[64];
	struct finding *f;

	if (!text_read(text, sizeof(text), THP "/enabled")) {
		f = finding_add("thp", why, "this kernel has no transparent huge pages");
		finding_set(f, FINDING_MEND, "boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE=y");
		return;
	}
	text_chosen(text, word, sizeof(word));
	f = finding_add("thp", why, "transparent huge pages: %s", word);
	if (!strcmp(word, "never"))
		finding_set(f, FINDING_MEND, "echo madvise > " THP "/enabled");
	else if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) {
		finding_more(f, ", but switched off for this process and what it starts");
		finding_set(f, FINDING_MEND,
			    "start from a parent that has not called prctl(PR_SET_THP_DISABLE)");
	}
}

static void look_at_defrag(void)
{
	char text[256], word[64];
	struct finding *f;

	if (!text_read(text, sizeof(text), THP "/defrag"))
		return;
	text_chosen(text, word, sizeof(word));
	f = finding_add("thp_defrag",
			"it says who waits while the kernel makes room for a huge page: under always every "
			"fault, under never nobody, and there are fewer huge pages",
			"at a fault without a free huge page: %s", word);
	if (!strcmp(word, "always") || !strcmp(word, "never"))
		finding_set(f, FINDING_MEND, "echo defer+madvise > " THP "/defrag");
}

/* Linux 6.8: a size each; that of 2 MiB may be off while the whole is on. */
static void look_at_sizes(void)
{
	char path[PATH_MAX], text[256], word[64], size[64];
	struct finding *f;
	struct dirent *entry;
	DIR *dir;

	if (!text_read(text, sizeof(text), THP "/hugepages-2048kB/enabled") ||
	    !text_path(path, sizeof(path), THP) || !(dir = opendir(path)))
		return;
	text_chosen(text, word, sizeof(word));
	f = finding_add("thp_sizes",
			"numarena asks for 2 MiB, and for 4 KiB where huge pages do not pay: other sizes do "
			"not change that",
			"2048kB: %s", word);
	if (!strcmp(word, "never"))
		finding_set(f, FINDING_MEND, "echo inherit > " THP "/hugepages-2048kB/enabled");
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "hugepages-%60s", size) != 1 || !strcmp(size, "2048kB") ||
		    !text_read(text, sizeof(text), THP "/%s/enabled", entry->d_name))
			continue;
		text_chosen(text, word, sizeof(word));
		if (strcmp(word, "never"))
			finding_more(f, ", %s: %s", size, word);
	}
	closedir(dir);
}

static void look_at_khugepaged(void)
{
	uint64_t defrag, pages, sleep_ms;
	struct finding *f;

	if (!text_number(&defrag, THP "/khugepaged/defrag") ||
	    !text_number(&pages, THP "/khugepaged/pages_to_scan") ||
	    !text_number(&sleep_ms, THP "/khugepaged/scan_sleep_millisecs"))
		return;
	f = finding_add("khugepaged",
			"it makes pages huge that have filled since; numarena does so itself from Linux 6.1 "
			"on (MADV_COLLAPSE)",
			"looks at %llu pages each %llu ms, and makes room: %s", (unsigned long long)pages,
			(unsigned long long)sleep_ms, defrag ? "yes" : "no");
	if (!defrag)
		finding_set(f, FINDING_NOTE, "echo 1 > " THP "/khugepaged/defrag");
	else if (!pages)
		finding_set(f, FINDING_NOTE, "echo 4096 > " THP "/khugepaged/pages_to_scan");
}

/* ---- Pools ---- */

static unsigned long long pool_number(unsigned int node, const char *name)
{
	uint64_t n;

	return text_number(&n, NODES "/node%u/" POOL "/%s", node, name) ? n : 0;
}

static void look_at_pools(const struct ids *nodes)
{
	struct finding *f = finding_add("hugetlb",
					"huge:hugetlb takes 2 MiB pages from the pool of the thread's node; "
					"nothing else is served from there",
					"pools of 2 MiB pages:");
	bool is_asked = finding_is_configured("huge:hugetlb");
	unsigned int node;

	ids_for_each(node, nodes) {
		unsigned long long nr = pool_number(node, "nr_hugepages");
		unsigned long long nr_free = pool_number(node, "free_hugepages");

		finding_more(f, "%s node %u has %llu, %llu free", strchr(f->is, ',') ? ";" : "", node, nr,
			     nr_free);
		if (is_asked && !nr_free)
			finding_set(f, FINDING_MEND,
				    "echo %llu > " NODES "/node%u/" POOL "/nr_hugepages   # as many as needed",
				    nr + 512, node);
		else if (!is_asked && nr_free && !f->level)
			finding_set(f, FINDING_NOTE,
				    "numarena run --huge hugetlb, or echo 0 > " NODES "/node%u/" POOL
				    "/nr_hugepages",
				    node);
	}
}

/* "Node 0, zone   Normal  1 2 3 ...": free runs of 2^0, 2^1, ... pages; 2^9 are 2 MiB. */
static unsigned long long huge_runs_in(const char *line)
{
	unsigned long long sum = 0;
	const char *at = strstr(line, "zone");
	unsigned int order;

	at = at ? at + strlen("zone") : line;
	at += strspn(at, " ");
	at += strcspn(at, " \n");
	for (order = 0; *at == ' '; order++) {
		char *end;
		unsigned long long nr = strtoull(at, &end, 10);

		if (end == at)
			break;
		sum += order >= 9 ? nr << (order - 9) : 0;
		at = end;
	}
	return sum;
}

static void look_at_runs(const struct ids *nodes)
{
	char text[16384], label[32];
	unsigned int node;
	struct finding *f;

	if (!text_read(text, sizeof(text), "/proc/buddyinfo"))
		return;
	f = finding_add("free_runs",
			"a huge page wants 2 MiB in a row; a node without them gives small pages, or another "
			"node's, until the kernel has made room",
			"free runs of 2 MiB:");
	ids_for_each(node, nodes) {
		unsigned long long sum = 0;
		const char *line = text;

		snprintf(label, sizeof(label), "Node %u,", node);
		for (; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			sum += strncmp(line, label, strlen(label)) ? 0 : huge_runs_in(line);
		}
		finding_more(f, " node %u has %llu;", node, sum);
		if (!sum)
			finding_set(f, FINDING_NOTE, "echo 1 > /proc/sys/vm/compact_memory");
	}
	f->is[strlen(f->is) - 1] = '\0';
}

void doctor_pages(void)
{
	struct ids nodes;
	char text[4096];

	look_at_thp();
	look_at_defrag();
	look_at_sizes();
	look_at_khugepaged();
	if (!text_read(text, sizeof(text), NODES "/has_memory") || !ids_parse(&nodes, text))
		ids_parse(&nodes, "0");
	look_at_pools(&nodes);
	look_at_runs(&nodes);
}
