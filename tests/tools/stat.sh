#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena stat and numarena top: of processes that publish statistics, that do not, that are
# another user's or over; into a pipe and on a terminal.
set -euo pipefail

. "$(dirname "$0")/tools.sh"
# shellcheck source=tests/tools/holder.sh
. "$here/holder.sh"

# Holds 64 MiB, frees as much in another thread, has what it says published, says so, and
# stays until its input ends.
worker='import ctypes, sys, threading
lib = ctypes.CDLL(None, use_errno=True)
blocks = [bytes(1000) for i in range(64000)]
other = [bytes(2000) for i in range(20000)]
thread = threading.Thread(target=other.clear)
thread.start()
thread.join()
lib.numarena_scope_begin.restype = ctypes.c_void_p
scope = ctypes.c_void_p(lib.numarena_scope_begin(b"we\nigh\"ts", 0))
lib.numarena_scope_alloc(scope, ctypes.c_size_t(1 << 20))
lib.numarena_scope_reset(scope)
lib.numarena_scope_alloc(scope, ctypes.c_size_t(1 << 10))
inner = ctypes.c_void_p(lib.numarena_scope_begin(None, 0))
null = open("/dev/null", "w")
def publish():
    assert not lib.numarena_stats_print(null.fileno(), 0)
publish()
print("ready", flush=True)
while sys.stdin.readline():
    publish()
    print("again", flush=True)'

pages() {
	ls /dev/shm | grep -c "^numarena-$1-" || true
}

agrees() {
	call stat "$pid" --json
	((status == 0)) && has_lines 0 err
	query "d['pid'] == $pid and d['name'] == 'python3'"
	query "64 << 20 <= d['stats']['slab_bytes'] <= d['stats']['committed_bytes']"
	query "d['stats']['nr_remote_frees'] >= 20000 <= sum(map(sum, d['remote']['frees']))"
	query "d['stats']['committed_bytes'] == sum(n['committed_bytes'] for n in d['nodes'])"
	query "sum(n['resident_bytes'] for n in d['nodes']) >= 64 << 20"
	query "sum(n['misplaced_bytes'] for n in d['nodes']) == 0"
	query "d['slow_steps']['refill']['count'] == d['stats']['nr_refills']"
	query "all(sum(n for _, n in s['below_ns']) == s['count'] for s in d['slow_steps'].values())"
}

# What is open is listed, whatever its name is.
lists_scopes() {
	call stat "$pid" --json
	((status == 0)) && has_lines 0 err
	query "[s['name'] for s in d['scopes']] == ['we\nigh\"ts', None]"
	query "[s['tid'] for s in d['scopes']] == [$pid, $pid]"
	query "[s['depth'] for s in d['scopes']] == [0, 1]"
	query "d['scopes'][0]['used_bytes'] == 1 << 10"
	query "d['scopes'][0]['peak_bytes'] == (1 << 20) + 16"
	query "d['scopes'][0]['nr_resets'] == 1 and d['scopes'][0]['nr_captured'] is None"
	query "sum(s['held_bytes'] for s in d['scopes']) == d['stats']['scope_open_bytes']"
	query "d['stats']['nr_scopes_open'] == 2 and d['scopes_left_off'] == 0"
	call stat "$pid"
	((status == 0)) && has_lines 0 err
	grep -q '^open scopes, MiB$' "$tap_dir/out"
	grep -Eq "^$pid +0 +[0-9]+ +0\.0 +1\.0 +[0-9.]+ +- +1  we\?igh\"ts$" "$tap_dir/out"
	grep -Eq "^$pid +1 .* -$" "$tap_dir/out"
}

# Options may come first, and both forms have the same numbers while nothing is published.
text_agrees() {
	local refills
	call stat --json "$pid"
	refills=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["stats"]["nr_refills"])' \
		<"$tap_dir/out")
	call stat "$pid"
	((status == 0)) && has_lines 0 err
	grep -q "^process  *$pid python3$" "$tap_dir/out"
	grep -q "^nr_refills  *$refills$" "$tap_dir/out"
	grep -q '^refill ' "$tap_dir/out"
}

top_shows_it() {
	call top --once
	((status == 0)) && has_lines 0 err
	grep -Eq "^ *$pid python3 +[0-9.]{2,}M +[0-9]+% +[0-9.]+[KM]? [0-9]+:[0-9]+%" "$tap_dir/out"
	# As many words as the heading.
	(($(awk 'NR == 2 { n = NF } END { print n == NF }' "$tap_dir/out")))
}

# Two rounds, between which nothing is published: the second has no rates.
rounds_are_plain() {
	call top --count 2 --interval 0.1 --sort pid
	((status == 0)) && has_lines 0 err
	(($(grep -c '^numarena top, ' "$tap_dir/out") == 2))
	if grep -q $'\033' "$tap_dir/out"; then
		return 1
	fi
	[[ $(grep "^ *$pid " "$tap_dir/out" | awk '{ print $8, $9, $10 }' | tail -n 1) == '0 0 0' ]]
}

