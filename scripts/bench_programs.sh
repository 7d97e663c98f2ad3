# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by bench_suite.sh: real programs, and what they are given to do.  Each takes one
# to two seconds at scale 8.
# shellcheck disable=SC2034 # used by those who source this

all_programs='true python_objects python_lists gcc sqlite redis'

program_text() {
	case $1 in
	true) echo '/bin/true; memory alone' ;;
	python_objects) echo 'python3, PYTHONMALLOC=malloc: objects, dicts and strings, built and dropped' ;;
	python_lists) echo 'python3, PYTHONMALLOC=malloc: large lists grown, sorted, sliced, joined' ;;
	gcc) echo 'gcc -O2 of a generated C file' ;;
	sqlite) echo 'sqlite3 in memory: inserts, an index, selects, joins, deletes' ;;
	redis) echo 'redis-server under redis-benchmark: set, get, incr, lists, hashes, sorted sets' ;;
	esac
}

# Why program $1 cannot be run here; nothing if it can.
program_lacks() {
	case $1 in
	python_*) [[ -x $(command -v /usr/bin/python3) ]] || echo python3 ;;
	gcc) [[ $(command -v gcc) ]] || echo gcc ;;
	sqlite) [[ $(command -v sqlite3) ]] || echo sqlite3 ;;
	redis) [[ $(command -v redis-benchmark) && $(redis_server) ]] || echo redis-tools ;;
	esac
}

# Debian's redis-tools has the server under another name; the name tells it what to be.
redis_server() {
	command -v redis-server || command -v redis-check-rdb || true
}

# ---- Inputs, in folder $1, of size $2 ----

write_python() {
	cat > "$1/program.py" <<-'END'
	import sys

	class Node:
	    def __init__(self, value, left):
	        self.value, self.left = value, left

	def objects(n):
	    for part in range(5):
	        kept = []
	        for i in range(n):
	            node = Node("name%d" % i, kept[-1] if i % 3 else None)
	            kept.append(node)
	            if i % 4 == 0:
	                kept[i // 2].extra = {"key": i, "text": "x" * (i % 200)}
	        for i in range(0, n, 2):
	            kept[i] = None

	def lists(n):
	    for part in range(4):
	        grown = []
	        for i in range(n):
	            grown.append(i * 2654435761 % 1000003)
	        halves = [grown[k::16] for k in range(16)]
	        for half in halves:
	            half.sort()
	        text = ",".join(map(str, grown))
	        assert len(text.split(",")) == n

	globals()[sys.argv[1]](int(sys.argv[2]))
	END
}

# Functions that differ, with enough in them for the optimiser to think about.
write_c() {
	awk -v nr="$((20 * $2))" 'BEGIN {
		print "struct node { struct node *next; long value; unsigned char text[32]; };"
		print "extern long sink(long, struct node *);"
		for (i = 0; i < nr; i++) {
			printf "long f%d(struct node *n, long a)\n{\n\tlong s = a, t[16] = { %d };\n", i, i
			printf "\tfor (int i = 0; i < %d; i++)\n\t\tt[i %% 16] += s * i + t[(i + %d) %% 16];\n", \
				i % 50 + 8, i % 7 + 1
			print "\tfor (; n; n = n->next) {\n\t\tswitch (n->value & 15) {"
			for (j = 0; j < 8; j++)
				printf "\t\tcase %d: s += n->text[%d] * %dL + t[%d]; break;\n", \
					j, (i + j) % 32, i * 8 + j + 3, j
			print "\t\tdefault: s = sink(s, n);\n\t\t}\n\t}"
			printf "\treturn %s;\n}\n", i ? "s > t[3] ? f" i - 1 "(n, s) : s" : "s"
		}
	}' > "$1/program.c"
}

write_sql() {
	cat > "$1/program.sql" <<-END
	create table person(id integer primary key, name text, city integer, note text);
	create table city(id integer primary key, name text);
	begin;
	with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
		insert into city select i, 'city ' || i from n;
	with recursive n(i) as (select 1 union all select i + 1 from n where i < $((100000 * $2)))
		insert into person select i, 'name ' || (i * 7919 % 1000003), i * 31 % 1000,
			substr('a note that is of some length and then is cut somewhere', 1, i % 50) from n;
	commit;
	create index by_name on person(name);
	select count(*), max(length(note)) from person where name like 'name 12%';
	select city.name, count(*), group_concat(person.name) from person
		join city on city.id = person.city group by city.id order by 2 desc, 1;
	select a.name, b.name from person a join person b on b.name = a.name
		where a.id % 17 = 0 and b.id <> a.id;
	update person set note = note || name where id % 3 = 0;
	delete from person where id % 2 = 0;
	select count(*) from person;
	END
}

# A script and not a command, since server and client are two processes.  The server alone
# is preloaded, from SUITE_PRELOAD.
write_redis() {
	ln -sf "$(redis_server)" "$1/redis-server"
	cat > "$1/redis.sh" <<-END
	set -e
	socket=\$(mktemp -u "$1/socket.XXXXXX")
	LD_PRELOAD=\$SUITE_PRELOAD "$1/redis-server" --port 0 --unixsocket "\$socket" \\
		--dir "$1" --save '' --appendonly no >"$1/redis.log" 2>&1 &
	server=\$!
	trap 'kill \$server 2>/dev/null' EXIT
	for i in {1..500}; do
		[[ ! -S \$socket ]] || break
		sleep 0.01
	done
	grep -qF "\$(basename "\$SUITE_PRELOAD")" /proc/\$server/maps
	for size in 20 300; do
		redis-benchmark -s "\$socket" -n $((4000 * $2)) -r 100000 -c 20 -P 16 -q -d \$size \\
			-t set,get,incr,lpush,rpop,hset,zadd,lrange_100
	done
	redis-cli -s "\$socket" shutdown nosave || true
	trap - EXIT
	wait \$server
	END
}

write_inputs() {
	if [[ $(redis_server) ]]; then
		write_redis "$1" "$2"
	fi
	write_python "$1"
	write_c "$1" "$2"
	write_sql "$1" "$2"
}

# The command that runs program $1 with inputs from $2 at size $3, into array command.
set_command() {
	case $1 in
	true) command=(/bin/true) ;;
	python_objects) command=(env PYTHONMALLOC=malloc /usr/bin/python3 "$2/program.py" objects
		"$((45000 * $3))") ;;
	python_lists) command=(env PYTHONMALLOC=malloc /usr/bin/python3 "$2/program.py" lists
		"$((120000 * $3))") ;;
	gcc) command=(gcc -O2 -c "$2/program.c" -o /dev/null) ;;
	sqlite) command=(sqlite3 :memory: ".read $2/program.sql") ;;
	redis) command=(bash "$2/redis.sh") ;;
	esac
}
