#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Install the Debian or Ubuntu packages that numarena needs and that are missing.
#
#   deps.sh [build|test|bench|suite|ci|guest]...	groups, build if none is named
#
# Silent if nothing is missing.  Where packages cannot be installed, without rights or
# network, it prints one line that names them and exits 1.
set -euo pipefail

# a|b: the first of these that the distribution has; any of them will do.
declare -A groups=(
	# gcc only recommends libc's headers, and recommendations are not installed.
	[build]='gcc libc6-dev make pkgconf|pkg-config libnuma-dev liburcu-dev'

	# redis-tools, not redis-server: it holds the same program and starts no service.
	[test]='g++ check perl git python3 libpythonVERSION-testsuite sqlite3 redis-tools
		numactl valgrind linux-perf|linux-tools-generic'

	[bench]='linux-perf|linux-tools-generic gnuplot-nox numactl libjemalloc2
		libmimalloc3|libmimalloc2.1|libmimalloc2.0
		libtcmalloc-minimal4t64|libtcmalloc-minimal4'

	# What the suite runs besides its own rows.
	[suite]='python3 sqlite3 redis-tools strace'

	[ci]='systemtap-sdt-dev clang libclang-rt-dev|libclang-common-14-dev sparse'

	# Its kernel is not installed: scripts/numa_guest.sh takes it out of the package.
	[guest]='qemu-system-x86 e2fsprogs numactl'
)

usage() {
	echo "usage: scripts/deps.sh [build|test|bench|suite|ci|guest]..." >&2
	exit 2
}

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

has_candidate() {
	[[ $(apt-cache policy "$1" 2>/dev/null) == *Candidate:\ [0-9]* ]]
}

# Python's own tests come with the interpreter they test.
python_version() {
	local version
	version=$(dpkg-query -W -f '${Version}' python3 2>/dev/null ||
		apt-cache policy python3 | awk '$1 == "Candidate:" { print $2 }')
	if [[ $version =~ ^3\.[0-9]+ ]]; then
		echo "${BASH_REMATCH[0]}"
	else
		echo 3
	fi
}

# Is any alternative of this wish there?
is_granted() {
	local name
	for name in ${1//|/ }; do
		is_installed "${name/VERSION/$python}" && return
	done
	return 1
}

# The package that grants a wish; all alternatives where none is known.
pick() {
	local name
	for name in ${1//|/ }; do
		name=${name/VERSION/$python}
		if has_candidate "$name"; then
			echo "$name"
			return
		fi
	done
	echo "${1/VERSION/$python}"
}

pick_all() {
	local wish
	packages=()
	for wish in "${missing[@]}"; do
		packages+=("$(pick "$wish")")
	done
}

give_up() {
	echo "numarena needs these packages ($1): ${packages[*]}" >&2
	exit 1
}

apt_get() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1
}

python=3
wishes=()
for group in "${@:-build}"; do
	[[ ${groups[$group]:-} ]] || usage
	for wish in ${groups[$group]}; do
		[[ " ${wishes[*]} " == *" $wish "* ]] || wishes+=("$wish")
	done
done

missing=("${wishes[@]}")
packages=("${wishes[@]}")
[[ $(command -v dpkg-query) && $(command -v apt-get) ]] || give_up "names as in Debian"

python=$(python_version)
missing=()
for wish in "${wishes[@]}"; do
	is_granted "$wish" || missing+=("$wish")
done
((${#missing[@]})) || exit 0
pick_all

as_root=()
if ((EUID != 0)); then
	# A password can be asked for on a terminal only.
	[[ -t 0 ]] && as_root=(sudo) || as_root=(sudo -n)
	"${as_root[@]}" true 2>/dev/null || give_up "no rights to install them"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Fails if any source does, also one that we don't need: installing will tell.
apt_get update || true
# Only now are names and versions known for certain.
python=$(python_version)
pick_all
echo "installing ${packages[*]}"
apt_get install -y --no-install-recommends "${packages[@]}" ||
	give_up "apt-get: $(sed -n 's/^E: //p' "$log" | head -n 1)"
