#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tests of tests/numa/ in one guest: `make check-numa` calls this for each topology
# with their paths in $NUMARENA_TESTS; one that ends in @2@4 is for these two machines only.
#
#   numa.sh topology
set -euo pipefail

cd "$(dirname "$0")/.."

# Over before tap-run.sh loses patience, so that it is said what the guest was at.
timeout=$((${TEST_TIMEOUT:-600} - 20))
read -ra tests <<<"${NUMARENA_TESTS:-}"
if (($# != 1 || ${#tests[@]} == 0)); then
	echo 'no machine or no test is called that: make check-numa TOPOLOGY="2 4" T=test_topology' >&2
	exit 2
fi

is_for() {
	[[ $1 != *@* || $1@ == *@"$2"@* ]]
}

here=()
for test in "${tests[@]}"; do
	! is_for "$test" "$1" || here+=("${test%%@*}")
done

exec scripts/numa_guest.sh --topology "$1" --timeout "$timeout" -- tests/numa/run.sh "${here[@]}"
