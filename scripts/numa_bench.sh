#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The benchmark: numarena against the system's malloc and three rivals.
#
# Each run is a process of its own with one allocator preloaded.  Within a round the
# allocators follow each other on the same workload, a round begins with another
# allocator than the one before, and medians are taken over rounds: what the machine's
# mood does to one, it does to all.  See --help.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench_common.sh
. scripts/bench_common.sh

usage() {
	cat <<-END
	usage: scripts/numa_bench.sh [--quick | --smoke | --help]
	       scripts/numa_bench.sh --suite full|quick|smoke [--fresh]

	Installs what is missing, builds, runs the benchmark and prints a table.  Results:

	  bench/results/bench.csv         a row a run
	  bench/results/summary.md        medians, spreads, ratios, the machine
	  bench/results/start_cost.csv    what a preload costs a process that does nothing
	  bench/plots/*.svg               throughput, latency, memory

	  (nothing)   1, 2 and 4 threads, 5 rounds: within 20 minutes
	  --quick     1 and 2 threads, 3 rounds, a quarter of the operations: within 2 minutes
	  --smoke     2 allocators, 1 round, few operations: only shows that everything works
	  --suite     what rivals are judged by, in up to 90 minutes: see --suite --help

	environment:

	  BENCH_ALLOCATORS  of: $all_allocators
	                    (all); separated by commas or spaces, as in all lists
	  BENCH_WORKLOADS   of: $all_workloads (all)
	  BENCH_THREADS     numbers of threads (1,2,4).  free_only takes pairs of threads, so
	                    it runs at the even ones, at 2 if there is none
	  BENCH_ROUNDS      how often each combination is run
	  BENCH_OPS         operations of a throughput pass, all threads together, at
	                    least 1000 (each workload's own)
	  BENCH_LATENCY_OPS operations of a latency pass (a fifth of those)
	  BENCH_SEED        of sizes and slots (1); a round adds its number
	  BENCH_REMOTE      percent of frees made by another thread, of another node if there
	                    is one (on one node 0; on several 20, as one of three placements)
	  BENCH_WARM_MIB    memory touched by a process that leaves before each run (640)
	  BENCH_RETRIES     how often a run that other processes disturbed is repeated (2)
	  BENCH_MINUTES     no round begins that would end later than this (20; quick 2);
	                    0: no limit.  The first round is always run
	  BENCH_CONF        added to NUMARENA_CONF for numarena's own runs
	  BENCH_PRETEND_NODES  share the processors out to so many nodes, to test placement
	  O                 output folder of the build (build)

	Exit status: 0; 1 if a run failed; 2 for a bad argument or BENCH_ value.
	END
}

all_workloads='rl_small rl_medium fragmentation_mix alignment64 free_only'

# About 0.7 s a throughput pass, and a quarter of that for --quick.
workload_ops() {
	case $1 in
	rl_small | rl_medium) echo 6000000 ;;
	fragmentation_mix) echo 4000000 ;;
	alignment64) echo 1000000 ;;
	free_only) echo 3000000 ;;
	esac
}

# ---- Arguments and environment ----

read_settings() {
	local name
	for name in BENCH_OPS BENCH_LATENCY_OPS; do
		[[ -z ${!name+set} ]] || need_number $name "${!name}" 1000 1000000000000
	done
	need_number BENCH_ROUNDS "$BENCH_ROUNDS" 1 1000
	need_number BENCH_SEED "$BENCH_SEED" 0 1000000000000
	need_number BENCH_REMOTE "${BENCH_REMOTE-0}" 0 100
	need_number BENCH_WARM_MIB "$BENCH_WARM_MIB" 0 1048576
	need_number BENCH_RETRIES "$BENCH_RETRIES" 0 100
	need_number BENCH_MINUTES "$BENCH_MINUTES" 0 100000
	need_number BENCH_PRETEND_NODES "${BENCH_PRETEND_NODES-1}" 1 64
	allocators=() workloads=()
	need_names BENCH_ALLOCATORS allocators "$all_allocators"
	need_names BENCH_WORKLOADS workloads "$all_workloads"
	need_thread_counts 1024
}

read_arguments() {
	kind=full
	ops_divisor=1
	case ${1-} in
	'') ;;
	--quick) kind=quick ops_divisor=4 ;;
	--smoke) kind=smoke ops_divisor=100 ;;
	--help | -h) usage; exit ;;
	*) bad argument "\"$1\" (--help tells more)" ;;
	esac
	(($# <= 1)) || bad argument "\"$2\" (one is enough)"
	case $kind in
	full) defaults=('1 2 4' 5 640 2 20) start_cost_rounds=200 ;;
	quick) defaults=('1 2' 3 256 1 2) start_cost_rounds=50 ;;
	smoke) defaults=(2 1 0 0 0) start_cost_rounds=5 ;;
	esac
	: "${BENCH_THREADS=${defaults[0]}}" "${BENCH_ROUNDS=${defaults[1]}}"
	: "${BENCH_WARM_MIB=${defaults[2]}}" "${BENCH_RETRIES=${defaults[3]}}"
	: "${BENCH_MINUTES=${defaults[4]}}" "${BENCH_SEED=1}" "${BENCH_WORKLOADS=$all_workloads}"
	if [[ $kind == smoke ]]; then
		: "${BENCH_ALLOCATORS=system numarena}"
	else
		: "${BENCH_ALLOCATORS=$all_allocators}"
	fi
}

# ---- Set-up ----

# Rivals alone can be compared without the library.
build() {
	local targets=(bench-programs)
	[[ " ${allocators[*]} " != *" numarena"* ]] || targets+=(lib)
	make -s -j"$(nproc)" O="$O" "${targets[@]}"
	bench=$O/bench/numarena_bench
}

software_events='task-clock context-switches cpu-migrations page-faults'
hardware_events='cycles instructions cache-misses branch-misses dTLB-load-misses
	node-loads node-load-misses node-stores node-store-misses'

# Which events does perf count here?  A machine may lack any, or perf as a whole.
probe_events() {
	local event
	events=()
	lacking=()
	for event in $software_events $hardware_events; do
		if perf stat '-x,' -e "$event" true 2>&1 | grep -Eq '^[0-9.]+,'; then
			events+=("$event")
		else
			lacking+=("$event")
		fi
	done
	if ((${#events[@]})); then
		perf=(perf stat '-x,' -o "$work/perf" -e "$(IFS=,; echo "${events[*]}")" --)
	else
		perf=()
	fi
}

# The column of each event, whether it is counted here or not.
event_columns() {
	local event
	for event in $software_events $hardware_events; do
		event=${event//-/_}
		printf ",perf_%s" "${event,,}"
	done
}

# perf's answers in that order; an event that was not counted is empty.
event_values() {
	if ((${#events[@]} == 0)); then
		: > "$work/perf"
	fi
	awk -F, -v events="$software_events $hardware_events" '
	$1 ~ /^[0-9.]+$/ { sub(/:.*/, "", $3); count[$3] = $1 }
	END {
		n = split(events, event, /[ \t\n]+/)
		for (i = 1; i <= n; i++)
			printf ",%s", event[i] in count ? count[event[i]] : ""
	}' "$work/perf"
}

