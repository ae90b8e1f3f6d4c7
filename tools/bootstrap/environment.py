# SPDX-License-Identifier: Apache-2.0
"""The Python environment: interpreter, locked packages, ROS from wheels or from the system."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from console import Console, SetupError
from stamps import Stamps, hash_of

# A set-up that is started with the environment's own Python must not make the environment from itself.
BASE_PYTHON: str = getattr(sys, "_base_executable", None) or sys.executable

# pip's own settings, unless the user has others: a source that does not answer is given up within a minute, not two.
PATIENCE = {"PIP_DEFAULT_TIMEOUT": "15", "PIP_RETRIES": "2"}
UNANSWERED = (
    "timed out",
    "Connection refused",
    "NewConnectionError",
    "Temporary failure in name resolution",
    "ProxyError",
)
SOURCES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "HTTPS_PROXY",
    "https_proxy",
)

# Headers of the machine that built the wheels, written into their CMake exports.
FOREIGN_PYTHON = re.compile(
    rb"/opt/python/cp3\d+-cp3\d+(?:(?P<numpy>/lib/python3\.\d+/site-packages/numpy/_core/include)"
    rb"|(?P<python>/include/python3\.\d+))?"
)


@dataclass(frozen=True)
class Layout:
    """Where things are in one clone."""

    root: Path

    @property
    def venv(self) -> Path:
        """The environment's folder."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def state(self) -> Path:
        """What the set-up remembers."""
        return self.venv / "hil-serl"

    @property
    def requirements(self) -> Path:
        """Locked versions."""
        return self.root / "requirements"

    @property
    def site(self) -> Path:
        """The environment's site-packages."""
        return self.venv / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"

    @property
    def base_lock(self) -> Path:
        """Lock file of the running interpreter's version."""
        return self.requirements / f"base-py3{sys.version_info[1]}.txt"


def system_ros(layout: Layout) -> Path | None:
    """Prefix of the ROS 2 Jazzy installation to use, or None for the wheels.

    A sourced installation is taken (`ROS=wheels` forbids it); once taken it stays, also from a shell where
    it is not sourced, as long as it exists.

    Raises:
        SetupError: `ROS=system` was asked for and there is none.
    """
    wish = os.environ.get("ROS") or "auto"
    if wish not in ("auto", "wheels", "system"):
        raise SetupError(f"ROS={wish} is not one of: auto, wheels, system")
    if wish == "wheels":
        return None
    candidates = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if entry]
    remembered = layout.state / "ros_prefix"
    if os.environ.get("ROS_DISTRO") != "jazzy":
        candidates = [Path(remembered.read_text())] if remembered.is_file() else []
    for prefix in candidates:
        if layout.root in prefix.parents or not (prefix / "setup.sh").is_file():
            continue  # a workspace of ours, or the wheels' environment
        if any(prefix.glob("lib/python3*/site-packages/rclpy/__init__.py")):
            return prefix
    if wish == "system":
        raise SetupError(
            "ROS=system, but ROS 2 Jazzy is not sourced: source /opt/ros/jazzy/setup.bash first."
        )
    return None


def make_venv(layout: Layout, stamps: Stamps, console: Console, ros: Path | None) -> None:
    """Creates the environment, anew if it was made for another place, interpreter or kind of ROS."""
    key = hash_of("venv-1", str(layout.root), sys.version, os.path.realpath(BASE_PYTHON), str(ros))
    if stamps.done("venv", key) and layout.python.exists():
        return
    if layout.venv.is_symlink():  # of another clone, perhaps: nothing here is removed for it
        raise SetupError(
            f"{layout.venv} is a link to {layout.venv.resolve()}, which was made for another place or Python; "
            f"remove the link: rm {shlex.quote(str(layout.venv))}"
        )
    with console.step(f"Python {sys.version.split()[0]} environment in .venv"):
        for stale in (layout.venv, *(layout.root / name for name in ("build", "install", "log"))):
            shutil.rmtree(stale, ignore_errors=True)
        system = ["--system-site-packages"] if ros else []
        console.run([BASE_PYTHON, "-m", "venv", *system, str(layout.venv)], "venv.log")
        with stamps.doing("venv", key):
            if ros:
                (layout.state / "ros_prefix").write_text(str(ros))
            else:
                # Lets colcon see a ROS prefix here; there is nothing to source.
                (layout.venv / "local_setup.sh").touch()
            write_launcher(layout)


