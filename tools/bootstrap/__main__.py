# SPDX-License-Identifier: Apache-2.0
"""Sets a clone up: system packages, environment, workspace. Does only what is not done yet.

It can be interrupted at any moment; the next run goes on.

Started by tools/setup.sh; needs nothing but Python's standard library.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import BinaryIO

import environment
import pytorch
import system
import workspace
from console import Console, SetupError, end_orphans
from environment import Layout
from stamps import Stamps

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "src" / "hil_serl_cli"))
from hil_serl_cli.doctor.location import trouble_with  # noqa: E402 - of the clone itself, nothing is installed yet

NEEDED_GB = 4.0


def lock(console: Console) -> BinaryIO:
    """Holds the clone's lock until the process ends, however it ends."""
    stream = Path(__file__).open("rb")  # noqa: SIM115 - held open on purpose
    waiting = False
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            if not waiting:
                console.say("setup: another set-up of this clone is running; waiting for it")
            waiting = True
            time.sleep(1)


def check_machine(layout: Layout) -> None:
    """Refuses machines and places in which nothing below can work.

    Raises:
        SetupError: wrong operating system or processor, a path that tools cannot cope with, or too little disk for a first
            set-up.
    """
    typed = Path(os.path.abspath(__file__)).parents[2]  # the name by which the scripts call it, links kept
    trouble = trouble_with([layout.root, typed])
    if trouble:
        raise SetupError(": ".join(trouble))
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SetupError(
            f"needs Linux on x86-64 (the ROS wheels exist for nothing else), not {platform.platform()}"
        )
    free = shutil.disk_usage(layout.root).free / 1e9
    if not layout.venv.exists() and free < NEEDED_GB:
        raise SetupError(f"needs {NEEDED_GB:.0f} GB of disk in {layout.root}; {free:.1f} GB are free")


def setup(layout: Layout, console: Console, tests: bool) -> bool:
    """Runs every step that is not done; returns whether there was anything to do."""
    stamps = Stamps(layout.state / "stamps")
    begun = console.title
    system.ensure(console)
    ros = environment.system_ros(layout)
    environment.make_venv(layout, stamps, console, ros)
    environment.install_base(layout, stamps, console, ros)
    pytorch.ensure(layout, stamps, console)
    workspace.choose_renderer(layout, stamps, console)
    workspace.build(layout, stamps, console, tests)
    return console.title != begun


def main() -> int:
    """Entry point."""
    for stream in (sys.stdout, sys.stderr):  # names of files in every terminal
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    layout = Layout(ROOT)
    console = Console(layout.root / "log" / "setup", layout.root)
    try:
        check_machine(layout)
        held = lock(console)
        if end_orphans(layout.root):
            console.say("setup: ended what an interrupted set-up had left running")
        if setup(layout, console, tests="--tests" in sys.argv[1:]):
            console.say(f"setup: ready after {time.monotonic() - console.start:.0f} s")
        held.close()
    except SetupError as error:
        console.say("")
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.say("")
        print("setup: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
