# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts of this folder: call the command, and say what came of it.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"

build=${NUMARENA_BUILD:-$top/build}
numarena=$build/tools/numarena
library=$(realpath -e "$build/libnumarena.so")
unset LD_PRELOAD NUMARENA_CONF

# Runs it; afterwards $status, and files out and err in $tap_dir.
call() {
	status=0
	"$numarena" "$@" >"$tap_dir/out" 2>"$tap_dir/err" </dev/null || status=$?
	cat "$tap_dir/out" "$tap_dir/err"
}

has_lines() {
	(($(wc -l <"$tap_dir/$2") == $1)) || {
		echo "not $1 lines:"
		cat "$tap_dir/$2"
		return 1
	}
}

# exits STATUS 'what the one line on stderr has' argument...
exits() {
	local expected=$1 text=$2
	shift 2
	call "$@"
	((status == expected)) && has_lines 1 err && grep -qF -- "$text" "$tap_dir/err"
}

# A wrong call: one line and a hint, nothing on stdout.
misused() {
	local text=$1
	shift
	call "$@"
	((status == 2)) && has_lines 2 err && has_lines 0 out &&
		head -n 1 "$tap_dir/err" | grep -qF -- "$text" &&
		tail -n 1 "$tap_dir/err" | grep -qx "Try 'numarena.*--help'."
}

# What is printed goes nowhere: 1 and one line, which says why.
complains_of_output() {
	output_fails 'Bad file descriptor' '>&-' "$@" &&
		output_fails 'No space left on device' '>/dev/full' "$@"
}

output_fails() {
	local reason=$1 to=$2
	shift 2
	status=0
	bash -c '"$@" '"$to" bash "$numarena" "$@" 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/err"
	((status == 1)) && has_lines 1 err && grep -q "cannot write.*: $reason$" "$tap_dir/err"
}

# is_over COMMAND: it says so of a process that has ended.
is_over() {
	sh -c 'exit 0' &
	wait $!
	exits 1 "there is no process $!" "$1" $!
}

# For whom only root can be.
as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

can_be_nobody() {
	((EUID == 0)) && [[ $(type -P setpriv) ]]
}

# As call, by nobody, who cannot enter the folder that the command is in.
call_as_nobody() {
	local dir
	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp "$numarena" "$dir/numarena"
	status=0
	as_nobody "$dir/numarena" "$@" >"$tap_dir/out" 2>"$tap_dir/err" </dev/null || status=$?
	rm -rf "$dir"
	cat "$tap_dir/out" "$tap_dir/err"
}

# The system's, if it has one: others in PATH may be scripts that take a while to find it.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

# It knows JSON: query EXPRESSION, where d is the whole.
query() {
	"$python" -c 'import json, sys
d = json.load(open(sys.argv[1]))
exec(f"assert {sys.argv[2]}")' "$tap_dir/out" "$1"
}
