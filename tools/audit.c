// SPDX-License-Identifier: MIT
/*
 * `numarena audit`: from outside, where a process's memory should be and where it is.
 *
 * Where it is, the kernel tells a mapping at a time.  For which node it is meant, the process's
 * stats page tells, if it has one: numarena's windows are one node's each.  Else the mapping's
 * own memory policy does, since numarena binds what it commits; then memory that it could not
 * bind, or that the program has a policy for, is not known to be its own.
 */
#include "audit.h"
#include "json.h"
#include "text.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct tool_option options[] = {
	{ "json", NULL, 'j', "print JSON" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "audit",
	.synopsis = "[OPTION]... PID",
	.about = "Compares where the memory of a process on numarena should be with where it is, and how\n"
		 "much of it lies on huge pages.  Nobody is stopped meanwhile: memory that comes and goes\n"
		 "may be missed.",
	.options = options,
	.notes = "With stats:page in the process's NUMARENA_CONF its windows are known exactly; without, a\n"
		 "mapping's memory policy says for which node it is meant, and what has none is not looked\n"
		 "at.  The exit status is 0 if the process could be looked at, 1 if not, 2 for a wrong call.",
};

/* ---- What is found ---- */

#define NO_NODE (-1)	/* meant for none: interleaved, inherited, or not allowed */

/* "prefer:1", "bind:1", "prefer=static:1" */
static int node_of_policy(const char *policy)
{
	const char *list = strchr(policy, ':');
	char *end;
	unsigned long node;

	if (!list || strchr(policy, '(') || (strncmp(policy, "prefer", 6) && strncmp(policy, "bind", 4)))
		return NO_NODE;
	node = strtoul(list + 1, &end, 10);
	return end > list + 1 && !*end ? (int)node : NO_NODE;
}

/*
 * A policy stands above the window: it is numarena's, for this node or the nearest that is
 * allowed, or the program's own.  What could not be bound is one mapping over many windows.
 */
static int node_of_window(const struct finding *f, const struct layout_window *w,
			  const struct procmap *at)
{
	int node = node_of_policy(at->policy);

	if (node != NO_NODE)
		return node;
	if (!w->is_allowed || f->layout.inherits || strcmp(at->policy, "default") || at->end > w->end)
		return NO_NODE;
	return w->node;
}

/* Of no file: to the kernel that of a pool's pages has a name. */
static bool is_anonymous(const struct procmap *at)
{
	static const char pool[] = "/anon_hugepage";

	return !*at->name || !strncmp(at->name, pool, strlen(pool));
}

/* Return: whether it is numarena's, as far as can be told. */
static bool is_ours(const struct finding *f, const struct procmap *at, int *meant)
{
	const struct layout_window *w = f->has_layout ? layout_find(&f->layout, at->start) : NULL;

	if (w) {
		*meant = node_of_window(f, w, at);
		return true;
	}
	*meant = node_of_policy(at->policy);
	return !f->has_layout && is_anonymous(at) && *meant != NO_NODE;
}

static void note_odd(struct finding *f, const struct procmap *at, int meant, uint64_t misplaced_kib)
{
	struct odd *odd;

	if (f->nr_odd++ >= MAX_ODD)
		return;
	odd = &f->odd[f->nr_odd - 1];
	*odd = (struct odd){ at->start, at->end, meant, misplaced_kib, "" };
	snprintf(odd->policy, sizeof(odd->policy), "%s", at->policy);
}

static void count_bound(struct finding *f, const struct procmap *at, int meant)
{
	unsigned int place = procmaps_place(&f->maps, (unsigned int)meant), i;
	uint64_t misplaced = 0;

	for (i = 0; i < f->maps.nr_places; i++) {
		f->meant_kib[place] += at->on_kib[i];
		misplaced += i == place ? 0 : at->on_kib[i];
	}
	f->misplaced_kib[place] += misplaced;
	f->huge_kib[place] += at->huge_kib;
	if (misplaced)
		note_odd(f, at, meant, misplaced);
}

static void count_mapping(struct finding *f, const struct procmap *at)
{
	unsigned int i;
	int meant;

	f->is_loaded |= strstr(at->name, "/libnumarena.so") != NULL;
	if (!is_ours(f, at, &meant))
		return;
	for (i = 0; i < f->maps.nr_places; i++)
		f->on_kib[i] += at->on_kib[i];
	if (meant != NO_NODE) {
		count_bound(f, at, meant);
		return;
	}
	for (i = 0; i < f->maps.nr_places; i++)
		f->unbound_kib += at->on_kib[i];
	f->unbound_huge_kib += at->huge_kib;
}

/* ---- Looking ---- */

static _Noreturn void refuse(pid_t pid, int err)
{
	if (err == ENOENT || err == ESRCH)
		tool_die(TOOL_FAILED, "there is no process %d", (int)pid);
	if (err == EACCES || err == EPERM)
		tool_die(TOOL_FAILED, "no rights to look into process %d: be its user, or have CAP_SYS_PTRACE", (int)pid);
	tool_die(TOOL_FAILED, "process %d: %s", (int)pid, strerror(err));
}

int audit_look(struct finding *f)
{
	struct procmap at;
	int err;

	text_read(f->name, sizeof(f->name), "/proc/%d/comm", (int)f->pid);
	err = procmaps_open(&f->maps, f->pid);
	if (err)
		return err;
	f->has_layout = layout_read(&f->layout, f->pid);
	while (procmaps_next(&f->maps, &at)) {
		f->has_memory = true;
		count_mapping(f, &at);
	}
	/* What open() let through, a read may refuse; and a process may end meanwhile. */
	err = ferror(f->maps.smaps) ? errno : 0;
	procmaps_close(&f->maps);
	return err;
}

