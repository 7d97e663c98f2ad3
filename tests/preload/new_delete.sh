#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A C++ program and all its forms of new and delete.
set -euo pipefail

. "$(dirname "$0")/preload.sh"

check 'all forms of new and delete' preloaded "$programs/new_delete" "$library"
check 'it was served by the library' is_served new_delete

tap_end
