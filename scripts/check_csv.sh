#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Checks the shape of a benchmark's CSV, not its figures: the header, a value of the
# right type wherever one is required, as many fields in each row as in the header.
#
# usage: scripts/check_csv.sh [FILE]		bench/results/bench.csv
#
# Prints what is wrong and exits 1; prints how many rows are right and exits 0.
set -euo pipefail

file=${1:-$(dirname "$0")/../bench/results/bench.csv}
if [[ ! -r $file ]]; then
	echo "check_csv.sh: cannot read $file" >&2
	exit 1
fi

# Columns that must come first, in this order.  A type: s name, n whole number,
# r number, q share from 0 to 1; with ? it may be empty, where the machine does not tell.
columns='workload:s allocator:s threads:n round:n ops:n seconds:r ops_per_sec:r
	alloc_p50_ns:r? alloc_p99_ns:r? alloc_p999_ns:r?
	free_p50_ns:r? free_p99_ns:r? free_p999_ns:r?
	usable_ratio:r peak_live_bytes:n peak_rss_bytes:n? page_faults:n huge_coverage:q?
	nodes:n placement:s remote_free_share:q local_page_share:q?'

LC_ALL=C awk -F, -v columns="$columns" '
function complain(what) {
	printf "check_csv.sh: line %d: %s\n", FNR, what
	bad++
}

function has_type(value, type) {
	if (type == "s")
		return value ~ /^[a-z][a-z0-9_-]*$/
	if (type == "n")
		return value ~ /^[0-9]+$/
	if (value !~ /^[0-9]+(\.[0-9]+)?$/)
		return 0
	return type == "r" || value <= 1
}

function check_header(	i) {
	nr_fields = NF
	for (i = 1; i <= nr_columns; i++)
		if ($i != name[i])
			complain("column " i " is \"" $i "\", not \"" name[i] "\"")
	for (i = 1; i <= NF; i++)
		if ($i !~ /^[a-z][a-z0-9_]*$/ || seen[$i]++)
			complain("bad or repeated column name \"" $i "\"")
}

function check_row(	i) {
	if (NF != nr_fields)
		complain(NF " fields, the header has " nr_fields)
	for (i = 1; i <= nr_columns; i++)
		if (!($i == "" && optional[i]) && !has_type($i, type[i]))
			complain(name[i] " is \"" $i "\"")
	if ($5 == 0 || $6 == 0 || $7 == 0)
		complain("nothing was measured")
	nr_rows++
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
!nr_fields	{ check_header(); next }
		{ check_row() }

END {
	if (!nr_rows)
		complain("no rows")
	if (bad)
		exit 1
	printf "%d rows, each as it should be\n", nr_rows
}' "$file"
