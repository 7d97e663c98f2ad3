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

#include "arena/setting.h"

/* It has no letter. */
#define KEY_SETTINGS 256

static const struct tool_option options[] = {
	{ "node", "LIST", 'n', "run on the CPUs of these nodes (0, or 0,2-3); memory follows" },
	{ "huge", "KIND", 'H', "pages: auto, thp, hugetlb, off" },
	{ "mode", "MODE", 'm', "arena, baseline, sharded" },
	{ "policy", "POLICY", 'p', "memory of a node: preferred, strict, interleave, inherit" },
	{ "stats", "WHEN", 's', "statistics: exit, page, SIGUSR1, SIGUSR2, or some joined by +" },
	{ "conf", "KEY:VALUE", 'c', "any settings, as in NUMARENA_CONF; may be repeated" },
	{ "settings", NULL, KEY_SETTINGS, "print the settings and the words they take, a line each, and end" },
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

/* Those that have an option of their own. */
static const struct {
	int key;
	const char *name;
} own[] = {
	{ 'H', "huge" },
	{ 'm', "mode" },
	{ 'p', "policy" },
	{ 's', "stats" },
};

#define LIST_BYTES 128

static size_t add_word(char list[LIST_BYTES], size_t len, const char *between, const char *word)
{
	return len + (size_t)snprintf(list + len, LIST_BYTES - len, "%s%s", len ? between : "", word);
}

/* All that it takes; none of a path, and of most numbers. */
static const char *words_of(const struct nar_setting *o, const char *between)
{
	static char list[LIST_BYTES];
	const char *const *word;
	size_t len = 0;

	*list = '\0';
	if (o->is_set)
		len = add_word(list, len, between, "off");
	for (word = o->words; word && *word; word++)
		len = add_word(list, len, between, *word);
	if (o->word)
		add_word(list, len, between, o->word);
	return list;
}

/* Completions ask for it. */
static _Noreturn void list_settings(void)
{
	const struct nar_setting *o;

	for (o = nar_settings; o->name; o++)
		printf("%s%s%s\n", o->name, *words_of(o, " ") ? " " : "", words_of(o, " "));
	exit(tool_end(TOOL_OK));
}

static const char *kind_of(const struct nar_setting *o)
{
	if (o->is_path)
		return "it is a path, where %p is the process's number";
	if (!o->words)
		return o->word ? "it is a number, also with K, M or G, or " : "it is a number, also with K, M or G";
	return o->is_set ? "there are, joined by '+', " : "there are ";
}

/* The library would ignore a wrong one, with a line on stderr: here it was typed just now. */
static void check_value(const char *option, const struct nar_setting *o, struct nar_text value)
{
	uint64_t number;

	if (nar_setting_parse(o, value, &number))
		tool_usage_error(&usage, "%s cannot be '%.*s'; %s%s", option, (int)value.len, value.at,
				 kind_of(o), words_of(o, ", "));
}

static void check_settings(const char *settings)
{
	char name[32];

	while (*settings) {
		struct nar_setting_text t = nar_setting_cut(&settings);
		const struct nar_setting *o = nar_setting_find(t.name);

		if (!t.whole.len)
			continue;
		if (!o)
			tool_usage_error(&usage, "--conf: there is no setting '%.*s'; --settings lists them",
					 (int)t.name.len, t.name.at);
		snprintf(name, sizeof(name), "--conf: %s", o->name);
		check_value(name, o, t.value);
	}
}

static void add_settings(const char *settings)
{
	check_settings(settings);
	library_configure(settings);
}

static void add_own(const char *name, const char *value)
{
	const struct nar_text key = { name, strlen(name) };
	char option[32], *text;

	snprintf(option, sizeof(option), "--%s", name);
	check_value(option, nar_setting_find(key), (struct nar_text){ value, strlen(value) });
	if (asprintf(&text, "%s:%s", name, value) < 0)
		tool_die(LAUNCH_FAILED, "%s", strerror(ENOMEM));
	library_configure(text);
	free(text);
}

static void add_by_key(int key, const char *value)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i].key == key)
			add_own(own[i].name, value);
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
		else if (key == KEY_SETTINGS)
			list_settings();
		else if (key == 'c')
			add_settings(optarg);
		else
			add_by_key(key, optarg);
	}
	if (optind == argc)
		tool_usage_error(&usage, "which program?");
	library_find(LIBRARY_NUMARENA, library, sizeof(library), LAUNCH_FAILED);
	library_preload(library);
	if (nodes)
		bind_to(nodes);
	library_launch(argv + optind);
}
