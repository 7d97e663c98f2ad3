#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numarena record and replay: what a program did is in the trace, however it ends, and is done
# again, on any malloc.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

crew=$build/tests/tools/crew
faulty=$build/tests/tools/faulty.so
trace=$tap_dir/trace

# record STATUS program argument...: its output is $tap_dir/said.
record() {
	local expected=$1
	shift
	status=0
	"$numarena" record -o "$trace" -- "$@" >"$tap_dir/said" 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/err"
	((status == expected))
}

replay() {
	call replay --json "$@" "$trace"
	((status == 0)) && has_lines 0 err && query 'd["as_recorded"]'
}

# crew's objects are of four kinds, a quarter each; every fourth is malloc and realloc.  On top
# comes what the C library has for itself: an array of TLS a thread, a buffer.
counts_are() {
	local nr=$1 nr_threads=$2
	query "d['threads'] == $nr_threads
assert d['realloc'] == d['aligned'] == $nr // 4
assert 0 <= d['malloc'] - $nr // 2 <= 4
assert 0 < d['calloc'] - $nr // 4 <= 4 + 2 * $nr_threads
assert 0 <= d['free'] - $nr <= 4 + 2 * $nr_threads
assert d['operations'] == sum(d[k] for k in ('malloc', 'calloc', 'aligned', 'realloc', 'free'))"
}

# crew_is_recorded STATUS nr_threads argument...
crew_is_recorded() {
	local expected=$1 nr_threads=$2
	shift 2
	record "$expected" "$crew" "$@" 2>/dev/null
	replay
	counts_are "$(tail -n 1 "$tap_dir/said")" "$nr_threads"
}

# A copy of the command that lies alone finds no library; that is a failure of its own.
replay_alone() {
	cp "$numarena" "$tap_dir/numarena"
	numarena=$tap_dir/numarena exits 1 'there is no libnumarena.so.0' replay "$trace"
}

library_with_space() {
	mkdir -p "$tap_dir/a b"
	cp "$library" "$tap_dir/a b/lib.so"
	exits 1 'space or colon' replay -a "$tap_dir/a b/lib.so" "$trace"
}

runs_on() {
	replay --allocator "$1"
	query "'$2' in d['allocator']"
	counts_are 32000 9
}

# Objects that are live at the end go before the next round begins; each round is checked.
is_repeated() {
	record 137 "$crew" kill 2>/dev/null
	replay --repeat 4
	query "sorted(r['seconds'] for r in d['rounds'])[1] <= d['seconds'] <= \\
	sorted(r['seconds'] for r in d['rounds'])[2] and len(d['rounds']) == 4 and d['live_objects'] >= 1"
	cp "$tap_dir/out" "$tap_dir/first"
	replay
	"$python" -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert len(b["rounds"]) == 1 and b["rounds"][0]["seconds"] == b["seconds"]
for k in "operations", "threads", "live_objects", "live_bytes":
    assert a[k] == b[k], k' "$tap_dir/first" "$tap_dir/out"
	call replay --repeat=3 "$trace"
	((status == 0)) && [[ $(grep -c '^round [123]  *[0-9.]* s, CPU [0-9.]* s$' "$tap_dir/out") == 3 ]] &&
		grep -q '^median of  *3 rounds:$' "$tap_dir/out"
}

# What is live at the end, 8 MiB at the least, is had once.
rounds_do_not_add_up() {
	record 0 env PYTHONMALLOC=malloc "$python" -c 'import os; b = bytearray(8 << 20); os._exit(0)'
	replay --repeat 10
	query 'd["live_bytes"] >= 8 << 20 and isinstance(d["peak_bytes"], int) and d["peak_bytes"] < 40 << 20'
}

# Four times as many as in one round.
finds_in_each_round() {
	local nr
	record 0 "$crew"
	FAULTY=null "$numarena" replay -a "$faulty" "$trace" >"$tap_dir/out" || true
	nr=$(awk '/^WRONG .* failed/ { print $2 }' "$tap_dir/out")
	FAULTY=null "$numarena" replay -a "$faulty" -r 4 "$trace" >"$tap_dir/out" || true
	((nr > 0 && 4 * nr == $(awk '/^WRONG .* failed/ { print $2 }' "$tap_dir/out")))
}

