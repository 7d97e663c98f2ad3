#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a scope costs beside malloc and free: nanoseconds, all of one run, and where valgrind
# is installed instructions inside the calls, as scripts/hot_paths.sh counts them.
#
#	scripts/scope_cost.sh
# environment: O, the output folder (build)
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

O=${O:-build}
make -s -j"$(nproc)" O="$O" lib bench-programs
library=$PWD/$O/libnumarena.so

# Instructions of $2 rounds of measure $1 inside the functions named after that.
count() {
	local measure=$1 rounds=$2
	shift 2
	LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"${@/#/--toggle-collect=}" "$O/bench/scope_cost" "$measure" "$rounds" 2>&1 |
		awk '/Collected/ { print $NF; found = 1 } END { exit !found }'
}

# The difference of a short and a longer run, by what one round makes of $2.
per_call() {
	local measure=$1 calls=$2
	shift 2
	awk -v a="$(count "$measure" 3 "$@")" -v b="$(count "$measure" 13 "$@")" -v calls="$calls" \
		'BEGIN { printf "%.1f", (b - a) / 10 / calls }'
}

LD_PRELOAD=$library "$O/bench/scope_cost"
command -v valgrind >/dev/null || {
	echo "scope_cost.sh: no instructions: valgrind is not installed: scripts/deps.sh test installs it" >&2
	exit 0
}
row() {
	printf '%-44s %8s instructions\n' "$1" "$2"
}
row 'malloc(64) and free, 1,000 of them' "$(per_call malloc 1000 malloc free)"
row 'numarena_scope_alloc(64), 1,000 and a reset' \
	"$(per_call alloc 1000 numarena_scope_alloc numarena_scope_reset)"
row 'malloc(64) captured, 1,000 in a scope' \
	"$(per_call capture 1000 malloc numarena_scope_begin numarena_scope_end)"
row 'a scope begun and ended' "$(per_call empty 1 numarena_scope_begin numarena_scope_end)"
row 'reset of a scope that holds 100,000' "$(per_call reset 1 numarena_scope_reset)"
