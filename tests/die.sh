#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Abuses that must end the process: each in a process of its own, which must die of
# SIGABRT with one line on stderr that begins "numarena: " and says what the abuse
# itself expects (see die.h).  Once with the default checks, once with harden:1,
# where each must die in the bad call itself.
set -euo pipefail

# shellcheck source=tests/tap.sh
source "$(dirname "$0")/tap.sh"
ulimit -c 0

build=${NUMARENA_BUILD:-build}

# What the shell makes of SIGABRT.
SIGABRT_STATUS=134

# One line and no other, which begins as the abuse expects.
dies() {
	local conf=$1 status=0
	shift
	# In the foreground: a process group of its own would outlive tap-run.sh's clean-up.
	NUMARENA_CONF=$conf timeout --foreground --kill-after=10 60 "$@" >"$tap_dir/expected" 2>"$tap_dir/stderr" || status=$?
	echo "exit status $status; expected: $(<"$tap_dir/expected"); stderr:"
	cat "$tap_dir/stderr"
	((status == SIGABRT_STATUS))
	(($(wc -l <"$tap_dir/stderr") == 1))
	grep -Eq "^numarena: $(<"$tap_dir/expected")" "$tap_dir/stderr"
}

for source in "$(dirname "$0")"/die_*.c; do
	name=$(basename "$source" .c)
	program=$build/tests/$name
	list=$("$program" list)
	while read -r abuse when; do
		if [[ $when != hardened ]]; then
			check "$name $abuse ($when)" dies '' "$program" "$abuse"
		fi
		check "$name $abuse under harden:1" dies harden:1 "$program" "$abuse" at-once
	done <<<"$list"
done

tap_end
