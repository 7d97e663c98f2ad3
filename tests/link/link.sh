#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A worker links with an installed numarena, shared and static, with what pkg-config
# says and nothing else, and runs alone and under perf stat.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"

require_programs pkg-config "${CC:=cc}"

# A package is made this way: staged below a folder, to be moved to its prefix later.
stage=$tap_dir/stage
prefix=/opt/numarena
libdir=$stage$prefix/lib

# Built anew, in a folder of its own: one that differs in a knob would be built again
# while other tests run on it.
install_tree() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" O="$tap_dir/build" SAN= DEBUG= \
		install DESTDIR="$stage" PREFIX="$prefix"
}

# build NAME library-flag...
build() {
	local name=$1 flags
	shift
	read -r -a flags <<<"$(pkg-config --cflags numarena)"
	"$CC" -O2 -g -pthread -Wall -Wextra -Werror -D_GNU_SOURCE "${flags[@]}" \
		-o "$tap_dir/$name" "$here/worker.c" "$@"
}

build_shared() {
	local flags
	read -r -a flags <<<"$(pkg-config --libs numarena)"
	build shared "${flags[@]}" -Wl,-rpath,"$libdir"
}

# Where both are installed, -lnumarena means the shared one.
build_static() {
	local flags
	read -r -a flags <<<"$(pkg-config --libs --static numarena)"
	build static "${flags[@]/#-lnumarena/-l:libnumarena.a}"
}

needs_library() {
	readelf -d "$tap_dir/$1" | grep -F 'NEEDED' | grep -F 'libnumarena.so.0'
}

needs_no_library() {
	! needs_library "$1"
}

# One that links with numarena has its malloc, by whatever name it was loaded.
runs() {
	"$tap_dir/$1" | tee /dev/stderr | grep -Eq '^numarena [0-9.]+, [0-9]+ workers, 0 wrong'
}

perf_counts() {
	perf stat -x, -o "$tap_dir/perf" -e task-clock,page-faults "$tap_dir/$1"
	cat "$tap_dir/perf"
	awk -F, '$3 ~ /^(task-clock|page-faults)/ && $1 > 0 { nr++ } END { exit nr != 2 }' \
		"$tap_dir/perf"
}

check 'install below DESTDIR' install_tree
# From here on, since numarena's own build asks pkg-config too.
export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
check 'the version is the library'"'"'s' \
	grep -qF "\"$(pkg-config --modversion numarena)\"" <(strings "$libdir/libnumarena.a" |
		sed 's/.*/"&"/')
check 'links with the shared library' build_shared
check 'the program needs it' needs_library shared
check 'links with the archive' build_static
check 'the program needs no library of ours' needs_no_library static
for name in shared static; do
	check "the $name one runs" runs "$name"
	if perf stat -e task-clock true >/dev/null 2>&1; then
		check "the $name one runs under perf stat" perf_counts "$name"
	else
		skip "the $name one runs under perf stat" 'perf is not there or not permitted'
	fi
done

tap_end
