#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs run where the kernel promises no more memory than it has, which charges every
# writable byte whether touched or not.  This is a setting of the whole machine: the test
# runs only if it is asked for, puts the setting back, and may starve what else runs.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

[[ ${TEST_OVERCOMMIT:-} ]] || skip_all 'changes the whole machine; TEST_OVERCOMMIT=1 runs it'
((EUID == 0)) || skip_all 'only root may set vm.overcommit_memory'

setting=/proc/sys/vm/overcommit_memory
before=$(<$setting)
trap 'echo "$before" >"$setting"; rm -rf "$tap_dir"' EXIT
echo 2 >$setting

# 200 MB of small objects, by a program that knows nothing of numarena.
many_objects() {
	preloaded env PYTHONMALLOC=malloc python3 -c \
		'print(sum(map(len, [str(i) * 10 for i in range(2000000)])))' | grep -x 128888900
}

check 'true starts' preloaded true
check 'two million objects fit' many_objects
check 'python3 was served by the library' is_served python3

tap_end
