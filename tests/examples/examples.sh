#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The examples, compiled and run as their readers would, and one unchanged under a preload.
# Each compares two answers of its own and says what it gained; how much that is depends on
# the machine and is no matter of a test.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"

require_programs "${CC:=cc}"
build=$(cd "${NUMARENA_BUILD:-$top/build}" && pwd)

compiles() {
	"$CC" -O2 -g -pthread -Wall -Wextra -Werror -D_GNU_SOURCE -I "$top/include" \
		-o "$tap_dir/$1" "$here/$1.c" "${@:2}"
}

linked=(-L "$build" -lnumarena "-Wl,-rpath,$build")

gains() {
	NUMARENA_CONF=$2 "$tap_dir/$1" "$3" | tee /dev/stderr | grep -q "$4"
}

# No requests have no time each.
knows_usage() {
	local program status
	for program in inference_worker actor_learner; do
		status=0
		"$tap_dir/$program" none 2>"$tap_dir/err" || status=$?
		cat "$tap_dir/err"
		((status == 2)) && grep -q "^usage: $program " "$tap_dir/err" || return
	done
}

# The environment's random order must not matter to what it counts.
runs_unchanged() {
	local plain ours
	plain=$("$tap_dir/unchanged")
	ours=$(LD_PRELOAD=$build/libnumarena.so "$tap_dir/unchanged")
	echo "system: $plain; preloaded: $ours"
	[[ ${plain#*sum} == "${ours#*sum}" ]]
}

check 'inference_worker compiles' compiles inference_worker "${linked[@]}"
check 'inference_worker gains' gains inference_worker '' 50 '^gained: .* less KV memory$'
check 'inference_worker under harden:1' gains inference_worker harden:1 5 '^gained:'
check 'actor_learner compiles' compiles actor_learner "${linked[@]}"
check 'actor_learner gains' gains actor_learner '' 50 'went home in [0-9]* batches$'
check 'actor_learner under harden:1' gains actor_learner harden:1 5 'went home'
check 'a count that is none' knows_usage
check 'unchanged compiles' compiles unchanged
check 'unchanged runs under a preload' runs_unchanged

tap_end
