#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of a built workspace:
#   tools/test.sh                     all tests: several side by side, then those that have to be alone
#   tools/test.sh PATH -k WORD ...    what these arguments of pytest choose, one after the other
# The C++ tests take part through tests/test_cpp.py, so that one summary counts everything.
# Variable: HIL_SERL_TEST_WORKERS, how many test processes run side by side.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
# conftest.py reserves a ROS domain for each test process: neither a running demo nor another test run is heard.
unset ROS_NAMESPACE
# Machine-readable for a scan of what is slow; colours only for people.
pytest=(python -m pytest --durations=10 --durations-min=5 -q)
[ $# -eq 0 ] || exec "${pytest[@]}" "$@"

# Most tests wait for processes, so that one worker more than there are cores keeps these busy. Each takes up to 2 GB with
# what it starts.
cores="$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)" # nproc would take the threads for cores
workers="${HIL_SERL_TEST_WORKERS:-$((cores < 8 ? cores + 1 : 8))}"
# Several processes share the cores: threads of PyTorch within one would only wait for each other.
export OMP_NUM_THREADS=1
reports="$(mktemp -d)"
trap 'rm -rf "$reports"' EXIT
status=0
run() { # NAME, arguments of pytest
  local code=0
  "${pytest[@]}" --junitxml="$reports/$1.xml" "${@:2}" || code=$?
  [ "$code" -ne 2 ] || exit 2 # a person has interrupted it
  [ "$code" -eq 0 ] || status=1
}
# All tests of a file stay in one worker: they share what they have prepared.
run side_by_side -n "$workers" --dist loadfile --no-loadscope-reorder -m "not alone"
run alone -m alone
python tools/test_summary.py "$reports/side_by_side.xml" "$reports/alone.xml" || status=1
exit "$status"
