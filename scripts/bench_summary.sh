#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tells what a benchmark's CSV says: medians over the rounds, how far the rounds lay
# apart, and how each allocator stands to the system's malloc and to the best rival.
#
# usage: scripts/bench_summary.sh [--table] FOLDER
#	FOLDER	holds bench.csv, and start_cost.csv if that was measured
#	--table	only throughput and memory, in columns for a terminal; else Markdown
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
. scripts/bench_allocators.sh

form=markdown
if [[ ${1-} == --table ]]; then
	form=table
	shift
fi
if (($# != 1)) || [[ ! -r $1/bench.csv ]]; then
	echo "usage: scripts/bench_summary.sh [--table] FOLDER-OF-bench.csv" >&2
	exit 2
fi
results=$1

# In the tables' order, not the alphabet's.
cells() {
	scripts/bench_cells.sh "$results/bench.csv"
}

# Functions that the two forms share.  cell[] holds medians by "group, allocator, column",
# where a group is a workload, a placement and a number of threads.
awk_common='
BEGIN {
	FS = "\t"
	nr_names = split(allocators, names, " ")
	is_rival["jemalloc"]; is_rival["mimalloc"]; is_rival["tcmalloc"]
}

# Groups in the order of the run, which is that of the CSV.
FILENAME == csv {
	if ($0 ~ /^#/ || !csv_rows++)
		next
	split($0, field, ",")
	if (!(field[1] in load_seen)) {
		load_seen[field[1]]
		loads[++nr_loads] = field[1]
	}
	next
}

{
	group = $1 SUBSEP $2 SUBSEP $3
	if (!(group in group_seen)) {
		group_seen[group]
		groups[++nr_groups] = group
	}
	cell[group, $4, $5] = $6
	least[group, $4, $5] = $7
	most[group, $4, $5] = $8
	seen[$4]
}

# The largest (sign 1) or smallest (sign -1) of the rivals; 0 if none was measured.
function best_rival(group, column, sign,	i, value, best) {
	for (i = 1; i <= nr_names; i++) {
		if (!(names[i] in is_rival) || !((group, names[i], column) in cell))
			continue
		value = cell[group, names[i], column]
		if (!best || sign * value > sign * best)
			best = value
	}
	return best + 0
}

function ratio(a, b) {
	return a == "" || !b ? "" : sprintf("%.2f", a / b)
}

function scaled(value, unit, decimals) {
	return value == "" ? "" : sprintf("%." decimals "f", value / unit)
}

function load_of(group,	part) {
	split(group, part, SUBSEP)
	return part[1]
}

function place_of(group,	part) {
	split(group, part, SUBSEP)
	return part[2]
}

function threads_of(group,	part) {
	split(group, part, SUBSEP)
	return part[3]
}

# Threads in a group come from the sort as text; few enough to put in order here.
function sort_groups(	i, j, moved) {
	for (i = 2; i <= nr_groups; i++) {
		moved = groups[i]
		for (j = i - 1; j > 0 && comes_after(groups[j], moved); j--)
			groups[j + 1] = groups[j]
		groups[j + 1] = moved
	}
}

function load_rank(group,	i) {
	for (i = 1; i <= nr_loads; i++)
		if (loads[i] == load_of(group))
			return i
}

function comes_after(a, b) {
	if (load_of(a) != load_of(b))
		return load_rank(a) > load_rank(b)
	if (place_of(a) != place_of(b))
		return place_of(a) > place_of(b)
	return threads_of(a) + 0 > threads_of(b) + 0
}
'

print_tables() {
	cells | awk -v allocators="$all_allocators" -v csv="$results/bench.csv" "$awk_common"'
	function head(title,	i) {
		printf "\n%s\n%-19s %-10s %3s", title, "workload", "placement", "thr"
		for (i = 1; i <= nr_names; i++)
			if (names[i] in seen)
				printf " %9s", short_name(names[i])
		printf "\n"
	}

	function short_name(name) {
		sub(/^numarena-/, "", name)
		return name
	}

	function line(group, column, unit, decimals,	i) {
		printf "%-19s %-10s %3d", load_of(group), place_of(group), threads_of(group)
		for (i = 1; i <= nr_names; i++)
			if (names[i] in seen)
				printf " %9s", scaled(cell[group, names[i], column], unit, decimals)
		printf "\n"
	}

	function table(title, column, unit, decimals,	i) {
		head(title)
		for (i = 1; i <= nr_groups; i++)
			line(groups[i], column, unit, decimals)
	}

	END {
		sort_groups()
		table("million operations a second, median", "ops_per_sec", 1e6, 2)
		table("peak resident MiB, median", "peak_rss_bytes", 1048576, 1)
	}' "$results/bench.csv" -
}

# The CSV's comments, as a list.
print_facts() {
	sed -n 's/^# /- /p' "$results/bench.csv" | sed '1s/^- \(.*\)/\1:\n/'
}

# Every allocator beside the others: what a README shows.
print_overview() {
	cells | awk -v allocators="$all_allocators" -v csv="$results/bench.csv" "$awk_common"'
	function head(title, last,	i, rule) {
		printf "\n## %s\n\n| workload | placement | threads", title
		rule = "|---|---|--:"
		for (i = 1; i <= nr_names; i++)
			if (names[i] in seen) {
				printf " | %s", names[i]
				rule = rule "|--:"
			}
		printf " | %s |\n%s|--:|--:|\n", last, rule
	}

	function line(group, column, unit, decimals, sign,	i, own) {
		printf "| %s | %s | %d", load_of(group), place_of(group), threads_of(group)
		for (i = 1; i <= nr_names; i++)
			if (names[i] in seen)
				printf " | %s", scaled(cell[group, names[i], column], unit, decimals)
		own = cell[group, "numarena", column]
		printf " | %s | %s |\n", ratio(own, cell[group, "system", column]), \
			ratio(own, best_rival(group, column, sign))
	}

	function overview(title, last, column, unit, decimals, sign,	i) {
		head(title, last)
		for (i = 1; i <= nr_groups; i++)
			line(groups[i], column, unit, decimals, sign)
	}

	# What each of the three modes gains on the one before it.
	function modes(	i, group) {
		if (!("numarena-baseline" in seen) || !("numarena-sharded" in seen))
			return
		printf "\n## Modes of numarena, throughput\n\n"
		printf "| workload | placement | threads | sharded / baseline | arena / sharded |\n"
		printf "|---|---|--:|--:|--:|\n"
		for (i = 1; i <= nr_groups; i++) {
			group = groups[i]
			printf "| %s | %s | %d | %s | %s |\n", load_of(group), place_of(group), \
				threads_of(group), ratio(ops(group, "numarena-sharded"), \
				ops(group, "numarena-baseline")), \
				ratio(ops(group, "numarena"), ops(group, "numarena-sharded"))
		}
	}

	function ops(group, name) {
		return cell[group, name, "ops_per_sec"]
	}

	END {
		sort_groups()
		overview("Throughput, million operations a second", \
			"numarena / system | numarena / best rival", "ops_per_sec", 1e6, 2, 1)
		overview("Peak resident memory, MiB", \
			"numarena / system | numarena / leanest rival", "peak_rss_bytes", 1048576, 1, -1)
		modes()
	}' "$results/bench.csv" -
}

print_sections() {
	cells | awk -v allocators="$all_allocators" -v csv="$results/bench.csv" "$awk_common"'
	function quantiles(group, name, call,	text) {
		text = scaled(cell[group, name, call "_p50_ns"], 1, 0)
		text = text " / " scaled(cell[group, name, call "_p99_ns"], 1, 0)
		return text " / " scaled(cell[group, name, call "_p999_ns"], 1, 0)
	}

	function spread(group, name,	median) {
		median = cell[group, name, "ops_per_sec"]
		return median == "" || !median ? "" : sprintf("%.0f %%", \
			100 * (most[group, name, "ops_per_sec"] - least[group, name, "ops_per_sec"]) / median)
	}

	function section_head(group) {
		printf "\n## %s, %s\n\n", load_of(group), place_of(group)
		printf "| threads | allocator | Mops/s | spread | x system | x best rival "
		printf "| malloc ns | free ns | usable | peak live MiB | peak RSS MiB | RSS/live "
		printf "| RSS x leanest rival | faults | huge | remote frees | local |\n"
		printf "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
	}

	function section_row(group, name,	ops, rss) {
		ops = cell[group, name, "ops_per_sec"]
		rss = cell[group, name, "peak_rss_bytes"]
		printf "| %d | %s | %s | %s ", threads_of(group), name, scaled(ops, 1e6, 2), spread(group, name)
		printf "| %s | %s ", ratio(ops, cell[group, "system", "ops_per_sec"]), \
			ratio(ops, best_rival(group, "ops_per_sec", 1))
		printf "| %s | %s ", quantiles(group, name, "alloc"), quantiles(group, name, "free")
		printf "| %s | %s | %s ", scaled(cell[group, name, "usable_ratio"], 1, 3), \
			scaled(cell[group, name, "peak_live_bytes"], 1048576, 1), scaled(rss, 1048576, 1)
		printf "| %s | %s ", ratio(rss, cell[group, name, "peak_live_bytes"]), \
			ratio(rss, best_rival(group, "peak_rss_bytes", -1))
		printf "| %s | %s | %s | %s |\n", scaled(cell[group, name, "page_faults"], 1, 0), \
			scaled(cell[group, name, "huge_coverage"], 1, 2), \
			scaled(cell[group, name, "remote_free_share"], 1, 2), \
			scaled(cell[group, name, "local_page_share"], 1, 2)
	}

	END {
		sort_groups()
		for (i = 1; i <= nr_groups; i++) {
			group = groups[i]
			section = load_of(group) SUBSEP place_of(group)
			if (section != last_section)
				section_head(group)
			last_section = section
			for (j = 1; j <= nr_names; j++)
				if ((group, names[j], "ops_per_sec") in cell)
					section_row(group, names[j])
		}
	}' "$results/bench.csv" -
}

print_start_cost() {
	[[ -s $results/start_cost.csv ]] || return 0
	printf '\n## `true`, preloaded\n\n'
	printf 'Medians: peak resident memory, and time from before fork to after wait.\n\n'
	printf '| allocator | peak RSS KiB | more than system | microseconds | more than system |\n'
	printf '|---|--:|--:|--:|--:|\n'
	awk -F, 'NR > 1 { printf "| %s | %d | %+d | %d | %+d |\n", $1, $2 / 1024, $4 / 1024, $3, $5 }' \
		"$results/start_cost.csv"
}

print_legend() {
	cat <<-'END'

	How to read this.  Figures are medians over the rounds; spread is the fastest less the
	slowest round over the median.  Best and leanest rival: of jemalloc, mimalloc and tcmalloc.
	malloc ns and free ns: p50 / p99 / p99.9 of single calls in a pass of their own, the
	clock's own cost subtracted (timer_overhead_ns in the CSV; timer_step_ns is its resolution,
	below which a figure says no more than "less").
	usable: malloc_usable_size over bytes asked for, all live objects.  Peak live: what the
	program asked for and had not freed, at its highest.  Peak RSS: VmHWM of the whole process,
	all passes, the benchmark's own arrays included (bench_own_bytes in the CSV).  faults: while
	the live set was filled, warmed up and churned for throughput.  huge: the part of resident
	anonymous memory, without the benchmark's own, that lies on huge pages after the passes.
	remote frees: frees by a thread other than the one that allocated.  local: live bytes on
	the node of the thread that allocated them, by numa_maps; the best case where threads of
	several nodes share a mapping.
	Disturbed: others took more than 5 % of the run's processors; such a run is repeated.
	END
}

if [[ $form == table ]]; then
	print_tables
else
	printf '# Benchmark\n\n'
	print_facts
	print_overview
	print_sections
	print_start_cost
	print_legend
fi
