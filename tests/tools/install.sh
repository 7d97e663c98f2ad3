#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What is installed works from where it lies, is all removed again, and nothing else is.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

stage=$tap_dir/stage
prefix=/opt/numarena

# Built anew, in a folder of its own: see tests/link/link.sh.
make_tree() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" O="$tap_dir/build" SAN= DEBUG= \
		DESTDIR="$stage" PREFIX="$prefix" "$@"
}

installed() {
	make_tree install "$@"
}

has_files() {
	local file
	for file in bin/numarena lib/libnumarena-record.so share/man/man1/numarena.1 \
		share/man/man3/numarena.3 share/man/man3/numarena_audit.3 share/man/man7/numarena.7 \
		share/bash-completion/completions/numarena share/zsh/site-functions/_numarena; do
		[[ -f $stage$prefix/$file ]] || { echo "no $file"; return 1; }
	done
}

# numarena(3) has all that the library exports.
describes_all() {
	local name missing=0
	for name in $(nm -D --defined-only "$stage$prefix/lib/libnumarena.so" |
			sed -n 's/.* T \(numarena_[a-z0-9_]*\)$/\1/p'); do
		grep -q "^\.SS $name()" "$stage$prefix/share/man/man3/numarena.3" ||
			{ echo "no $name in numarena(3)"; missing=1; }
	done
	((missing == 0))
}

# ... and the constants that are given to it or had from it, each with what it means.
has_constants() {
	local name missing=0
	for name in $(grep -Eo '^(#define|	)[ ]?NUMARENA_[A-Z0-9_]+' "$top/include/numarena.h" |
			grep -Eo 'NUMARENA_[A-Z0-9_]+$' | grep -Ev '_(H|VERSION_[A-Z]+)$'); do
		grep -Eq "^\\\\fB(#define |    )$name\>" "$stage$prefix/share/man/man3/numarena.3" ||
			{ echo "no $name in numarena(3)"; missing=1; }
	done
	((missing == 0))
}

runs_its_library() {
	local where
	where=$(realpath -e "$stage$1/libnumarena.so.0")
	"$stage$prefix/bin/numarena" run -- grep -cF "$where" /proc/self/maps
}

records() {
	"$stage$prefix/bin/numarena" record -o "$tap_dir/trace" -- echo 1
	"$stage$prefix/bin/numarena" replay "$tap_dir/trace"
}

# What somebody else has put there stays.
is_removed() {
	touch "$stage$prefix/lib/other.so"
	make_tree uninstall "$@"
	[[ $(find "$stage" ! -type d) == "$stage$prefix/lib/other.so" ]]
}

is_removed_twice() {
	make_tree uninstall
}

lib64=$prefix/lib64

check 'install' installed
check 'all is there' has_files
check 'the manual describes every function' describes_all
check 'and every constant' has_constants
check 'run finds its library' runs_its_library $prefix/lib
check 'record and replay find theirs' records
check 'uninstall' is_removed
check 'uninstall again' is_removed_twice
check 'install into lib64' installed LIBDIR=$lib64
check 'run finds its library there' runs_its_library $lib64
check 'uninstall from lib64' is_removed LIBDIR=$lib64

tap_end
