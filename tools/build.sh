#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the workspace, or only the packages named:  tools/build.sh [package ...]
# BUILD_TESTING=OFF leaves the C++ tests out, which are most of the work.
# Python packages are linked, not copied: an edit needs no second build (a new entry point or data file does).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The overlay itself must not be on the path while it is being built.
HIL_SERL_NO_OVERLAY=1 source tools/env.sh
python="$PWD/.venv/bin/python"

# The set-up asks for the compilers' own lines, to show how far they are.
direct=console_direct-
[ -z "${HIL_SERL_BUILD_LINES:-}" ] || direct=console_direct+
# A data file that is gone from the source leaves its link behind, on which setup.py would stop.
[ ! -d build ] || [ ! -d install ] || find build install -xtype l -delete
select=()
[ $# -eq 0 ] || select=(--packages-select "$@")
# -Wno-deprecated: of gtest's own CMakeLists.txt, which nobody who builds this can change.
exec "$python" -m colcon --log-base log build \
  --symlink-install --executor sequential --metas colcon.meta "${select[@]}" \
  --event-handlers "$direct" console_cohesion- console_start_end+ \
  --cmake-args -DPython3_EXECUTABLE="$python" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING="${BUILD_TESTING:-ON}" -Wno-deprecated