program_is_recorded() {
	local least=$1
	shift
	"$@" >"$tap_dir/plain"
	record 0 "$@"
	diff "$tap_dir/plain" "$tap_dir/said"
	replay
	query "d['operations'] > $least"
	cp "$tap_dir/out" "$tap_dir/first"
	replay -a system
	"$python" -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
for k in "malloc", "calloc", "aligned", "realloc", "free", "threads", "live_objects", "live_bytes":
    assert a[k] == b[k], k' "$tap_dir/first" "$tap_dir/out"
}

# All that was done until then; with the parent's own, and no child's, files.
is_recorded_until_killed() {
	crew_is_recorded 137 9 kill
	query 'd["live_objects"] >= 1'
}

many_threads() {
	crew_is_recorded 0 129 '' 64
	# Those of the second round go on in the blocks of the first: 64 of 64 KiB, and what is full.
	(($(stat -c %s "$trace") < 130 * 65536 + $(($(tail -n 1 "$tap_dir/said") * 3 * 16))))
}

summary_agrees() {
	record 0 "$crew"
	call replay --summary "$trace"
	((status == 0))
	has_lines 0 err
	# 24 thousand by size, 8 thousand of them twice, since realloc makes new ones.
	awk '/^size / { on = 1; next } !NF { on = 0 } on { sum += $4 }
		END { exit !(sum >= 40000 && sum < 40100) }' "$tap_dir/out"
	# All of crew's are freed by another thread than their own.
	awk '/^other thread/ { exit !($3 >= 32000 && $3 <= 40000) }' "$tap_dir/out"
	awk '/^lifetime/ { on = 1; next } on { sum += $(NF - 2) } END { exit !(sum >= 40000 && sum < 40100) }' \
		"$tap_dir/out"
}

disk_is_full() {
	status=0
	(
		# KiB: the header, a block of the first thread, one of the only other.
		ulimit -f 192
		"$numarena" record -o "$trace" -- "$crew" '' 1 >"$tap_dir/said" 2>"$tap_dir/err"
	) || status=$?
	cat "$tap_dir/err"
	((status == 0))
	has_lines 1 err
	grep -q 'File too large: recording ends here' "$tap_dir/err"
	[[ $(<"$tap_dir/said") == 8000 ]]
	call replay --json "$trace"
	query 'd["operations"] > 1000'
}

# In a child the name of the trace leads to nothing.
environment_is_harmless() {
	record 0 sh -c 'python3 -c "print(1)"; echo 2; exec echo 3'
	[[ $(tr '\n' ' ' <"$tap_dir/said") == '1 2 3 ' ]]
	replay
	query 'd["command"] == "echo 3"'
}

# One that has the number of a recorded process, but is another.
number_is_not_enough() {
	record 0 "$crew"
	cp "$trace" "$tap_dir/before"
	# The shell's number is the program's, as exec leaves it.
	sh -c 'NUMARENA_RECORD=$$:1:$1 LD_PRELOAD=$2 exec true' sh "$trace" "$build/libnumarena-record.so"
	cmp "$trace" "$tap_dir/before"
}

# compiled NAME C-source [option]...: $tap_dir/NAME.
compiled() {
	local name=$1 source=$2
	shift 2
	printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' '#include <stdlib.h>' "$source" >"$tap_dir/$name.c"
	"${CC:-cc}" -fno-builtin -o "$tap_dir/$name" "$tap_dir/$name.c" "$@"
}

# It has a malloc before any that is preloaded.
own_malloc() {
	compiled own 'static char pool[1 << 20]; static size_t used;
		void *malloc(size_t n) { used += (n + 15) & -16ul; return pool + used - ((n + 15) & -16ul); }
		void *calloc(size_t n, size_t m) { return malloc(n * m); }
		void *realloc(void *p, size_t n) { (void)p; return malloc(n); }
		void free(void *p) { (void)p; } int main(void) { return !malloc(1); }' -rdynamic
	record 0 "$tap_dir/own"
	exits 1 'has a malloc of its own' replay "$trace"
}

