// SPDX-License-Identifier: MIT
/*
 * The settings that the process has, and where they come from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal/bug.h"

#include "option.h"
#include "setting.h"

/* The program may define it; the environment overrides it key by key. */
extern const char *numarena_conf __attribute__((__weak__));

struct nar_options nar_opt = {
	.mode = MODE_ARENA,
	.huge = HUGE_AUTO,
	.policy = BIND_PREFERRED,
	.harden = NAR_DEBUG_DEFAULT,
	.decay_ms = 1000,
	.scope_keep = MIB(64),
	.fork_rcu = true,
};

char nar_opt_stats_file[NAR_STATS_FILE_BYTES];

static u64 *value_of(const struct nar_setting *o)
{
	void *value = (char *)&nar_opt + o->offset;

	return value;
}

static void assign_path(struct nar_text t)
{
	memcpy(nar_opt_stats_file, t.at, t.len);
	nar_opt_stats_file[t.len] = '\0';
}

static int option_assign(const struct nar_setting *o, struct nar_text t)
{
	u64 value = 0;
	int err = nar_setting_parse(o, t, &value);

	if (err)
		return err;
	if (o->is_path)
		assign_path(t);
	else
		WRITE_ONCE(*value_of(o), value);
	return 0;
}

/* Remembers the first bad one, so that one line tells of it. */
static void read_settings(const char *s, struct nar_text *bad)
{
	while (*s) {
		struct nar_setting_text t = nar_setting_cut(&s);
		const struct nar_setting *o = nar_setting_find(t.name);

		if (t.whole.len && (!o || option_assign(o, t.value)) && !bad->len)
			*bad = t.whole;
	}
}

/*
 * libnuma's constructor and those of others end the process for want of memory, and none of
 * them says why.  A process that does nothing has 256 KiB of slabs at its end: four times that.
 */
#define START_BYTES MIB(1)

/* Not ignored, since whoever asks for a limit wants one. */
static void raise_limit(void)
{
	unsigned long long limit = nar_opt.limit;

	if (!limit || limit >= START_BYTES)
		return;
	if (nar_opt.abort_conf)
		nar_die("NUMARENA_CONF: cannot use limit:%llu: a process needs 1M to start; sizes take K, M, G", limit);
	nar_warn("NUMARENA_CONF: limit:1M for limit:%llu, since a process needs that to start; sizes take K, M, G",
		 limit);
	nar_opt.limit = START_BYTES;
}

void nar_options_read(void)
{
	const char *env = secure_getenv("NUMARENA_CONF");
	struct nar_text bad = { NULL, 0 };

	if (&numarena_conf && numarena_conf)
		read_settings(numarena_conf, &bad);
	if (env)
		read_settings(env, &bad);
	raise_limit();
	if (!bad.len)
		return;
	if (nar_opt.abort_conf)
		nar_die("NUMARENA_CONF: cannot use \"%.*s\": see numarena(7) for the options",
			(int)bad.len, bad.at);
	nar_warn("NUMARENA_CONF: ignoring \"%.*s\": see numarena(7) for the options",
		 (int)bad.len, bad.at);
}

static int print_set(const struct nar_setting *o, u64 bits, char *value, size_t size)
{
	char text[64] = "";
	unsigned int i;

	for (i = 0; o->words[i]; i++)
		if (bits >> i & 1)
			strcat(strcat(text, *text ? "+" : ""), o->words[i]);
	return snprintf(value, size, "%s", *text ? text : "off");
}

int nar_option_get(const char *name, char *value, size_t size)
{
	const struct nar_setting *o = nar_setting_find((struct nar_text){ name, strlen(name) });
	u64 n;

	if (!o)
		return -ENOENT;
	if (o->is_path)
		return snprintf(value, size, "%s", nar_opt_stats_file);
	n = READ_ONCE(*value_of(o));
	if (o->is_set)
		return print_set(o, n, value, size);
	if (o->words)
		return snprintf(value, size, "%s", o->words[n]);
	if (o->word && n == o->word_value)
		return snprintf(value, size, "%s", o->word);
	return snprintf(value, size, "%llu", (unsigned long long)n);
}

int nar_option_set(const char *name, const char *value)
{
	const struct nar_setting *o = nar_setting_find((struct nar_text){ name, strlen(name) });

	if (!o)
		return -ENOENT;
	if (!o->is_live)
		return -EPERM;
	return option_assign(o, (struct nar_text){ value, strlen(value) });
}
