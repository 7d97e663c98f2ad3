#!/bin/bash
# SPDX-License-Identifier: MIT
#
# python3 with no allocator of its own before malloc, on part of its own regression tests.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

# Debian's own, whose tests come in a package; another python3 may lie before it in PATH.
python=/usr/bin/python3
[[ -x $python ]] || skip_all "there is no $python"
"$python" -c 'import test.test_list' 2>/dev/null ||
	skip_all "there are no tests of $python: package libpython3.x-testsuite"

# They churn objects, start threads and processes, map memory, or fail to get any.
modules=(
	test_array test_bytes test_deque test_dict test_gc test_json test_list
	test_memoryview test_mmap test_pickle test_re test_set test_struct test_unicode
	test_weakref test_zlib
	test_fork1 test_queue test_subprocess test_thread test_threading
)

export PYTHONMALLOC=malloc
cd "$tap_dir"

for module in "${modules[@]}"; do
	check "$module" preloaded "$python" -m test "$module"
done
check 'python3 was served by the library' is_served python3

tap_end
