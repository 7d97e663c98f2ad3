#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena doctor on machines that are made up, a fault each: it is found, its reason and its
# remedy are given, and nothing else is.  What is asked of the kernel and not read is spoilt
# for real: limits by ulimit, calls by a filter.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

refuse=$build/tests/refuse
root=$tap_dir/root
thp=sys/kernel/mm/transparent_hugepage
nodes=sys/devices/system/node
tracing=sys/kernel/tracing

# put FILE text
put() {
	mkdir -p "$root/$(dirname "$1")"
	printf '%s\n' "$2" >"$root/$1"
}

put_node() {
	put "$nodes/node$1/cpulist" "$2"
	put "$nodes/node$1/hugepages/hugepages-2048kB/nr_hugepages" 0
	put "$nodes/node$1/hugepages/hugepages-2048kB/free_hugepages" 0
}

# Two nodes with two CPUs each, and nothing to complain of.
put_machine() {
	rm -rf "$root"
	put $thp/enabled 'always [madvise] never'
	put $thp/defrag 'always defer [defer+madvise] madvise never'
	put $thp/khugepaged/defrag 1
	put $thp/khugepaged/pages_to_scan 4096
	put $thp/khugepaged/scan_sleep_millisecs 10000
	put $thp/hugepages-2048kB/enabled 'always [inherit] madvise never'
	put $thp/hugepages-64kB/enabled 'always inherit madvise [never]'
	put $nodes/online 0-1
	put $nodes/has_memory 0-1
	put $nodes/has_cpu 0-1
	put_node 0 0-1
	put_node 1 2-3
	put proc/buddyinfo "\
Node 0, zone      DMA      1      1      1      0      2      1      1      0      1      1      3
Node 0, zone   Normal    216     55    189    101     84     38     34     22     24     20    331
Node 1, zone   Normal    216     55    189    101     84     38     34     22     24     20    331"
	put proc/self/status "\
Name:	numarena
CapEff:	0000000000000000
Seccomp:	0
Cpus_allowed_list:	0-3
Mems_allowed_list:	0-1"
	put proc/self/cgroup 0::/user/worker
	put sys/fs/cgroup/user/worker/memory.max max
	put proc/sys/kernel/osrelease 6.12.1-amd64
	put $tracing/uprobe_events ''
	put $tracing/events/enable 0
	put proc/sys/kernel/numa_balancing 0
	put proc/sys/kernel/perf_event_paranoid 2
	put proc/sys/vm/zone_reclaim_mode 0
	put proc/sys/vm/overcommit_memory 0
	put proc/sys/vm/max_map_count 65530
}

# diagnose [command before]...: its JSON is $tap_dir/out.
diagnose() {
	status=0
	"$@" "$numarena" doctor --json --root "$root" >"$tap_dir/out" 2>"$tap_dir/err" || status=$?
	has_lines 0 err
}


levels='{f["id"]: f["level"] for f in d["findings"] if f["level"] != "fine"}'

# finds LEVEL ID 'part of the remedy': this one, and no other.
finds() {
	query "$levels == {'$2': '$1'}
assert any(f['id'] == '$2' and f['why'] and '$3' in (f['mend'] or '') for f in d['findings']), d
assert d['$1'] == 1 and $status == (d['mend'] > 0)"
}

all_is_fine() {
	diagnose
	query "$levels == {} and d['fine'] == len(d['findings']) >= 24"
	((status == 0))
}

# spoilt LEVEL ID 'remedy' FILE text
spoilt() {
	put_machine
	put "$4" "$5"
	diagnose
	finds "$1" "$2" "$3"
}

# fault LEVEL ID 'remedy' FILE text
fault() {
	check "$4: $5" spoilt "$@"
}

says_more() {
	"$numarena" doctor --root "$root" >"$tap_dir/less"
	"$numarena" doctor --root "$root" -v >"$tap_dir/more"
	(($(grep -c '  why  ' "$tap_dir/less") == 0))
	(($(grep -c '  why  ' "$tap_dir/more") == $(grep -c '^fine' "$tap_dir/more")))
	tail -n 1 "$tap_dir/more" | grep -Eqx '[0-9]+ fine, 0 to note, 0 to mend'
}

text_says_what_json_says() {
	put_machine
	put proc/sys/vm/overcommit_memory 2
	call doctor --root "$root"
	((status == 1)) && has_lines 0 err &&
		grep -A2 '^mend  overcommit  *vm.overcommit_memory is 2$' "$tap_dir/out" >"$tap_dir/three" &&
		sed -n 2p "$tap_dir/three" | grep -q '^        why   under 2 ' &&
		sed -n 3p "$tap_dir/three" | grep -qx '        do    sysctl vm.overcommit_memory=0' &&
		tail -n 1 "$tap_dir/out" | grep -Eqx '[0-9]+ fine, 0 to note, 1 to mend'
}

