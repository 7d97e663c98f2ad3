# SPDX-License-Identifier: MIT
#
# numarena(3) out of the public header's comments, so that neither says what the other does not.
#
#	awk -v version=1.2.3 -v date=2026-01-31 -f man3.awk include/numarena.h
#
# What stands in the header: the file's own comment, "---- Part ----", a part's own comment, and
# kernel-doc: a "name() - summary", "@argument: text", paragraphs, "Return: text", and then the
# declaration.  Constants are named by a comment of one line before them, up to an empty line.

# Each match of @pattern in @s between these two; @skip characters of it are left out.
function mark(s, pattern, before, skip, out) {
	out = ""
	while (match(s, pattern)) {
		out = out substr(s, 1, RSTART - 1) before substr(s, RSTART + skip, RLENGTH - skip) "\\fR"
		s = substr(s, RSTART + RLENGTH)
	}
	return out s
}

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	s = mark(s, "@[a-z_]+", "\\fI", 1)
	return mark(s, "NULL|NUMARENA_[A-Z0-9_]+|E(INVAL|NOMEM|NOENT|NODATA|NOSYS|PERM|BUSY|EXIST|AGAIN|NOSPC|NOTSUP)", "\\fB", 0)
}

# No line of text may look like a request.
function put(s) {
	sub(/^[ \t]+/, "", s)
	s = escape(s)
	print s ~ /^[.']/ ? "\\&" s : s
}

function part(title) {
	print ".SH " toupper(title)
}

# What a kernel-doc comment says, before its declaration is known.
function doc_begin() {
	nr_lines = 0
	title = ""
}

function doc_add(line) {
	sub(/^ \*[ ]?/, "", line)
	if (title == "" && line != "")
		title = line
	else
		text[++nr_lines] = line
}

function tagged(tag, line) {
	print ".TP"
	print tag
	put(line)
}

function doc_print(i, line, is_new) {
	summary = title
	sub(/^[^-]*- /, "", summary)
	if (summary !~ /^numarena_/)
		summary = toupper(substr(summary, 1, 1)) substr(summary, 2)
	put(summary ".")
	for (i = 1; i <= nr_lines; i++) {
		line = text[i]
		if (match(line, /^@[A-Za-z_0-9]+:/)) {
			tagged("\\fI" substr(line, 2, RLENGTH - 2) "\\fR", substr(line, RLENGTH + 1))
		} else if (match(line, /^Return:/)) {
			tagged("Return:", substr(line, RLENGTH + 1))
		} else if (line != "") {
			if (is_new)
				print ".PP"
			put(line)
		}
		is_new = line == ""
	}
}

function declaration_print(i) {
	print ".nf"
	for (i = 1; i <= nr_declared; i++)
		print "\\fB" escape_plain(declared[i]) "\\fR"
	print ".fi"
}

# Tabs go to each eighth column; a line begins half as far to the right.
function escape_plain(s, at) {
	while ((at = index(s, "\t")))
		s = substr(s, 1, at - 1) substr("        ", (at - 1) % 8 + 1) substr(s, at + 1)
	sub(/^        /, "    ", s)
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s == "" ? "\\&" : s
}

function entry_print(name) {
	name = title
	sub(/ - .*/, "", name)
	print ".SS " name
	declaration_print()
	print ".PP"
	doc_print()
}

BEGIN {
	state = "start"
	print ".\\\" SPDX-License-Identifier: MIT"
	print ".TH NUMARENA 3 \"" date "\" \"numarena " version "\" \"Library functions\""
	print ".SH NAME"
	print "numarena \\- memory that stays on its NUMA node, and on huge pages"
	print ".SH SYNOPSIS"
	print ".nf"
	print "\\fB#include <numarena.h>\\fR"
	print ""
	print "\\fBcc\\fR \\fIprogram.c\\fR \\fB\\-lnumarena\\fR"
	print ".fi"
}

state == "start" && /^\/\*$/ {
	state = "opening"
	part("Description")
	next
}

state == "opening" {
	if (/^ \*\//) {
		state = "between"
		part("Memory")
	} else if (/^ \*$/) {
		print ".PP"
	} else {
		put(substr($0, 4))
	}
	next
}

state == "between" && /^\/\* ---- .* ---- \*\/$/ {
	sub(/^\/\* ---- /, "")
	sub(/ ---- \*\/$/, "")
	part($0)
	next
}

state == "between" && /^\/\*\*$/ {
	state = "doc"
	doc_begin()
	next
}

state == "doc" {
	if (/^ \*\//) {
		state = "declaration"
		nr_declared = 0
	} else {
		doc_add($0)
	}
	next
}

# A comment of a part's own; what it declares besides has its entry elsewhere.
state == "between" && /^\/\*$/ {
	state = "prose"
	next
}

state == "prose" {
	if (/^ \*\//)
		state = "between"
	else if (/^ \*$/)
		print ".PP"
	else
		put(substr($0, 4))
	next
}

state == "between" && /^\/\* .* \*\/$/ {
	note = $0
	sub(/^\/\* /, "", note)
	sub(/\.? \*\/$/, "", note)
	nr_declared = 0
	next
}

state == "between" && note != "" {
	if (/^#pragma/) {
		note = ""
	} else if (/^$/) {
		print ".SS " escape(note)
		declaration_print()
		note = ""
	} else {
		declared[++nr_declared] = $0
	}
	next
}

# To a semicolon that ends it: a structure's stands behind its brace, a macro's end is its line's.
state == "declaration" {
	declared[++nr_declared] = $0
	if ((nr_declared == 1 && /^#define/) || /^}.*;/ || (declared[1] !~ /{$/ && /;$/)) {
		state = "between"
		entry_print()
	}
	next
}

END {
	if (state != "between") {
		print "man3.awk: the header ends in the middle of a comment or a declaration" > "/dev/stderr"
		exit 1
	}
	part("See also")
	print ".BR numarena (1),"
	print ".BR numarena (7),"
	print ".BR malloc (3),"
	print ".BR numa (7)"
}
