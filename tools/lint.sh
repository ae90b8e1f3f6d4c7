#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is checked without running anything: style and faults (ruff), layout (ruff format), types (mypy), spelling (codespell).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tool() { .venv/bin/"$1" "${@:2}"; }

tool ruff check
tool ruff format --check
tool mypy src/hil_serl_*/hil_serl_*
git ls-files -z -- '*.py' '*.md' '*.rst' '*.cpp' '*.hpp' '*.sh' '*.yaml' '*.xml' '*.msg' '*.srv' ':!docs/results' |
  xargs -0 -r .venv/bin/codespell