empty_machine() {
	rm -rf "$root"
	mkdir "$root"
	diagnose
	query "$levels == {'thp': 'mend'}"
}

pools() {
	put_machine
	put $nodes/node1/hugepages/hugepages-2048kB/nr_hugepages 8
	put $nodes/node1/hugepages/hugepages-2048kB/free_hugepages "$1"
	NUMARENA_CONF=$2 diagnose
	finds "$3" hugetlb "$4"
}

pools_are_full() {
	put_machine
	for node in 0 1; do
		put $nodes/node$node/hugepages/hugepages-2048kB/free_hugepages 8
	done
	NUMARENA_CONF=decay_ms:5,huge:hugetlb all_is_fine
}

no_runs() {
	put_machine
	sed -i '/Node 1/s/ 20    331$/  0      0/' "$root/proc/buddyinfo"
	diagnose
	finds note free_runs compact_memory
}

cpuset() {
	put_machine
	put proc/self/cgroup "$1"
	sed -i 's/^Mems_allowed_list:.*/Mems_allowed_list:	0/' "$root/proc/self/status"
	diagnose
	finds mend cpuset "echo 0-1 > $2"
}

# Where its CPUs are forbidden too, nothing is amiss.
whole_node_is_forbidden() {
	put_machine
	sed -i 's/^Mems_allowed_list:.*/Mems_allowed_list:	0/; s/^Cpus_allowed_list:.*/Cpus_allowed_list:	0-1/' \
		"$root/proc/self/status"
	all_is_fine
}

one_node() {
	put_machine
	for file in online has_memory has_cpu; do put $nodes/$file 0; done
	put proc/sys/kernel/numa_balancing 1
	put proc/sys/vm/zone_reclaim_mode 1
	all_is_fine
}

cgroup() {
	put_machine
	put sys/fs/cgroup/user/memory.max 1073741824
	put sys/fs/cgroup/user/memory.current "$1"
	diagnose
}

cgroup_is_nearly_full() {
	cgroup 1073000000
	finds mend cgroup_memory 'echo 2048M > /sys/fs/cgroup/user/memory.max'
}

cgroup_has_room() {
	cgroup 1000000
	query "$levels == {}" && query 'any("1024 MiB" in f["is"] for f in d["findings"])'
}

old_kernel() {
	put_machine
	put proc/sys/kernel/osrelease "$1"
	diagnose
	query "$levels == {$2}" && ((status == 0))
}

perf_right() {
	put_machine
	put proc/sys/kernel/perf_event_paranoid 3
	sed -i 's/^CapEff:.*/CapEff:	0000004000000000/' "$root/proc/self/status"
	all_is_fine
}

# In a folder that nobody can enter, and whose files are this user's.
diagnose_as_nobody() {
	chmod 755 "$root"
	(
		root=$(mktemp -d)
		chmod 755 "$root"
		cp -r "$1"/. "$root"
		call_as_nobody doctor --json --root "$root"
		rm -rf "$root"
		has_lines 0 err
	)
}

probes_are() {
	query "[f['level'] for f in d['findings'] if f['id'] == 'probes'] == ['$1']"
}

probes_of_others() {
	put_machine
	chmod 640 "$root/$tracing/uprobe_events"
	diagnose_as_nobody "$root"
	probes_are note
	query "any(f['id'] == 'probes' and 'chmod -R o+rX /sys/kernel/tracing/events/sdt_numarena' in f['mend']
	for f in d['findings'])"
}

probes_that_are_open() {
	put_machine
	chmod 640 "$root/$tracing/uprobe_events"
	put $tracing/events/sdt_numarena/refill/id 1234
	diagnose_as_nobody "$root"
	probes_are fine
}

no_probes() {
	put_machine
	rm "$root/$tracing/uprobe_events"
	diagnose
	finds note probes CONFIG_UPROBE_EVENTS
}

limited() {
	put_machine
	(
		ulimit "$1" "$2"
		diagnose
		finds "$3" "$4" "ulimit $1"
	)
}

# refused 'calls' 'id' 'remedy'
refused() {
	put_machine
	diagnose "$refuse" "$1" --
	finds mend "$2" "$3"
}

without_rseq() {
	put_machine
	diagnose env GLIBC_TUNABLES=glibc.pthread.rseq=0
	finds note rseq GLIBC_TUNABLES
}

# The copy of the command finds what lies beside it: a file, or none.
library_is() {
	put_machine
	rm -rf "$tap_dir/there"
	mkdir -p "$tap_dir/there/tools"
	cp "$numarena" "$tap_dir/there/tools/"
	[[ ! $1 ]] || cp "$1" "$tap_dir/there/libnumarena.so.0"
	numarena=$tap_dir/there/tools/numarena diagnose
	finds mend library "$2"
}