# python3 is the terminal: draw, sort, another size, an interrupt; what is left behind?
terminal='import fcntl, os, pty, re, select, signal, struct, sys, termios
pid, fd = pty.fork()
if not pid:
    # Until the terminal has been looked at as it is.
    os.read(0, 1)
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], [sys.argv[1], "top", "--interval", "3600"])
seen = b""
def until(pattern):
    global seen
    while not re.search(pattern, seen):
        assert select.select([fd], [], [], 30)[0], seen
        try:
            seen += os.read(fd, 65536)
        except OSError:
            assert False, seen
    seen = seen[re.search(pattern, seen).end():]
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 80, 0, 0))
cooked = termios.tcgetattr(fd)[3]
os.write(fd, b"\n")
until(rb"\x1b\[\?1049h.*\x1b\[\?25l")
until(rb"by memory(?s:.*) NODES (?s:.*) %s python3(?s:.*)\x1b\[J" % sys.argv[2].encode())
assert not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO)
os.write(fd, b"s")
until(rb"by pid(?s:.*)\x1b\[J")
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 30, 0, 0))
until(rb"\x1b\[Hnumarena top, [-0-9 :]{0,20}\x1b\[K")
until(rb"\x1b\[J")
os.write(fd, sys.argv[3].encode().decode("unicode_escape").encode())
until(rb"\x1b\[\?25h\x1b\[\?1049l")
_, status = os.waitpid(pid, 0)
assert termios.tcgetattr(fd)[3] == cooked
assert status == int(sys.argv[4]), status'

draws_and_restores() {
	timeout 120 python3 -c "$terminal" "$numarena" "$pid" "$@"
}

stat_has_no_rights() {
	call_as_nobody stat "$pid"
	((status == 1)) && has_lines 1 err && grep -q 'no rights' "$tap_dir/err"
}

top_has_no_rights() {
	call_as_nobody top --once
	((status == 0)) && has_lines 0 err && ! grep -q "^ *$pid " "$tap_dir/out"
}

# Ended by exec: the number and its page are there, and nobody keeps it up to date.
is_replaced() {
	exits 1 'publishes nothing' stat "$pid"
	call top --once
	! grep -q "^ *$pid " "$tap_dir/out"
}

# A page that somebody else wrote, or that says more than it has, is not believed.
is_not_believed() {
	local page
	page=$(echo /dev/shm/numarena-"$pid"-*)
	cp "$page" "$tap_dir/page"
	head -c 40 "$tap_dir/page" >"$page"
	exits 1 'cannot be read' stat "$pid"
	head -c 500 /dev/zero >"$page"
	exits 1 'cannot be read' stat "$pid"
	rm "$page"
}

start "$numarena" run --stats page -- "$python" -c "$worker"
check 'JSON has what the process knows' agrees
check 'the text says the same' text_agrees
check 'open scopes are listed' lists_scopes
check 'top shows it' top_shows_it
check 'top prints rounds into a pipe' rounds_are_plain
check 'top on a terminal, ended by Ctrl-C' draws_and_restores '\x03' 2
check 'top on a terminal, ended by q' draws_and_restores q 0
check 'closed or full stdout' complains_of_output stat "$pid"
check 'the same with JSON' complains_of_output stat "$pid" -j
check 'the same of top' complains_of_output top --once
check 'the same in its first round of two' complains_of_output top --count 2 --interval 0.1
if can_be_nobody; then
	check 'no rights' stat_has_no_rights
	check 'top without rights' top_has_no_rights
else
	skip 'no rights' 'only root can do without'
	skip 'top without rights' 'only root can do without'
fi
check 'one page' test "$(pages "$pid")" = 1
stop
check 'no page is left' test "$(pages "$pid")" = 0

start "$numarena" run --stats page -- "$python" -c "$worker"
check 'a page that is damaged' is_not_believed
kill -KILL "$pid"
stop

start "$numarena" run --stats page -- "$python" -c "$replaced"
check 'exec is made' is_cat
check 'a process that exec has replaced' is_replaced
stop

start "$python" -c 'import sys; print("ready", flush=True); sys.stdin.read()'
check 'a process that publishes nothing' exits 1 'publishes nothing: start it with stats:page' stat "$pid"
stop

check 'one that is over' is_over stat
check 'no process' misused 'which process?' stat
check 'two processes' misused 'one process at a time' stat 1 2
for wrong in x 0 12x '' 99999999999; do
	check "process '$wrong'" misused 'no' stat "$wrong"
done
check 'an operand of top' misused "what is 'x'" top x
for wrong in 0 -1 x 0.05 3601 nan ''; do
	check "interval '$wrong'" misused 'no time' top --interval "$wrong"
done
for wrong in 0 -1 x 1x ''; do
	check "count '$wrong'" misused 'no number' top --count "$wrong"
done
check 'a key to sort by' misused "no key 'color'" top --sort color

tap_end
