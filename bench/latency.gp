# SPDX-License-Identifier: MIT
# Latency of single calls at the most threads measured, a row a workload: malloc left,
# free right.  scripts/bench_plots.sh sets data, out, placement, allocators, workloads.
load "bench/style.gp"
set terminal svg size 1100, 300 * nr_workloads background "white"
set output out
set multiplot layout nr_workloads, 2 title "Latency, ".placement noenhanced
set style data histograms
set style histogram clustered gap 1
set logscale y
set yrange [1:*]
set ylabel "ns"
do for [w in workloads] {
	do for [call in "alloc free"] {
		set title w.", ".call noenhanced
		if (call eq "free") { set key outside right top vertical } else { unset key }
		plot for [i = 1:nr_allocators] data."/latency_".w."_".call \
			using (column(i + 1)):xtic(1) linecolor rgb colour(i) title word(allocators, i)
	}
}
unset multiplot
