#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run a command on a machine with several NUMA nodes, which need not exist: Debian's
# cloud kernel in qemu, emulated, so that neither KVM nor root is asked for.
#
#   numa_guest.sh [option]... [--] command [argument]...
#
#	--topology NAME		the machine, of those --list shows (2)
#	--nodes N		the same for the machines that are called by their number
#	--list			names and descriptions, no guest
#	--memory-per-node MIB	(768)
#	--append ARGS		further arguments of the kernel
#	--env NAME=VALUE	environment of the command, may be repeated
#	--with FILE		a program, file or folder to have there too, likewise
#	--kernel FILE		instead of Debian's; NVMe, ext4 and serial ports built in
#	--timeout S		seconds, boot included (300)
#
# The command runs as root in this folder's twin: the scripts and what is built lie at
# the same paths as here, beside the usual tools, /proc, /sys, cgroup2 and an empty
# /tmp.  What it writes is gone when it ends.  These variables reach it, and neither
# qemu nor the guest's init: NUMARENA_CONF, NUMARENA_BUILD, NUMARENA_SAN, LD_PRELOAD,
# STRESS_SCALE, GLIBC_TUNABLES.
#
# Its output, errors too, goes to stdout and nothing else does.  Exits as the command
# did, 128 + n if by signal n; 124 if there was no time left, 125 if the guest died, 77
# if there can be no guest here.
#
# Three serial ports keep apart what is said: the kernel's console, the command's
# output, its exit status.  The kernel mounts an image that is made once for a given
# content; the guest's writes go to a file of its own.
set -euo pipefail
export LC_ALL=C

# CPUs of each node and, a row a node, distances, semicolons between nodes; a node has
# memory (+) or none (-); CPUs that are taken offline.
topologies='
# name		CPUs		memory	distances				offline	what
1		0-3		+	10					-	one node
2		0-1;2-3		++	10,21;21,10				-	two equal nodes
4		0;1;2;3		++++	10,12,21,31;12,10,31,21;21,31,10,16;31,21,16,10	-	four nodes, in pairs that differ
asymmetric	0-1;2;3		+++	10,15,30;28,10,17;14,32,10		-	nearer one way than the other
memoryless	0-1;2;3		+-+	10,31,21;31,10,16;21,16,10		-	node 1 has CPUs, no memory
cpuless		0-1;2-3;-	+++	10,21,28;21,10,17;28,17,10		-	node 2 has memory, no CPUs
sparse		0,2,4;1,3,5	++	10,21;21,10				1,2,4	CPUs 0, 3 and 5 of six
'

# Debian packages whose programs the guest has, and programs by name.
packages='coreutils diffutils findutils numactl procps'
names='awk bash cmp grep flock ldd mount prlimit sed setarch sh taskset umount unshare'

me=$(basename "$0")
top=$(realpath "$(dirname "$0")/..")
build=$(realpath -m "${NUMARENA_BUILD:-$top/build}")
cache=$top/build/guest

topology=2
memory_mib=768
append=
seconds=300
kernel=
with=()

environment=()
for name in NUMARENA_CONF NUMARENA_BUILD NUMARENA_SAN LD_PRELOAD STRESS_SCALE GLIBC_TUNABLES; do
	[[ ! -v $name ]] || environment+=("$name=${!name}")
done
unset LD_PRELOAD GLIBC_TUNABLES

usage() {
	printf 'usage: ' >&2
	sed -n '/^#   numa_guest/,/^#	--timeout/s/^#\( \{3\}\|	\|$\)//p' "$0" >&2
	exit 2
}

# end STATUS why-and-what-to-do
end() {
	echo "$me: $2" >&2
	exit "$1"
}

require_program() {
	[[ $(command -v "$1") ]] || end 77 "there is no $1: run scripts/deps.sh guest"
}

# A program's name, or a path, as an absolute path; nothing if it is neither.
locate() {
	local path
	path=$(type -P "$1" || echo "$1")
	[[ ! -e $path ]] || realpath -s "$path"
}

# ---- The machine -----------------------------------------------------------

list_topologies() {
	awk -F '\t+' '/^[^#]/ { printf "%-12s %s\n", $1, $6 }' <<<"$topologies"
}

# Its columns; of those that are lists, arrays by node.
read_topology() {
	local row
	row=$(awk -F '\t+' -v OFS='\t' -v name="$topology" '$1 == name { $1 = $1; print }' \
		<<<"$topologies")
	[[ $row ]] || end 2 "no topology is called $topology: see --list"
	IFS=$'\t' read -r _ cpus memory distances offline _ <<<"$row"
	IFS=';' read -ra cpus <<<"$cpus"
	IFS=';' read -ra distances <<<"$distances"
	[[ $offline != - ]] || offline=
}

