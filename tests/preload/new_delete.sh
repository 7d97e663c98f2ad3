#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A C++ program and all its forms of new and delete.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

check 'all forms of new and delete' preloaded "$programs/new_delete" "$library"
check 'it was served by the library' is_served new_delete

# As python does with its extensions: the C++ runtime comes with a library and is seen by that alone.
bad_alloc_of_a_library() {
	cat >"$tap_dir/part.cc" <<-'END'
	#include <new>
	#include <cstddef>
	#include <cstdint>
	volatile std::size_t too_much = PTRDIFF_MAX / 2;
	extern "C" int part(void)
	{
		if (new (std::nothrow) char[too_much] || operator new(too_much, std::align_val_t(64), std::nothrow))
			return 1;
		try { delete[] new char[too_much]; return 2; } catch (const std::bad_alloc &) { }
		try { operator delete(operator new(too_much, std::align_val_t(64)), std::align_val_t(64)); return 3; }
		catch (const std::bad_alloc &) { }
		return 0;
	}
	END
	cat >"$tap_dir/whole.c" <<-'END'
	#include <dlfcn.h>
	#include <stdio.h>
	int main(int argc, char **argv)
	{
		void *part = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
		int (*run)(void) = part ? (int (*)(void))dlsym(part, "part") : NULL;
		if (!run)
			return puts(dlerror()), 99;
		return run();
	}
	END
	"${CXX:-c++}" -std=c++17 -shared -fPIC -o "$tap_dir/part.so" "$tap_dir/part.cc"
	"${CC:-cc}" -o "$tap_dir/whole" "$tap_dir/whole.c" -ldl
	preloaded "$tap_dir/whole" "$tap_dir/part.so"
}

check 'no memory in a library that brings the runtime' bad_alloc_of_a_library

tap_end