static_program() {
	compiled static 'int main(void) { return 0; }' -static
	record 0 "$tap_dir/static"
	grep -q 'linked statically' "$tap_dir/err"
	exits 1 'is empty' replay "$trace"
}

numarena_is_recorded() {
	LD_PRELOAD=$library record 0 "$crew"
	replay
	# Libraries that it needs allocate, too.
	query "d['threads'] == 9 and d['aligned'] == 8000 and 8000 <= d['realloc'] < 8100"
}

# finds FAULT 'what the report says'
finds() {
	record 0 "$crew"
	status=0
	FAULTY=$1 "$numarena" replay -a "$faulty" "$trace" >"$tap_dir/out" 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/out"
	((status == 1)) && has_lines 0 err && grep -q "^WRONG .* $2" "$tap_dir/out"
}

# A trace of crew, spoilt by python: f is its bytes.
spoil() {
	record 0 "$crew"
	"$python" -c 'import struct, sys
f = bytearray(open(sys.argv[1], "rb").read())
exec(sys.argv[2])
open(sys.argv[1], "wb").write(f)' "$trace" "$1"
}

is_refused() {
	spoil "$1"
	exits 1 "$2" replay "$trace"
}

# What is left is replayed, and a line says that it is not all.
is_cut() {
	spoil 'f = f[:len(f) // 2 + 1000]'
	call replay --json "$trace"
	has_lines 1 err && grep -q 'was cut off' "$tap_dir/err" &&
		query 'd["operations"] > 1000'
}

# Of a block it has the beginning, of a header all or less.
is_cut_short() {
	spoil "f = f[:$1]"
	exits 1 "$2" replay "$trace"
}

# Of an allocation that failed its size is no other record's.
failures_are_recorded() {
	compiled fails 'int main(void) { volatile size_t all = SIZE_MAX; void *p = malloc(100);
		if (malloc(all) || realloc(p, all)) return 1; free(p); free(malloc(10)); return 0; }' -w
	record 0 "$tap_dir/fails"
	replay
	query 'd["operations"] >= 4'
}

# To some mallocs realloc(p, 0) is a free, to others it is not.
zero_is_an_object() {
	compiled zero.so '#include <dlfcn.h>
		void *realloc(void *p, size_t n) { static void *(*next)(void *, size_t);
		if (!next) *(void **)&next = dlsym(RTLD_NEXT, "realloc"); return next(p, n ? n : 1); }' \
		-shared -fPIC -D_GNU_SOURCE
	compiled shrinks 'int main(void) { volatile size_t zero = 0; void *p = realloc(malloc(100), zero);
		if (!p) return 1; free(p); return 0; }' -w
	LD_PRELOAD=$tap_dir/zero.so record 0 "$tap_dir/shrinks"
	replay
	query 'd["realloc"] == 1'
	replay -a system
}

# The C library frees what was a thread's after its last destructor: that costs no block a thread.
blocks_come_back() {
	compiled ends '#include <pthread.h>
		static pthread_key_t key[40];
		static void *run(void *arg) { pthread_setspecific(key[39], arg); return NULL; }
		int main(void) { for (int i = 0; i < 40; i++) pthread_key_create(&key[i], NULL);
		for (int i = 0; i < 500; i++) { pthread_t t;
		if (pthread_create(&t, NULL, run, key) || pthread_join(t, NULL)) return 1; } return 0; }' -pthread
	record 0 "$tap_dir/ends"
	(($(stat -c %s "$trace") < 20 * 65536))
	replay
	query 'd["operations"] >= 1000'
}

# A trace of blocks that python writes: block(record...), of v(number)s; z() is signed.
composed() {
	record 0 true
	"$python" -c 'import struct, sys
MALLOC, CALLOC, ALIGNED, FREE, REALLOC, THREAD, END = range(7)
def v(n):
    return bytes([n & 127]) if n < 128 else bytes([n & 127 | 128]) + v(n >> 7)
def z(n):
    return v(n << 1 ^ n >> 63)
def block(*records):
    text = b"".join(records)
    return struct.pack("<II", len(text), 0) + text + bytes(65536 - 8 - len(text))
f = open(sys.argv[1], "rb").read(65536) + eval("(" + sys.argv[2] + ")")
open(sys.argv[1], "wb").write(f)' "$trace" "$1"
}

