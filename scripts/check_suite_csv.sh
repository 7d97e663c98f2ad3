#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Checks the shape of the suite's CSV, not its figures: the header, a value of the right
# type wherever one is required, a checked run for each row that has one, all rounds there.
#
# usage: scripts/check_suite_csv.sh FILE
#
# Prints what is wrong and exits 1; prints how many lines are right and exits 0.
set -euo pipefail

if (($# != 1)) || [[ ! -r $1 ]]; then
	echo "usage: scripts/check_suite_csv.sh FILE" >&2
	exit 1
fi

# s name, n whole number, r number, q share from 0 to 1; with ? it may be empty.
columns='row:s threads:n allocator:s round:n ops:n ns_per_op:r? mops_per_sec:r?
	peak_rss_kib:n? start_rss_kib:n? settled_rss_kib:n? page_faults:n system_calls:n?
	others_cpu_share:q? disturbed:b'

LC_ALL=C awk -F, -v columns="$columns" '
function complain(what) {
	printf "check_suite_csv.sh: line %d: %s\n", FNR, what
	bad++
}

function has_type(value, type) {
	if (type == "s")
		return value ~ /^[a-z][a-z0-9_-]*$/
	if (type == "n")
		return value ~ /^[0-9]+$/
	if (type == "b")
		return value ~ /^[01]$/
	if (value !~ /^[0-9]+(\.[0-9]+)?$/)
		return 0
	return type == "r" || value <= 1
}

function check_header(	i) {
	if (NF != nr_columns)
		complain(NF " columns, not " nr_columns)
	for (i = 1; i <= nr_columns; i++)
		if ($i != name[i])
			complain("column " i " is \"" $i "\", not \"" name[i] "\"")
	has_header = 1
}

# A line measures something: time, memory or calls; a checked one, memory.
function check_line(	i) {
	if (NF != nr_columns)
		complain(NF " fields, the header has " nr_columns)
	for (i = 1; i <= nr_columns; i++)
		if (!($i == "" && optional[i]) && !has_type($i, type[i]))
			complain(name[i] " is \"" $i "\"")
	if ($6 == "" && $8 == "" && $12 == "" && $4 > 0)
		complain("nothing was measured")
	if ($6 != "" && ($5 == 0 || $6 == 0))
		complain("nothing was done")
	if (seen[$1, $2, $3, $4]++)
		complain("round " $4 " of " $3 " on " $1 " once more")
	nr_lines++
}

BEGIN {
	nr_columns = split(columns, column, /[ \t\n]+/)
	for (i = 1; i <= nr_columns; i++) {
		split(column[i], part, ":")
		name[i] = part[1]
		type[i] = substr(part[2], 1, 1)
		optional[i] = part[2] ~ /\?/
	}
}

/^#/		{ next }
!has_header	{ check_header(); next }
		{ check_line(); cell[$1, $2, $3]; rounds[$1, $2, $3] = $4 }

END {
	if (!nr_lines)
		complain("no lines")
	for (c in cell)
		for (i = 1; i <= rounds[c]; i++)
			if (!((c, i) in seen)) {
				split(c, part, SUBSEP)
				complain("round " i " of " part[3] " on " part[1] " is missing")
			}
	if (bad)
		exit 1
	printf "%d lines, each as it should be\n", nr_lines
}' "$1"
