#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command itself: which commands there are, and what it says to wrong calls.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

commands() {
	"$numarena" --help | awk '/^Commands:/ { on = 1; next } !NF { on = 0 } on { print $1 }'
}

prints_version() {
	call "$1"
	((status == 0)) && has_lines 0 err && grep -Eqx 'numarena [0-9]+\.[0-9]+\.[0-9]+' "$tap_dir/out"
}

same_help() {
	diff <("$numarena" help "$1") <("$numarena" "$1" --help) &&
		diff <("$numarena" help "$1") <("$numarena" "$1" -h) &&
		"$numarena" help "$1" | head -n 1 | grep -q "^Usage: numarena $1 "
}

check 'there are commands' test "$(commands | wc -l)" -ge 6
check '--version' prints_version --version
check '-V' prints_version -V
check 'help is --help' diff <("$numarena" help) <("$numarena" --help)
check 'no command' misused 'which command?'
check 'an unknown command' misused "no command 'frobnicate'" frobnicate
check 'help of an unknown command' misused "no command 'frobnicate'" help frobnicate
check 'help of two' misused 'one command at a time' help run help
check 'an unknown option' misused "no option '--frobnicate'" --frobnicate
check 'an unknown letter' misused "no option '-x'" -x
check 'an unknown letter behind a known one' misused "no option '-x'" doctor -jx
check 'the same behind another option' misused "no option '-x'" doctor --json -xj
check 'an unknown option behind an operand' misused "no option '--frobnicate'" audit 1 --frobnicate
check 'a value for an option that takes none' misused "a value for an option that takes none: '--json=yes'" \
	doctor --json=yes
check 'the same for one without a letter' misused "takes none: '--settings=yes'" run --settings=yes
check 'a part of two options' misused "several options begin with '--h'" run --h auto true
check 'the same with a value' misused "several options begin with '--h=auto'" run --h=auto true
check 'a part of one' exits 1 'there is no process' stat --js 2147483647
check 'an option without its value' misused "no value for option '--node'" run --node
check 'a letter without its value' misused "no value for option '-n'" run -n
check 'closed or full stdout' complains_of_output --version
check 'the same for help' complains_of_output help run
check 'the same for a list' complains_of_output run --settings
for command in $(commands); do
	check "help $command" same_help "$command"
	check "$command with an unknown option" misused "no option '--frobnicate'" "$command" --frobnicate
done

tap_end
