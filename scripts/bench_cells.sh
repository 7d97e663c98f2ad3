#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Folds a benchmark's CSV over its rounds: a line for each combination and column that
# holds figures, tab-separated:
#
#	workload placement threads allocator column median least most rounds
#
# A placement in which other threads free has the share appended: spread+20%.
#
# usage: scripts/bench_cells.sh FILE
set -euo pipefail
export LC_ALL=C

awk -F, '
/^#/		{ next }
!nr_columns	{ nr_columns = split($0, name); for (i in name) at[name[i]] = i; next }
{
	place = $at["placement"]
	if ($at["remote_percent"] > 0)
		place = place "+" $at["remote_percent"] "%"
	for (i = 5; i <= nr_columns; i++)
		if ($i ~ /^[0-9.]+$/)
			print $1, place, $3, $2, name[i], $i
}' OFS='\t' "$1" | sort -t$'\t' -k1,5 -k6,6g | awk -F'\t' '
function flush_cell() {
	if (!n)
		return
	median = n % 2 ? value[(n + 1) / 2] : (value[n / 2] + value[n / 2 + 1]) / 2
	print cell, median, value[1], value[n], n
	n = 0
}
{
	key = $1 "\t" $2 "\t" $3 "\t" $4 "\t" $5
	if (key != cell)
		flush_cell()
	cell = key
	value[++n] = $6
}
END { flush_cell() }' OFS='\t' OFMT='%.10g' CONVFMT='%.10g'
