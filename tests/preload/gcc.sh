#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The compiler and make build the library itself while they run on it.
# Expect: the same bytes as when they run on libc's malloc.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

require_programs gcc make

# A copy, since two builds are compared: nobody is to edit between them.
tree=$tap_dir/tree
mkdir "$tree"
cp -r "$top"/{Makefile,arena,bench,include,numa,scripts,tests,tools} "$tree"

# build_library NAME env-argument...
# Into the same folder each time: debug information names it.
build_library() {
	local name=$1
	shift
	env -u MAKEFLAGS -u MAKELEVEL "$@" \
		make -s -C "$tree" CC=gcc SAN= DEBUG= W= C= O="$tap_dir/out" lib
	mv "$tap_dir/out" "$tap_dir/$name"
}

check 'make and gcc build the library' build_library preloaded "${preload_env[@]}"
for name in make gcc cc1 as collect2 ld ar; do
	check "$name was served by the library" is_served "$name"
done
check 'they do so on libc' build_library plain -u LD_PRELOAD
check 'the same was built' diff -r "$tap_dir/plain" "$tap_dir/preloaded"

tap_end