nr_cpus() {
	tr -c '0-9\n' '\n' <<<"${cpus[*]}" | sort -n | awk 'END { print $1 + 1 }'
}

node_options() {
	local node=$1 range to distance option=node,nodeid=$1
	for range in ${cpus[node]//,/ }; do
		[[ $range == - ]] || option+=,cpus=$range
	done
	if [[ ${memory:node:1} == + ]]; then
		machine+=(-object "memory-backend-ram,id=m$node,size=${memory_mib}M")
		option+=,memdev=m$node
		total_mib=$((total_mib + memory_mib))
	fi
	machine+=(-numa "$option")
	IFS=, read -ra distance <<<"${distances[node]}"
	for to in "${!distance[@]}"; do
		((to == node)) || links+=(-numa "dist,src=$node,dst=$to,val=${distance[to]}")
	done
}

# A CPU a socket: cores that share one could not belong to different nodes.
machine_options() {
	local node links=() total_mib=0 nr
	nr=$(nr_cpus)
	machine=(-accel 'tcg,thread=multi' -cpu max -smp "$nr,sockets=$nr")
	for node in "${!cpus[@]}"; do
		node_options "$node"
	done
	machine+=("${links[@]}" -m "${total_mib}M")
}

# ---- The kernel ------------------------------------------------------------

fetch_kernel() {
	local package
	require_program apt-get
	require_program dpkg-deb
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[[ $package ]] || end 77 'apt knows no linux-image-cloud-amd64 (apt-get update?): use --kernel'
	(
		cd "$run"
		apt-get -qq download "$package" >log 2>&1 ||
			end 77 "cannot download $package: $(sed -n 's/^E: //p' log | head -n 1)"
		dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards './boot/vmlinuz-*'
		mv boot/vmlinuz-* "$cache/vmlinuz"
	)
}

# ---- The image -------------------------------------------------------------

# Programs that every guest has.
list_programs() {
	local package name
	for package in $packages; do
		dpkg-query -L "$package" 2>/dev/null | grep -E '/s?bin/.' || true
	done
	for name in $names; do
		type -P "$name" || true
	done
	# Loaded by pthread_exit() and backtrace() when they run.
	ldconfig -p | awk '$1 == "libgcc_s.so.1" && /x86-64/ { print $NF }' | head -n 1
}

# A command from outside the tree comes along; a path to it becomes a whole one.
take_command_along() {
	local path
	path=$(locate "${command[0]}")
	if [[ $path && $path != "$top"/* ]]; then
		[[ ${command[0]} != */* ]] || command[0]=$path
		with+=("$path")
	fi
}

# What is for this command only.
list_extras() {
	((${#with[@]} == 0)) || find -L "${with[@]}" -type f
}

# What is built, as paths below $build: programs and libraries of this build alone.
list_built() {
	[[ -d $build ]] || return 0
	cd "$build"
	find . -mindepth 1 \( -path ./ci -o -path ./guest -o -path './san-*' -o -path ./debug \) \
		-prune -o -type f -perm -100 -print -o -name '*.so*' ! -name '*.cmd' -print
}

list_libraries() {
	{ ldd "$@" 2>/dev/null || true; } | grep -oE '(=> )?/[^ ]+ \(0x' | grep -oE '/[^ ]+' || true
}

# /bin/sh and /usr/bin/sh are the same file today: one name for it.
as_usr() {
	sed -E 's,^/(s?bin|lib|lib64)/,/usr/\1/,'
}

# All that goes into the image has its name and sum here.
image_key() {
	{
		echo "$me"
		sha256sum "${system[@]}" "${extras[@]}" "$top/scripts/numa_guest_init.sh"
		cd "$top"
		find tests scripts -type f -print0 | sort -z | xargs -0 sha256sum
		if ((${#built[@]})); then
			cd "$build"
			sha256sum "${built[@]}"
		fi
	} | sha256sum | cut -c 1-16
}

plant_tree() {
	local tree=$1 dir
	mkdir -p "$tree"/{dev,etc,proc,root,sys,tmp,run,usr/{bin,sbin,lib,lib64},var}
	mkdir -p "$tree"/numarena/{top,build,extras}
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$tree/$dir"
	done
	ln -s /tmp "$tree/var/tmp"
	cp -L --parents -t "$tree" "${system[@]}"
	cp "$top/scripts/numa_guest_init.sh" "$tree/init"
	cp -r -t "$tree/numarena/top" "$top/tests" "$top/scripts"
	if ((${#extras[@]})); then
		cp -L --parents -t "$tree/numarena/extras" "${extras[@]}"
	fi
	if ((${#built[@]})); then
		(cd "$build" && cp -P --parents -t "$tree/numarena/build" "${built[@]}")
	fi
	echo 'root:x:0:0:root:/root:/bin/bash' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
}

# Half as large again as its files, and 64 MiB: room for inodes and for what is written.
make_image() {
	local kib
	plant_tree "$run/tree"
	kib=$(du -sk "$run/tree" | cut -f 1)
	mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$run/tree" \
		"$run/image" $((kib * 3 / 2 + 65536))k >"$run/log" 2>&1 ||
		end 77 "mke2fs: $(tail -n 1 "$run/log")"
	rm -rf "$run/tree"
	mv "$run/image" "$cache/$image"
}

# Images that no guest can be about to open any more.
drop_old_images() {
	find "$cache" -maxdepth 1 -name 'image-*' -mmin +60 -delete
}

prepare() {
	take_command_along
	mapfile -t programs < <(list_programs | as_usr | sort -u)
	mapfile -t extras < <(list_extras | as_usr | sort -u |
		comm -23 - <(printf '%s\n' "${programs[@]}"))
	mapfile -t built < <(list_built | sort)
	mapfile -t system < <({
		printf '%s\n' "${programs[@]}"
		cd "$build" 2>/dev/null || cd /
		list_libraries "${programs[@]}" "${extras[@]}" "${built[@]}"
	} | as_usr | sort -u)
	image=image-$(image_key).ext4
	exec 9>"$cache/lock"
	flock 9
	if [[ ! $kernel ]]; then
		kernel=$cache/vmlinuz
		[[ -s $kernel ]] || fetch_kernel
	fi
	if [[ -s $cache/$image ]]; then
		touch "$cache/$image"
	else
		make_image
	fi
	drop_old_images
	exec 9>&-
}

# ---- The guest -------------------------------------------------------------

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	[[ -z ${group:-} ]] || kill -KILL -- "-$group" 2>/dev/null || true
	rm -rf "$run"
}

# What init reads: the second disk, of whole blocks.
write_task() {
	local folder=$top
	[[ $PWD/ != "$top"/* ]] || folder=$PWD
	declare -p top build folder offline environment command >"$run/task"
	truncate -s %4096 "$run/task"
}

# Paths on qemu's command line are relative to the cache: a comma in them would end them.
boot() {
	local dir=${run##*/} arguments
	# Nothing there needs guarding, and system calls are slow enough when emulated.
	arguments='root=/dev/nvme0n1 rootwait rw console=ttyS0 quiet panic=-1 mitigations=off init=/init'
	cd "$cache"
	TMPDIR=$run exec timeout --kill-after=5 "$seconds" qemu-system-x86_64 \
		-nodefaults -display none -no-reboot "${machine[@]}" \
		-kernel "$kernel" \
		-append "$arguments $append" \
		-drive "if=none,id=root,format=raw,snapshot=on,file=$image" \
		-drive "if=none,id=task,format=raw,readonly=on,file=$dir/task" \
		-device nvme,serial=numarena -device nvme-ns,drive=root -device nvme-ns,drive=task \
		-serial "file:$dir/console" -serial stdio -serial "file:$dir/status" \
		</dev/null 2>"$run/qemu"
}

# Without trouble, qemu and a quiet kernel say nothing.
last_words() {
	cat "$run/qemu" "$run/console" 2>/dev/null | tr -d '\r' |
		awk '/Call Trace/ { done = 1 } !done && NR <= 20 { print "  " $0 }' >&2 || true
}

while (($#)); do
	case $1 in
	--list) list_topologies && exit ;;
	--topology | --nodes) topology=${2:?} ;;
	--memory-per-node) memory_mib=${2:?} ;;
	--append) append=${2?} ;;
	--env) environment+=("${2:?}") ;;
	--with)
		[[ $(locate "${2:?}") ]] || end 2 "there is no $2 to take along"
		with+=("$(locate "$2")")
		;;
	--kernel) kernel=$(realpath -e "${2:?}") ;;
	--timeout) seconds=${2:?} ;;
	--) shift && break ;;
	-*) usage ;;
	*) break ;;
	esac
	shift 2
done
(($#)) || usage
command=("$@")

read_topology
[[ $memory_mib$seconds =~ ^[0-9]+$ ]] || end 2 'MiB and seconds are whole numbers'
[[ $(uname -m) == x86_64 ]] || end 77 "guests are x86-64 and so are their programs, not $(uname -m)"
PATH=$PATH:/sbin:/usr/sbin
require_program qemu-system-x86_64
require_program mke2fs
mkdir -p "$cache"
run=$(mktemp -d "$cache/run.XXXXXX")
group=
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare
machine_options
write_task

# timeout leads a process group, so qemu is ended with it, and a signal here is not lost.
status=0
(boot) &
group=$!
wait "$group" || status=$?
group=

if ((status == 124 || status == 137)); then
	last_words
	end 124 "still running after $seconds s, ended: ${command[*]}"
elif [[ ! -s $run/status ]]; then
	last_words
	end 125 "the guest died, qemu's status $status"
fi
exit "$(<"$run/status")"
