#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena stat and numarena top: of processes that publish statistics, that do not, that are
# another user's or over; into a pipe and on a terminal.
set -euo pipefail

. "$(dirname "$0")/tools.sh"
# shellcheck source=tests/tools/holder.sh
. "$here/holder.sh"
holder=$build/tests/tools/holder

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

# More: two heaps, of which one has met its limit, under names that would move the cursor; a
# thread that has such a name, and more threads than there are lines.  All figures, as it prints
# them itself, go to the file that is named.
crowd='import ctypes, sys, threading
lib = ctypes.CDLL(None, use_errno=True)
class Attr(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("nodes", ctypes.c_uint64 * 16), ("policy", ctypes.c_uint32),
                ("huge", ctypes.c_uint32), ("limit_bytes", ctypes.c_uint64), ("decay_ms", ctypes.c_int32),
                ("reserved", ctypes.c_uint32), ("name", ctypes.c_char_p), ("low_memory", ctypes.c_void_p),
                ("arg", ctypes.c_void_p)]
lib.numarena_heap_create.restype = lib.numarena_heap_alloc.restype = ctypes.c_void_p
def heap(name, limit):
    attr = Attr(size=ctypes.sizeof(Attr), name=name, limit_bytes=limit)
    return ctypes.c_void_p(lib.numarena_heap_create(ctypes.byref(attr)))
def alloc(heap, size):
    return lib.numarena_heap_alloc(heap, ctypes.c_size_t(size))
weights = heap(b"we\nigh\"ts\x1b[2J", 8 << 20)
assert all(alloc(weights, 1000) for i in range(1000)) and alloc(weights, 4 << 20)
assert not alloc(weights, 16 << 20)
empty = heap(b"", 0)
go_on = threading.Event()
def hold(nr, ready):
    lib.prctl(15, b"a\nb\x1b[2J")
    held = [bytes(2000) for i in range(nr)]
    ready.set()
    go_on.wait()
for nr in [20000] + [600] * 140:
    ready = threading.Event()
    threading.Thread(target=hold, args=(nr, ready)).start()
    ready.wait()
own = open(sys.argv[1], "w")
assert not lib.numarena_stats_print(own.fileno(), 1)
print("ready", flush=True)
sys.stdin.read()
go_on.set()'

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

# Classes and heaps are those that the process prints, but for what only a walk tells; a name is
# as it was given.
tables_agree() {
	call stat "$pid" --json
	((status == 0)) && has_lines 0 err
	"$python" -c 'import json, sys
page, own = (json.load(open(path)) for path in sys.argv[1:])
def known(line):
    return {k: v for k, v in line.items() if k not in ("resident_bytes", "fragmentation")}
def lines(table):
    return [known(line) for line in table]
assert page["counted_before_ns"] == 0
assert lines(page["classes"]) == [known(c) for c in own["classes"] if c["slabs"]]
key = lambda line: line["heap"]
assert sorted(lines(page["heaps"]), key=key) == sorted(lines(own["heaps"]), key=key)
heap = {h["name"]: h for h in page["heaps"]}
assert list(heap) == ["default", "we\nigh\"ts\x1b[2J", ""]
weights = heap["we\nigh\"ts\x1b[2J"]
assert weights["limit_bytes"] == 8 << 20 and weights["nr_limit_hit"] >= 1
assert weights["charged_bytes"] == weights["slab_bytes"] + weights["large_bytes"] >= 1000 * 1000 + (4 << 20)
assert weights["live_bytes"] >= 1000 * 1000 + (4 << 20) and weights["resident_bytes"] is None
assert page["heaps_left_off"] == 0
for name in "live_bytes", "cached_bytes":
    assert page["totals"][name] == own["totals"][name], name
assert 0 <= page["totals"]["fragmentation"] < 1
assert page["totals"]["resident_bytes"] > 64 << 20
threads = {t["arena"]: t for t in own["threads"]}
assert len(page["threads"]) == 128
assert page["threads_left_off"] >= 15
for line in page["threads"]:
    assert known(line) == known(threads[line["arena"]]), (line, threads[line["arena"]])
held = [t["slab_bytes"] for t in page["threads"]]
assert held == sorted(held, reverse=True)
assert page["threads"][0]["slab_bytes"] > 40_000_000
assert page["threads"][0]["name"] == "a\nb\x1b[2J"' "$tap_dir/out" "$tap_dir/own"
}

# Nothing in the text moves the cursor.
tables_are_plain() {
	call stat "$pid"
	((status == 0)) && has_lines 0 err
	grep -q '^heaps, MiB$' "$tap_dir/out"
	grep -Eq '^0 .*  default$' "$tap_dir/out"
	grep -Eq '^[0-9]+ .* 8\.0 +[1-9]  we\?igh"ts\?\[2J$' "$tap_dir/out"
	grep -Eq '^[0-9]+ .* none +0  -$' "$tap_dir/out"
	grep -Eq '^[0-9]+ +[0-9]+ +0 .*  a\?b\?\[2J$' "$tap_dir/out"
	grep -Eq '^and [0-9]+ more$' "$tap_dir/out"
	grep -Eq '^fragmentation +[0-9.]+%$' "$tap_dir/out"
	! grep -q $'\033' "$tap_dir/out"
}

is_named_plainly() {
	call "$1" "$pid"
	((status == 0)) && has_lines 0 err
	grep -qaF "$pid $plain_name" "$tap_dir/out"
	! grep -qa $'[\033\x9b]' "$tap_dir/out"
}

is_named_in_json() {
	call "$1" --json "$pid"
	((status == 0)) && has_lines 0 err
	query 'd["name"] == "a\nb\x1b[2J\x9bz\u044f\u043d\ufffd"'
}

# As a library wrote it that knew no parts after the scopes: what is not there is not none.
is_of_older_layout() {
	"$python" -c 'import glob, sys
page = open(glob.glob("/dev/shm/numarena-" + sys.argv[1] + "-*")[0], "r+b")
PARTS, PART_BYTES, SCOPES, LEFT_OFF = 88, 16, 6, 376
page.seek(PARTS + (SCOPES + 1) * PART_BYTES)
page.write(bytes((16 - SCOPES - 1) * PART_BYTES))
page.seek(LEFT_OFF)
page.write(bytes(24))' "$pid"
	call stat "$pid" --json
	((status == 0)) && has_lines 0 err
	query "d['classes'] is d['heaps'] is d['threads'] is d['totals'] is d['counted_before_ns'] is None"
	query "d['scopes'] == [] and d['stats']['slab_bytes'] >= 40 << 20"
	call stat "$pid"
	((status == 0)) && has_lines 0 err
	(($(grep -c '^not on this page: the process has an older numarena$' "$tap_dir/out") == 3))
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

start "$numarena" run --stats page -- "$python" -c "$crowd" "$tap_dir/own"
check 'classes, heaps and threads are those of the process' tables_agree
check 'names are printed plainly' tables_are_plain
check 'a page of an older layout' is_of_older_layout
stop

start "$numarena" run --stats page -- "$python" -c "$worker"
check 'a page that is damaged' is_not_believed
kill -KILL "$pid"
stop

start "$numarena" run --stats page -- "$python" -c "$replaced"
check 'exec is made' is_cat
check 'a process that exec has replaced' is_replaced
stop

ln -s "$holder" "$tap_dir/$odd_name"
start "$numarena" run --stats page -- "$tap_dir/$odd_name" 16
check 'a process whose name would move the cursor' is_named_plainly stat
check 'the same of audit' is_named_plainly audit
check 'its name in JSON' is_named_in_json stat
check 'the same of audit' is_named_in_json audit
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
