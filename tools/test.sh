#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs all tests of a built workspace:  tools/test.sh [pytest arguments]
# The C++ tests take part through tests/test_cpp.py, so that one summary counts everything.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
# conftest.py reserves a ROS domain: neither a running demo nor another test run is heard.
unset ROS_NAMESPACE
# Machine-readable for a scan of what is slow; colours only for people.
exec python -m pytest --durations=10 --durations-min=5 -q "$@"
