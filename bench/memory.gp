# SPDX-License-Identifier: MIT
# Peak resident over peak live bytes at the most threads measured.
# scripts/bench_plots.sh sets data, out, placement, allocators, workloads.
load "bench/style.gp"
set terminal svg size 1100, 420 background "white"
set output out
set title "Peak resident memory over live bytes, ".placement noenhanced
set style data histograms
set style histogram clustered gap 1
set yrange [0:*]
set ylabel "times peak live bytes"
set xtics noenhanced
set key outside right top vertical
plot for [i = 1:nr_allocators] data."/memory" using (column(i + 1)):xtic(1) \
	linecolor rgb colour(i) title word(allocators, i)
