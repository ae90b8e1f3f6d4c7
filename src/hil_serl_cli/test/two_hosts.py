# SPDX-License-Identifier: Apache-2.0
"""Two machines on one: network namespaces joined by a cable that loses packets and can be pulled out."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

from hil_serl_core.testing.waiting import PATIENCE

ADDRESSES = {"robot": "10.213.57.1", "gpu": "10.213.57.2"}


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def lacking() -> str:
    """Why there can be no such machines here; empty if there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for program in ("ip", "nft", "unshare"):
        if shutil.which(program) is None:
            return f"needs the program '{program}' (Debian: iproute2, nftables, util-linux)"
    name = f"hs{os.getpid()}probe"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "exec", name, "nft", "add", "table", "netdev", "probe")
    except OSError as error:
        return f"this kernel does not allow network namespaces with packet filters: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


class TwoHosts:
    """``robot`` and ``gpu``, each with its own network and shared memory; a context manager."""

    def __init__(self) -> None:
        self._spaces = {host: f"hs{os.getpid()}{host}" for host in ADDRESSES}
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> TwoHosts:
        for host, space in self._spaces.items():
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
            if host == "gpu":
                peer = self._spaces["robot"]
                _run(
                    "ip",
                    "-n",
                    space,
                    "link",
                    "add",
                    "cable",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "cable",
                    "netns",
                    peer,
                )
        for host, space in self._spaces.items():
            _run("ip", "-n", space, "addr", "add", f"{ADDRESSES[host]}/24", "dev", "cable")
        self.plug(True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            self.end(process, signal.SIGKILL)
        for space in self._spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def plug(self, connected: bool) -> None:
        """Plugs the cable in, or out."""
        for space in self._spaces.values():
            _run("ip", "-n", space, "link", "set", "cable", "up" if connected else "down")
            if connected:  # the kernel forgets routes of a link that is down
                _run("ip", "-n", space, "route", "replace", "224.0.0.0/4", "dev", "cable")

    def filter(self, *rules: str) -> None:
        """Packet rules on what each host receives, before fragments are put together."""
        hook = 'type filter hook ingress device "cable" priority 0; policy accept;'
        lines = ["table netdev wire {", "chain received {", hook, *rules, "}", "}"]
        for space in self._spaces.values():
            _run("ip", "netns", "exec", space, "nft", "-f", "-", text="\n".join(lines) + "\n")

    def lose(self, share: float) -> None:
        """Loses a share of the packets at random, in both directions."""
        self.filter(f"numgen random mod 10000 < {round(10000 * share)} counter drop", "counter")

    def counted(self, host: str) -> tuple[int, int]:
        """Packets dropped and let through by :meth:`lose`."""
        text = _run("ip", "netns", "exec", self._spaces[host], "nft", "list", "table", "netdev", "wire")
        dropped, passed = (int(part.split()[0]) for part in text.split("counter packets ")[1:])
        return dropped, passed

    def start(self, host: str, *command: str, **variables: str) -> subprocess.Popen[str]:
        """A program on one of the machines."""
        environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", **variables}
        own_memory = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
        inside = ["ip", "netns", "exec", self._spaces[host], "unshare", "--mount", "--ipc"]
        process = subprocess.Popen(
            [*inside, "sh", "-c", own_memory, "sh", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def tool(self, host: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """``hil-serl`` on one of the machines."""
        words = (str(argument) for argument in arguments)
        return self.start(host, sys.executable, "-m", "hil_serl_cli.cli", *words, **variables)

    @staticmethod
    def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> None:
        """Ends a program and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()
