/* SPDX-License-Identifier: MIT */
/*
 * What settings there are, and how what people write is read: said once for the library, which
 * has them, and for the numarena command, which hands them on.
 */
#ifndef NAR_SETTING_H
#define NAR_SETTING_H

#include "internal/option.h"

struct nar_setting {
	const char *name;
	const char *const *words;	/* NULL: a number up to max */
	const char *word;		/* ... or this one, which counts as above */
	u64 word_value;
	u64 max;
	size_t offset;			/* in struct nar_options */
	bool is_set;			/* of words, joined by '+'; a bit each, "off" is none */
	bool is_truth;			/* its words may be said otherwise */
	bool is_path;			/* nar_opt_stats_file instead of a number */
	bool is_live;			/* may change after start */
};

/* The last has no name. */
extern const struct nar_setting nar_settings[];

/* A stretch of text: the environment is not ours to cut up. */
struct nar_text {
	const char *at;
	size_t len;
};

struct nar_setting_text {
	struct nar_text whole, name, value;	/* empty where there is none */
};

/* The first of "key:value,key:value", by which @s is shortened. */
struct nar_setting_text nar_setting_cut(const char **s);

/* NULL: there is none. */
const struct nar_setting *nar_setting_find(struct nar_text name);

/* Return: 0 or -EINVAL.  @value of a path stays as it is. */
int nar_setting_parse(const struct nar_setting *o, struct nar_text t, u64 *value);

#endif /* NAR_SETTING_H */
