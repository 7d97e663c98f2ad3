#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Instructions that malloc, free and their kin take, by valgrind's callgrind: those inside
# the calls, without the procedure linkage table and the loop around them.  Each figure is
# the difference of two runs of different length, so start-up is not in it.
#
#	scripts/hot_paths.sh		all allocators that are installed, as a table
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench_allocators.sh
. scripts/bench_allocators.sh

O=${O:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, calls of malloc in one run of it, what is counted
paths='pair:1:malloc(64), free
aligned:1:posix_memalign(64, 100), free
zeroed:1:calloc(1, 64), free
batch:1000:1,000 of 64 B allocated, then freed in reverse
large:1:malloc(200000), free
grow:89:realloc, 40 KB to 400 KB by 4 KiB'

# Instructions of $2 rounds of path $1 under library $3.
count() {
	LD_PRELOAD=$3 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect=malloc --toggle-collect=free --toggle-collect=calloc \
		--toggle-collect=realloc --toggle-collect=posix_memalign \
		"$O/bench/hot_paths" "$1" "$2" 2>&1 |
		awk '/Collected/ { print $NF; found = 1 } END { exit !found }'
}

per_call() {
	local few=$((4000 / $2 + 10)) many
	many=$((few * 5))
	awk -v a="$(count "$1" $few "$3")" -v b="$(count "$1" $many "$3")" \
		-v calls=$(((many - few) * $2)) 'BEGIN { printf "%.1f", (b - a) / calls }'
}

command -v valgrind >/dev/null || {
	echo "hot_paths.sh: valgrind is not installed: scripts/deps.sh test installs it" >&2
	exit 77
}
make -s -j"$(nproc)" O="$O" lib bench-programs
allocators=(system jemalloc mimalloc tcmalloc numarena)
header='| instructions |' rule='|---|'
for name in "${allocators[@]}"; do
	header+=" $name |" rule+='--:|'
done
printf '%s\n%s\n' "$header" "$rule"
while IFS=: read -r path calls text; do
	row="| $text |"
	for name in "${allocators[@]}"; do
		if library=$(allocator_library "$name" "$O"); then
			row+=" $(per_call "$path" "$calls" "$library") |"
		else
			row+=' |'
		fi
	done
	echo "$row"
done <<< "$paths"