# By its orders one object would end twice, and a thread wait for it.
overlapping_reallocs() {
	composed 'block(v(THREAD), v(0), v(0), v(REALLOC), v(10), z(2), z(2), v(64), v(20),
		v(REALLOC), v(10), z(0), z(2), v(64), v(5)) +
		block(v(THREAD), v(1), v(1), v(MALLOC), v(1), z(2), v(64), v(MALLOC), v(1), z(2), v(64))'
	status=0
	timeout 60 "$numarena" replay "$trace" >"$tap_dir/out" 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/out" "$tap_dir/err"
	((status <= 1))
}

# A number that goes round lies before the end, and its beginning beyond it.
orders_go_round() {
	composed 'block(v(THREAD), v(0), v(0), v(MALLOC), v(1), z(2), v(64), v(REALLOC), v(1 << 40), z(2), z(2), v(64), v((1 << 64) - (1 << 40)))'
	call replay "$trace"
	((status <= 1)) && grep -q 'damaged' "$tap_dir/out" "$tap_dir/err"
}

# Replayed while it is written: what comes later is left out.
is_still_written() {
	mkfifo "$tap_dir/go"
	"$numarena" record -o "$trace" -- "$python" -c 'import os, sys
os.write(1, b"!")
os.close(1)
while not os.path.exists(sys.argv[1]):
    [bytes(1000 + i) for i in range(1000)]' "$tap_dir/stop" >"$tap_dir/go" &
	pid=$!
	read -r -n 1 <"$tap_dir/go"
	for _ in 1 2 3; do
		call replay --summary "$trace" >/dev/null
		((status == 0)) || cat "$tap_dir/err"
		((status == 0)) || break
	done
	touch "$tap_dir/stop"
	wait "$pid"
	((status == 0))
}

# Whatever bytes are wrong: refused in one line or read, and never ended by a signal.
survives_damage() {
	local spoilt
	record 0 "$crew" '' 2
	"$python" -c 'import random, sys
good = open(sys.argv[1], "rb").read()
for seed in range(60):
    r = random.Random(seed)
    f = bytearray(good)
    for i in range(r.choice((1, 10, 1000))):
        start = r.choice((0, 65536, 65536))
        at = start + r.randrange(r.choice((64, 4096, len(f) - start)))
        f[at] = r.choice((0, 1, 127, 128, 255, r.randrange(256)))
    open(f"{sys.argv[1]}.{seed}", "wb").write(f)' "$trace"
	for spoilt in "$trace".*; do
		call replay --summary "$spoilt" >/dev/null
		((status == 0)) && has_lines 0 err && continue
		((status == 1)) && has_lines 1 err && continue
		echo "$spoilt: status $status"
		return 1
	done
}

is_no_allocator() {
	status=0
	"$numarena" replay -a "$1" "$trace" >"$tap_dir/out" 2>"$tap_dir/err" || status=$?
	cat "$tap_dir/err"
	((status == 1)) && has_lines 0 out && tail -n 1 "$tap_dir/err" | grep -qF "$2"
}

check 'threads of all kinds of calls' crew_is_recorded 0 9
check 'the same on numarena' runs_on numarena libnumarena.so
check 'the same on the system'"'"'s malloc' runs_on system libc.so
check 'a program that is killed' is_recorded_until_killed
check 'one that forks, and children that allocate' crew_is_recorded 0 9 fork
check 'one that becomes another by exec' crew_is_recorded 0 9 exec
check '128 threads that come and go' many_threads
check 'children of a shell' environment_is_harmless
check 'the summary' summary_agrees
check 'python3' program_is_recorded 100000 env PYTHONMALLOC=malloc "$python" -c \
	'import json, threading
def work():
    json.dumps(json.loads(json.dumps([{str(i): [i] * (i % 9)} for i in range(5000)])))