library_kills() {
	echo 'static void __attribute__((constructor)) end(void) { __builtin_trap(); }' >"$tap_dir/kills.c"
	"${CC:-cc}" -shared -fPIC -o "$tap_dir/kills.so" "$tap_dir/kills.c"
	library_is "$tap_dir/kills.so" 'unset NUMARENA_CONF'
}

put_machine
check 'nothing to complain of' all_is_fine
check '--verbose' says_more
check 'text and JSON are one' text_says_what_json_says
check 'a machine of which nothing is known' empty_machine

fault mend thp 'echo madvise > /sys/kernel' $thp/enabled 'always madvise [never]'
fault mend thp_defrag 'echo defer+madvise' $thp/defrag '[always] defer defer+madvise madvise never'
fault mend thp_defrag 'echo defer+madvise' $thp/defrag 'always defer defer+madvise madvise [never]'
fault mend thp_sizes 'echo inherit' $thp/hugepages-2048kB/enabled 'always inherit madvise [never]'
fault note khugepaged 'echo 1' $thp/khugepaged/defrag 0
fault note khugepaged 'echo 4096' $thp/khugepaged/pages_to_scan 0
check 'pools that nobody uses' pools 8 '' note 'numarena run --huge hugetlb'
check 'pools that are wanted and empty' pools 0 huge:hugetlb mend 'node1/hugepages'
check 'pools that are wanted and full' pools_are_full
check 'no 2 MiB in a row on a node' no_runs
check 'a cpuset of cgroup2' cpuset 0::/user/worker /sys/fs/cgroup/user/worker/cpuset.mems
check 'a cpuset of cgroup1' cpuset '7:cpuset:/docker/12' /sys/fs/cgroup/cpuset/docker/12/cpuset.mems
check 'a cpuset that forbids a node and its CPUs' whole_node_is_forbidden
fault note numa_balancing 'sysctl kernel.numa_balancing=0' proc/sys/kernel/numa_balancing 1
fault mend zone_reclaim 'sysctl vm.zone_reclaim_mode=0' proc/sys/vm/zone_reclaim_mode 1
check 'neither matters on one node' one_node
fault mend overcommit 'sysctl vm.overcommit_memory=0' proc/sys/vm/overcommit_memory 2
fault mend max_map_count 'sysctl vm.max_map_count=65530' proc/sys/vm/max_map_count 1000
check 'a cgroup that is nearly full' cgroup_is_nearly_full
check 'a cgroup with room' cgroup_has_room
check 'Linux 5.10' old_kernel 5.10.0-30-amd64 \
	'"populate_write": "note", "collapse": "note", "pagemap_scan": "note"'
check 'Linux 5.15' old_kernel 5.15.0 '"collapse": "note", "pagemap_scan": "note"'
check 'Linux 6.1' old_kernel 6.1.0-44-amd64 '"pagemap_scan": "note"'
fault mend perf 'sysctl kernel.perf_event_paranoid=2' proc/sys/kernel/perf_event_paranoid 3
check 'a user who may use perf anyway' perf_right
check 'a kernel without probes' no_probes
if can_be_nobody; then
	check 'a user who may not make probes' probes_of_others
	check 'a user for whom root has made them' probes_that_are_open
else
	skip 'a user who may not make probes' 'only root can be another'
	skip 'a user for whom root has made them' 'only root can be another'
fi
check 'ulimit -v' limited -v 4000000 mend rlimit_as
check 'ulimit -d' limited -d 4000000 mend rlimit_data
check 'ulimit -n' limited -n 100 note rlimit_nofile
check 'docker refuses calls' refused docker numa_calls 'cap-add=SYS_NICE'
check 'move_pages alone is refused' refused move_pages numa_calls 'seccomp=unconfined'
check 'MADV_COLLAPSE is refused' refused madvise:25 collapse 'seccomp=unconfined'
check 'MADV_POPULATE_WRITE is refused' refused madvise:23 populate_write 'seccomp=unconfined'
check 'rseq is switched off' without_rseq
check 'no library' library_is '' 'make install'
check 'a library that does not load' library_is "$0" 'apt-get install'
check 'a library that ends who loads it' library_kills

check 'a machine that is not there' exits 1 'No such file' doctor --root "$tap_dir/none"
check 'an operand' misused "what is 'x'? no operand is taken" doctor x
check 'a machine that is a file' exits 1 'Not a directory' doctor --root "$0"
check 'closed or full stdout' complains_of_output doctor
check 'the same with JSON' complains_of_output doctor --json

tap_end
