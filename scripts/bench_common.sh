# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the benchmarks' scripts: how settings are checked, allocators found
# and the machine described.  Sources bench_allocators.sh.
#
# Of those who source this: allocators, the names wanted; library, an associative array;
# bench, the path of numarena_bench; O, the output folder.
# shellcheck disable=SC2154
# shellcheck source=scripts/bench_allocators.sh
. scripts/bench_allocators.sh

bad() {
	echo "numa_bench.sh: bad $1: $2" >&2
	exit 2
}

# Is $2, the value of $1, a whole number from $3 to $4?
need_number() {
	if [[ ! $2 =~ ^[0-9]{1,18}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
		bad "$1" "\"$2\""
	fi
}

# Split the list in variable $1 into array $2; each entry must be one of $3.
need_names() {
	local name
	read -r -a "$2" <<< "${!1//,/ }"
	local -n names=$2
	((${#names[@]})) || bad "$1" "\"${!1}\""
	for name in "${names[@]}"; do
		[[ " $3 " == *" $name "* ]] || bad "$1" "\"$name\" is none of $3"
	done
}

# BENCH_THREADS into thread_counts; at most $1 threads.
need_thread_counts() {
	local number
	read -r -a thread_counts <<< "${BENCH_THREADS//,/ }"
	((${#thread_counts[@]})) || bad BENCH_THREADS "\"$BENCH_THREADS\""
	for number in "${thread_counts[@]}"; do
		need_number BENCH_THREADS "$number" 1 "$1"
	done
}

# Of the wanted allocators, ${allocators[@]}: present and skipped; library[name] is what to
# preload, built ones from folder $O.
find_libraries() {
	local name path
	present=()
	skipped=()
	for name in "${allocators[@]}"; do
		if path=$(allocator_library "$name" "$O"); then
			# shellcheck disable=SC2004 # associative
			library[$name]=$path
			present+=("$name")
		else
			skipped+=("$name")
			echo "numa_bench.sh: $name is not installed, skipped" >&2
		fi
	done
	((${#present[@]})) || bad BENCH_ALLOCATORS "none of \"$BENCH_ALLOCATORS\" is installed"
}

# ---- Runs ----

# The row ends with: others' share of the processors, disturbed.
is_disturbed() {
	[[ $1 == *,1 ]]
}

# Was row $1 disturbed less than row $2?  Shares have four decimals, or are not known.
is_calmer() {
	local a=${1%,*} b=${2%,*}
	a=${a##*,} b=${b##*,}
	((10#0${a/./} < 10#0${b/./}))
}

clear_progress() {
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# ---- The machine ----

# What a reader must know of the machine, as "key: value" lines.
machine_facts() {
	local thp=/sys/kernel/mm/transparent_hugepage
	echo "date: $(date -u +%Y-%m-%d)"
	echo "kernel: $(uname -sr), $(uname -m)"
	echo "processor: $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)," \
		"$(nproc) usable, $("$bench" --nodes) NUMA nodes"
	echo "memory: $(awk '$1 == "MemTotal:" { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
	echo "huge pages: THP $(sed 's/.*\[\(.*\)\].*/\1/' $thp/enabled 2>/dev/null || echo none)," \
		"defrag $(sed 's/.*\[\(.*\)\].*/\1/' $thp/defrag 2>/dev/null || echo none)"
	echo "virtual machine: $(systemd-detect-virt --vm 2>/dev/null ||
		{ grep -qw hypervisor /proc/cpuinfo && echo yes; } || echo no)"
	echo "libc: $(getconf GNU_LIBC_VERSION)"
}

# The package's version tells more than a soname.
allocator_facts() {
	local name path package
	for name in "${present[@]}"; do
		path=${library[$name]}
		[[ $path ]] || path=libc6
		package=$(dpkg-query -S "$(realpath -q "$path" || echo "$path")" 2>/dev/null |
			head -n 1 | cut -d: -f1) || true
		case $name in
		system) echo "system: glibc $(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" ;;
		numarena*) echo "$name: libnumarena.so, $(allocator_mode "$name")${BENCH_CONF:+,$BENCH_CONF}" ;;
		*) echo "$name: $(basename "$path")${package:+, $package $(dpkg-query -W \
			-f '${Version}' "$package" 2>/dev/null)}" ;;
		esac
	done
}