def write_launcher(layout: Layout) -> None:
    """Writes `.venv/bin/hil-serl`, which needs no sourcing."""
    launcher = layout.venv / "bin" / "hil-serl"
    launcher.write_text(
        "#!/usr/bin/env bash\n# Written by the set-up.\n"
        f'source {shlex.quote(str(layout.root))}/tools/env.sh || exit 1\nexec python -m hil_serl_cli.cli "$@"\n'
    )
    launcher.chmod(0o755)


def pip(layout: Layout, console: Console, *arguments: str) -> None:
    """Runs the environment's pip; output in pip.log.

    Raises:
        SetupError: pip failed; where its sources did not answer, the message says which those are.
    """
    command = [str(layout.python), "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    try:
        console.run(command, "pip.log", env={**PATIENCE, **os.environ})
    except SetupError as error:
        raise SetupError(f"{error}{_sources(str(error))}") from error


def _sources(text: str) -> str:
    """Where pip looks, if what it printed last says that it was not answered."""
    if not any(words in text for words in UNANSWERED):
        return ""
    told = [f"{name}={value}" for name in SOURCES if (value := os.environ.get(name))]
    return (
        f"\nThe package index did not answer ({', '.join(told) or 'as pip is configured'}). Check the network, a proxy "
        "(HTTPS_PROXY) or name a mirror (PIP_INDEX_URL=...); the same command goes on from here."
    )


def damaged(site: Path) -> list[Path]:
    """Metadata folders of packages that are only partly there, as a killed pip leaves them."""
    found = []
    for info in site.glob("*.dist-info"):
        record = info / "RECORD"
        if not record.is_file() or not (info / "INSTALLER").is_file():
            found.append(info)
            continue
        with record.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.reader(stream) if row]
        for name, _, size in rows:
            path = site / name
            # Byte code comes and goes; CMake exports are rewritten below.
            if name.endswith((".pyc", ".cmake")):
                continue
            if not path.exists() or (size and path.stat().st_size != int(size)):
                found.append(info)
                break
    return found


def install(
    layout: Layout, stamps: Stamps, console: Console, step: str, title: str, key: str, *args: str
) -> bool:
    """Runs one `pip install` unless it is stamped as done; returns whether it ran."""
    if stamps.done(step, key):
        return False
    with console.step(title):
        if stamps.interrupted(step):
            for info in damaged(layout.site):
                shutil.rmtree(info)
        with stamps.doing(step, key):
            pip(layout, console, "install", *args)
    return True


def rewrite_exports(layout: Layout) -> int:
    """Points the ROS wheels' CMake exports at this machine's headers; returns how many files changed."""
    run = [str(layout.python), "-c", "import numpy; print(numpy.get_include())"]
    numpy = (
        subprocess.run(
            run,
            check=True,
            capture_output=True,
            text=True,
        )
        .stdout.strip()
        .encode()
    )
    python = sysconfig.get_paths()["include"].encode()

    def here(match: re.Match[bytes]) -> bytes:
        return numpy if match["numpy"] else python if match["python"] else str(layout.venv).encode()

    changed = 0
    for path in layout.venv.glob("share/**/*.cmake"):
        text = path.read_bytes()
        new = FOREIGN_PYTHON.sub(here, text)
        if new != text:
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(new)
            temporary.replace(path)
            changed += 1
    return changed


def install_base(layout: Layout, stamps: Stamps, console: Console, ros: Path | None) -> None:
    """Installs the locked packages, the robot models and, unless ROS is the system's, the ROS wheels."""
    lock = layout.base_lock
    if not lock.is_file():
        raise SetupError(
            f"there is no {lock.name}: Python {sys.version.split()[0]} is not supported; use 3.11 or 3.12"
        )
    install(
        layout,
        stamps,
        console,
        "base",
        "Python packages (about 350 MB to download, 1.1 GB on disk)",
        hash_of(lock),
        "--no-deps",  # the locks are complete: there is nothing to resolve
        "-r",
        str(lock),
    )
    models = layout.requirements / "models.txt"
    install(
        layout, stamps, console, "models", "Robot models", hash_of(models), "--no-deps", "-r", str(models)
    )
    if ros is None:
        wheels = layout.requirements / "ros-jazzy.txt"
        key = hash_of(wheels, lock)
        install(
            layout,
            stamps,
            console,
            "ros",
            "ROS 2 Jazzy wheels (about 30 MB)",
            key,
            "--no-deps",
            "-r",
            str(wheels),
        )
        if not stamps.done("exports", key):
            with stamps.doing("exports", key):
                rewrite_exports(layout)
