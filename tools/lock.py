#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Locks requirements/*.in into exact versions, for one Python version at a time.

    python3.11 tools/lock.py --python python3.11 --python python3.12

For each interpreter a throw-away environment asks pip for the resolution of everything together. PyTorch
takes part, so that its own dependencies are locked with the rest, but it is left out of the result: which
build of it is taken is decided when the environment is made. The ROS wheels must resolve alike for every
interpreter.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
# Parts of the CUDA build; they come with `TORCH=cuda` only.
CUDA = re.compile(r"^(torch|triton|nvidia-.*|cuda-.*)$")


def resolve(python: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Returns the interpreter's short version ("311") and {name: version} of the whole resolution."""
    venv = folder / "venv"
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    inner = str(venv / "bin" / "python")
    subprocess.run([inner, "-m", "pip", "install", "-q", "-U", "pip"], check=True)
    report = folder / "report.json"
    files = [
        arg for name in ("base.in", "ros-jazzy.in", "torch.txt") for arg in ("-r", str(REQUIREMENTS / name))
    ]
    subprocess.run(
        [
            inner,
            "-m",
            "pip",
            "install",
            "-q",
            "--dry-run",
            "--ignore-installed",
            "--report",
            str(report),
            *files,
        ],
        check=True,
    )
    code = "import sys; print('%d%d' % sys.version_info[:2])"
    version = subprocess.run([inner, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    items = (entry["metadata"] for entry in json.loads(report.read_text())["install"])
    return version, {re.sub(r"[-_.]+", "-", item["name"]).lower(): item["version"] for item in items}


def write(path: Path, header: str, pins: dict[str, str]) -> None:
    """Writes `pins` sorted by name, one exact version per line."""
    lines = [f"{name}=={version}" for name, version in sorted(pins.items())]
    path.write_text("\n".join([f"# {header} Written by tools/lock.py; do not edit.", *lines, ""]))
    print(f"{path.name}: {len(lines)} packages")


def main() -> int:
    """Resolves for every interpreter given and writes the lock files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", help="interpreter to lock for; may be repeated")
    ros_pins: dict[str, str] | None = None
    for python in parser.parse_args().python or [sys.executable]:
        with tempfile.TemporaryDirectory() as folder:
            version, pins = resolve(python, Path(folder))
        ros = {name: pin for name, pin in pins.items() if name.startswith("ros-") or name == "lark-parser"}
        base = {name: pin for name, pin in pins.items() if name not in ros and not CUDA.match(name)}
        write(
            REQUIREMENTS / f"base-py{version}.txt",
            f"Exact versions for Python {version[0]}.{version[1:]}.",
            base,
        )
        if ros_pins not in (None, ros):
            print("the ROS wheels resolve differently for these interpreters", file=sys.stderr)
            return 1
        ros_pins = ros
        write(REQUIREMENTS / "ros-jazzy.txt", "ROS 2 Jazzy as wheels, exact versions.", ros)
    return 0


if __name__ == "__main__":
    sys.exit(main())
