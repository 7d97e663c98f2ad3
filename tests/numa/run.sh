#!/bin/bash
# SPDX-License-Identifier: MIT
#
# In the guest: run tests, a line of TAP each.  What one that failed has printed comes
# as comments; 77, or a plan of none, is a skip.  The last comment says what took longest.
#
#   run.sh test...
set -euo pipefail

timeout=300	# seconds a test; the guest has four times that
nr=0
nr_failed=0
output=$(mktemp)
times=$(mktemp)
trap 'rm -f "$output" "$times"' EXIT

failed() {
	nr_failed=$((nr_failed + 1))
	echo "not ok $nr - $name: $1"
	sed 's/^/# /' "$output"
}

verdict() {
	case $1 in
	0) echo "ok $nr - $name$(sed -n 's/^1\.\.0 # SKIP/ # SKIP/p' "$output")" ;;
	77) echo "ok $nr - $name # SKIP $(tail -n 1 "$output")" ;;
	124) failed "still running after $timeout s" ;;
	*) failed "exit status $1" ;;
	esac
}

print_slowest() {
	sort -rn "$times" | awk -v nr="$#" '
		{ sum += $1 }
		NR <= 5 { slowest = slowest ", " $2 " " $1 }
		END { printf "# %d tests, %d s; slowest:%s s\n", nr, sum, substr(slowest, 2) }'
}

echo "1..$#"
for test in "$@"; do
	nr=$((nr + 1))
	name=$(basename "$test")
	status=0
	started=$SECONDS
	timeout --kill-after=10 "$timeout" "$test" >"$output" 2>&1 || status=$?
	verdict "$status"
	echo "$((SECONDS - started)) $name" >>"$times"
done
print_slowest "$@"
exit $((nr_failed > 0))
