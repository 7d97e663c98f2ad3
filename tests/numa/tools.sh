#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The numarena command where there are nodes:
#
#	run --node N, any node with CPUs	threads there, memory there; audit says so
#	the same, then all of it moved away	audit finds that, and where it should be
#	on pages of its pool			audit counts them
#	a node without CPUs			refused
#	doctor					has nothing to mend about nodes
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"
# shellcheck source=tests/tools/holder.sh
. "$here/../tools/holder.sh"

build=${NUMARENA_BUILD:-$here/../../build}
numarena=$build/tools/numarena
holder=$build/tests/tools/holder

# "0-1,3" as a line a number.
nodes_that() {
	tr ',' '\n' <"/sys/devices/system/node/$1" | awk -F - '{ for (i = $1; i <= $NF; i++) print i }'
}

# A figure of a node: number NODE KEY.
number() {
	awk -v node="$1" -v key="\"$2\":" '
		$1 == "\"node\":" { on = $2 + 0 == node }
		on && $1 == key { print $2 + 0; exit }' "$tap_dir/audit"
}

audit() {
	"$numarena" audit --json "$pid" >"$tap_dir/audit"
	cat "$tap_dir/audit"
}

# All of its 32 MiB are meant for the node, and there.
is_at_home() {
	audit
	(($(number "$1" meant_kib) >= 32 << 10 && $(number "$1" misplaced_kib) == 0))
}

# Nearly all: tables are moved too, and what was touched since is at home.
is_away() {
	audit
	(($(number "$1" misplaced_kib) >= 30 << 10 && $(number "$2" here_kib) >= 30 << 10))
	grep -q "\"policy\": \"prefer:$1\"" "$tap_dir/audit"
	"$numarena" audit "$pid" | grep -q "^misplaced .* meant for node $1, "
}

is_refused() {
	status=0
	"$numarena" run --node "$1" true 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/err"
	((status == 125)) && grep -q "node $1 has no CPUs" "$tap_dir/err"
}

# Without a stats page: pages of a pool have a name in the kernel's lists, which no other of ours has.
is_in_pool() {
	audit
	(($(number "$1" meant_kib) >= 32 << 10 && $(number "$1" misplaced_kib) == 0))
	(($(number "$1" huge_kib) >= 32 << 10))
}

doctor_is_content() {
	"$numarena" doctor >"$tap_dir/doctor" || true
	cat "$tap_dir/doctor"
	grep -q "^fine  nodes  .*with memory $(</sys/devices/system/node/has_memory)," "$tap_dir/doctor"
	grep -q '^fine  cpuset ' "$tap_dir/doctor"
	grep -q '^fine  numa_calls ' "$tap_dir/doctor"
}

mapfile -t homes < <(comm -12 <(nodes_that has_memory) <(nodes_that has_cpu))
for home in "${homes[@]}"; do
	start "$numarena" run --node "$home" -- "$holder" 32
	check "node $home: memory is there" is_at_home "$home"
	stop
	for away in $(nodes_that has_memory); do
		((away != home)) || continue
		start "$numarena" run --node "$home" -- "$holder" 32 "$home" "$away"
		check "node $home: memory that is on node $away" is_away "$home" "$away"
		stop
		break
	done
done
for node in $(comm -23 <(nodes_that online) <(nodes_that has_cpu)); do
	check "node $node: no CPUs" is_refused "$node"
done
home=${homes[0]}
pool=/sys/devices/system/node/node$home/hugepages/hugepages-2048kB/nr_hugepages
echo 24 >"$pool"
start "$numarena" run --node "$home" --huge hugetlb -- "$holder" 32
check "node $home: pages of its pool" is_in_pool "$home"
stop
echo 0 >"$pool"

check 'doctor is content with the nodes' doctor_is_content

tap_end
