#!/bin/bash
# SPDX-License-Identifier: MIT
#
# redis-server under redis-benchmark on loopback, both on the library: threads, a fork
# that writes the data out while the parent goes on, and a clean end.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

require_programs redis-cli redis-benchmark redis-check-rdb

# Debian's redis-tools has the server under another name; the name tells it what to be.
server=$(command -v redis-server) || {
	server=$tap_dir/redis-server
	ln -s "$(command -v redis-check-rdb)" "$server"
}

cli() {
	redis-cli -h 127.0.0.1 -p "$port" "$@"
}

start_server() {
	# Not by a function, so that the process is the server's own.
	env "${preload_env[@]}" "$server" --bind 127.0.0.1 --port "$port" --dir "$tap_dir" --save '' \
		--io-threads 2 --io-threads-do-reads yes --enable-debug-command yes \
		--activedefrag no >"$tap_dir/server.log" 2>&1 &
	server_pid=$!
}

# Answers, and as the process that was started: the port may be somebody else's.
answers() {
	[[ $(cli INFO server 2>/dev/null) == *"process_id:$server_pid"* ]]
}

# Up to ten seconds a port.
wait_for_server() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		answers && return
		kill -0 "$server_pid" 2>/dev/null || return
		sleep 0.1
	done
	return 1
}

find_port() {
	local tries
	for ((tries = 0; tries < 10; tries++)); do
		port=$((20000 + RANDOM % 12000))
		start_server
		wait_for_server && return
		kill "$server_pid" 2>/dev/null || true
		wait "$server_pid" || true
	done
}

stop_server() {
	kill "$server_pid" 2>/dev/null || true
	rm -rf "$tap_dir"
}

is_mapped() {
	grep -F " $library" "/proc/$server_pid/maps"
}

benchmark() {
	preloaded redis-benchmark -h 127.0.0.1 -p "$port" -n 50000 -r 100000 -c 50 -P 16 \
		--threads 2 -q "$@"
}

# The child that saves shares all memory with a parent that goes on serving.
save_under_load() {
	cli BGSAVE
	benchmark -t set,incr,lpush -d 300
	while [[ $(cli INFO persistence) == *rdb_bgsave_in_progress:1* ]]; do
		sleep 0.1
	done
	cli INFO persistence | grep rdb_last_bgsave_status:ok
	redis-check-rdb "$tap_dir/dump.rdb"
}

keeps_its_data() {
	local before
	before=$(cli DBSIZE)
	cli DEBUG RELOAD | grep -x OK
	[[ $(cli DBSIZE) == "$before" ]]
	cli FLUSHALL | grep -x OK
	[[ $(cli DBSIZE) == 0 ]]
}

find_port
trap stop_server EXIT

check 'redis-server answers' answers
check 'the library is in its maps' is_mapped
check 'it stands small values' benchmark -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd -d 20
check 'it stands larger ones' benchmark -t set,lpush,lrange_100 -d 300
check 'it forks and saves under load' save_under_load
check 'it keeps its data over a reload' keeps_its_data

cli SHUTDOWN NOSAVE || true
status=0
wait "$server_pid" || status=$?
check 'it ends with success' test "$status" = 0
check 'it was served by the library' is_served redis-server
check 'so was redis-benchmark' is_served redis-benchmark

tap_end
