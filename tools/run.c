// SPDX-License-Identifier: MIT
/*
 * `numarena run`: a program on numarena.  What it takes is in the environment and in the
 * thread's CPU mask, both of which exec hands on; so the program runs in this process, with
 * its id, descriptors and signals, and its exit status is this one's.
 */
#include "library.h"
#include "text.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tool_option options[] = {
	{ "node", "LIST", 'n', "run on the CPUs of these nodes (0, or 0,2-3); memory follows" },
	{ "huge", "KIND", 'H', "pages: auto, thp, hugetlb, off" },
	{ "mode", "MODE", 'm', "arena, baseline, sharded" },
	{ "policy", "POLICY", 'p', "memory of a node: preferred, strict, interleave, inherit" },
	{ "stats", "WHEN", 's', "statistics: exit, page, SIGUSR1, SIGUSR2, or some joined by +" },
	{ "conf", "KEY:VALUE", 'c', "any settings, as in NUMARENA_CONF; may be repeated" },
	{ NULL, NULL, 0, NULL },
};

static const struct tool_usage usage = {
	.name = "run",
	.synopsis = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.about = "Runs a program with numarena in the place of its malloc.  The processes that it\n"
		 "starts inherit that, as they inherit its environment and its CPUs.",
	.is_launcher = true,
	.options = options,
	.notes = "Settings go into NUMARENA_CONF, behind those that are there.  The exit status is the\n"
		 "program's; 125 if numarena fails, 126 if the program cannot be run, 127 if there is\n"
		 "none, 2 for a wrong call.",
};

/* ---- Settings ---- */

struct setting {
	int key;
	const char *name;
	const char *const *words;
	bool is_set;			/* several, joined by '+' */
};

static const char *const huges[] = { "auto", "thp", "hugetlb", "off", NULL };
static const char *const modes[] = { "arena", "baseline", "sharded", NULL };
static const char *const policies[] = { "preferred", "strict", "interleave", "inherit", NULL };
static const char *const outlets[] = { "off", "exit", "page", "SIGUSR1", "SIGUSR2", NULL };

static const struct setting settings[] = {
	{ 'H', "huge", huges, false },
	{ 'm', "mode", modes, false },
	{ 'p', "policy", policies, false },
	{ 's', "stats", outlets, true },
};

static bool is_one_of(const char *const *words, const char *text, size_t len)
{
	for (; *words; words++)
		if (strlen(*words) == len && !memcmp(*words, text, len))
			return true;
	return false;
}

static const char *list_of(const char *const *words)
{
	static char list[128];
	size_t len = 0;

	for (; *words; words++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", *words);
	return list;
}

/* The library would ignore a wrong one, with a line on stderr: here it was typed just now. */
static void check_words(const struct setting *s, const char *value)
{
	const char *at = value;
	size_t len;

	for (;; at += len + 1) {
		len = s->is_set ? strcspn(at, "+") : strlen(at);
		if (!is_one_of(s->words, at, len))
			tool_usage_error(&usage, "--%s cannot be '%s'; there %s %s", s->name, value,
					 s->is_set ? "are, joined by '+'," : "are", list_of(s->words));
		if (!at[len])
			return;
	}
}

static void add_setting(const char *name, const char *value)
{
	char *text;

	if (!*value || strpbrk(value, ", "))
		tool_usage_error(&usage, "--%s cannot be '%s'", name, value);
	if (asprintf(&text, "%s:%s", name, value) < 0)
		tool_die(LAUNCH_FAILED, "%s", strerror(ENOMEM));
	library_configure(text);
	free(text);
}

static void add_named(int key, const char *value)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		if (settings[i].key != key)
			continue;
		check_words(&settings[i], value);
		add_setting(settings[i].name, value);
	}
}

/* ---- Nodes ---- */

static void require_node(unsigned int node, const struct ids *online)
{
	char list[256];

	if (ids_has(online, node))
		return;
	ids_format(online, list, sizeof(list));
	tool_die(LAUNCH_FAILED, "there is no node %u; nodes here: %s", node, list);
}

static void add_cpus(unsigned int node, struct ids *cpus)
{
	char text[4096];
	struct ids more;

	if (!text_read(text, sizeof(text), "/sys/devices/system/node/node%u/cpulist", node) ||
	    !ids_parse(&more, text))
		tool_die(LAUNCH_FAILED, "the CPUs of node %u are not known: %s", node, strerror(errno));
	if (!ids_count(&more))
		tool_die(LAUNCH_FAILED, "node %u has no CPUs: name one that has; see 'numarena doctor'",
			 node);
	ids_add_all(cpus, &more);
}

/* Within what taskset or a cpuset leave us: the kernel would refuse, or go beyond the former. */
static void keep_allowed(struct ids *cpus, const char *list)
{
	struct ids allowed = { { 0 } };

	if (sched_getaffinity(0, sizeof(allowed), (cpu_set_t *)&allowed))
		tool_die(LAUNCH_FAILED, "sched_getaffinity: %s", strerror(errno));
	ids_keep(cpus, &allowed);
	if (!ids_count(cpus))
		tool_die(LAUNCH_FAILED,
			 "no CPU of node %s is allowed here: see taskset -cp $$, and the cpuset", list);
}

static void bind_to(const char *list)
{
	struct ids nodes, online, cpus = { { 0 } };
	unsigned int node;
	char text[4096];

	if (!ids_parse(&nodes, list) || !ids_count(&nodes))
		tool_usage_error(&usage, "--node cannot be '%s': a number, or several as in 0,2-3", list);
	/* A kernel without NUMA has no such file, and one node. */
	if (!text_read(text, sizeof(text), "/sys/devices/system/node/online"))
		tool_die(LAUNCH_FAILED, "this kernel tells of no nodes: %s", strerror(errno));
	if (!ids_parse(&online, text))
		tool_die(LAUNCH_FAILED, "/sys/devices/system/node/online: cannot read '%s'", text);
	ids_for_each(node, &nodes)
		require_node(node, &online);
	ids_for_each(node, &nodes)
		add_cpus(node, &cpus);
	keep_allowed(&cpus, list);
	if (sched_setaffinity(0, sizeof(cpus), (cpu_set_t *)&cpus))
		tool_die(LAUNCH_FAILED, "cannot bind to node %s: %s", list, strerror(errno));
}

/* ---- The command ---- */

int cmd_run(int argc, char **argv)
{
	const char *nodes = NULL;
	char library[PATH_MAX];
	int key;

	while ((key = tool_option(&usage, argc, argv)) != -1) {
		if (key == 'n')
			nodes = optarg;
		else if (key == 'c')
			library_configure(optarg);
		else
			add_named(key, optarg);
	}
	if (optind == argc)
		tool_usage_error(&usage, "which program?");
	library_find(LIBRARY_NUMARENA, library, sizeof(library));
	library_preload(library);
	if (nodes)
		bind_to(nodes);
	library_launch(argv + optind);
}
