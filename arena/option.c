// SPDX-License-Identifier: MIT
/*
 * Settings.  One table says all there is to say about each: its name, what it may
 * be, and whether it may change while the program runs.  Everything else here is
 * reading text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal/bug.h"

#include "option.h"

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

static const char *const modes[] = { "arena", "baseline", "sharded", NULL };
static const char *const huges[] = { "auto", "thp", "hugetlb", "off", NULL };
static const char *const policies[] = { "preferred", "strict", "interleave", "inherit", NULL };
static const char *const outlets[] = { "exit", "page", "SIGUSR1", "SIGUSR2", NULL };
static const char *const stats_formats[] = { "text", "json", "prometheus", NULL };
static const char *const purges[] = { "auto", "step", NULL };
static const char *const bools[] = { "false", "true", NULL };

char nar_opt_stats_file[NAR_STATS_FILE_BYTES];

struct option {
	const char *name;
	const char *const *words;	/* NULL: a number up to max */
	const char *word;		/* ... or this one, which counts as above */
	u64 word_value;
	u64 max;
	size_t offset;
	bool is_set;			/* of words, joined by '+'; a bit each, "off" is none */
	char *path;			/* text of NAR_STATS_FILE_BYTES instead of a number */
	bool is_live;			/* may change after start */
};

#define OPTION(field, ...) { #field, .offset = offsetof(struct nar_options, field), __VA_ARGS__ }

static const struct option options[] = {
	OPTION(mode, .words = modes),
	OPTION(huge, .words = huges),
	OPTION(policy, .words = policies),
	OPTION(harden, .words = bools),
	OPTION(decay_ms, .max = INT32_MAX, .is_live = true),
	OPTION(scope_keep, .max = INT64_MAX, .is_live = true),
	OPTION(limit, .max = INT64_MAX / 4, .word = "cgroup", .word_value = NAR_LIMIT_CGROUP, .is_live = true),
	OPTION(purge, .words = purges, .is_live = true),
	OPTION(fork_rcu, .words = bools),
	OPTION(abort_conf, .words = bools),
	OPTION(stats, .words = outlets, .is_set = true),
	OPTION(stats_format, .words = stats_formats),
	{ "stats_file", .path = nar_opt_stats_file },
};

/* A stretch of text: the environment is not ours to cut up. */
struct text {
	const char *at;
	size_t len;
};

static bool is_word(struct text t, const char *word)
{
	return strlen(word) == t.len && !memcmp(t.at, word, t.len);
}

static u64 *value_of(const struct option *o)
{
	void *value = (char *)&nar_opt + o->offset;

	return value;
}

static const struct option *option_find(struct text name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (is_word(name, options[i].name))
			return &options[i];
	return NULL;
}

static int parse_word(const struct option *o, struct text t, u64 *value)
{
	u64 i;

	/* 0 and 1, on and off: what people type for a truth value. */
	if (o->words == bools && (is_word(t, "0") || is_word(t, "off")))
		return *value = 0, 0;
	if (o->words == bools && (is_word(t, "1") || is_word(t, "on")))
		return *value = 1, 0;
	for (i = 0; o->words[i]; i++)
		if (is_word(t, o->words[i]))
			return *value = i, 0;
	return -EINVAL;
}

/* "exit+page" */
static int parse_set(const struct option *o, struct text t, u64 *value)
{
	const char *end = t.at + t.len;

	*value = 0;
	if (is_word(t, "off"))
		return 0;
	for (;;) {
		u64 bit;

		for (t.len = 0; t.at + t.len < end && t.at[t.len] != '+'; t.len++)
			;
		if (parse_word(o, t, &bit))
			return -EINVAL;
		*value |= 1ull << bit;
		if (t.at + t.len == end)
			return 0;
		t.at += t.len + 1;
	}
}

/* "%p" and "%%" mean something; other uses of the sign are kept for later. */
static int assign_path(char *path, struct text t)
{
	size_t i;

	if (t.len >= NAR_STATS_FILE_BYTES)
		return -EINVAL;
	for (i = 0; i < t.len; i++)
		if (t.at[i] == '%' && (++i == t.len || (t.at[i] != 'p' && t.at[i] != '%')))
			return -EINVAL;
	memcpy(path, t.at, t.len);
	path[t.len] = '\0';
	return 0;
}

static unsigned int suffix_shift(char c)
{
	switch (c) {
	case 'K': return 10;
	case 'M': return 20;
	case 'G': return 30;
	default: return 0;
	}
}

static int parse_number(const struct option *o, struct text t, u64 *value)
{
	unsigned int shift;
	size_t i, digits;
	u64 n = 0;

	if (o->word && is_word(t, o->word))
		return *value = o->word_value, 0;
	shift = t.len ? suffix_shift(t.at[t.len - 1]) : 0;
	digits = t.len - !!shift;
	if (!t.len || !digits || digits > 18)
		return -EINVAL;
	for (i = 0; i < digits; i++) {
		if (t.at[i] < '0' || t.at[i] > '9')
			return -EINVAL;
		n = n * 10 + (u64)(t.at[i] - '0');
	}
	if (n > o->max >> shift)
		return -EINVAL;
	*value = n << shift;
	return 0;
}

static int parse(const struct option *o, struct text t, u64 *value)
{
	if (o->is_set)
		return parse_set(o, t, value);
	return o->words ? parse_word(o, t, value) : parse_number(o, t, value);
}

static int option_assign(const struct option *o, struct text t)
{
	u64 value = 0;
	int err;

	if (o->path)
		return assign_path(o->path, t);
	err = parse(o, t, &value);
	if (!err)
		WRITE_ONCE(*value_of(o), value);
	return err;
}

static struct text cut(const char **s, const char *stops)
{
	struct text t = { *s, strcspn(*s, stops) };

	*s += t.len;
	return t;
}

/* Remembers the first bad one, so that one line tells of it. */
static void read_settings(const char *s, struct text *bad)
{
	while (*s) {
		const struct option *o;
		struct text whole = { s, strcspn(s, ",") };
		struct text name = cut(&s, ":,"), value = { s, 0 };

		if (*s == ':') {
			s++;
			value = cut(&s, ",");
		}
		o = option_find(name);
		if (whole.len && (!o || option_assign(o, value)) && !bad->len)
			*bad = whole;
		s += *s == ',';
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
	struct text bad = { NULL, 0 };

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

static int print_set(const struct option *o, u64 bits, char *value, size_t size)
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
	const struct option *o = option_find((struct text){ name, strlen(name) });
	u64 n;

	if (!o)
		return -ENOENT;
	if (o->path)
		return snprintf(value, size, "%s", o->path);
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
	const struct option *o = option_find((struct text){ name, strlen(name) });

	if (!o)
		return -ENOENT;
	if (!o->is_live)
		return -EPERM;
	return option_assign(o, (struct text){ value, strlen(value) });
}
