#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Containers that refuse system calls, and machines that lack things.
#
#	refuse call... -- refused	-> placed, proven, missing ...	and malloc_stats()
#
# The whole of it is for the host.  An emulated machine is slow, and most calls have nothing to
# do with how many nodes there are: it runs what differs by that.
#
# Expect: whatever is refused, the program is served, its memory lies on its threads'
# nodes, and numarena proves that and says what it had to do without, once, in its
# statistics, and nothing else anywhere.
set -euo pipefail

. "$(dirname "$0")/../preload/preload.sh"

refuse=$build/tests/refuse
worker=$build/tests/numa/refused
facts=$tap_dir/facts
errors=$tap_dir/errors

require_programs numactl taskset unshare

# The first CPU that there is for us: main() of the worker is no thread of a node.
cpu=$(taskset -pc $$ | sed 's/.*: \([0-9]*\).*/\1/')

# The worker under "$@", its facts and its errors in their files.
work() {
	if ! "$@" taskset -c "$cpu" env LD_PRELOAD="$library" "$worker" >"$facts" 2>"$errors"; then
		cat "$facts" "$errors"
		return 1
	fi
}

fact() {
	sed -n "s/^$1 *//p" "$facts"
}

# A fact "A of B", at least 99.9 % of them, and something at all.
is_nearly_all() {
	echo "$1 $(fact "$1")"
	fact "$1" | awk '{ exit !($3 > 0 && $1 >= 0.999 * $3) }'
}

# The words of two lists, in any order.
same_words() {
	diff <(tr ' ' '\n' <<<"$1" | grep . | sort -u) <(tr ' ' '\n' <<<"$2" | grep . | sort -u)
}

# Nothing but malloc_stats(), which warns of nothing, and in it once what is missing.
says_once() {
	local said
	head -n 1 "$errors" | grep -E '^numarena [0-9.]+, process [0-9]+ '
	if grep '^numarena: ' "$errors"; then
		return 1
	fi
	said=$(sed -n 's/^missing  *//p' "$errors")
	[[ $(grep -c '^missing' "$errors") == 1 ]]
	same_words "$said" "$(fact missing | sed 's/^$/nothing/')"
}

# libnuma says that there is no NUMA: its own program tells.
libnuma_under() {
	[[ $("$@" numactl --hardware 2>&1) != *'No NUMA'* ]] || echo libnuma
}

# serves MISSING command...
serves() {
	local missing=$1
	shift
	work "$@"
	says_once
	same_words "$(fact missing)" "$missing $(libnuma_under "$@")"
	is_nearly_all placed
}

# is_proven HOW MISSING command...	HOW as in the worker's fact
is_proven() {
	local how=$1
	shift
	serves "$@"
	[[ $(fact how) == "$how" ]]
	is_nearly_all proven
}

# ---- The machine as it is ---------------------------------------------------

status=0
"$refuse" docker true >"$tap_dir/reason" || status=$?
((status != 77)) || skip_all "$(<"$tap_dir/reason")"

work env || skip_all 'the worker does not end well with nothing refused'
nodes=$(fact nodes)
lacks=$(fact missing | sed 's/libnuma//')
how=$(fact how)
[[ $how == pages ]] || skip_all 'move_pages or /proc is refused here already'

[[ -e /numarena/top ]] && in_guest=yes || in_guest=

# What numarena finds out, by call.  With one node there is nothing to ask about policies.
missing_without() {
	local call
	for call in "$@"; do
		case $call in
		mbind | move_pages | rseq) echo "$call" ;;
		get_mempolicy) ((nodes == 1)) || echo get_mempolicy ;;
		madvise:23) echo populate ;;
		# Without THP it is not tried.
		madvise:25) [[ $lacks == *thp* ]] || echo collapse ;;
		esac
	done
}

how_without() {
	[[ " $* " == *' move_pages '* ]] && echo maps || echo pages
}

# without ERRNO call...
without() {
	local err=$1 list
	shift
	list=$(tr ' ' , <<<"$*")
	is_proven "$(how_without "$@")" "$lacks $(missing_without "$@")" \
		"$refuse" --errno "$err" "$list" --
}

# Nobody asks mbind who does not know the policy.
without_policies() {
	local name=mbind
	((nodes == 1)) || name=get_mempolicy
	is_proven maps "$lacks $name move_pages" "$refuse" docker --
}

