#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Draws a benchmark's CSV: throughput by threads, latency and memory, an SVG each; where
# threads were placed in several ways, one set for each.
#
# usage: scripts/bench_plots.sh FOLDER-OF-bench.csv FOLDER-FOR-PLOTS
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
. scripts/bench_allocators.sh

if (($# != 2)) || [[ ! -r $1/bench.csv ]]; then
	echo "usage: scripts/bench_plots.sh FOLDER-OF-bench.csv FOLDER-FOR-PLOTS" >&2
	exit 2
fi
plots=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$plots"
# Those of a placement that was not measured this time would be taken for new.
rm -f "$plots"/{throughput,latency,memory}*.svg
scripts/bench_cells.sh "$1/bench.csv" > "$work/cells"

# Values of column $1, those of list $2 first and in its order; of placement $3, if given.
distinct() {
	awk -F'\t' -v column="$1" -v first="$2" -v placement="${3-}" '
	placement == "" || $2 == placement { seen[$column] }
	END {
		n = split(first, name, " ")
		for (i = 1; i <= n; i++)
			if (name[i] in seen) {
				print name[i]
				delete seen[name[i]]
			}
		for (i in seen)
			print i
	}' "$work/cells" | xargs
}

# What the plots of placement $1 show, as tables: a row a line, an allocator a column.
#	throughput_LOAD		threads, million operations a second
#	latency_LOAD_CALL	quantile, ns; at the most threads that were measured
#	memory			workload, peak resident over peak live bytes; likewise
write_tables() {
	awk -F'\t' -v placement="$1" -v folder="$work" -v allocators="$allocators" \
		-v workloads="$workloads" '
	$2 == placement {
		value[$1, $3, $4, $5] = $6
		if ($3 + 0 > most_threads[$1] + 0)
			most_threads[$1] = $3
		has_threads[$1, $3]
	}

	function cell(load, threads, name, column) {
		return (load, threads, name, column) in value ? value[load, threads, name, column] : "?"
	}

	function throughput(load, name, threads,	ops) {
		ops = cell(load, threads, name, "ops_per_sec")
		return ops == "?" ? ops : ops / 1e6
	}

	# Nothing below 1 ns has a place on a log scale.
	function latency(load, name, column,	ns) {
		ns = cell(load, most_threads[load], name, column)
		return ns != "?" && ns < 1 ? 1 : ns
	}

	function memory(load, name,	rss, live) {
		rss = cell(load, most_threads[load], name, "peak_rss_bytes")
		live = cell(load, most_threads[load], name, "peak_live_bytes")
		return rss == "?" || live == "?" ? "?" : rss / live
	}

	function write_throughput(load,	file, threads, i) {
		file = folder "/throughput_" load
		printf "" > file
		for (threads = 1; threads <= most_threads[load] + 0; threads++) {
			if (!((load, threads) in has_threads))
				continue
			printf "%d", threads > file
			for (i = 1; i <= nr_names; i++)
				printf " %s", throughput(load, name[i], threads) > file
			printf "\n" > file
		}
	}

	function write_latency(load, call,	file, q, i) {
		file = folder "/latency_" load "_" call
		for (q = 1; q <= nr_quantiles; q++) {
			printf "%s", label[q] > file
			for (i = 1; i <= nr_names; i++)
				printf " %s", latency(load, name[i], call "_" quantile[q] "_ns") > file
			printf "\n" > file
		}
	}

	function write_memory(load,	file, i) {
		file = folder "/memory"
		printf "%s", load > file
		for (i = 1; i <= nr_names; i++)
			printf " %s", memory(load, name[i]) > file
		printf "\n" > file
	}

	END {
		nr_names = split(allocators, name, " ")
		nr_quantiles = split("p50 p99 p999", quantile, " ")
		split("p50 p99 p99.9", label, " ")
		nr_loads = split(workloads, load, " ")
		for (l = 1; l <= nr_loads; l++) {
			write_throughput(load[l])
			write_latency(load[l], "alloc")
			write_latency(load[l], "free")
			write_memory(load[l])
		}
	}' "$work/cells"
}

usual_workloads='rl_small rl_medium fragmentation_mix alignment64 free_only'
allocators=$(distinct 4 "$all_allocators")

for placement in $(distinct 2 pinned); do
	suffix=
	[[ $placement == pinned ]] || suffix=_${placement//[^a-z0-9]/_}
	suffix=${suffix%_}
	workloads=$(distinct 1 "$usual_workloads" "$placement")
	write_tables "$placement"
	for plot in throughput latency memory; do
		gnuplot -e "data='$work'; out='$plots/$plot$suffix.svg'; placement='$placement'" \
			-e "allocators='$allocators'; workloads='$workloads'" "bench/$plot.gp"
	done
done
