#!/bin/bash
# SPDX-License-Identifier: MIT
#
# malloc before the library's own constructor, in that of libnuma, at the end of threads
# and of the process; under valgrind, which sees writes where nothing is mapped.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

startup=$programs/startup
early=$programs/early.so

comes_to_the_end() {
	"$@" | grep -x 'came to the end'
}

# The order in which the loader called constructors, one name a line.
constructor_order() {
	LD_DEBUG=files LD_DEBUG_OUTPUT=$tap_dir/loader env "${preload_env[@]}" "$startup"
	sed -n 's|.*calling init: .*/||p' "$tap_dir"/loader.*
}

# Otherwise the next check would be of something else.
starts_last() {
	constructor_order | tee "$tap_dir/order"
	awk -v library="${library##*/}" '
	{ at[$0] = NR }
	END { exit !(at["early.so"] && at["early.so"] < at[library] &&
		     at["libnuma.so.1"] < at[library]) }' "$tap_dir/order"
}

# The allocator is not to be replaced by valgrind's, which is what we are here to see.
under_valgrind() {
	preloaded valgrind --quiet --soname-synonyms=somalloc=nouserintercepts \
		--run-libc-freeres=no --error-exitcode=99 "$@"
}

check 'a program that allocates at every time' comes_to_the_end preloaded "$startup"
check 'it was served by the library' is_served startup

preload_env=("LD_PRELOAD=$witness libnuma.so.1 $library")
check 'with libnuma preloaded first' comes_to_the_end preloaded "$startup"

preload_env=("LD_PRELOAD=$witness $library $early")
check 'the library starts after libnuma and after one preloaded behind it' starts_last
check 'a program that allocates at every time, with that one' comes_to_the_end preloaded "$startup"
check 'all of it was served by the library' is_served startup

if [[ $(command -v valgrind) ]]; then
	check 'under valgrind' comes_to_the_end under_valgrind "$startup" 3
else
	skip 'under valgrind' 'there is no valgrind'
fi

tap_end
