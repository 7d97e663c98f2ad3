#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numactl, itself on the library, sets policies for programs that are.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

require_programs numactl

# numactl SETTING... runs a program, and the program sees the setting.
sets() {
	numactl "$@" numactl --show >"$tap_dir/plain"
	preloaded numactl "$@" numactl --show >"$tap_dir/preloaded"
	diff "$tap_dir/plain" "$tap_dir/preloaded"
}

check 'the machine looks the same as on libc' \
	diff <(numactl --hardware | grep -v free:) \
	<(preloaded numactl --hardware | grep -v free:)
check 'the policy looks the same as on libc' same_output numactl --show
for setting in --cpunodebind=0 --membind=0 --preferred=0 --interleave=all --localalloc; do
	# Containers may forbid it.
	if numactl "$setting" true 2>/dev/null; then
		check "numactl $setting" sets "$setting"
	else
		skip "numactl $setting" 'the kernel refuses it'
	fi
done
check 'numactl was served by the library' is_served numactl

tap_end
