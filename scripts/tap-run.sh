#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run one test for prove and answer in TAP, whatever the test speaks.
#
#   tap-run.sh program-or-script [argument]...
#
# A test that prints TAP is passed through.  Any other is one check, passed if it
# exits 0.  Exit 77 is a skip, the last line printed its reason.  A test that hangs
# is ended after TEST_TIMEOUT seconds; what it leaves running is ended with it.
set -euo pipefail

# libcheck gives up after 4 s, in which a busy machine may not have run the test at all.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}

timeout=${TEST_TIMEOUT:-600}
name=$(basename "$1")${2:+ ${*:2}}
out=$(mktemp)
group=

# timeout makes itself the leader of a process group, of which children are members.
clean_up() {
	[[ -z $group ]] || kill -KILL -- "-$group" 2>/dev/null || true
	rm -f "$out"
}
trap clean_up EXIT

command=("$@")
[[ $1 == */* ]] || command[0]=./$1
# ThreadSanitizer of this age cannot place its shadow under high-entropy layouts.
[[ ${NUMARENA_SAN:-} != thread ]] || command=(setarch -R "${command[@]}")

status=0
timeout --kill-after=10 "$timeout" "${command[@]}" >"$out" 2>&1 </dev/null &
group=$!
wait "$group" || status=$?

# What was printed, past the harness to whoever watches.
show_output() {
	sed "s/^/$name: /" "$out" >&2
}

verdict() {
	echo "1..1"
	echo "$1 1 - $name${2:+: $2}"
	[[ $1 == ok ]] || show_output
	[[ $1 == ok ]]
}

is_tap() {
	grep -Eq '^(1\.\.[0-9]+|(not )?ok\b)' "$out"
}

if ((status == 77)); then
	echo "1..0 # SKIP $(tail -n 1 "$out")"
elif ((status == 124 || status == 137)); then
	verdict "not ok" "still running after $timeout s"
elif is_tap; then
	cat "$out"
	((status == 0)) || show_output
	exit "$status"
elif ((status == 0)); then
	verdict ok
else
	verdict "not ok" "exit status $status"
fi
