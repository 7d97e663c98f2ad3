// SPDX-License-Identifier: MIT
/*
 * One table says all there is to say about each setting: its name, what it may be, and whether
 * it may change while the program runs.  Everything else here is reading text.
 *
 * The command has a copy of this: it may need nothing of the library.
 */
#include <errno.h>
#include <string.h>

#include "setting.h"

static const char *const modes[] = { "arena", "baseline", "sharded", NULL };
static const char *const huges[] = { "auto", "thp", "hugetlb", "off", NULL };
static const char *const policies[] = { "preferred", "strict", "interleave", "inherit", NULL };
static const char *const outlets[] = { "exit", "page", "SIGUSR1", "SIGUSR2", NULL };
static const char *const stats_formats[] = { "text", "json", "prometheus", NULL };
static const char *const purges[] = { "auto", "step", NULL };
static const char *const bools[] = { "false", "true", NULL };

#define SETTING(field, ...) { #field, .offset = offsetof(struct nar_options, field), __VA_ARGS__ }

const struct nar_setting nar_settings[] = {
	SETTING(mode, .words = modes),
	SETTING(huge, .words = huges),
	SETTING(policy, .words = policies),
	SETTING(harden, .words = bools, .is_truth = true),
	SETTING(decay_ms, .max = INT32_MAX, .is_live = true),
	SETTING(scope_keep, .max = INT64_MAX, .is_live = true),
	SETTING(limit, .max = INT64_MAX / 4, .word = "cgroup", .word_value = NAR_LIMIT_CGROUP, .is_live = true),
	SETTING(purge, .words = purges, .is_live = true),
	SETTING(fork_rcu, .words = bools, .is_truth = true),
	SETTING(abort_conf, .words = bools, .is_truth = true),
	SETTING(stats, .words = outlets, .is_set = true),
	SETTING(stats_format, .words = stats_formats),
	{ "stats_file", .is_path = true },
	{ .name = NULL },
};

static bool is_word(struct nar_text t, const char *word)
{
	return strlen(word) == t.len && !memcmp(t.at, word, t.len);
}

const struct nar_setting *nar_setting_find(struct nar_text name)
{
	const struct nar_setting *o;

	for (o = nar_settings; o->name; o++)
		if (is_word(name, o->name))
			return o;
	return NULL;
}

static int parse_word(const struct nar_setting *o, struct nar_text t, u64 *value)
{
	u64 i;

	/* 0 and 1, on and off: what people type for a truth value. */
	if (o->is_truth && (is_word(t, "0") || is_word(t, "off")))
		return *value = 0, 0;
	if (o->is_truth && (is_word(t, "1") || is_word(t, "on")))
		return *value = 1, 0;
	for (i = 0; o->words[i]; i++)
		if (is_word(t, o->words[i]))
			return *value = i, 0;
	return -EINVAL;
}

/* "exit+page" */
static int parse_set(const struct nar_setting *o, struct nar_text t, u64 *value)
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
static int parse_path(struct nar_text t)
{
	size_t i;

	if (t.len >= NAR_STATS_FILE_BYTES)
		return -EINVAL;
	for (i = 0; i < t.len; i++)
		if (t.at[i] == '%' && (++i == t.len || (t.at[i] != 'p' && t.at[i] != '%')))
			return -EINVAL;
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

static int parse_number(const struct nar_setting *o, struct nar_text t, u64 *value)
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

int nar_setting_parse(const struct nar_setting *o, struct nar_text t, u64 *value)
{
	if (o->is_path)
		return parse_path(t);
	if (o->is_set)
		return parse_set(o, t, value);
	return o->words ? parse_word(o, t, value) : parse_number(o, t, value);
}

static struct nar_text cut(const char **s, const char *stops)
{
	struct nar_text t = { *s, strcspn(*s, stops) };

	*s += t.len;
	return t;
}

struct nar_setting_text nar_setting_cut(const char **s)
{
	struct nar_setting_text t = { .whole = { *s, strcspn(*s, ",") } };

	t.name = cut(s, ":,");
	t.value = (struct nar_text){ *s, 0 };
	if (**s == ':') {
		++*s;
		t.value = cut(s, ",");
	}
	*s += **s == ',';
	return t;
}
