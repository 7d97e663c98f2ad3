#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The probes: each is there once, and perf counts at each what the library has counted
# itself, by uprobes, which want root, a tracefs and a kernel that has them.
#
#	program -> slow path -> nop | perf stat: 17	numarena_stats_get: 17
set -euo pipefail

. "$(dirname "$0")/preload.sh"

# Names and how many arguments each has, as in include/internal/probe.h.
probes='bind_fallback	2
flush		4
huge_fallback	3
large_alloc	2
node_fallback	3
purge		2
refill		4
remote_drain	2
remote_send	4
span_commit	3'

require_programs readelf
notes=$tap_dir/notes
readelf -n "$library" >"$notes" 2>/dev/null
if ! grep -q stapsdt "$notes"; then
	echo '#include <sys/sdt.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
		skip_all 'built without sys/sdt.h: scripts/deps.sh ci installs it'
fi

# ---- perf --------------------------------------------------------------------

tracefs=/sys/kernel/tracing

why_no_perf() {
	perf --version >/dev/null 2>&1 || echo 'there is no perf that works'
	((EUID == 0)) || echo 'only root may set uprobes'
	grep -qw tracefs /proc/filesystems || echo 'the kernel has no tracefs'
}

# A tracefs of this script's own where none is mounted: the machine stays as it is.
if [[ ! $(why_no_perf) && ! -e $tracefs/uprobe_events && ! ${USDT_MOUNTED:-} ]]; then
	if USDT_MOUNTED=1 unshare --mount true 2>/dev/null; then
		rm -rf "$tap_dir"
		# shellcheck disable=SC2016 # for the inner shell
		USDT_MOUNTED=1 exec unshare --mount bash -c \
			'mount -t tracefs none "$1" 2>/dev/null; exec "$2"' - "$tracefs" "$0"
	fi
fi

probes_are_there() {
	awk '/Provider: numarena/ { ours = 1 } /Name:/ { name = $2 }
	/Arguments:/ && ours { print name "\t" NF - 1; ours = 0 }' "$notes" | sort >"$tap_dir/seen"
	tr -s '\t' <<<"$probes" | sort | diff - "$tap_dir/seen"
}
check 'each probe is there once, with its arguments' probes_are_there

reason=$(why_no_perf | head -n 1)
[[ $reason || -w $tracefs/uprobe_events ]] || reason='uprobes cannot be set here'
if [[ $reason ]]; then
	skip 'perf counts' "$reason"
	tap_end
fi

# Probes are set for the whole machine, under one name: one of these scripts at a time.
exec 9<"$tracefs/uprobe_events"
flock 9

perf_here() {
	perf --buildid-dir "$tap_dir/buildid" "$@"
}

drop_probes() {
	perf probe --quiet --del 'sdt_numarena:*' >/dev/null 2>&1 || true
}

clean_up() {
	drop_probes
	rm -rf "$tap_dir"
}
trap clean_up EXIT

set_probes() {
	perf_here buildid-cache --add "$library"
	[[ $(perf_here list sdt | grep -c sdt_numarena:) == 10 ]]
	perf_here probe 'sdt_numarena:*'
}

# Run "$@", then the program; what perf has counted, "name count", and what it says itself.
count() {
	local status=0
	perf_here stat -x, -o "$tap_dir/stat" -e 'sdt_numarena:*' \
		"$@" env LD_PRELOAD="$library" "$programs/usdt" >"$tap_dir/said" || status=$?
	awk -F, '/sdt_numarena:/ { sub(/.*:/, "", $3); print $3, $1 }' "$tap_dir/stat" >"$tap_dir/counted"
	return $status
}

# What perf counted is between what the program says it must be at least and at most.
is_right() {
	cat "$tap_dir/counted" "$tap_dir/said"
	awk 'NR == FNR { counted[$1] = $2; next }
	{ nr++; bad += !($1 in counted) || counted[$1] < $2 || counted[$1] > $3 }
	END { exit nr != 10 || bad }' "$tap_dir/counted" "$tap_dir/said"
}

counted() {
	awk -v name="$1" '$1 == name { print $2 }' "$tap_dir/counted"
}

counts_are_right() {
	count
	is_right
	(($(counted refill) && $(counted flush) && $(counted remote_send) && $(counted purge)))
}

refused_binds_are_counted() {
	count "$build/tests/refuse" mbind --
	is_right
	(($(counted bind_fallback)))
}

lost_huge_pages_are_counted() {
	count env NUMARENA_CONF=huge:hugetlb
	is_right
	(($(counted huge_fallback)))
}

# The argument is the size of the block.
arguments_are_read() {
	perf_here record -q -o "$tap_dir/data" -e sdt_numarena:large_alloc \
		env LD_PRELOAD="$library" "$programs/usdt" >/dev/null
	perf_here script -i "$tap_dir/data" -F event,trace >"$tap_dir/script"
	tail -n 3 "$tap_dir/script"
	[[ $(grep -c 'arg2=3145728$' "$tap_dir/script") == 20 ]]
}

drop_probes
check 'perf finds and sets them' set_probes
check 'perf counts what the library counts' counts_are_right
check 'mbind refused: counted' refused_binds_are_counted
if [[ $(cat /proc/sys/vm/nr_hugepages) == 0 ]]; then
	check 'an empty hugetlb pool: counted' lost_huge_pages_are_counted
else
	skip 'an empty hugetlb pool' 'there is one that is not'
fi
check 'their arguments are read' arguments_are_read

tap_end
