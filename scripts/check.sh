#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tests from nothing: install what is missing, build, run.  Ends with the test
# runner's closing line.
#
#   check.sh [make-argument]...		as in check.sh CC=clang T=test_align
set -euo pipefail

cd "$(dirname "$0")/.."

scripts/deps.sh build test
make -s -j"$(nproc)" "$@" all tests
make -s "$@" check
