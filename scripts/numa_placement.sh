#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where memory lies on machines with nodes, numarena's and its rivals' side by side.
#
#   numa_placement.sh [topology]...	of numa_guest.sh --list (2 4)
#
# In a guest of each topology numarena_bench runs on each allocator: threads pinned to CPUs
# all over the nodes, a part of all frees made by a thread of another node.  It asks
# the kernel itself, by move_pages, for each page of each live object, and counts the bytes
# that lie on the node of the thread that allocated them.  Prints a table; times in a guest
# mean nothing and are not shown.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench_allocators.sh
. scripts/bench_allocators.sh

build=${O:-build}
workloads=(rl_small rl_medium fragmentation_mix)
allocators=(system jemalloc mimalloc tcmalloc numarena)
threads=4
ops=${PLACEMENT_OPS:-600000}
remote=20

# In the guest: a line "workload allocator share" for each; arguments are name=library.
inside() {
	local workload pair column
	column=$("$build/bench/numarena_bench" --columns | tr , '\n' |
		awk '$1 == "local_page_share" { print NR }')
	for workload in "${workloads[@]}"; do
		for pair in "$@"; do
			# shellcheck disable=SC2086 # no library, no argument
			echo "$workload ${pair%%=*} $(
				env ${pair#*=} "$build/bench/numarena_bench" --workload "$workload" \
					--threads $threads --ops "$ops" --latency-ops 1000 \
					--placement spread --remote $remote | cut -d, -f "$column"
			)"
		done
	done
}

table() {
	awk -v topology="$1" -v allocators="${allocators[*]}" '
	BEGIN { nr = split(allocators, name, " ") }
	{ share[$1, $2] = $3; if (!seen[$1]++) order[++rows] = $1 }
	END {
		for (row = 1; row <= rows; row++) {
			printf "| %s | %s |", topology, order[row]
			for (i = 1; i <= nr; i++) {
				value = share[order[row], name[i]]
				printf " %s |", value == "" ? "-" : sprintf("%.2f %%", 100 * value)
			}
			print ""
		}
	}'
}

if [[ ${1:-} == --inside ]]; then
	shift
	inside "$@"
	exit
fi

with=()
pairs=()
for allocator in "${allocators[@]}"; do
	library=$(allocator_library "$allocator" "$build") || continue
	pairs+=("$allocator=${library:+LD_PRELOAD=$library}")
	[[ -z $library ]] || with+=(--with "$library")
done

printf '| nodes | workload |'
printf ' %s |' "${allocators[@]}"
printf '\n|--:|---|'
printf -- '--:|%.0s' "${allocators[@]}"
echo
for topology in "${@:-2 4}"; do
	for one in $topology; do
		scripts/numa_guest.sh --topology "$one" --timeout 900 "${with[@]}" -- \
			"$PWD/scripts/numa_placement.sh" --inside "${pairs[@]}" | table "$one"
	done
done
