# SPDX-License-Identifier: MIT
# What the plots share; loaded by each.  Colours by Okabe and Ito, told apart by all eyes.
set datafile missing "?"
set style fill solid 0.9 noborder
set grid ytics linecolor rgb "#d0d0d0"
set border 3
set tics nomirror
set key top left noenhanced samplen 2
colour(i) = word("#000000 #E69F00 #56B4E9 #CC79A7 #999999 #F0E442 #009E73", (i - 1) % 7 + 1)
nr_allocators = words(allocators)
nr_workloads = words(workloads)
