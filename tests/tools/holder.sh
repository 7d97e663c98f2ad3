# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts that look at a process: one that holds memory as long as it is looked at.

# For a process: what it would do on a terminal that printed it as it is.  C1 as UTF-8 is in it,
# and the kernel cuts it at 15 bytes, in the midst of a character.
# shellcheck disable=SC2034
odd_name=$'a\nb\e[2J\xc2\x9bz\xd1\x8f\xd0\xbd\xd0\xb2'
# shellcheck disable=SC2034
plain_name=$'a?b?[2J??z\xd1\x8f\xd0\xbd?'

# start command...: when it has said that it is ready; its number is $pid.  More that it says
# can be read from 8.
start() {
	local ready
	mkfifo "$tap_dir/in" "$tap_dir/ready"
	"$@" <"$tap_dir/in" >"$tap_dir/ready" &
	pid=$!
	exec 9>"$tap_dir/in" 8<"$tap_dir/ready"
	read -r ready child <&8
	[[ $ready == ready ]]
}

stop() {
	exec 8<&- 9>&-
	wait "$pid" || true
	rm -f "$tap_dir/in" "$tap_dir/ready"
}

# For python: by exec it becomes what knows nothing of numarena, but has its stats page.
# shellcheck disable=SC2034
replaced='import os
print("ready", flush=True)
os.environ.pop("LD_PRELOAD")
os.execvp("cat", ["cat"])'

is_cat() {
	until [[ $(cat "/proc/$pid/comm") == cat ]]; do
		:
	done
}
