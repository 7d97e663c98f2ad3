# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the benchmark's scripts: the allocators by name, and how each is preloaded.

# shellcheck disable=SC2034 # used by those who source this
# In the order of the tables; rivals are those that numarena is compared with.
all_allocators='system jemalloc mimalloc tcmalloc numarena-baseline numarena-sharded numarena'

# Sonames that will do, the newest first.
allocator_sonames() {
	case $1 in
	jemalloc) echo libjemalloc.so.2 ;;
	mimalloc) echo libmimalloc.so.3 libmimalloc.so.2 ;;
	tcmalloc) echo libtcmalloc_minimal.so.4 libtcmalloc.so.4 ;;
	esac
}

# Path of a soname as the loader would find it.  ldconfig lies outside users' PATH.
soname_path() {
	PATH=$PATH:/sbin:/usr/sbin ldconfig -p |
		awk -v name="$1" '$1 == name { print $NF; exit }'
}

# Path of the library to preload for allocator $1, built ones from folder $2; empty for
# the system's malloc.  1 if there is none.
allocator_library() {
	local soname path
	case $1 in
	system) return ;;
	numarena*)
		realpath -e "$2/libnumarena.so" 2>/dev/null
		return
		;;
	esac
	for soname in $(allocator_sonames "$1"); do
		path=$(soname_path "$soname")
		if [[ $path ]]; then
			echo "$path"
			return
		fi
	done
	return 1
}

# What NUMARENA_CONF makes of the one library.
allocator_mode() {
	case $1 in
	numarena) echo mode:arena ;;
	numarena-*) echo "mode:${1#numarena-}" ;;
	esac
}
