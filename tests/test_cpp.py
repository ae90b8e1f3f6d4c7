# SPDX-License-Identifier: Apache-2.0
"""Runs the C++ tests that colcon built, each GTest case as a test of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted({path.parents[1].name for path in (ROOT / "src").glob("*/test/*.cpp")})
CASE = re.compile(r"^TEST(?:_F)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)


def binaries(package: str) -> list[Path]:
    """GTest executables that the package's build registered with CTest; none if it was not built with tests."""
    build = ROOT / "build" / package
    if not (build / "CTestTestfile.cmake").is_file():
        return []
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True, text=True
    )
    commands = [test.get("command", []) for test in json.loads(listing.stdout)["tests"]]
    return [Path(word) for command in commands for word in command if Path(word).parent == build]


def cases(binary: Path) -> list[str]:
    """Names of all cases in `binary`, as --gtest_filter takes them."""
    if not binary.exists():
        return []
    listing = subprocess.run([binary, "--gtest_list_tests"], check=True, capture_output=True, text=True)
    found, suite = [], ""
    for line in listing.stdout.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            found.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return found


BUILT = [(binary, case) for package in PACKAGES for binary in binaries(package) for case in cases(binary)]


def test_every_case_of_the_sources_is_built() -> None:
    """Otherwise a source left out of the build would count as passed."""
    sources = [
        path.read_text() for package in PACKAGES for path in (ROOT / "src" / package).glob("test/*.cpp")
    ]
    written = {f"{suite}.{name}" for text in sources for suite, name in CASE.findall(text)}
    assert written, "no TEST was found in src/*/test/*.cpp"
    missing = sorted(written - {case for _, case in BUILT})
    assert not missing, f"not built (run tools/build.sh): {', '.join(missing)}"


@pytest.mark.alone
@pytest.mark.parametrize(("binary", "case"), [pytest.param(*pair, id=pair[1]) for pair in BUILT])
def test_gtest(binary: Path, case: str) -> None:
    """One case, in a process of its own."""
    done = subprocess.run([binary, f"--gtest_filter={case}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[  PASSED  ] 1 test" in done.stdout, done.stdout


PLUGIN_TESTS = ROOT / "src" / "serl_impedance_controller" / "test"


@pytest.mark.parametrize(
    "file", ["mock/test_on_mujoco.py", "mock/test_mock_robot.py", "plugin/test_model_reference.py"]
)
def test_a_file_whose_needs_are_not_installed_is_skipped_by_ctest(file: str, tmp_path: Path) -> None:
    """CTest runs each file by itself, where pytest calls one that is skipped as a whole a failure."""
    for package in ("mujoco", "controller_manager_msgs"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", str(PLUGIN_TESTS / file)],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" in done.stdout
