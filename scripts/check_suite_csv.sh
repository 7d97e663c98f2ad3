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

# All of them, see csv_columns.awk.
columns='row:s threads:n allocator:s round:n ops:n ns_per_op:r? mops_per_sec:r?
	peak_rss_kib:n? start_rss_kib:n? settled_rss_kib:n? page_faults:n system_calls:n?
	others_cpu_share:q? disturbed:b'

LC_ALL=C awk -F, -v script=check_suite_csv.sh -v columns="$columns" \
	-f "$(dirname "$0")/csv_columns.awk" -f /dev/stdin "$1" <<'AWK'
function check_header() {
	if (NF != nr_columns)
		complain(NF " columns, not " nr_columns)
	check_names()
}

# A line measures something: time, memory or calls; a checked one, memory.
function check_line() {
	check_fields()
	if ($6 == "" && $8 == "" && $12 == "" && $4 > 0)
		complain("nothing was measured")
	if ($6 != "" && ($5 == 0 || $6 == 0))
		complain("nothing was done")
	if (seen[$1, $2, $3, $4]++)
		complain("round " $4 " of " $3 " on " $1 " once more")
	nr_lines++
}

/^#/		{ next }
!nr_fields	{ check_header(); next }
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
}
AWK
