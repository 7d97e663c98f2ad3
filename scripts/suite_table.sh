#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tells what the suite's CSV says, in one table: medians of each row's time and memory, how
# numarena stands to the best of the others, and where it falls short.
#
# usage: scripts/suite_table.sh [--markdown | --readme] FILE
#	--markdown	as Markdown; else in columns for a terminal
#	--readme	put that between README.md's marks <!-- suite --> and <!-- /suite -->
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

form=text
case ${1-} in
--markdown | --readme) form=${1#--} && shift ;;
esac
if (($# != 1)) || [[ ! -r $1 ]]; then
	echo "usage: scripts/suite_table.sh [--markdown | --readme] FILE" >&2
	exit 2
fi

# A row falls short below this part of the best one's speed, or above so many times
# glibc's memory.
least_speed=0.9
most_memory=1.5

print_table() {
	awk -F, -v markdown="$1" -v least_speed="$least_speed" -v most_memory="$most_memory" '
	# ---- Reading ----

	function add(key, value) {
		if (value != "")
			list[key, ++nr[key]] = value + 0
	}

	function read_line(	group) {
		group = $1 SUBSEP $2
		if (!(group in group_seen)) {
			group_seen[group]
			groups[++nr_groups] = group
		}
		if (!($3 in name_seen)) {
			name_seen[$3]
			names[++nr_names] = $3
		}
		if ($10 != "")
			settled[group, $3] = ($10 - $9) / 1024
		if ($4 == 0)
			return
		add("ns" SUBSEP group SUBSEP $3, $6)
		add("rss" SUBSEP group SUBSEP $3, $8)
		add("calls" SUBSEP group SUBSEP $3, $12)
		if ($6 != "")
			at_round[group, $3, $4] = $6
		if ($4 > nr_rounds)
			nr_rounds = $4
	}

	# ---- Figures ----

	# Sorts list[key, 1..n] in place: few rounds.
	function sort_list(key,	i, j, moved) {
		for (i = 2; i <= nr[key]; i++) {
			moved = list[key, i]
			for (j = i - 1; j > 0 && list[key, j] > moved; j--)
				list[key, j + 1] = list[key, j]
			list[key, j + 1] = moved
		}
	}

	function median(what, group, name,	key, n) {
		key = what SUBSEP group SUBSEP name
		n = nr[key]
		if (!n)
			return ""
		sort_list(key)
		return n % 2 ? list[key, (n + 1) / 2] : (list[key, n / 2] + list[key, n / 2 + 1]) / 2
	}

	# The fastest but numarena.
	function best_other(group,	i, ns, best) {
		best = ""
		for (i = 1; i <= nr_names; i++) {
			ns = med["ns", group, names[i]]
			if (names[i] != "numarena" && ns != "" && (best == "" || ns < med["ns", group, best]))
				best = names[i]
		}
		return best
	}

	function ratio(a, b) {
		return a == "" || b == "" || !b ? "" : a / b
	}

	# The middle half of the rounds: numarena against the best of the others in the same round.
	function spread(group, name,	i, key, n) {
		key = "spread" SUBSEP group
		for (i = 1; i <= nr_rounds; i++)
			if (((group, name, i) in at_round) && ((group, "numarena", i) in at_round))
				add(key, at_round[group, name, i] / at_round[group, "numarena", i])
		n = nr[key]
		if (!n)
			return ""
		sort_list(key)
		return sprintf("%.2f-%.2f", list[key, 1 + int((n - 1) / 4)], \
			list[key, 1 + int((n - 1) * 3 / 4)])
	}

	# ---- Words ----

	function two(value) {
		return value == "" ? "" : sprintf("%.2f", value)
	}

	function time_text(ns) {
		if (ns == "")
			return ""
		if (ns < 1000)
			return sprintf("%.1f", ns)
		return ns < 1e6 ? sprintf("%.1fus", ns / 1e3) : sprintf("%.0fms", ns / 1e6)
	}

	function mib_text(kib) {
		return kib == "" ? "" : sprintf("%.1f", kib / 1024)
	}

	# How much more than at the start: numarena, and the others from least to most.
	function settled_text(group,	i, least, most, value) {
		if (!((group, "numarena") in settled))
			return ""
		least = most = ""
		for (i = 1; i <= nr_names; i++) {
			if (names[i] == "numarena" || !((group, names[i]) in settled))
				continue
			value = settled[group, names[i]]
			if (least == "" || value < least)
				least = value
			if (most == "" || value > most)
				most = value
		}
		value = sprintf("%.1f", settled[group, "numarena"])
		if (least == most)
			return least == "" ? value : value sprintf(" (%.1f)", least)
		return value sprintf(" (%.1f-%.1f)", least, most)
	}

	function row_of(group,	part) {
		split(group, part, SUBSEP)
		return part[1]
	}

	function threads_of(group,	part) {
		split(group, part, SUBSEP)
		return part[2]
	}

	function short_name(name) {
		return markdown ? name : substr(name, 1, 8)
	}

	function field(text, width) {
		printf (markdown ? " %s |" : " %" width "s"), text
	}

	# ---- The table ----

	function print_head(	i) {
		if (markdown)
			printf "| row | threads |"
		else
			printf "%-16s%3s", "row", "thr"
		for (i = 1; i <= nr_names; i++)
			field((markdown ? "ns " : "") short_name(names[i]), 8)
		field("x best", 7)
		field("rounds", 12)
		for (i = 1; i <= nr_names; i++)
			field((markdown ? "MiB " : "") short_name(names[i]), 8)
		field("x glibc", 7)
		field("settled", 19)
		printf "\n"
		if (!markdown)
			return
		printf "|---|--:|"
		for (i = 1; i <= 2 * nr_names + 4; i++)
			printf "--:|"
		printf "\n"
	}

	function print_row(group,	i) {
		if (markdown)
			printf "| %s | %d |", row_of(group), threads_of(group)
		else
			printf "%-16s%3d", row_of(group), threads_of(group)
		for (i = 1; i <= nr_names; i++)
			field(time_text(med["ns", group, names[i]]), 8)
		field(two(speed[group]), 7)
		field(spread_text[group], 12)
		for (i = 1; i <= nr_names; i++)
			field(mib_text(med["rss", group, names[i]]), 8)
		field(two(memory[group]), 7)
		field(settled_text(group), 19)
		printf "\n"
	}

	function work_out(group,	i) {
		for (i = 1; i <= nr_names; i++) {
			med["ns", group, names[i]] = median("ns", group, names[i])
			med["rss", group, names[i]] = median("rss", group, names[i])
		}
		best[group] = best_other(group)
		speed[group] = ratio(med["ns", group, best[group]], med["ns", group, "numarena"])
		memory[group] = ratio(med["rss", group, "numarena"], med["rss", group, "system"])
		if (best[group] != "")
			spread_text[group] = spread(group, best[group])
	}

	# ---- Means ----

	# Geometric mean of column what, allocator a over b, over the rows that have both; latency
	# is a tail and not a rate, and is left out.
	function mean(what, a, b,	i, sum, n, r) {
		for (i = 1; i <= nr_groups; i++) {
			if (row_of(groups[i]) == "latency")
				continue
			r = ratio(med[what, groups[i], a], med[what, groups[i], b])
			if (r != "") {
				sum += log(r)
				n++
			}
		}
		return n ? exp(sum / n) : ""
	}

	function mean_of_best(	i, sum, n) {
		for (i = 1; i <= nr_groups; i++)
			if (row_of(groups[i]) != "latency" && speed[groups[i]] != "") {
				sum += log(speed[groups[i]])
				n++
			}
		return n ? exp(sum / n) : ""
	}

	function print_means(	i, value, single, top) {
		printf "\nGeometric means, speed against glibc (more is better):"
		for (i = 1; i <= nr_names; i++) {
			value = mean("ns", "system", names[i])
			printf "%s %s %s", (i > 1 ? "," : ""), names[i], two(value)
			if (names[i] != "numarena" && value != "" && value > top) {
				top = value
				single = names[i]
			}
		}
		printf ".\nPeak memory against glibc (less is better):"
		for (i = 1; i <= nr_names; i++)
			printf "%s %s %s", (i > 1 ? "," : ""), names[i], two(mean("rss", names[i], "system"))
		if (("numarena" in name_seen) && single != "") {
			printf ".\nnumarena against the best single one, %s: %s; against the best of each row: %s",
				single, two(mean("ns", single, "numarena")), two(mean_of_best())
		}
		printf ".\n"
	}

	# ---- Where it falls short ----

	function print_short(	i, group, n) {
		printf "\nSlower than %.2g of the best:", least_speed
		for (i = 1; i <= nr_groups; i++) {
			group = groups[i]
			if (speed[group] != "" && speed[group] < least_speed)
				printf "%s %s/%d %.2f (%s)", (n++ ? "," : ""), row_of(group), \
					threads_of(group), speed[group], best[group]
		}
		printf "%s.\nMore than %.2g times the memory of glibc:", (n ? "" : " none"), most_memory
		n = 0
		for (i = 1; i <= nr_groups; i++) {
			group = groups[i]
			if (memory[group] != "" && memory[group] > most_memory)
				printf "%s %s/%d %.2f", (n++ ? "," : ""), row_of(group), threads_of(group), \
					memory[group]
		}
		printf "%s.\n", (n ? "" : " none")
	}

	function print_calls(group,	i, value) {
		printf "System calls in steady state:"
		for (i = 1; i <= nr_names; i++) {
			value = median("calls", group, names[i])
			if (value != "")
				printf " %s %d", names[i], value
		}
		printf ".\n"
	}

	/^#/		{ facts = facts substr($0, 3) "\n"; next }
	!has_header	{ has_header = 1; next }
			{ read_line() }

	END {
		for (i = 1; i <= nr_groups; i++)
			work_out(groups[i])
		print_head()
		for (i = 1; i <= nr_groups; i++)
			if (row_of(groups[i]) != "steady_calls")
				print_row(groups[i])
		printf "\nTimes are medians of %d rounds, ns an operation of all threads together%s; ", \
			nr_rounds, " (latency: p99.9 of malloc; programs: one run)"
		printf "then peak resident MiB.\nx best: speed of the fastest other over numarena, below 1 it "
		printf "is slower; rounds: its middle half.\nsettled: MiB more than at the start after all was "
		printf "freed, numarena (the others).\n"
		print_means()
		print_short()
		for (i = 1; i <= nr_groups; i++)
			if (row_of(groups[i]) == "steady_calls")
				print_calls(groups[i])
		n = split(facts, fact, "\n")
		for (i = 1; i <= n; i++)
			if (fact[i] ~ /^(failed|left out: [^n]|allocators measured .*: )/)
				print fact[i]
	}' "$2"
}

case $form in
text) print_table 0 "$1" ;;
markdown) print_table 1 "$1" ;;
readme)
	new=$(mktemp)
	print_table 1 "$1" > "$new"
	awk -v table="$new" '
		/^<!-- \/suite -->/ { skip = 0 }
		!skip { print }
		/^<!-- suite -->/ { skip = 1; while ((getline line < table) > 0) print line }
	' README.md > "$new.readme"
	cat "$new.readme" > README.md
	rm -f "$new" "$new.readme"
	;;
esac