uint64_t audit_sum(const uint64_t *kib)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < MAX_PLACES; i++)
		sum += kib[i];
	return sum;
}

/* A kernel without NUMA has no numa_maps: then the process is there nevertheless. */
static bool lacks_numa_maps(pid_t pid)
{
	char path[PATH_MAX];

	return text_path(path, sizeof(path), "/proc/%d/smaps", (int)pid) && !access(path, R_OK) &&
	       !kill(pid, 0);
}

static void look(struct finding *f)
{
	char plain[sizeof(f->name)];
	int err = audit_look(f);

	if (err == ENOENT && lacks_numa_maps(f->pid))
		tool_die(TOOL_FAILED, "this kernel has no numa_maps (CONFIG_NUMA)");
	if (err)
		refuse(f->pid, err);
	if (!f->has_memory)
		tool_die(TOOL_FAILED, "process %d has no memory: it has ended, or is the kernel's",
			 (int)f->pid);
	if (!f->has_layout && !f->is_loaded)
		tool_die(TOOL_FAILED,
			 "process %d (%s) does not run on numarena, or has it linked in and no stats:page",
			 (int)f->pid, text_plain(plain, sizeof(plain), f->name));
}

/* ---- Printing ---- */

static double mib(uint64_t kib)
{
	return (double)kib / 1024;
}

static void print_odd(const struct finding *f)
{
	unsigned int i;

	for (i = 0; i < f->nr_odd && i < MAX_ODD; i++)
		printf("misplaced  %12" PRIxPTR "-%-12" PRIxPTR " %-12s meant for node %d, %.1f MiB elsewhere\n",
		       f->odd[i].start, f->odd[i].end, f->odd[i].policy, f->odd[i].meant,
		       mib(f->odd[i].misplaced_kib));
	if (f->nr_odd > MAX_ODD)
		printf("misplaced  %u further mappings\n", f->nr_odd - MAX_ODD);
}

static void print_text(const struct finding *f)
{
	uint64_t meant = audit_sum(f->meant_kib), misplaced = audit_sum(f->misplaced_kib);
	uint64_t all = meant + f->unbound_kib, huge = audit_sum(f->huge_kib) + f->unbound_huge_kib;
	char plain[sizeof(f->name)];
	unsigned int i;

	printf("process    %d %s\n", (int)f->pid, text_plain(plain, sizeof(plain), f->name));
	printf("meant      by %s\n", f->has_layout ? "the stats page" : "the policies of mappings");
	printf("%-10s %14s %14s %14s %14s\n", "MiB", "meant for it", "elsewhere", "on huge pages",
	       "lies on it");
	for (i = 0; i < f->maps.nr_places; i++)
		printf("node %-5u %14.1f %14.1f %14.1f %14.1f\n", f->maps.node[i], mib(f->meant_kib[i]),
		       mib(f->misplaced_kib[i]), mib(f->huge_kib[i]), mib(f->on_kib[i]));
	if (f->unbound_kib)
		printf("%-10s %14.1f %14s %14.1f\n", "no node", mib(f->unbound_kib), "",
		       mib(f->unbound_huge_kib));
	print_odd(f);
	printf("%.2f %% of %.1f MiB misplaced; %.2f %% of %.1f MiB on huge pages\n",
	       meant ? 100 * (double)misplaced / (double)meant : 0.0, mib(meant),
	       all ? 100 * (double)huge / (double)all : 0.0, mib(all));
}

static void print_json_nodes(const struct finding *f)
{
	unsigned int i;

	json_open("nodes", '[');
	for (i = 0; i < f->maps.nr_places; i++) {
		json_open(NULL, '{');
		json_number("node", f->maps.node[i]);
		json_number("meant_kib", f->meant_kib[i]);
		json_number("misplaced_kib", f->misplaced_kib[i]);
		json_number("huge_kib", f->huge_kib[i]);
		json_number("here_kib", f->on_kib[i]);
		json_close();
	}
	json_close();
}

static void print_json_odd(const struct finding *f)
{
	unsigned int i;
	char text[32];

	json_open("misplaced", '[');
	for (i = 0; i < f->nr_odd && i < MAX_ODD; i++) {
		json_open(NULL, '{');
		snprintf(text, sizeof(text), "%" PRIxPTR, f->odd[i].start);
		json_string("start", text);
		snprintf(text, sizeof(text), "%" PRIxPTR, f->odd[i].end);
		json_string("end", text);
		json_string("policy", f->odd[i].policy);
		json_number("node", (uint64_t)f->odd[i].meant);
		json_number("misplaced_kib", f->odd[i].misplaced_kib);
		json_close();
	}
	json_close();
}

static void print_json(const struct finding *f)
{
	json_open(NULL, '{');
	json_number("pid", (uint64_t)f->pid);
	json_string("name", f->name);
	json_string("meant_by", f->has_layout ? "page" : "policy");
	json_number("meant_kib", audit_sum(f->meant_kib));
	json_number("misplaced_kib", audit_sum(f->misplaced_kib));
	json_number("unbound_kib", f->unbound_kib);
	json_number("huge_kib", audit_sum(f->huge_kib) + f->unbound_huge_kib);
	print_json_nodes(f);
	json_number("misplaced_mappings", f->nr_odd);
	print_json_odd(f);
	json_close();
}

/* ---- The command ---- */

int cmd_audit(int argc, char **argv)
{
	static struct finding finding;
	bool is_json;

	finding.pid = tool_process(&usage, argc, argv, &is_json);
	look(&finding);
	if (is_json)
		print_json(&finding);
	else
		print_text(&finding);
	return TOOL_OK;
}
