#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena audit: of processes on numarena, and of those of which nothing can be said.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

# Holds 64 MiB in small objects and 64 MiB in one, says so, and stays until its input ends.
worker='import sys
objects = [bytes(1000) for i in range(64000)]
block = bytearray(64 << 20)
block[::4096] = b"1" * len(block[::4096])
print("ready", flush=True)
sys.stdin.read()'

# start command...: its number in $pid, when it is ready.
start() {
	local ready
	mkfifo "$tap_dir/in" "$tap_dir/ready"
	"$@" <"$tap_dir/in" >"$tap_dir/ready" &
	pid=$!
	exec 9>"$tap_dir/in"
	read -r ready <"$tap_dir/ready"
	[[ $ready == ready ]]
}

stop() {
	exec 9>&-
	wait "$pid" || true
	rm -f "$tap_dir/in" "$tap_dir/ready"
}

audit() {
	call audit --json "$1"
	((status == 0)) && has_lines 0 err && query "d['pid'] == $1"
}

# What is meant for some node is nearly all of 128 MiB, and lies where it should.
is_in_place() {
	audit "$pid"
	query 'd["meant_kib"] + d["unbound_kib"] >= 126 << 10'
	query 'd["misplaced_kib"] == 0 and not d["misplaced"]'
	query 'sum(n["here_kib"] for n in d["nodes"]) >= 126 << 10'
}

# Of the transparent huge pages as the kernel counts them for all of the process.
huge_is_as_in_smaps() {
	local kib
	audit "$pid"
	kib=$(awk '/^AnonHugePages:/ { print $2 }' "/proc/$pid/smaps_rollup")
	query "d['huge_kib'] == $kib"
}

text_agrees() {
	call audit "$pid"
	((status == 0)) && has_lines 0 err
	grep -q "^process    $pid python3" "$tap_dir/out"
	grep -Eq '^0\.00 % of [0-9.]+ MiB misplaced; [0-9.]+ % of [0-9.]+ MiB on huge pages$' "$tap_dir/out"
}

has_no_rights() {
	local dir
	# nobody cannot enter the folder that this one's is in.
	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp "$numarena" "$dir/numarena"
	status=0
	setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/numarena" audit "$pid" \
		>"$tap_dir/out" 2>"$tap_dir/err" || status=$?
	rm -rf "$dir"
	cat "$tap_dir/err"
	((status == 1)) && has_lines 1 err && grep -q 'no rights' "$tap_dir/err"
}

is_over() {
	sh -c 'exit 0' &
	wait $!
	exits 1 "there is no process $!" audit $!
}

# Ended, and its parent has not asked for its status.
parent='import os, sys
os.fork() or os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("ready", flush=True)
sys.stdin.read()'

is_zombie() {
	exits 1 'has ended' audit "$(pgrep -P "$pid")"
}

start "$numarena" run -- /usr/bin/python3 -c "$worker"
check 'memory is in its place' is_in_place
check 'huge pages are those that the kernel counts' huge_is_as_in_smaps
check 'the text says the same' text_agrees
check 'closed or full stdout' complains_of_output audit "$pid"
check 'the same with JSON' complains_of_output audit -j "$pid"
if ((EUID == 0)) && [[ $(type -P setpriv) ]]; then
	check 'no rights' has_no_rights
else
	skip 'no rights' 'only root can do without'
fi
stop

start /usr/bin/python3 -c "$worker"
check 'a process without numarena' exits 1 'does not run on numarena' audit "$pid"
stop

start /usr/bin/python3 -c "$parent"
check 'one that is a zombie' is_zombie
stop

check 'one that is over' is_over
check 'no process' misused 'which process?' audit
check 'two processes' misused 'one process at a time' audit 1 2
for wrong in x 0 -1 12x '' 99999999999; do
	check "process '$wrong'" misused 'no' audit -- "$wrong"
done

tap_end
