#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The suite: numarena by what allocators are judged by.  Called by numa_bench.sh --suite.
#
# A row is a pattern of use on a number of threads, or a real program.  Each run is a
# process of its own with one allocator preloaded; in a round the allocators follow each
# other, each round begins with another one, and medians are taken over the rounds.  Before
# the rounds each allocator runs the row once with every object checked, and its memory is
# looked at after everything was freed.
#
# What a row gave one allocator is a file below bench/results/suite/KIND/cells/, with a key
# made of all that it depends on.  What is there with the right key is not run again.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench_common.sh
. scripts/bench_common.sh
# shellcheck source=scripts/bench_programs.sh
. scripts/bench_programs.sh

suite_allocators='system jemalloc mimalloc tcmalloc numarena'

usage() {
	cat <<-END
	usage: scripts/numa_bench.sh --suite full|quick|smoke [--fresh]

	Runs the suite and prints a table.  An interrupted run goes on where it stopped; after
	numarena was changed, only numarena's runs are made again.

	  full      1, 2, 4, 8 and 16 threads, 9 rounds: up to 90 minutes
	  quick     1 and 4 threads, 3 short rounds: about 3 minutes
	  smoke     2 allocators, 1 round: only shows that everything works
	  --fresh   forget what earlier runs have left

	  bench/results/suite/KIND/suite.csv    a line a run; round 0 is the checked one
	  bench/results/suite/KIND/table.md     the table, in Markdown

	environment, lists separated by commas or spaces:

	  BENCH_ALLOCATORS  of: $suite_allocators (all)
	  BENCH_ROWS        names of rows (all):
	END
	if [[ -x $suite ]]; then
		row_names | fold -s -w 60 | sed 's/^/	                    /'
	fi
	cat <<-END
	  BENCH_THREADS     numbers of threads; a row takes those that it can run on
	  BENCH_ROUNDS      how often each row is run
	  BENCH_MSEC        how long a run is timed
	  BENCH_SCALE       size of the real programs' work
	  BENCH_SETTLE_MSEC how long free memory has before it is looked at (1200)
	  BENCH_WARM_MIB    memory touched by a process that leaves before each run
	  BENCH_RETRIES     how often a run that other processes disturbed is repeated
	  BENCH_CONF        NUMARENA_CONF of numarena's runs
	  O                 output folder of the build (build)

	Exit status: 0; 1 if a run failed; 2 for a bad argument or BENCH_ value.
	END
}

# ---- Rows ----

# What numarena_suite has, then what is run from here.
row_names() {
	echo "$(cut -d ' ' -f 1 < <("$suite" --rows) | paste -sd ' ') steady_calls $all_programs"
}

is_program() {
	[[ " $all_programs " == *" $1 "* ]]
}

