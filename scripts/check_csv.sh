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

# Columns that must come first, in this order.  Empty may be what the machine does not tell.
columns='workload:s allocator:s threads:n round:n ops:n seconds:r ops_per_sec:r
	alloc_p50_ns:r? alloc_p99_ns:r? alloc_p999_ns:r?
	free_p50_ns:r? free_p99_ns:r? free_p999_ns:r?
	usable_ratio:r peak_live_bytes:n peak_rss_bytes:n? page_faults:n huge_coverage:q?
	nodes:n placement:s remote_free_share:q local_page_share:q?'

LC_ALL=C awk -F, -v script=check_csv.sh -v columns="$columns" \
	-f "$(dirname "$0")/csv_columns.awk" -f /dev/stdin "$file" <<'AWK'
function check_header(	i) {
	check_names()
	for (i = 1; i <= NF; i++)
		if ($i !~ /^[a-z][a-z0-9_]*$/ || seen[$i]++)
			complain("bad or repeated column name \"" $i "\"")
}

function check_row() {
	check_fields()
	if ($5 == 0 || $6 == 0 || $7 == 0)
		complain("nothing was measured")
	nr_rows++
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
}
AWK