# ---- What is to be run ----

# "placement remote-percent", the ways in which threads and frees are placed.
list_placements() {
	local nodes
	nodes=${BENCH_PRETEND_NODES:-$("$bench" --nodes)}
	if ((nodes == 1)); then
		placements=("pinned ${BENCH_REMOTE:-0}")
	else
		placements=("pinned 0" "spread 0" "spread ${BENCH_REMOTE:-20}")
	fi
}

# One thread has no other to free for it, and is spread as soon as it is pinned.
list_thread_counts() {
	local workload=$1 placement=$2 n
	local -a even=()
	for n in "${thread_counts[@]}"; do
		n=$((10#$n))
		if [[ $workload == free_only ]]; then
			((n % 2)) || even+=("$n")
		elif ((n > 1)) || [[ $placement == pinned* ]]; then
			echo "$n"
		fi
	done
	if [[ $workload == free_only ]]; then
		printf '%s\n' "${even[@]:-2}"
	fi
}

# "workload threads placement remote-percent", in the order in which a round takes them.
list_combinations() {
	local workload placement n
	combinations=()
	for workload in "${workloads[@]}"; do
		for placement in "${placements[@]}"; do
			# All of this workload's frees are another thread's.
			[[ $workload != free_only || $placement != "spread "[1-9]* ]] || continue
			for n in $(list_thread_counts "$workload" "$placement"); do
				combinations+=("$workload $n $placement")
			done
		done
	done
}

# ---- Running ----

# The words that preload allocator $1 into what follows them, into array preload.
set_preload() {
	local mode
	preload=()
	[[ ${library[$1]} ]] || return 0
	preload=(env LD_PRELOAD="${library[$1]}")
	mode=$(allocator_mode "$1")
	[[ ! $mode ]] || preload+=(NUMARENA_CONF="$mode${BENCH_CONF:+,$BENCH_CONF}")
}

# One attempt.  Prints the row without perf's columns.
run_once() {
	local name=$1 workload=$2 threads=$3 placement=$4 remote=$5 round=$6
	local ops=${BENCH_OPS:-$(($(workload_ops "$workload") / ops_divisor))}
	local arguments=(--workload "$workload" --threads "$threads" --ops "$ops"
		--latency-ops "${BENCH_LATENCY_OPS:-$(((ops + 4) / 5))}"
		--seed "$((BENCH_SEED + round))" --placement "$placement" --remote "$remote"
		--allocator "$name" --round "$round"
		--library "$(basename "${library[$name]:-libc.so.6}")")
	[[ -z ${BENCH_PRETEND_NODES-} ]] || arguments+=(--pretend-nodes "$BENCH_PRETEND_NODES")
	((BENCH_WARM_MIB == 0)) || "$bench" --touch "$BENCH_WARM_MIB"
	set_preload "$name"
	timeout -k 5 "$run_timeout" "${perf[@]}" "${preload[@]}" "$bench" "${arguments[@]}"
}

# Repeat a disturbed run while that is allowed, and while repeats are few: on a machine
# that is always busy they would cost time and change nothing.  The calmest attempt
# enters the CSV.
run() {
	local attempts=0 row best='' best_events=''
	while :; do
		if ! row=$(run_once "$@" 2> "$work/stderr"); then
			fail_run "$@"
			return
		fi
		attempts=$((attempts + 1))
		if [[ ! $best ]] || is_calmer "$row" "$best"; then
			best=$row
			best_events=$(event_values)
		fi
		is_disturbed "$row" || break
		nr_disturbed=$((nr_disturbed + 1))
		((attempts <= BENCH_RETRIES && nr_repeated <= nr_done / 5)) || break
		nr_repeated=$((nr_repeated + 1))
	done
	if is_disturbed "$best"; then
		nr_kept_disturbed=$((nr_kept_disturbed + 1))
	fi
	echo "$best,$attempts$best_events" >> "$csv"
}

fail_run() {
	failed+=("$1 on $2, $3 threads, $4, round $6")
	clear_progress
	echo "numa_bench.sh: failed: ${failed[-1]}:" >&2
	tail -n 3 "$work/stderr" >&2
}

# On a terminal, one line that follows each run; elsewhere a line a combination.
show_progress() {
	local what=$1 first_of_combination=$2 spent=$((SECONDS - runs_start)) left
	if ((nr_done == 0)); then
		left='time left unknown'
	else
		left=$((spent * (nr_runs - nr_done) / nr_done))
		left=$(printf 'about %d:%02d left' $((left / 60)) $((left % 60)))
	fi
	what="[$((nr_done + 1))/$nr_runs] $what, $left"
	if [[ -t 2 ]]; then
		printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$what" >&2
	elif ((first_of_combination)); then
		echo "$what" >&2
	fi
}

run_combination() {
	local round=$1 workload=$2 threads=$3 placement=$4 remote=$5 i name n=${#present[@]}
	for ((i = 0; i < n; i++)); do
		name=${present[(i + round) % n]}
		show_progress "round $round, $workload, $threads threads, $placement, $name" $((i == 0))
		run "$name" "$workload" "$threads" "$placement" "$remote" "$round"
		nr_done=$((nr_done + 1))
	done
}

# After $1 rounds: would one more, and what follows the rounds, end after the limit?
is_time_over() {
	local spent=$((SECONDS - runs_start))
	((BENCH_MINUTES && SECONDS - start + spent / $1 + results_seconds > BENCH_MINUTES * 60))
}

run_rounds() {
	local round combination
	nr_runs=$((BENCH_ROUNDS * ${#combinations[@]} * ${#present[@]}))
	failed=()
	nr_done=0 nr_disturbed=0 nr_repeated=0 nr_kept_disturbed=0 rounds_done=0
	runs_start=$SECONDS
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		if ((round > 1)) && is_time_over "$rounds_done"; then
			break
		fi
		for combination in "${combinations[@]}"; do
			# shellcheck disable=SC2086 # four words
			run_combination "$round" $combination
		done
		rounds_done=$round
	done
	clear_progress
}

# ---- Results ----

# Tables, plots and start_cost.sh take about so long.
results_seconds=5

csv_header() {
	{
		echo "numarena benchmark, $kind run"
		machine_facts
		allocator_facts
		"$bench" --describe
		echo "seed: $BENCH_SEED plus the round's number"
		echo "warmed before each run: $BENCH_WARM_MIB MiB"
		echo "perf events that this machine lacks: ${lacking[*]:-none}"
		echo "skipped, not installed: ${skipped[*]:-none}"
	} | sed 's/^/# /'
	echo "$("$bench" --columns),attempts$(event_columns)"
}

# Known only at the end; comments may stand anywhere.
csv_footer() {
	echo "# rounds: $rounds_done of $BENCH_ROUNDS"
	echo "# runs: $nr_done, of which failed: ${#failed[@]}"
	((${#failed[@]} == 0)) || printf '# failed: %s\n' "${failed[@]}"
	echo "# disturbed by other processes: $nr_disturbed attempts," \
		"repeated: $nr_repeated, kept though disturbed: $nr_kept_disturbed"
	echo "# duration: $((SECONDS - start)) s"
}

# The old results stay until new ones are complete.
write_results() {
	if ((${#failed[@]} == nr_done)); then
		echo "numa_bench.sh: every run failed, nothing was measured" >&2
		exit 1
	fi
	csv_footer >> "$csv"
	mkdir -p bench/results bench/plots
	mv "$csv" bench/results/bench.csv
	O=$O scripts/start_cost.sh "$start_cost_rounds" 2> /dev/null > bench/results/start_cost.csv ||
		echo "numa_bench.sh: start_cost.sh failed" >&2
	scripts/bench_summary.sh bench/results > bench/results/summary.md
	if [[ $(command -v gnuplot) ]]; then
		scripts/bench_plots.sh bench/results bench/plots
	else
		echo "numa_bench.sh: no gnuplot, no plots" >&2
	fi
}

if [[ ${1-} == --suite ]]; then
	exec scripts/bench_suite.sh "${@:2}"
fi
read_arguments "$@"
read_settings
# A preload of the caller's would sit in every allocator's place.
unset LD_PRELOAD NUMARENA_CONF
O=${O:-build}
run_timeout=300
declare -A library
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
csv=$work/bench.csv

scripts/deps.sh build
# Without a rival, perf or gnuplot there is less to see, but something.
scripts/deps.sh bench || echo "numa_bench.sh: going on without them" >&2
start=$SECONDS
build
find_libraries
probe_events
list_placements
list_combinations
csv_header > "$csv"
run_rounds
write_results
scripts/bench_summary.sh --table bench/results
scripts/check_csv.sh bench/results/bench.csv
if ((${#failed[@]})); then
	echo "numa_bench.sh: ${#failed[@]} of $nr_done runs failed, see bench/results/summary.md" >&2
	exit 1
fi
