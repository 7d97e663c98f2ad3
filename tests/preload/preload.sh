# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts of this folder: run real programs on the library, and prove it.
#
# A witness is preloaded before the library.  When a process ends it writes down which
# library its malloc came from, and how many slabs that cut.  So a test whose preload
# was lost on the way, in an exec or a cleared environment, fails.
#
# NUMARENA_PRELOAD=file runs the scripts on another malloc, to tell what is numarena's
# fault from what is the program's.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"

build=${NUMARENA_BUILD:-$top/build}
programs=$build/tests/preload
library=$(realpath -e "${NUMARENA_PRELOAD:-$build/libnumarena.so}")
witness=$programs/witness.so
export WITNESS_LOG=$tap_dir/witness

# The environment that makes a command preloaded, for env.
preload_env=("LD_PRELOAD=$witness $library")

preloaded() {
	env "${preload_env[@]}" "$@"
}

# At least one process of this name had its mallocs from the library, and none that
# ended had not.  Names are cut as the kernel cuts them, at 15 characters.
is_served() {
	sort "$WITNESS_LOG" | uniq -c | sort -n
	awk -F '\t' -v name="$1" -v library="$library" '
	$1 == name { nr++; others += $2 != library || $3 == "0" }
	END { exit !nr || others }' "$WITNESS_LOG"
}

# Same standard output with and without the library.
same_output() {
	"$@" >"$tap_dir/plain"
	preloaded "$@" >"$tap_dir/preloaded"
	diff "$tap_dir/plain" "$tap_dir/preloaded"
}
