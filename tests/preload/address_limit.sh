#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs whose address space is limited start, and go on where malloc refuses.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

# As a user's shell or a batch system does it: 1 GB, in units of 1 KiB.
limited() {
	ulimit -v 1000000
	preloaded "$@"
}

pipeline() {
	limited bash -c 'seq 200000 | sort -R --random-source=<(yes) | sort -n | tail -n 1' |
		grep -x 200000
}

check 'true is preloaded' preloaded true
check 'true starts under ulimit -v 1000000' limited true
check 'so does a pipeline of programs' pipeline
check 'sort was served by the library' is_served sort
check 'a program meets the limit it was started with, and goes on' \
	limited "$programs/address_limit"
check 'so does one that lowers its limit itself' preloaded "$programs/address_limit" 512
check 'it was served by the library' is_served address_limit

tap_end
