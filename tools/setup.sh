#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Finds a Python to start the set-up with, then hands over to tools/bootstrap (standard library only).
# --tests builds the C++ tests too. Variables: PYTHON=python3.12  TORCH=auto|cpu|cuda  ROS=auto|wheels|system
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usable() { # 3.11 or 3.12, 64 bit; `sys.executable` looks through version managers' shims
  _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12) and sys.maxsize > 2**32))' \
    >/dev/null 2>&1
}

find_python() {
  local candidate
  # With ROS 2 sourced, rclpy is compiled for the system's Python and for no other.
  if [ "${ROS_DISTRO:-}" = jazzy ] && [ "${ROS:-auto}" != wheels ] && usable /usr/bin/python3 \
      && /usr/bin/python3 -c 'import rclpy' >/dev/null 2>&1; then
    echo /usr/bin/python3
    return
  fi
  # The environment's own, so that a shell with another Python first on its path does not make it anew.
  # An unquoted ~ is known to bash without HOME too.
  for candidate in ${PYTHON:+"$PYTHON"} "$root/.venv/bin/python" python3 python3.12 python3.11 /usr/bin/python3 \
      ~/.pyenv/versions/3.1[12].*/bin/python3; do
    if command -v "$candidate" >/dev/null 2>&1 && usable "$candidate"; then echo "$candidate"; return; fi
  done
  return 1
}

if [ -n "${PYTHON:-}" ] && ! usable "$PYTHON"; then
  echo "setup: PYTHON=$PYTHON is not a working Python 3.11 or 3.12." >&2
  exit 1
fi
if ! python="$(find_python)"; then
  apt=(apt-get install -y --no-install-recommends python3 python3-venv python3-dev)
  # A mirror that does not answer is given up.
  patience=(-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1 -o DPkg::Lock::Timeout=120)
  if ! command -v apt-get >/dev/null; then
    echo "setup: needs Python 3.11 or 3.12 (64 bit); none was found." >&2
    exit 1
  elif [ "$(id -u)" = 0 ]; then
    echo "setup: installing Python with apt"
    { apt-get update -qq "${patience[@]}" && DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${patience[@]}"; } </dev/null >/dev/null
  elif sudo -n true 2>/dev/null; then
    echo "setup: installing Python with apt (sudo)"
    { sudo -n apt-get update -qq "${patience[@]}" && sudo -n "${apt[@]}" "${patience[@]}"; } </dev/null >/dev/null
  else
    echo "setup: needs Python 3.11 or 3.12; install it with: sudo ${apt[*]}" >&2
    exit 1
  fi
  if ! python="$(find_python)"; then
    echo "setup: the system's Python is neither 3.11 nor 3.12; name one with PYTHON=/path/to/python3.12" >&2
    exit 1
  fi
fi
# Variables of an already active environment would leak into the one being made.
unset VIRTUAL_ENV PYTHONHOME
# The ROS wheels' start-up hook would start Python a second time.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$root/tools/bootstrap" "$@"
