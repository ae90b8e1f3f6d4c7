# SPDX-License-Identifier: Apache-2.0
"""What the packages declare: their licence, and that they have tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADER = "SPDX-License-Identifier: Apache-2.0"
SOURCES = ("*.py", "*.cpp", "*.hpp", "*.cmake", "*CMakeLists.txt", "*.sh", "*.yaml", "*.yml")
HEAD_LINES = 6  # an interpreter line or an XML declaration may come before


def test_every_source_file_names_its_licence():
    """By the SPDX identifier; ament_copyright knows only the long header."""
    listing = subprocess.run(
        ["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git clone")
    files = [ROOT / name for name in listing.stdout.split() if (ROOT / name).is_file()]
    assert files
    texts = {path: path.read_text() for path in files}
    without = [
        str(path.relative_to(ROOT))
        for path, text in texts.items()
        if text and not any(HEADER in line for line in text.splitlines()[:HEAD_LINES])
    ]
    assert not without, f"no '{HEADER}' at the top of: {', '.join(without)}"


def test_every_package_declares_the_licence_that_lies_beside():
    packages = sorted(ROOT.glob("src/*/package.xml"))
    declared = {path.parent.name: ElementTree.parse(path).findtext("license") for path in packages}
    assert declared
    assert set(declared.values()) == {"Apache-2.0"}, declared
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


def test_colcon_runs_the_tests_of_every_python_package():
    """It runs none where pytest is no declared dependency of the tests, and calls that a success."""
    tested = sorted(path for path in ROOT.glob("src/*/setup.py") if (path.parent / "test").is_dir())
    assert tested
    without = [
        path.parent.name for path in tested if 'extras_require={"test": ["pytest"]' not in path.read_text()
    ]
    assert not without


def test_the_tool_is_on_the_path_of_a_sourced_workspace():
    """Not only in the environment of this repository: a person's own workspace has no such environment."""
    tool = shutil.which("hil-serl")
    assert tool is not None
    assert Path(tool).parent == ROOT / "install" / "hil_serl_cli" / "bin"
    done = subprocess.run([tool, "tasks", "ram_insertion"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ram_insertion" in done.stdout