# The numbers of threads that row $1 can run on, of those wanted; the least if none is.
row_threads() {
	local name kind least most step n
	local -a fit=()
	if is_program "$1"; then
		echo 1
		return
	elif [[ $1 == steady_calls ]]; then
		echo 2
		return
	fi
	read -r name kind least most step _ < <("$suite" --rows | grep "^$1 ")
	: "$name" "$kind"
	for n in "${thread_counts[@]}"; do
		n=$((10#$n))
		((n < least || n > most || n % step)) || fit+=("$n")
	done
	printf '%s\n' "${fit[@]:-$least}"
}

# "row threads", in the order in which they are run.
list_combinations() {
	local row n lacks
	combinations=()
	left_out=()
	for row in "${rows[@]}"; do
		lacks=$(program_lacks "$row")
		[[ $row != steady_calls || $(command -v strace) ]] || lacks=strace
		if [[ $lacks ]]; then
			left_out+=("$row: no $lacks")
			continue
		fi
		for n in $(row_threads "$row"); do
			combinations+=("$row $n")
		done
	done
}

# ---- Arguments and environment ----

read_arguments() {
	local argument
	kind='' fresh=0
	for argument; do
		case $argument in
		full | quick | smoke) kind=$argument ;;
		--fresh) fresh=1 ;;
		--help | -h) usage; exit ;;
		*) bad argument "\"$argument\" (--suite --help tells more)" ;;
		esac
	done
	# Threads, rounds, msec, scale, settle, warm, retries.
	case $kind in
	full) defaults=('1 2 4 8 16' 9 350 8 1200 640 2) ;;
	quick) defaults=('1 4' 3 50 1 1200 128 1) ;;
	smoke) defaults=(2 1 5 1 5 0 0) ;;
	*) bad argument "--suite wants full, quick or smoke" ;;
	esac
	: "${BENCH_THREADS=${defaults[0]}}" "${BENCH_ROUNDS=${defaults[1]}}"
	: "${BENCH_MSEC=${defaults[2]}}" "${BENCH_SCALE=${defaults[3]}}"
	: "${BENCH_SETTLE_MSEC=${defaults[4]}}" "${BENCH_WARM_MIB=${defaults[5]}}"
	: "${BENCH_RETRIES=${defaults[6]}}" "${BENCH_CONF=}"
	if [[ $kind == smoke ]]; then
		: "${BENCH_ALLOCATORS=system numarena}"
	fi
	: "${BENCH_ALLOCATORS=$suite_allocators}"
}

# After the build: rows are the program's.
read_settings() {
	need_number BENCH_ROUNDS "$BENCH_ROUNDS" 1 1000
	need_number BENCH_MSEC "$BENCH_MSEC" 1 3600000
	need_number BENCH_SCALE "$BENCH_SCALE" 1 1000
	need_number BENCH_SETTLE_MSEC "$BENCH_SETTLE_MSEC" 1 3600000
	need_number BENCH_WARM_MIB "$BENCH_WARM_MIB" 0 1048576
	need_number BENCH_RETRIES "$BENCH_RETRIES" 0 100
	allocators=() rows=()
	need_names BENCH_ALLOCATORS allocators "$suite_allocators"
	: "${BENCH_ROWS=$(row_names)}"
	need_names BENCH_ROWS rows "$(row_names)"
	need_thread_counts 64
}

# ---- What is there already ----

cell_path() {
	echo "$cells/$1-$2-$3.csv"
}

# All that a cell depends on besides its row: programs, library, settings.
make_keys() {
	local name path
	for name in "${present[@]}"; do
		path=${library[$name]:-$libc}
		keys[$name]=$({
			sha256sum < "$suite"
			sha256sum < "$path"
			echo "$BENCH_ROUNDS $BENCH_MSEC $BENCH_SCALE $BENCH_SETTLE_MSEC $BENCH_WARM_MIB"
			[[ $name != numarena ]] || echo "$BENCH_CONF"
		} | sha256sum | cut -c 1-32)
	done
	program_key=$(sha256sum < scripts/bench_programs.sh | cut -c 1-32)
}

# The first line of a cell that is still right.
cell_head() {
	if is_program "$1"; then
		echo "# ${keys[$3]} $program_key"
	else
		echo "# ${keys[$3]}"
	fi
}

has_cell() {
	local path
	path=$(cell_path "$@")
	[[ -r $path && $(head -n 1 "$path") == "$(cell_head "$@")" ]]
}

# ---- Running ----

# numarena's memory ready and kept, rivals as they come: latency and steady_calls.
reserve_mib=256
conf_of() {
	local row=$1
	case $row in
	latency | steady_calls) echo "decay_ms:2147483647${BENCH_CONF:+,$BENCH_CONF}" ;;
	*) echo "$BENCH_CONF" ;;
	esac
}

