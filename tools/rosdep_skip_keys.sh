#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the rosdep keys of Python packages that the suite's package.xml files name, for
#   rosdep install --from-paths src --ignore-src --skip-keys "$(tools/rosdep_skip_keys.sh)"
# Those come locked from requirements/ (make setup): Ubuntu 24.04's versions are too old (pydantic 1), or there are none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
grep -hoE '>(python3-[a-zA-Z0-9-]+)<' src/*/package.xml | tr -d '<>' | sort -u | paste -sd ' '
