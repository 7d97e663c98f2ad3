# SPDX-License-Identifier: MIT
# Throughput by threads, a panel a workload.  scripts/bench_plots.sh sets
# data, out, placement, allocators, workloads.
load "bench/style.gp"
rows = (nr_workloads + 1) / 2
set terminal svg size 1100, 380 * rows background "white"
set output out
set multiplot layout rows, 2 title "Throughput, ".placement noenhanced
set xlabel "threads"
set ylabel "million operations a second"
set yrange [0:*]
set xrange [0.8:*]
set xtics 1
set key outside right top vertical
do for [w in workloads] {
	set title w noenhanced
	plot for [i = 1:nr_allocators] data."/throughput_".w using 1:(column(i + 1)) \
		with linespoints linecolor rgb colour(i) linewidth 2 pointtype 7 pointsize 0.6 \
		title word(allocators, i)
}
unset multiplot
