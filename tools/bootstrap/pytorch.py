# SPDX-License-Identifier: Apache-2.0
"""Which build of PyTorch to take: the CPU build unless CUDA is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from console import Console, SetupError
from environment import Layout, install
from stamps import Stamps, hash_of

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_SIZE = "about 2.6 GB to download, 6 GB on disk"
CPU_SIZE = "about 190 MB to download, 750 MB on disk"
PROBE_S = 12.0  # in all, for an index that may not be reachable at all


def wish() -> str:
    """The user's choice: auto, cpu or cuda.

    Raises:
        SetupError: TORCH has another value.
    """
    value = os.environ.get("TORCH") or "auto"
    if value not in ("auto", "cpu", "cuda"):
        raise SetupError(f"TORCH={value} is not one of: auto, cpu, cuda")
    return value


def has_nvidia() -> bool:
    """Whether an NVIDIA GPU and its driver are there."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def resolved(layout: Layout, requirement: str, *arguments: str) -> str | None:
    """The version pip would take for `requirement` with these arguments; None if none, or not in time."""
    command = [
        str(layout.python),
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--report",
        "-",
        *arguments,
        requirement,
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_S,
            check=True,
        )
        return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])
    except (subprocess.SubprocessError, ValueError, LookupError):
        return None


def cpu_arguments(layout: Layout, pin: str) -> list[str] | None:
    """Arguments for pip that get the CPU build, or None where it is not to be had.

    What pip is configured with comes first (a local folder, a company's index): asking it costs nothing. Then
    PyTorch's own index, with a short time-out, since many machines cannot reach it.
    """
    if resolved(layout, f"{pin}+cpu"):
        return [f"{pin}+cpu"]
    index = ["--extra-index-url", CPU_INDEX]
    if resolved(layout, f"{pin}+cpu", *index, "--timeout", "4", "--retries", "0"):
        return [f"{pin}+cpu", *index]
    return None


def ensure(layout: Layout, stamps: Stamps, console: Console) -> None:
    """Installs PyTorch as asked for.

    The choice is remembered: a later set-up without TORCH keeps a CUDA build that was once asked for.
    """
    pins = layout.requirements / "torch.txt"
    pin = next(line for line in pins.read_text().splitlines() if line and not line.startswith("#"))
    chosen, remembered = wish(), layout.state / "torch"
    if chosen == "auto" and remembered.is_file() and remembered.read_text() == "cuda":
        chosen = "cuda"
    cuda = chosen == "cuda"
    lock = layout.base_lock
    key = hash_of("cuda" if cuda else "cpu", pins, lock)
    if stamps.done("torch", key):
        return
    if cuda:
        if not has_nvidia():
            console.say(
                "setup: TORCH=cuda, but no NVIDIA driver is found here; PyTorch will compute on the CPU."
            )
        title, arguments = f"PyTorch for CUDA ({CUDA_SIZE})", [pin, "-c", str(lock)]
    else:
        if has_nvidia():
            console.say(
                "setup: there is an NVIDIA GPU; `make setup TORCH=cuda` uses it. Taking the CPU build."
            )
        begin = time.monotonic()
        found = cpu_arguments(layout, pin)
        if found:
            title, arguments = f"PyTorch for the CPU ({CPU_SIZE})", [*found, "--no-deps"]
        else:
            console.say(
                f"setup: no CPU build of PyTorch can be reached (asked pip's own sources and {CPU_INDEX}, "
                f"{time.monotonic() - begin:.0f} s); the plain build brings CUDA along: {CUDA_SIZE}. "
                "Ctrl-C to stop."
            )
            title, arguments = f"PyTorch, plain build ({CUDA_SIZE})", [pin, "-c", str(lock)]
    # A CPU build satisfies the plain pin, so a change of mind must say so.
    there = [info.name for info in layout.site.glob("torch-*.dist-info")]
    switch = ["--force-reinstall"] if any(("+cpu" in name) == cuda for name in there) else []
    remembered.write_text("cuda" if cuda else "cpu")
    install(layout, stamps, console, "torch", title, key, *arguments, *switch)
