#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The layers, checked.  Every source of the library has a rank in the table below
# and may include headers of lower rank only, besides its own.  Conditional
# compilation stays in include/internal/ and numa/, and so do all system headers save
# a few, by which the kernel is not asked; numarena.h needs nothing but libc.
#
#   check-layers.sh [tree]
#
# Prints each offending line and exits 1; silent and 0 when there is none.
set -euo pipefail

cd "${1:-$(dirname "$0")/..}"

# path (without .c or .h) and rank.  Equal ranks do not include each other, save
# at rank 0, the leaves.
ranks='
include/numarena	0
include/internal/*	0

numa/cancel	5
numa/mask	5
numa/streams	5
numa/bus		10
numa/loader		10
numa/kind		10
numa/lap		13
numa/lock		10
numa/text		10
numa/cgroup		11
numa/pages		11
numa/process		12
numa/usersig		11
numa/board		13
numa/sink		11
numa/desk		12
numa/node		12
numa/bind		13
numa/maps		13
numa/resident		13
numa/move		14
numa/verify		14
numa/hugetlb		14

arena/setting	19
arena/option	20
arena/meta	20
arena/account	20
arena/tree	25
arena/pane	26
arena/span	27
arena/home	28
arena/lot	28
arena/unit	28
arena/extent	30
arena/resize	31
arena/survey	31
arena/migrate	32
arena/chunk	40
arena/limit	42
arena/large	45
arena/slab	50
arena/class	52
arena/region	52
arena/magazine	53
arena/capture	53
arena/kept	54
arena/shard	54
arena/heap	56
arena/recent	56
arena/block	57
arena/tomb	58
arena/registry	56
arena/remote	57
arena/stock	58
arena/lobby	59
arena/post	59
arena/arena	60
arena/maint	61
arena/audit	62
arena/own	63
arena/life	61
arena/forkpool	61
arena/scope	62
arena/roster	63
arena/fork	63
arena/replica	62
arena/reserve	62
arena/start	65
arena/thread	70
arena/heapalloc	75
arena/pen	80
arena/census	80
arena/hand	72
arena/step	72
arena/stats	80
arena/figures	20
arena/ledger	81
arena/report	82
arena/print_json	83
arena/print_prometheus	83
arena/print_text	83
arena/print	84
arena/publish	84
arena/outlet	85
arena/init	86

arena/front	90
arena/heapapi	100
arena/api	95
arena/api_place	100
arena/malloc	100
arena/new	100
'

# System headers for arena/ and numarena.h: those of the language, and libraries that know
# nothing of the machine.  A thread is the one thing that is asked for outside numa/.
plain_headers='errno.h limits.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h
dlfcn.h malloc.h numarena.h pthread.h urcu-bp.h'

shopt -s nullglob
sources=(include/*.h include/internal/*.h numa/*.[ch] arena/*.[ch])

awk -v ranks="$ranks" -v plain_headers="$plain_headers" '
function rank_of(path) {
	sub(/\.[ch]$/, "", path)
	if (path in rank)
		return rank[path]
	sub(/[^\/]*$/, "*", path)
	return path in rank ? rank[path] : -1
}

function stem(path) {
	sub(/\.[ch]$/, "", path)
	return path
}

function complain(what) {
	printf "%s:%d: %s: %s\n", FILENAME, FNR, what, $0
	bad = 1
}

# Where the compiler finds a quoted header: beside the source, under include/,
# or from the top.
function resolve(header,	dir) {
	dir = FILENAME
	sub(/[^\/]*$/, "", dir)
	if ((dir header) in known)
		return dir header
	if (("include/" header) in known)
		return "include/" header
	return header in known ? header : ""
}

function check_quoted(header,	path, mine, theirs) {
	path = resolve(header)
	if (path == "") {
		complain("no such header in the library")
		return
	}
	if (stem(path) == stem(FILENAME))
		return
	mine = rank_of(FILENAME)
	theirs = rank_of(path)
	if (theirs < 0)
		complain("header has no rank in scripts/check-layers.sh")
	else if (theirs > mine)
		complain("include points upward (" mine " to " theirs ")")
	else if (theirs == mine && mine > 0)
		complain("include of an equal (rank " mine ")")
}

function check_system(header) {
	if (FILENAME !~ /^(numa|include\/internal)\// && !(header in plain))
		complain("the machine is asked in numa/ only")
}

function check_include(header) {
	header = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
	if (header ~ /^"/) {
		sub(/^"/, "", header)
		sub(/".*/, "", header)
		check_quoted(header)
	} else if (header ~ /^</) {
		sub(/^</, "", header)
		sub(/>.*/, "", header)
		check_system(header)
	}
}

# A guard is the first conditional of a header, and the next line defines it.
function check_conditional(	name) {
	if (FILENAME ~ /^(numa|include\/internal)\//)
		return
	name = $0
	sub(/^[ \t]*#[ \t]*[a-z]+[ \t]*/, "", name)
	if (FILENAME ~ /\.h$/ && !nr_conditionals++ && $0 ~ /#[ \t]*ifndef/) {
		guard = name
		return
	}
	if (FILENAME == "include/numarena.h" && name == "__cplusplus")
		return
	complain("#if outside include/internal/ and numa/")
}

BEGIN {
	nr_rows = split(ranks, rows, "\n")
	for (i = 1; i <= nr_rows; i++)
		if (split(rows[i], column, " ") == 2)
			rank[column[1]] = column[2]
	nr_plain = split(plain_headers, names, " ")
	for (i = 1; i <= nr_plain; i++)
		plain[names[i]]
	for (i = 1; i < ARGC; i++)
		known[ARGV[i]]
}

FNR == 1 {
	guard = ""
	nr_conditionals = 0
	if (rank_of(FILENAME) < 0)
		complain("file has no rank in scripts/check-layers.sh")
	if (FILENAME ~ /(^|\/)numa\.h$/)
		complain("would shadow the system header <numa.h>")
}

guard != "" {
	if ($0 !~ "^#[ \t]*define[ \t]+" guard "$")
		complain("not a header guard")
	guard = ""
}

/^[ \t]*#[ \t]*include/			{ check_include() }
/^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)([^a-z]|$)/	{ check_conditional() }

END { exit bad }
' "${sources[@]}"
