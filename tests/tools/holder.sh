# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts that look at a process: one that holds memory as long as it is looked at.

# start command...: when it has said that it is ready; its number is $pid.
start() {
	local ready
	mkfifo "$tap_dir/in" "$tap_dir/ready"
	"$@" <"$tap_dir/in" >"$tap_dir/ready" &
	pid=$!
	exec 9>"$tap_dir/in"
	read -r ready child <"$tap_dir/ready"
	[[ $ready == ready ]]
}

stop() {
	exec 9>&-
	wait "$pid" || true
	rm -f "$tap_dir/in" "$tap_dir/ready"
}
