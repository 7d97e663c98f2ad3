#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numactl in front of a program: its policy is there before the first malloc.
#
#	numactl --membind=1 program	all memory on node 1, tables too, wherever it runs
#
# The program looks itself where its pages are.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"

build=${NUMARENA_BUILD:-$here/../../build}
program=$build/tests/numa/test_user_policy

# "0-1,3" as a line a number.
expand() {
	tr ',' '\n' | awk -F - '{ for (i = $1; i <= $NF; i++) print i }'
}

nodes_that() {
	expand <"/sys/devices/system/node/$1"
}

require_programs numactl
mapfile -t nodes < <(nodes_that has_memory)
((${#nodes[@]} > 1)) || skip_all 'on one node all policies are the same'
mapfile -t homes < <(comm -12 <(nodes_that has_memory) <(nodes_that has_cpu))

for node in "${nodes[@]}"; do
	check "--membind=$node" numactl --membind="$node" "$program" on "$node"
	check "--preferred=$node" numactl --preferred="$node" "$program" on "$node"
done
check --interleave numactl --interleave=all "$program" spread
for node in "${homes[@]}"; do
	check "--cpunodebind=$node" numactl --cpunodebind="$node" "$program" for "$node"
	check "--localalloc on $node" \
		numactl --cpunodebind="$node" --localalloc "$program" on "$node"
done
check "CPUs of ${homes[0]}, memory of ${nodes[1]}" \
	numactl --cpunodebind="${homes[0]}" --membind="${nodes[1]}" "$program" on "${nodes[1]}"
tap_end
