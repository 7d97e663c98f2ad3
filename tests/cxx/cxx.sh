#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena.hpp with each C++ compiler that is there and each standard that it is for: without a
# warning, in two sources of one program, and run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"

build=$(cd "${NUMARENA_BUILD:-$top/build}" && pwd)
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
	-Wnon-virtual-dtor -Woverloaded-virtual -Werror)

# A second source: nothing in the header may be defined twice.
printf '#include <numarena.hpp>\nint second() { numarena::heap_resource r; return r.is_equal(r); }\n' \
	>"$tap_dir/second.cc"

compiles() {
	"$1" -std="$2" -O2 -g -pthread "${warnings[@]}" -I "$top/include" -o "$tap_dir/$1-$2" \
		"$here/containers.cc" "$tap_dir/second.cc" \
		-L "$build" -lnumarena -Wl,-rpath,"$build"
}

# numarena.h alone is for any standard.
is_clean_header() {
	printf '#include <numarena.h>\nint main() { return numarena_audit(0) + 1; }\n' >"$tap_dir/alone.cc"
	"$1" -std=c++98 "${warnings[@]}" -I "$top/include" -fsyntax-only "$tap_dir/alone.cc"
}

runs() {
	NUMARENA_CONF=$2 "$tap_dir/$1"
}

for compiler in g++ clang++; do
	if [[ $(command -v "$compiler") ]]; then
		check "$compiler: numarena.h alone" is_clean_header "$compiler"
	fi
	for standard in c++17 c++20; do
		name=$compiler-$standard
		if [[ ! $(command -v "$compiler") ]]; then
			skip "$name" "there is no $compiler"
			continue
		fi
		check "$name compiles" compiles "$compiler" "$standard"
		for conf in '' harden:1 mode:sharded; do
			check "$name runs under '$conf'" runs "$name" "$conf"
		done
	done
done

tap_end
