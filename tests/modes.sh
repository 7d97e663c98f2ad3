#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The stress programs and the suites of the contract once more under settings that
# change how every allocation is made: the modes without arenas, hardened frees,
# pages of 4 KiB only.  All must pass as they do by default.
set -euo pipefail

# shellcheck source=tests/tap.sh
source "$(dirname "$0")/tap.sh"

build=${NUMARENA_BUILD:-build}
here=$(dirname "$0")

# Less work a program than by default: there are several settings.
STRESS_SCALE=$(awk -v scale="${STRESS_SCALE:-1}" 'BEGIN { print scale * 0.15 }')
export STRESS_SCALE

passes() {
	local conf=$1 program=$2 status=0
	# In the foreground: a process group of its own would outlive tap-run.sh's clean-up.
	NUMARENA_CONF=$conf timeout --foreground --kill-after=10 300 "$program" || status=$?
	((status == 0 || status == 77))
}

names=(test_malloc test_realloc test_align test_class_add test_heap_api)
for source in "$here"/stress_*.c; do
	names+=("$(basename "$source" .c)")
done

for conf in mode:baseline mode:sharded harden:1 huge:off,decay_ms:0; do
	for name in "${names[@]}"; do
		check "$name under $conf" passes "$conf" "$build/tests/$name"
	done
done

# An application that forks under liburcu by itself.
check "stress_fork_rcu under fork_rcu:off" passes fork_rcu:off "$build/tests/stress_fork_rcu"

tap_end
