# SPDX-License-Identifier: Apache-2.0
"""Runs the C++ tests that colcon built, each GTest case as a test of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A package with C++ tests names each executable with ament_add_gtest(NAME ...).
DECLARATION = re.compile(r"^\s*ament_add_gtest\(\s*(\w+)", re.MULTILINE)


def binaries() -> list[Path]:
    """Test executables that the packages declare."""
    lists = sorted((ROOT / "src").glob("*/CMakeLists.txt"))
    return [
        ROOT / "build" / path.parent.name / name
        for path in lists
        for name in DECLARATION.findall(path.read_text())
    ]


def cases(binary: Path) -> list[str]:
    """Names of all cases in `binary`, as --gtest_filter takes them; one entry if it is not built."""
    if not binary.exists():
        return ["NOT_BUILT"]
    listing = subprocess.run(
        [binary, "--gtest_list_tests"], check=True, capture_output=True, text=True
    ).stdout
    found, suite = [], ""
    for line in listing.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            found.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return found


ALL = [
    pytest.param(binary, case, id=f"{binary.name}-{case}") for binary in binaries() for case in cases(binary)
]


def test_there_are_cpp_tests() -> None:
    assert binaries()


@pytest.mark.parametrize(("binary", "case"), ALL)
def test_gtest(binary: Path, case: str) -> None:
    """One case, in a process of its own."""
    assert binary.exists(), f"{binary} is not built: run tools/build.sh"
    done = subprocess.run([binary, f"--gtest_filter={case}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  PASSED  ] 1 test" in done.stdout, done.stdout
