#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena audit: of processes on numarena, and of those of which nothing can be said.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

# shellcheck source=tests/tools/holder.sh
. "$here/holder.sh"
holder=$build/tests/tools/holder

audit() {
	call audit "$1" --json
	((status == 0)) && has_lines 0 err && query "d['pid'] == $1"
}

# What is meant for some node is nearly all of 128 MiB, and lies where it should.
is_in_place() {
	audit "$pid"
	query 'd["meant_kib"] + d["unbound_kib"] >= 126 << 10'
	query 'd["misplaced_kib"] == 0 and not d["misplaced"]'
	query 'sum(n["here_kib"] for n in d["nodes"]) >= 126 << 10'
}

# As the kernel counts them, of memory that has no name: the kernel may make more of them huge
# while we look.
huge_kib() {
	awk '/^[0-9a-f]+-/ { is_named = NF > 5 } /^AnonHugePages:/ && !is_named { sum += $2 }
		END { print sum + 0 }' "/proc/$pid/smaps"
}

huge_is_as_in_smaps() {
	local before after
	before=$(huge_kib)
	audit "$pid"
	after=$(huge_kib)
	query "$before <= d['huge_kib'] <= $after"
}

text_agrees() {
	call audit "$pid"
	((status == 0))
	has_lines 0 err
	grep -q "^process    $pid holder$" "$tap_dir/out"
	grep -Eq '^0\.00 % of [0-9.]+ MiB misplaced; [0-9.]+ % of [0-9.]+ MiB on huge pages$' "$tap_dir/out"
}

has_no_rights() {
	call_as_nobody audit "$pid"
	((status == 1)) && has_lines 1 err && grep -q 'no rights' "$tap_dir/err"
}

# Ended, and its parent has not asked for its status.
parent='import os, sys
child = os.fork() or os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("ready", child, flush=True)
sys.stdin.read()'

is_zombie() {
	exits 1 'has ended' audit "$child"
}

start "$numarena" run -- "$holder" 128
check 'memory is in its place' is_in_place
check 'huge pages are those that the kernel counts' huge_is_as_in_smaps
check 'the text says the same' text_agrees
check 'closed or full stdout' complains_of_output audit "$pid"
check 'the same with JSON' complains_of_output audit -j "$pid"
if can_be_nobody; then
	check 'no rights' has_no_rights
else
	skip 'no rights' 'only root can do without'
fi
stop

start "$holder" 16
check 'a process without numarena' exits 1 'does not run on numarena' audit "$pid"
stop

ln -s "$holder" "$tap_dir/$odd_name"
start "$tap_dir/$odd_name" 16
check 'one whose name would move the cursor' exits 1 "($plain_name) does not run" audit "$pid"
stop

start "$numarena" run --stats page -- "$python" -c "$replaced"
check 'exec is made' is_cat
check 'one that exec has replaced' exits 1 'does not run on numarena' audit "$pid"
stop

start "$python" -c "$parent"
check 'one that is a zombie' is_zombie
stop

check 'one that is over' is_over audit
check 'no process' misused 'which process?' audit
check 'two processes' misused 'one process at a time' audit 1 2
for wrong in x 0 -1 12x '' 99999999999; do
	check "process '$wrong'" misused 'no' audit -- "$wrong"
done

tap_end