check 'nothing is refused' is_proven pages "$lacks" env
check 'what Docker refuses' without_policies

# ---- Each call, and all ------------------------------------------------------

calls=(mbind get_mempolicy set_mempolicy set_mempolicy_home_node move_pages migrate_pages
	pagemap_scan madvise:4 madvise:14 madvise:15 madvise:23 madvise:25 rseq membarrier mremap)
all=(set_mempolicy set_mempolicy_home_node migrate_pages move_pages get_mempolicy pagemap_scan
	madvise:14 madvise:15 madvise:23 madvise:25 rseq membarrier mremap)

if [[ $in_guest ]]; then
	check 'mbind: EPERM' without EPERM mbind
	check 'get_mempolicy: ENOSYS' without ENOSYS get_mempolicy
else
	for err in EPERM ENOSYS; do
		for call in "${calls[@]}"; do
			check "$call: $err" without "$err" "$call"
		done
		check "all but mbind: $err" without "$err" "${all[@]}"
	done
fi

# ---- policy:strict -----------------------------------------------------------

# strict UNPROVEN call	whether some must be unproven
strict() {
	NUMARENA_CONF=policy:strict work "$refuse" "$2" --
	[[ $(fact strict_failed) == 0 ]]
	if [[ $1 == yes ]]; then
		(($(fact strict_unproven) > 0))
	else
		(($(fact strict_unproven) == 0))
	fi
	is_nearly_all placed
}

((nodes > 1)) && unproven=yes || unproven=no
check 'strict without move_pages: unproven' strict "$unproven" move_pages
check 'strict without mbind: pages are moved' strict no mbind

# ---- What is not there ---------------------------------------------------------

check 'rseq is switched off' is_proven pages "$lacks rseq" env GLIBC_TUNABLES=glibc.pthread.rseq=0

# hidden "FOLDER..." command...
hidden() {
	local folders=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount sh -c '
	for folder in $1; do
		mount -t tmpfs none "$folder" || exit
	done
	shift
	exec "$@"' sh "$folders" "$@"
}

# Without sysfs a node without memory is near to the first.
all_have_memory() {
	cmp -s /sys/devices/system/node/online /sys/devices/system/node/has_memory
}

# Of THP nobody tells then: it is tried.
lacks_sysfs="${lacks//thp/} sysfs"

if ! hidden '/sys /proc' true 2>/dev/null; then
	skip '/sys and /proc are not there' 'no mount namespace can be had here'
else
	check '/proc is not there' serves "$lacks" hidden /proc
	if ! all_have_memory; then
		skip '/sys is not there' 'a node has no memory: which is near, only sysfs tells'
	else
		check '/sys is not there' is_proven pages "$lacks_sysfs" hidden /sys
		check '/sys and /proc are not there' serves "$lacks_sysfs" hidden '/sys /proc'
		# What is reserved for a node whose CPUs nobody knows is not where it should be.
		check '/sys is not there, and mbind refused' \
			serves "$lacks_sysfs mbind" hidden /sys "$refuse" mbind --
	fi
fi

# ---- Other programs ------------------------------------------------------------

# What numarena knows of nodes, where libnuma knows of none.
check 'the order of nodes, without libnuma' \
	"$refuse" --errno ENOSYS get_mempolicy -- "$build/tests/numa/test_topology"
check 'the order of nodes, where Docker refuses' \
	"$refuse" docker -- "$build/tests/numa/test_topology"

passes() {
	local status=0
	STRESS_SCALE=$(awk -v scale="${STRESS_SCALE:-1}" 'BEGIN { print scale * 0.05 }') \
		"$refuse" docker -- "$1" || status=$?
	((status == 0 || status == 77))
}

for program in "$build"/tests/stress_*; do
	[[ $program != *.* ]] || continue
	# Those that move from node to node.
	[[ ! $in_guest ]] || [[ $program == *_migrate || $program == *_pipe ]] || continue
	check "${program##*/}, where Docker refuses" passes "$program"
done

python=/usr/bin/python3
if [[ -x $python ]] && "$python" -c 'import test.test_list' 2>/dev/null; then
	check 'python3, where Docker refuses' env PYTHONMALLOC=malloc LD_PRELOAD="$library" \
		"$refuse" docker -- "$python" -m test test_list test_json test_thread
else
	skip 'python3, where Docker refuses' 'there are no tests of it here'
fi

tap_end