# The words that run a row of the suite's own, into array words.
set_words() {
	local row=$1 threads=$2 name=$3 round=$4
	words=("$suite" --row "$row" --threads "$threads" --msec "$BENCH_MSEC"
		--seed "$((round + 1))" --allocator "$name" --round "$round"
		--library "$(basename "${library[$name]:-libc.so.6}")")
	if [[ $row == latency && $name == numarena ]]; then
		words+=(--reserve "$reserve_mib")
	fi
}

# env's words for allocator $2 in row $1, into array preload.
set_preload() {
	preload=(env)
	[[ ! ${library[$2]} ]] || preload+=("LD_PRELOAD=${library[$2]}")
	if [[ $2 == numarena && $(conf_of "$1") ]]; then
		preload+=("NUMARENA_CONF=$(conf_of "$1")")
	fi
}

run_program() {
	local row=$1 name=$2 round=$3
	local words=("$suite" --program "$row" --allocator "$name" --round "$round")
	set_command "$row" "$inputs" "$BENCH_SCALE"
	if [[ $name == numarena && $BENCH_CONF ]]; then
		command=(env NUMARENA_CONF="$BENCH_CONF" "${command[@]}")
	fi
	if [[ $row == redis ]]; then
		# Debian's server is linked with jemalloc: the system's malloc stands before it too.
		SUITE_PRELOAD=${library[$name]:-$libc} timeout -k 5 "$run_timeout" \
			"${words[@]}" -- "${command[@]}"
		return
	fi
	[[ ! ${library[$name]} ]] || words+=(--preload "${library[$name]}")
	timeout -k 5 "$run_timeout" "${words[@]}" -- "${command[@]}" |
		awk -F, -v OFS=, '$1 == "true" { $6 = $7 = "" } { print }'
}

# The latency row under strace: what its threads call between their marks.
run_steady_calls() {
	local name=$1 round=$2 line trace=$work/strace.$1
	local words preload traced=()
	set_words latency 2 "$name" "$round"
	words+=(--marks)
	set_preload latency "$name"
	for word in "${preload[@]:1}"; do
		traced+=(-E "$word")
	done
	line=$(timeout -k 5 "$run_timeout" strace -f -qq -o "$trace" "${traced[@]}" "${words[@]}")
	awk -F, -v OFS=, -v calls="$(steady_calls "$trace")" '
		{ $1 = "steady_calls"; $6 = $7 = $8 = $10 = ""; $12 = calls; $13 = ""; $14 = 0; print }
	' <<< "$line"
}