t = [threading.Thread(target=work) for i in range(4)]
for i in t: i.start()
for i in t: i.join()
print("done")'
check 'sqlite3' program_is_recorded 50000 sqlite3 :memory: 'SELECT count(*), sum(length(s)) FROM (
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
	SELECT printf("%d %d", i, i * 7919 % 1000) AS s FROM n ORDER BY s)'
check 'a program that is on numarena itself' numarena_is_recorded
check 'a program with a malloc of its own' own_malloc
check 'a program that is linked statically' static_program
check 'another process of the same number' number_is_not_enough
check 'no room for the trace' disk_is_full
check 'allocations that fail' failures_are_recorded
check 'a malloc to which realloc(p, 0) is no free' zero_is_an_object
check 'threads whose last call comes after their end' blocks_come_back

check 'replay, again and again' is_repeated
check 'replay: rounds leave nothing behind' rounds_do_not_add_up
check 'replay finds in each round' finds_in_each_round
check 'replay finds memory that is given twice' finds twice 'overwritten'
check 'replay finds allocations that fail' finds null 'allocations failed'
check 'replay finds calloc without zeros' finds zero 'not zero'
check 'replay finds bad alignment' finds align 'not aligned'
check 'replay finds a realloc that loses' finds shrink 'overwritten'

check 'no trace: another file' exits 1 'is not a trace' replay "$0"
check 'no trace: an empty file' exits 1 'is not a trace' replay /dev/null
check 'no trace: a folder' exits 1 'is not a trace' replay "$tap_dir"
check 'no trace: nothing' exits 1 'No such file' replay "$tap_dir/nothing"
check 'another version' is_refused 'f[12] = 99' 'another version'
check 'another byte order' is_refused 'f[8:12] = f[11:7:-1]' 'other byte order'
check 'a number beyond all sense' is_refused \
	'f[65536 + 8:65536 + 8 + 20] = bytes([3] + [255] * 8 + [1] + [1] * 10)' 'damaged'
check 'a trace that was cut' is_cut
check 'a trace that was cut in the first block' is_cut_short 70000 'was cut off before'
check 'a trace that was cut in the header' is_cut_short 10000 'was cut off before'
check 'a trace that was cut to nothing much' is_cut_short 10 'is not a trace'
check 'a trace with wrong bytes' survives_damage
check 'a trace whose orders go round' orders_go_round
check 'a trace in which reallocs overlap' overlapping_reallocs
check 'a trace that is still written' is_still_written
check 'a library that is not there' is_no_allocator "$tap_dir/none.so" 'No such file'
check 'a library without malloc' is_no_allocator "$build/tests/preload/witness.so" 'has none'

check 'record: no file' misused 'where to? -o FILE' record true
check 'record: a file without a name' misused 'where to? -o FILE' record -o '' true
check 'record: no program' misused 'which program?' record -o "$trace"
check 'record: no such folder' exits 125 'No such file' record -o "$tap_dir/no/trace" true
check 'record: not a file' exits 125 'not a file that can be mapped' record -o /dev/null true
check 'record: no such program' exits 127 'cannot run no-such-program' record -o "$trace" no-such-program
check 'record: not executable' exits 126 'Permission denied' record -o "$trace" "$tap_dir"
check 'record: the program'"'"'s status' record 7 sh -c 'exit 7'
check 'replay: no trace' misused 'which trace?' replay
check 'replay: a trace without a name' misused 'which trace?' replay ''
check 'replay: an allocator without a name' misused "--allocator cannot be ''" replay -a '' "$trace"
check 'replay: an allocator that is none' exits 1 'no shared library' replay -a "$0" "$trace"
check 'replay: one that the loader cannot take' library_with_space
check 'replay: no library' replay_alone
check 'replay: two traces' misused 'one trace at a time' replay a b
check 'replay: two forms' misused 'text only' replay --summary --json "$trace"
check 'replay: no forms of rounds' misused 'replays nothing' replay --summary --repeat 2 "$trace"
for rounds in 0 -1 x '' 1x 1001 99999999999999999999; do
	check "replay: '$rounds' rounds" misused "'$rounds' is no number of rounds" replay --repeat "$rounds" "$trace"
done
check 'replay: closed or full stdout' complains_of_output replay "$trace"

tap_end
