# SPDX-License-Identifier: Apache-2.0
"""The doctor's checks of devices, kernel, memory and disk."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from pathlib import Path

from hil_serl_cli.doctor.machine import Check, Machine, Status

SPACEMOUSE_VENDORS = ("0000046D", "0000256F")  # Logitech (older 3Dconnexion devices), 3Dconnexion
DISK_GB, DISK_RUN_GB, SHM_MB, MEMORY_GB = 2.0, 0.5, 64.0, 3.5

_CAP_SYS_NICE = 23  # bit of /proc/PID/status
_ACTOR_NICE = -10  # as a robot file asks by default


def spacemouse(machine: Machine) -> Check:
    """A SpaceMouse that this user may read."""
    cost = "no intervention with a SpaceMouse; operator:=scripted, joy or keyboard do without"
    devices = [
        path.name
        for path in sorted(machine.root.glob("sys/class/hidraw/hidraw*"))
        if any(
            vendor in machine.text(f"sys/class/hidraw/{path.name}/device/uevent").upper()
            and "SPACE" in machine.text(f"sys/class/hidraw/{path.name}/device/uevent").upper()
            for vendor in SPACEMOUSE_VENDORS
        )
    ]
    if not devices:
        return Check(
            "SpaceMouse",
            Status.NOTE,
            "none is plugged in",
            cost,
            "plug one in; its driver: sudo apt-get install -y spacenavd ros-jazzy-spacenav",
        )
    driver = any((machine.root / path).exists() for path in ("run/spnav.sock", "var/run/spnav.sock"))
    if driver:
        return Check("SpaceMouse", Status.OK, f"{', '.join(devices)}, spacenavd is running")
    return Check(
        "SpaceMouse",
        Status.NOTE,
        f"{', '.join(devices)}, but spacenavd is not running",
        cost,
        "sudo apt-get install -y spacenavd && sudo systemctl start spacenavd",
    )


def gamepad(machine: Machine) -> Check:
    """A gamepad that this user may read."""
    cost = "no intervention with a gamepad (operator:=joy)"
    devices = sorted(machine.root.glob("dev/input/js*"))
    if not devices:
        return Check(
            "Gamepad", Status.NOTE, "none is plugged in", cost, "plug one in, or use another operator"
        )
    if not any(os.access(path, os.R_OK) for path in devices):
        return Check(
            "Gamepad",
            Status.NOTE,
            f"{devices[0].name} is not readable",
            cost,
            "sudo usermod -aG input $USER, then log in again",
        )
    return Check("Gamepad", Status.OK, ", ".join(path.name for path in devices))


def realtime(machine: Machine) -> Check:
    """Real-time limits and kernel; only a real arm's 1 kHz loop needs them."""
    limit = _rtprio(machine)
    kernel = machine.text("sys/kernel/realtime").strip() == "1" or "PREEMPT_RT" in platform.version()
    finding = f"{'PREEMPT_RT' if kernel else 'ordinary'} kernel, rtprio limit {limit}"
    if kernel and limit >= 80:
        return Check("Real time", Status.OK, finding)
    remedy = []
    if limit < 80:
        remedy.append("add '@realtime - rtprio 99' to /etc/security/limits.conf and yourself to that group")
    if not kernel:
        remedy.append("install a PREEMPT_RT kernel")
    return Check(
        "Real time",
        Status.NOTE,
        finding,
        "a real arm's 1 kHz loop may miss its deadline; the simulator does not need it",
        "; ".join(remedy),
    )


def priority(machine: Machine) -> Check:
    """Whether actor and cell may go before other processes; only a real cell needs it."""
    best = _nicest(machine)
    finding = f"niceness down to {best}, the actor of a real cell asks for {_ACTOR_NICE}"
    if best <= _ACTOR_NICE:
        return Check("Priority", Status.OK, finding)
    return Check(
        "Priority",
        Status.NOTE,
        finding,
        "on a busy machine a real arm's actor may be late, and the control law then holds; the simulator waits",
        f"add '@realtime - nice {_ACTOR_NICE}' to /etc/security/limits.conf and yourself to that group, then log in again",
    )


def _nicest(machine: Machine) -> int:
    """Lowest niceness this user may take (ulimit -e); with CAP_SYS_NICE any."""
    for line in machine.text("proc/self/status").splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> _CAP_SYS_NICE & 1:
            return -20
    hard = resource.getrlimit(resource.RLIMIT_NICE)[1]
    return -20 if hard == resource.RLIM_INFINITY else min(19, 20 - int(hard))


def _rtprio(machine: Machine) -> int:
    """Highest real-time priority this user may take (ulimit -r); root may take any."""
    if os.geteuid() == 0 and machine.root == Path("/"):
        return 99
    hard = resource.getrlimit(resource.RLIMIT_RTPRIO)[1]
    return 99 if hard == resource.RLIM_INFINITY else int(hard)


def disk(machine: Machine) -> Check:
    """Space for runs."""
    free = shutil.disk_usage(machine.workspace).free / 1e9
    if free >= DISK_GB:
        return Check("Disk", Status.OK, f"{free:.0f} GB free in {machine.workspace}", required=True)
    status = Status.NOTE if free >= DISK_RUN_GB else Status.MISSING
    return Check(
        "Disk",
        status,
        f"{free:.1f} GB free in {machine.workspace}",
        "a run stops when the disk is full",
        "delete old runs (runs/), or hil-serl --run-dir elsewhere",
        True,
    )


def shared_memory(machine: Machine) -> Check:
    """Shared memory, through which DDS passes messages between processes of one machine."""
    folder = machine.root / "dev/shm"
    try:
        free = shutil.disk_usage(folder).free / 1e6
        writable = os.access(folder, os.W_OK)
    except OSError:
        free, writable = 0.0, False
    if writable and free >= SHM_MB:
        return Check("Shared memory", Status.OK, f"{free:.0f} MB free in /dev/shm")
    return Check(
        "Shared memory",
        Status.NOTE,
        f"{free:.0f} MB free in /dev/shm{'' if writable else ', not writable'}",
        "DDS falls back to UDP: more time per image",
        "in a container: --shm-size=512m or --ipc=host",
    )


def processor(machine: Machine) -> Check:
    """Cores and memory."""
    cores = len(os.sched_getaffinity(0))
    words = machine.text("proc/meminfo").split()
    memory = int(words[words.index("MemTotal:") + 1]) / 1e6 if "MemTotal:" in words else 0.0
    finding = f"{cores} cores, {memory:.0f} GB of memory"
    if cores >= 2 and memory >= MEMORY_GB:
        return Check("Processor", Status.OK, finding)
    return Check(
        "Processor",
        Status.NOTE,
        finding,
        "actor, learner and simulator share it: training takes longer",
        "2 cores and 4 GB are what the demo is made for",
    )
