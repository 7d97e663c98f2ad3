#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A fork with handlers that allocate, registered before the library's constructor ran.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

preload_env=("LD_PRELOAD=$witness $library $programs/atfork.so")

# The shell forks for the parentheses; it would not for its last command.
both_sides_allocate() {
	preloaded timeout --foreground --kill-after=10 30 bash -c '(exit 0); true' | tee "$tap_dir/sides"
	grep -qx parent "$tap_dir/sides"
	grep -qx child "$tap_dir/sides"
}

check 'fork with handlers that allocate' both_sides_allocate
check 'it was served by the library' is_served bash

tap_end