# System calls of each thread between its own two marks.
steady_calls() {
	awk '
	$2 ~ /^write\(-1,/ { within[$1] = !within[$1]; marks++; next }
	within[$1] && $2 ~ /^[a-z0-9_]+\(/ { calls++ }
	END {
		if (marks != 4)
			exit 1
		print calls + 0
	}' "$1"
}

run_once() {
	local row=$1 threads=$2 name=$3 round=$4 words preload
	((BENCH_WARM_MIB == 0)) || "$bench" --touch "$BENCH_WARM_MIB"
	if is_program "$row"; then
		run_program "$row" "$name" "$round"
	elif [[ $row == steady_calls ]]; then
		run_steady_calls "$name" "$round"
	else
		set_words "$row" "$threads" "$name" "$round"
		set_preload "$row" "$name"
		timeout -k 5 "$run_timeout" "${preload[@]}" "${words[@]}"
	fi
}

# Round 0: every object looked at, then everything freed.  Its times mean nothing.
run_checked() {
	local row=$1 threads=$2 name=$3 words preload
	set_words "$row" "$threads" "$name" 0
	words+=(--check --settle "$BENCH_SETTLE_MSEC")
	set_preload "$row" "$name"
	timeout -k 5 "$run_timeout" "${preload[@]}" "${words[@]}" > "$work/cell.$name" \
		2> "$work/stderr.$name"
}

fail_run() {
	local row=$1 threads=$2 name=$3 round=$4
	failed+=("$name on $row, $threads threads, round $round")
	has_failed[$name]=1
	clear_progress
	echo "numa_bench.sh: failed: ${failed[-1]}:" >&2
	tail -n 3 "$work/stderr.$name" >&2
}

# Not timed, and mostly a wait, so all allocators at once.
check_pending() {
	local row=$1 threads=$2 name
	local -A job=()
	for name in "${pending[@]}"; do
		run_checked "$row" "$threads" "$name" &
		job[$name]=$!
	done
	for name in "${pending[@]}"; do
		wait "${job[$name]}" || fail_run "$row" "$threads" "$name" 0
	done
}

# Repeat a disturbed run while that is allowed and repeats are few.  The calmest attempt counts.
run() {
	local row=$1 threads=$2 name=$3 round=$4 attempts=0 line best=''
	while :; do
		if ! line=$(run_once "$@" 2> "$work/stderr.$name"); then
			fail_run "$@"
			return
		fi
		attempts=$((attempts + 1))
		if [[ ! $best ]] || is_calmer "$line" "$best"; then
			best=$line
		fi
		is_disturbed "$line" || break
		nr_disturbed=$((nr_disturbed + 1))
		((attempts <= BENCH_RETRIES && nr_repeated <= nr_runs / 5)) || break
		nr_repeated=$((nr_repeated + 1))
	done
	nr_runs=$((nr_runs + 1))
	echo "$best" >> "$work/cell.$name"
}

show_progress() {
	local spent=$((SECONDS - start)) left='time left unknown'
	if ((nr_done)); then
		left=$((spent * (nr_to_do - nr_done) / nr_done))
		left=$(printf 'about %d:%02d left' $((left / 60)) $((left % 60)))
	fi
	if [[ -t 2 ]]; then
		printf '\r\033[K[%d/%d] %s, %s' "$((nr_done + 1))" "$nr_to_do" "$1" "$left" >&2
	else
		echo "[$((nr_done + 1))/$nr_to_do] $1, $left" >&2
	fi
}

# Rounds of those allocators whose cell is missing.
run_combination() {
	local row=$1 threads=$2 round rounds=$BENCH_ROUNDS i name n=${#pending[@]}
	has_failed=()
	for name in "${pending[@]}"; do
		: > "$work/cell.$name"
	done
	# One count is as good as nine; and programs free nothing at their end.
	if [[ $row == steady_calls ]]; then
		rounds=1
	elif ! is_program "$row"; then
		check_pending "$row" "$threads"
	fi
	for ((round = 1; round <= rounds; round++)); do
		for ((i = 0; i < n; i++)); do
			name=${pending[(i + round) % n]}
			[[ ${has_failed[$name]-} ]] || run "$row" "$threads" "$name" "$round"
		done
	done
	for name in "${pending[@]}"; do
		[[ ${has_failed[$name]-} ]] || keep_cell "$row" "$threads" "$name"
	done
}

# Complete or not at all: an interrupted run leaves no half cell.
keep_cell() {
	local path
	path=$(cell_path "$@")
	{
		cell_head "$@"
		cat "$work/cell.$3"
	} > "$path.new"
	mv "$path.new" "$path"
}

set_pending() {
	local name
	pending=()
	for name in "${present[@]}"; do
		has_cell "$1" "$2" "$name" || pending+=("$name")
	done
}

run_all() {
	local combination
	local -a to_do=()
	for combination in "${combinations[@]}"; do
		# shellcheck disable=SC2086 # two words
		set_pending $combination
		((${#pending[@]} == 0)) || to_do+=("$combination")
	done
	nr_to_do=${#to_do[@]} nr_done=0 nr_runs=0 nr_disturbed=0 nr_repeated=0
	start=$SECONDS
	((nr_to_do == ${#combinations[@]})) ||
		echo "numa_bench.sh: $((${#combinations[@]} - nr_to_do)) rows are there already" >&2
	for combination in "${to_do[@]}"; do
		# shellcheck disable=SC2086 # two words
		set_pending $combination
		show_progress "${combination/ /, } threads: ${pending[*]}"
		# shellcheck disable=SC2086 # two words
		run_combination $combination
		nr_done=$((nr_done + 1))
	done
	clear_progress
}

# ---- Results ----

# Rows whose cells were not made in one go: other moods of the machine.  A row takes
# less than these seconds.
apart_seconds=600
list_apart() {
	local row=$1 threads=$2 name
	for name in "${present[@]}"; do
		has_cell "$row" "$threads" "$name" && stat -c %Y "$(cell_path "$row" "$threads" "$name")"
	done | sort -n | awk -v most="$apart_seconds" -v row="$row/$threads" '
		NR == 1 { first = $1 }
		END { if ($1 - first > most) printf " %s", row }'
}

csv_facts() {
	local combination row
	echo "numarena suite, $kind run"
	machine_facts
	allocator_facts
	echo "rounds: $BENCH_ROUNDS, msec a run: $BENCH_MSEC, scale of programs: $BENCH_SCALE"
	echo "warmed before each run: $BENCH_WARM_MIB MiB; settled after: $BENCH_SETTLE_MSEC ms"
	echo "skipped, not installed: ${skipped[*]:-none}"
	printf 'left out: %s\n' "${left_out[@]:-none}"
	echo "disturbed by other processes in this session: $nr_disturbed attempts of" \
		"$((nr_runs + nr_repeated)), repeated: $nr_repeated"
	((${#failed[@]} == 0)) || printf 'failed: %s\n' "${failed[@]}"
	echo "allocators measured at different times:$(for combination in "${combinations[@]}"; do
		# shellcheck disable=SC2086 # two words
		list_apart $combination
	done)"
	"$suite" --rows | while read -r row _ _ _ _ text; do
		echo "row $row: $text"
	done
	for row in $all_programs; do
		echo "row $row: $(program_text "$row")"
	done
	echo "row steady_calls: system calls of 2 threads while latency's row runs"
}

write_csv() {
	local combination name
	{
		csv_facts | sed 's/^/# /'
		"$suite" --columns
		for combination in "${combinations[@]}"; do
			for name in "${present[@]}"; do
				# shellcheck disable=SC2086 # two words
				if has_cell $combination "$name"; then
					tail -n +2 "$(cell_path $combination "$name")"
				fi
			done
		done
	} > "$results/suite.csv.new"
	mv "$results/suite.csv.new" "$results/suite.csv"
}

build() {
	make -s -j"$(nproc)" O="$O" bench-programs
	[[ " $BENCH_ALLOCATORS " != *numarena* ]] || make -s -j"$(nproc)" O="$O" lib
}

O=${O:-build}
suite=$O/bench/numarena_suite
bench=$O/bench/numarena_bench
read_arguments "$@"
# A preload of the caller's would sit in every allocator's place.
unset LD_PRELOAD NUMARENA_CONF
run_timeout=300
failed=()
declare -A library keys has_failed

scripts/deps.sh build
scripts/deps.sh bench suite || echo "numa_bench.sh: going on without them" >&2
build
read_settings
find_libraries
libc=$(soname_path libc.so.6)
results=bench/results/suite/$kind
cells=$results/cells
((!fresh)) || rm -rf "$results"
mkdir -p "$cells"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
inputs=$work/inputs
mkdir "$inputs"
write_inputs "$inputs" "$BENCH_SCALE"
make_keys
list_combinations
run_all
write_csv
scripts/suite_table.sh --markdown "$results/suite.csv" > "$results/table.md"
scripts/suite_table.sh "$results/suite.csv"
scripts/check_suite_csv.sh "$results/suite.csv"
if ((${#failed[@]})); then
	echo "numa_bench.sh: ${#failed[@]} runs failed, see $results/suite.csv" >&2
	exit 1
fi
