#!/bin/sh
# Runs the tests in this folder on one MicroPython binary with MicroPython's own tests/run-tests.py.
#
#     tests/micropython/run.sh MPY_DIR BINARY INPUTS RESULTS [MODULE]
#
# MPY_DIR: MicroPython's source; INPUTS: what prepare.py made; RESULTS: folder for the output of tests that fail; MODULE: folder
# with rnnpool.mpy for a binary that has no such module.
# A test that prints SKIP is counted as skipped; run-tests.py lists those by name.
set -eu
[ $# -eq 4 ] || [ $# -eq 5 ] || { sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mpy_dir=$1
MICROPY_MICROPYTHON=$(realpath "$2")
RNNPOOL_TEST_INPUTS=$(realpath "$3")
mkdir -p "$4"
results=$(realpath "$4")
path_options=
if [ $# -eq 5 ]; then
    MICROPYPATH=$(realpath "$5")
    export MICROPYPATH
    path_options=--keep-path
fi
export MICROPY_MICROPYTHON RNNPOOL_TEST_INPUTS
export MICROPY_TEST_TIMEOUT="${MICROPY_TEST_TIMEOUT:-900}" # seconds a test: the sanitizers are slow, and so may a machine be
# The garbage collector keeps what it finds on the stack, so leaks are no finding.
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"

# MicroPython 1.25 has a fixed limit of 30 seconds; later ones read MICROPY_TEST_TIMEOUT.
run_tests() {
    python3 -c 'import os, sys
path = sys.argv[0] = "run-tests.py"
limit = "TEST_TIMEOUT = " + os.environ["MICROPY_TEST_TIMEOUT"]
text = open(path).read().replace("TEST_TIMEOUT = 30\n", limit + "\n")
exec(compile(text, path, "exec"), {"__name__": "__main__", "__file__": path})' "$@"
}

set -- "$here"/test_*.py
[ -e "$1" ] || { echo "run.sh: no tests test_*.py in $here" >&2; exit 1; }
for test in "$@"; do
    [ -e "$test.exp" ] || { echo "run.sh: $test has no $test.exp" >&2; exit 1; }
done
echo "On $MICROPY_MICROPYTHON:"
cd "$mpy_dir/tests"
rm -f "$results"/*
# shellcheck disable=SC2086  # none or one word
if ! run_tests $path_options -r "$results" "$@"; then
    run_tests -r "$results" --print-failures
    exit 1
fi
