# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# TAP for test scripts.  Source it, call check for each thing that is to be true, end
# with tap_end.  $tap_dir is a folder of the script's own and goes away with it.

tap_nr=0
tap_nr_failed=0
tap_dir=$(mktemp -d)
trap 'rm -rf "$tap_dir"' EXIT

# check "what is true" command [argument]...
# The command may be a function; it runs in a subshell with -e.
check() {
	local what=$1 status
	shift
	tap_nr=$((tap_nr + 1))
	# Under `if` or `||` the subshell's own -e would be ignored.
	set +e
	(set -e; "$@") >"$tap_dir/output" 2>&1
	status=$?
	set -e
	if ((status == 0)); then
		echo "ok $tap_nr - $what"
		return
	fi
	tap_nr_failed=$((tap_nr_failed + 1))
	echo "not ok $tap_nr - $what"
	echo "# exit status $status: $*"
	tail -n 50 "$tap_dir/output" | sed 's/^/# /'
}

# skip "what is true" "why that cannot be seen here"
skip() {
	tap_nr=$((tap_nr + 1))
	echo "ok $tap_nr - $1 # SKIP $2"
}

# The whole script, before its first check.
skip_all() {
	echo "$1"
	exit 77
}

require_programs() {
	local name
	for name in "$@"; do
		[[ $(command -v "$name") ]] || skip_all "there is no $name"
	done
}

tap_end() {
	echo "1..$tap_nr"
	exit $((tap_nr_failed > 0))
}
