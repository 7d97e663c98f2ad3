#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena run: the program gets the library, the settings and the CPUs, and nothing else
# changes.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

# A program that is not on the library would not have it among its mappings.
maps_library() {
	"$numarena" run "$@" -- grep -cF "$library" /proc/self/maps
}

environment_is() {
	local name=$1 expected=$2
	shift 2
	[[ $("$@" printenv "$name") == "$expected" ]]
}

exit_status_is() {
	local expected=$1
	shift
	status=0
	"$numarena" run "$@" || status=$?
	((status == expected))
}

# bash's own variable is of the process that exec made, so of the one that was waited for.
keeps_its_number() {
	"$numarena" run -- sh -c 'echo $$' >"$tap_dir/pid" &
	wait $!
	[[ $(<"$tap_dir/pid") == "$!" ]]
}

cpus_are() {
	[[ $("$numarena" run --node "$1" -- awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status) == "$2" ]]
}

# Closed ones stay closed, and those that are open are the program's.
descriptors_are_left() {
	local list='for fd in /proc/$$/fd/*; do echo "${fd##*/}"; done >"$1"'
	sh -c "$list" sh "$tap_dir/plain-fds" 7<"$0" >&-
	"$numarena" run -- sh -c "$list" sh "$tap_dir/run-fds" 7<"$0" >&-
	grep -qx 7 "$tap_dir/run-fds" && diff "$tap_dir/plain-fds" "$tap_dir/run-fds"
}

# A copy that lies alone finds no library.
alone() {
	cp "$numarena" "$tap_dir/numarena"
	numarena=$tap_dir/numarena exits 125 'there is no libnumarena.so.0' run true
}

in_a_folder_with_a_space() {
	mkdir -p "$tap_dir/a b/tools"
	cp "$numarena" "$tap_dir/a b/tools/"
	cp "$library" "$tap_dir/a b/libnumarena.so.0"
	numarena="$tap_dir/a b/tools/numarena" exits 125 'space or colon' run true
}

is_warned_of() {
	local text=$1
	shift
	call run "$@"
	((status == 0)) && has_lines 1 err && grep -qF "$text" "$tap_dir/err"
}

static_program() {
	printf 'int main(void) { return 0; }\n' >"$tap_dir/static.c"
	"${CC:-cc}" -static -o "$tap_dir/static" "$tap_dir/static.c" &&
		is_warned_of 'linked statically' "$tap_dir/static"
}

# A script of such an interpreter is no better.
static_interpreter() {
	printf '#!%s\n' "$tap_dir/static" >"$tap_dir/script"
	chmod +x "$tap_dir/script"
	is_warned_of 'linked statically' "$tap_dir/script"
}

foreign_program() {
	cp /bin/true "$tap_dir/foreign"
	# e_machine: IBM S/390.
	printf '\x16' | dd of="$tap_dir/foreign" bs=1 seek=18 conv=notrunc status=none
	call run "$tap_dir/foreign"
	((status == 126)) && grep -qF 'another kind of machine' "$tap_dir/err"
}

setuid_program() {
	local dir
	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp /bin/true "$dir/true"
	chmod 4755 "$dir/true"
	status=0
	as_nobody "$numarena" run "$dir/true" 2>"$tap_dir/err" || status=$?
	rm -rf "$dir"
	cat "$tap_dir/err"
	((status == 0)) && has_lines 1 err && grep -qF 'gains rights' "$tap_dir/err"
}

# All that it lists is taken, by itself and by the library: which would say so on stderr.
lists_settings() {
	local name words word
	call run --settings
	((status == 0)) && has_lines 0 err && grep -qx 'huge auto thp hugetlb off' "$tap_dir/out"
	cp "$tap_dir/out" "$tap_dir/settings"
	while read -r name words; do
		[[ $name != *_file ]] || words=$tap_dir/statistics
		for word in ${words:-7}; do
			call run -c "abort_conf:true,stats_file:$tap_dir/statistics" -c "$name:$word" true
			((status == 0)) && has_lines 0 err && continue
			# Such pages are few, and others' groups full.
			[[ $word == hugetlb || $word == cgroup ]] || return 1
		done
	done <"$tap_dir/settings"
}

touch "$tap_dir/plain"
node=$(sed 's/[-,].*//' /sys/devices/system/node/has_cpu)
cpus=$(cat "/sys/devices/system/node/node$node/cpulist")

