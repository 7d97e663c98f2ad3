#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs run under each setting of transparent huge pages of other sizes than 2 MiB
# (Linux 6.8 and later).  These are settings of the whole machine: the test runs only if
# it is asked for, and puts them back.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

dir=/sys/kernel/mm/transparent_hugepage
[[ ${TEST_MTHP:-} ]] || skip_all 'changes the whole machine; TEST_MTHP=1 runs it'
((EUID == 0)) || skip_all 'only root may set the sizes of huge pages'
[[ -d $dir/hugepages-64kB ]] || skip_all 'this kernel has huge pages of one size'

# The word in brackets is the one in force.
setting() {
	sed 's/.*\[\(.*\)\].*/\1/' "$dir/$1/enabled"
}

sizes=(hugepages-16kB hugepages-64kB hugepages-512kB hugepages-2048kB)
declare -A before
for size in "${sizes[@]}"; do before[$size]=$(setting "$size"); done

put_back() {
	for size in "${sizes[@]}"; do echo "${before[$size]}" >"$dir/$size/enabled"; done
	rm -rf "$tap_dir"
}
trap put_back EXIT

many_objects() {
	preloaded env PYTHONMALLOC=malloc NUMARENA_CONF="huge:$1" python3 -c \
		'print(sum(map(len, [str(i) * 10 for i in range(500000)])))' | grep -x 28888900
}

# The suites that look at pages: what is resident, where it is, how large.
suites() {
	"$build/tests/test_resident" && "$build/tests/test_malloc" && "$build/tests/test_realloc"
}

for size in "${sizes[@]}"; do
	for mode in always madvise never; do
		echo $mode >"$dir/$size/enabled"
		for huge in auto thp off; do
			check "$size $mode, huge:$huge: half a million objects" many_objects $huge
		done
		check "$size $mode: the suites" suites
	done
	echo "${before[$size]}" >"$dir/$size/enabled"
done
check 'python3 was served by the library' is_served python3

tap_end
