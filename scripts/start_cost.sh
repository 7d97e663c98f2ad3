#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What preloading an allocator costs a process that does nothing: peak resident memory
# and time from start to end of `true`, and both less those without a preload.
#
# usage: scripts/start_cost.sh [rounds]		CSV on stdout; 200 rounds
# environment: O, the output folder (build)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/bench_allocators.sh

O=${O:-build}
arguments=()
for name in jemalloc mimalloc tcmalloc numarena; do
	if library=$(allocator_library "$name" "$O"); then
		arguments+=("$name=$library")
	else
		echo "start_cost.sh: no $name, skipped" >&2
	fi
done
[[ -x $O/bench/start_cost ]] || make -s O="$O" bench-programs
exec "$O/bench/start_cost" "${1:-200}" "${arguments[@]}"
