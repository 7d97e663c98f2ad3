#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guest's init, see numa_guest.sh: prepare the machine, run the command, tell its
# exit status, end.  What it says itself is on the kernel's console.
# shellcheck disable=SC2154 # from the task: top build folder offline environment command

say_end() {
	echo "$1" >/dev/ttyS2
	echo b >/proc/sysrq-trigger
	sleep 60
}

# A port that passes bytes as they are.  Setting it waits for what it still has to send.
make_raw() {
	stty -F "$1" raw -echo -opost 115200
}

mount_all() {
	mount -t devtmpfs none /dev
	mkdir /dev/shm /dev/pts
	mount -t proc none /proc
	mount -t sysfs none /sys
	mount -t tmpfs none /dev/shm
	mount -t devpts none /dev/pts
	mount -t tmpfs none /tmp
	mount -t tmpfs none /run
	mount -t cgroup2 none /sys/fs/cgroup
	ln -s /proc/self/fd /dev/fd
	ln -s /proc/self/fd/0 /dev/stdin
	ln -s /proc/self/fd/1 /dev/stdout
	ln -s /proc/self/fd/2 /dev/stderr
	echo '+cpuset +cpu +memory' >/sys/fs/cgroup/cgroup.subtree_control
}

# The tree at its paths, which may be below /tmp; what is built may be inside or outside.
# Extras have whole paths.
bind_tree() {
	mkdir -p "$top"
	mount --bind /numarena/top "$top"
	mkdir -p "$build"
	mount --bind /numarena/build "$build"
	cp -an /numarena/extras/. /
}

take_cpus_offline() {
	local cpu
	for cpu in ${offline//,/ }; do
		echo 0 >"/sys/devices/system/cpu/cpu$cpu/online"
	done
}

# The kernel panics when init exits, so the host will know of any failure.
set -e
export PATH=/usr/bin:/usr/sbin
mount_all
make_raw /dev/ttyS1
make_raw /dev/ttyS2
eval "$(tr -d '\0' </dev/nvme0n2)"
bind_tree
take_cpus_offline
cd "$folder"
set +e

ulimit -c 0
env -i PATH="$PATH" HOME=/root "${environment[@]}" "${command[@]}" </dev/null >/dev/ttyS1 2>&1
status=$?
make_raw /dev/ttyS1
say_end "$status"
