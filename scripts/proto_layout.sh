#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs the metadata prototypes (bench/proto_layout.c) side by side.
#
# Every run is a process of its own, on one processor, and the variants of a round
# follow each other: a change of the machine's mood reaches all of them.  A round
# starts one variant later than the round before.  Large runs are preceded by a
# process that touches and leaves more memory than they use, since a virtual machine
# may have given its idle memory back, and the next to touch it pays.
#
# usage: scripts/proto_layout.sh [time|count]
#	time	nanoseconds an operation: median, least and most of ROUNDS
#	count	instructions an operation, by callgrind
# environment: ROUNDS (9), LIVE ("10000 1000000"), PAGES (huge), CPU (last one),
#	VARIANTS (all), RAW (where each run's line is kept), CC (gcc)
set -euo pipefail

cd "$(dirname "$0")/.."

what=${1:-time}
rounds=${ROUNDS:-9}
pages=${PAGES:-huge}
cpu=${CPU:-$(($(nproc) - 1))}
raw=${RAW:-build/proto_layout.csv}
program=build/proto_layout
read -r -a live <<< "${LIVE:-10000 1000000}"
read -r -a variants <<< "${VARIANTS:-dense4_magazine dense8_magazine header_magazine \
line_magazine dense4_list dense8_list header_list line_list dense4_slablist \
dense8_slablist header_slablist line_slablist floor}"

# About a third of a second of churn each, so that 9 rounds stay within minutes.
ops_for() {
	if (($1 <= 100000)); then
		echo 20000000
	else
		echo 5000000
	fi
}

# 2.5 million objects are some 660 MiB.
warm_memory() {
	taskset -c "$cpu" "$program" floor 2500000 1 "$pages" > /dev/null
}

time_round() {
	local round=$1 nr_live=$2 n=${#variants[@]} i
	for ((i = 0; i < n; i++)); do
		if ((nr_live > 100000)); then
			warm_memory
		fi
		taskset -c "$cpu" "$program" "${variants[(i + round) % n]}" \
			"$nr_live" "$(ops_for "$nr_live")" "$pages" "$round" >> "$raw"
	done
}

# Runs that shared their processor for over 2 % of the time are counted, not hidden.
tabulate() {
	printf '| live | variant | median ns | least | most | disturbed |\n'
	printf '|---|---|---|---|---|---|\n'
	sort -t, -k3,3n -k1,1 -k5,5n "$raw" | awk -F, '
	function row() {
		if (!n)
			return
		median = n % 2 ? ns[(n + 1) / 2] : (ns[n / 2] + ns[n / 2 + 1]) / 2
		printf "| %s | %s | %.1f | %.1f | %.1f | %d |\n",
			live, name, median, ns[1], ns[n], disturbed
	}
	$1 != name || $3 != live { row(); n = disturbed = 0 }
	{ name = $1; live = $3; ns[++n] = $5; disturbed += $6 > 1.02 * $5 }
	END { row() }'
}

time_all() {
	local round nr_live
	: > "$raw"
	for ((round = 0; round < rounds; round++)); do
		for nr_live in "${live[@]}"; do
			time_round "$round" "$nr_live"
		done
		printf 'round %d of %d, load %s\n' $((round + 1)) "$rounds" \
			"$(cut -d' ' -f1 /proc/loadavg)" >&2
	done
	tabulate
}

# A run churns half as much again to warm up, and both parts are collected.
count_all() {
	local variant nr_live nr_ops=200000 collected
	printf '| live | variant | instructions |\n|---|---|---|\n'
	for nr_live in "${live[@]}"; do
		for variant in "${variants[@]}"; do
			collected=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
				--toggle-collect="churn_$variant" "$program" "$variant" \
				"$nr_live" "$nr_ops" "$pages" 2>&1 |
				awk '$2 == "Collected" { print $4 }')
			awk -v live="$nr_live" -v name="$variant" -v ir="$collected" -v ops="$nr_ops" \
				'BEGIN { printf "| %s | %s | %.1f |\n", live, name, ir / (1.5 * ops) }'
		done
	done
}

mkdir -p build "$(dirname "$raw")"
"${CC:-gcc}" -std=gnu11 -O2 -g -Wall -Wextra -o "$program" bench/proto_layout.c
case $what in
time) time_all ;;
count) count_all ;;
*)
	echo "usage: scripts/proto_layout.sh [time|count]" >&2
	exit 2
	;;
esac
