#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git on this repository, or where there is none on one made of this tree.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

require_programs git

# Nothing of the user's settings, and no question of who owns the tree.
export GIT_CONFIG_GLOBAL=$tap_dir/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
cat >"$GIT_CONFIG_GLOBAL" <<END
[user]
	name = Nobody
	email = nobody@example.org
[safe]
	directory = *
[gc]
	auto = 0
END

clone=$tap_dir/clone

make_origin() {
	cp -r "$top/arena" "$top/include" "$top/numa" "$top/tests" "$1"
	git -C "$1" init -q
	git -C "$1" add .
	git -C "$1" commit -q -m 'tree: as it is'
}

origin=$top
if ! git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
	origin=$tap_dir/origin
	mkdir "$origin"
	make_origin "$origin"
fi

# Two hundred files, each changed ten times.
add_history() {
	local round file
	for round in {1..10}; do
		mkdir -p "$clone/files"
		for file in {1..200}; do
			seq "$round" "$((file * 10))" >"$clone/files/$file"
		done
		preloaded git -C "$clone" add files
		preloaded git -C "$clone" commit -q -m "files: round $round"
	done
}

check 'clone' preloaded git clone -q --no-local "$origin" "$clone"
check 'the clone is where its origin is' diff \
	<(git -C "$origin" rev-parse HEAD) <(git -C "$clone" rev-parse HEAD)
check 'commits' add_history
check 'log -p is the same as on libc' same_output git -C "$clone" log -p --stat -M -C
check 'blame is the same as on libc' same_output git -C "$clone" blame files/200
check 'grep by threads is the same as on libc' same_output git -C "$clone" grep -n 1
check 'repack by two threads' preloaded git -C "$clone" -c pack.threads=2 repack -adfq
check 'gc' preloaded git -C "$clone" gc -q --aggressive --prune=now
check 'fsck' preloaded git -C "$clone" fsck --full --strict --no-progress
check 'git was served by the library' is_served git

tap_end