check 'the library is there' maps_library
check 'and with every option' maps_library -H thp -m arena -p preferred -c decay_ms:5
check 'it stands before what is preloaded already' environment_is LD_PRELOAD \
	"$library:/lib/x.so" env LD_PRELOAD=/lib/x.so "$numarena" run
check 'no settings, no variable' exit_status_is 1 printenv NUMARENA_CONF
check 'settings in their order' environment_is NUMARENA_CONF \
	huge:off,mode:sharded,policy:strict,stats:exit,decay_ms:5,harden:1 "$numarena" run \
	--huge off --mode sharded --policy strict --stats exit -c decay_ms:5 --conf harden:1
check 'behind those that are there' environment_is NUMARENA_CONF decay_ms:7,huge:off \
	env NUMARENA_CONF=decay_ms:7 "$numarena" run --huge off
check 'children inherit it' test "$("$numarena" run sh -c 'sh -c "grep -cF \"$1\" /proc/self/maps"' sh "$library")"
check 'the process keeps its number' keeps_its_number
check 'descriptors are left alone' descriptors_are_left
check "--node $node: its CPUs" cpus_are "$node" \
	"$(taskset -c "$cpus" awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)"
check 'a program with arguments of its own' environment_is NUMARENA_CONF huge:off \
	"$numarena" run --huge off env --

check 'status 0' exit_status_is 0 true
check 'status 7' exit_status_is 7 sh -c 'exit 7'
check 'a signal' exit_status_is 143 sh -c 'kill $$'
check 'no such program: 127' exits 127 'cannot run no-such-program' run no-such-program
check 'no name: 127' exits 127 "cannot run '': No such file" run ''
check 'no such path: 127' exits 127 'No such file' run ./no/such/program
check 'not executable: 126' exits 126 'Permission denied' run "$tap_dir/plain"
check 'a folder: 126' exits 126 'Permission denied' run "$tap_dir"
check 'no program' misused 'which program?' run
check 'no program behind options' misused 'which program?' run --huge off --
check 'unknown pages' misused "--huge cannot be 'tiny'; there are auto, thp, hugetlb, off" run --huge tiny true
check 'unknown mode' misused "--mode cannot be ''" run --mode '' true
check 'unknown policy' misused "--policy cannot be 'strict,mode:arena'" run --policy strict,mode:arena true
check 'statistics at a wrong time' misused "--stats cannot be 'exit+now'" run --stats exit+now true
check 'two settings in one' misused "--stats cannot be 'exit,mode:arena'" run --stats exit,mode:arena true
check 'two in --conf' environment_is NUMARENA_CONF stats:exit+page,limit:cgroup,harden:on \
	"$numarena" run -c stats:exit+page,limit:cgroup -c harden:on
check 'an unknown setting' misused "--conf: there is no setting 'hug'" run --conf harden:1,hug:off true
check 'a setting without a value' misused "--conf: huge cannot be ''" run --conf huge true
check 'an unknown word' misused "--conf: huge cannot be 'tiny'; there are auto, thp, hugetlb, off" \
	run --conf huge:tiny true
check 'no number' misused "--conf: decay_ms cannot be '5s'; it is a number, also with K, M or G" \
	run --conf decay_ms:5s true
check 'nor a word' misused "--conf: limit cannot be 'x'; it is a number, also with K, M or G, or cgroup" \
	run --conf limit:x true
check 'a path with a sign that means nothing' misused "--conf: stats_file cannot be '/tmp/%d'" \
	run --conf stats_file:/tmp/%d true
check '--settings' lists_settings
for wrong in '' x 0- 1-0 0,,1 -1 99999 '0 1'; do
	check "a node called '$wrong'" misused "--node cannot be '$wrong'" run --node="$wrong" true
done
check 'a node that is not there: 125' exits 125 'there is no node 777' run --node 777 true
check 'no library: 125' alone
check 'a path that the loader cannot take: 125' in_a_folder_with_a_space
check 'a static program is told of' static_program
check 'and a script for it' static_interpreter
check 'a program of another machine: told of, 126' foreign_program
if can_be_nobody && as_nobody test -x "$numarena"; then
	check 'a setuid program is told of' setuid_program
else
	skip 'a setuid program is told of' 'only root can make one, in folders that all can enter'
fi

tap_end
