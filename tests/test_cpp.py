# SPDX-License-Identifier: Apache-2.0
"""Runs the C++ tests that colcon built, each GTest case as a test of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.parent for path in (ROOT / "src").glob("*/test/*.cpp"))


def binaries(package: Path) -> list[Path]:
    """Test executables of `package`: one for each test/*.cpp that holds a TEST."""
    sources = [path for path in sorted(package.glob("test/*.cpp")) if "TEST" in path.read_text()]
    return [ROOT / "build" / package.name / path.stem for path in sources]


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
    pytest.param(binary, case, id=f"{binary.name}-{case}")
    for package in dict.fromkeys(PACKAGES)
    for binary in binaries(package)
    for case in cases(binary)
]


@pytest.mark.parametrize(("binary", "case"), ALL)
def test_gtest(binary: Path, case: str) -> None:
    """One case, in a process of its own."""
    assert binary.exists(), f"{binary} is not built: run tools/build.sh"
    done = subprocess.run([binary, f"--gtest_filter={case}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  PASSED  ] 1 test" in done.stdout, done.stdout
