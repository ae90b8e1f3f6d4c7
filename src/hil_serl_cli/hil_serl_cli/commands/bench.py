# SPDX-License-Identifier: Apache-2.0
"""`hil-serl bench`: measured speeds, sizes and latencies of this machine, printed and in bench.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hil_serl_bringup import tether
from hil_serl_bringup.graph.claims import claims_of_run
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec
from hil_serl_bringup.graph.robots import SIMULATED
from hil_serl_bringup.supervisor import Supervisor, interrupt_on_signals
from hil_serl_cli.measuring.bench_measures import made_up_steps
from hil_serl_cli.measuring.quantiles import quantiles
from hil_serl_cli.options import session
from hil_serl_cli.running import phases
from hil_serl_cli.running.phases import Setup
from hil_serl_core.spec import TaskSpec, task_to_yaml
from hil_serl_ros.domain import hold_domain
from hil_serl_ros.process_setup import log_arguments
from hil_serl_runs.run_folder import RunFolder, write_json
from hil_serl_runs.statistics import StopRule
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task, find_task_file

PEER = "hil_serl_cli.measuring.bench_peer"
HARDWARE = ("ram_insertion", "usb_insertion")
"""Tasks whose hardware files are measured in real time: two cameras of 128 px, and three and a gripper."""


def measure(name: str, task_file: Path, threads: int) -> dict[str, Any]:
    """Run one measurement of `bench_measures` in a process of its own.

    Raises:
        RuntimeError: It failed; the message has its last lines.
    """
    module = "hil_serl_cli.measuring.bench_measures"
    command = [sys.executable, "-m", module, name, str(task_file), "--threads", str(threads)]
    environment = {**os.environ, **THREAD_ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]
    done = subprocess.run(tied, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"measurement '{name}' failed:\n" + "\n".join(done.stderr.splitlines()[-8:]))
    return json.loads(done.stdout.splitlines()[-1])


def latencies(spec: TaskSpec, task_file: Path, logs: Path, steps: int = 100) -> dict[str, Any]:
    """Latency of steps into a replay, and of weights into a policy, between processes over DDS.

    A step's time runs from the call of publish in this process to its record and features being in the
    replay of the other. A weights message's time runs from just before publish there to the policy here
    having loaded it.
    """
    import rclpy
    import torch

    from hil_serl_core.policy import Policy
    from hil_serl_core.weights import unpack
    from hil_serl_msgs.msg import LearnerStatus, PolicyWeights
    from hil_serl_msgs.msg import Step as StepMessage
    from hil_serl_ros import names, qos
    from hil_serl_ros.conversions import step_to_message, weights_from_message
    from hil_serl_ros.stamps import stamp_to_ns

    torch.set_num_threads(1)
    policy = Policy(spec)
    sent: dict[int, int] = {}
    stored: dict[int, int] = {}
    received: list[tuple[float, float, int]] = []

    def on_weights(message: PolicyWeights) -> None:
        arrived = time.monotonic_ns()
        packed = weights_from_message(message)
        policy.load(unpack(packed, spec.hash, policy.shapes))
        began = stamp_to_ns(message.header.stamp)
        received.append(((arrived - began) * 1e-9, (time.monotonic_ns() - began) * 1e-9, len(packed.data)))

    def on_status(message: LearnerStatus) -> None:
        stored[message.acks[0].acknowledged] = stamp_to_ns(message.header.stamp)

    peer = ProcessSpec("bench_peer", "hil_serl_cli", "bench_peer", {"task": str(task_file)},
                       environment=dict(THREAD_ENVIRONMENT))  # fmt: skip
    rclpy.init(args=log_arguments())
    node = rclpy.create_node("bench")
    try:
        publisher = node.create_publisher(StepMessage, names.STEP, qos.STEP)
        node.create_subscription(LearnerStatus, names.LEARNER_STATUS, on_status, qos.LEARNER_STATUS)
        node.create_subscription(PolicyWeights, names.POLICY_WEIGHTS, on_weights, qos.POLICY_WEIGHTS)
        with Supervisor(
            [peer], logs, find=lambda _package, _name: [sys.executable, "-m", PEER]
        ) as supervisor:
            while not received or publisher.get_subscription_count() == 0:
                supervisor.poll()
                rclpy.spin_once(node, timeout_sec=0.1)
            received.clear()  # the first was latched
            for step in made_up_steps(spec, steps):
                message = step_to_message(step)
                sent[step.sequence] = time.monotonic_ns()
                publisher.publish(message)
                _spin_until(node, sent[step.sequence] * 1e-9 + spec.period)
                supervisor.poll()
            _spin_until(node, time.monotonic() + 1.0)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    delays = [(stored[number] - sent[number]) * 1e-9 for number in sent if number in stored]
    return {
        "step_to_replay": {**quantiles(delays), "lost": len(sent) - len(delays)},
        "weights_received": {**quantiles([r[0] for r in received]), "bytes": received[-1][2]},
        "weights_loaded": quantiles([r[1] for r in received]),
    }


def _spin_until(node: Any, deadline: float) -> None:
    import rclpy

    while (left := deadline - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=left)


def whole_system(task: TaskSpec, folder: Path, seconds: float) -> dict[str, Any]:
    """Speed and memory of all processes together: a few demonstrations, then training in lockstep."""
    run = RunFolder.create(task, 0, "bench", path=folder)
    setup = Setup()
    with session(run) as running:
        phases.demonstrations(running, setup, 5)
        outcome = phases.training(running, setup, StopRule(window=10**9, max_seconds=seconds))
        rows = running.log.of("train")
    span = rows[-1].wall - rows[0].wall if len(rows) > 1 else float("nan")
    steps = rows[-1].env_steps - rows[0].env_steps if len(rows) > 1 else 0
    memory = {name: peak / 2**20 for name, peak in outcome.peak_memory.items()}
    return {
        "env_steps_per_s": steps / span,
        "updates": outcome.learner.updates,
        "updates_per_s": outcome.learner.updates_per_second,
        "update_to_data": task.learner.update_to_data,
        "peak_memory_mb": {**memory, "total": sum(memory.values())},
    }


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


@dataclass
class Bench:
    """Measure this machine: control tick, simulator, updates, latencies, sizes, memory. Some minutes."""

    task: str = "ram_insertion"
    """Name of a task, or path of a task file."""
    output: Path = Path("bench.json")
    """File to write."""
    threads: int = 1
    """CPU threads of the learner's measurement."""
    system_seconds: float = 45.0
    """How long the whole system trains."""

    def run(self) -> int:
        """Measure, print and write."""
        console, spec = plain_console(), find_task(self.task)
        result: dict[str, Any] = {"task": spec.name, "machine": machine()}
        with tempfile.TemporaryDirectory(prefix="hil-serl-bench-") as temporary:
            folder = Path(temporary)
            task_file = folder / "task.yaml"
            task_file.write_text(task_to_yaml(spec), encoding="utf-8")
            for measurement in ("control_tick", "environment", "learner", "storage", "resume"):
                console.print(f"measuring {measurement} ...")
                result[measurement] = measure(measurement, task_file, self.threads)
            result["real_time"] = {}
            for name in HARDWARE:
                console.print(f"measuring the learner of {name} in real time ...")
                file = find_task_file(name, simulated=False)
                result["real_time"][name] = measure("real_time", file, self.threads)
            console.print("measuring latencies ...")
            with interrupt_on_signals(), hold_domain(claims_of_run(SIMULATED, "")):
                result["latency"] = latencies(spec, task_file, folder / "logs")
            console.print("measuring the whole system ...")
            result["system"] = whole_system(spec, folder / "run", self.system_seconds)
        write_json(self.output, result)
        console.print(bench_table(result))
        console.print(str(self.output.absolute()), highlight=False, soft_wrap=True, markup=False)
        return 0


def bench_table(result: dict[str, Any]) -> Table:
    """Results for people."""
    table = Table(
        "measured", "value", title=f"{result['machine']['cpu']}, {result['machine']['cores']} cores"
    )
    tick, env, learner = result["control_tick"]["pose"], result["environment"], result["learner"]
    latency, system, storage = result["latency"], result["system"], result["storage"]
    resume = result["resume"]
    step, weights = latency["step_to_replay"], latency["weights_loaded"]
    rows = (
        ("control tick, p50 / p99.9", f"{tick['p50_us']:.2f} / {tick['p99.9_us']:.2f} µs"),
        (
            "simulated cell, 2 cameras, no ROS",
            f"{env['steps_per_s']:.0f} steps/s ({env['times_real_time']:.0f} × real time)",
        ),
        (f"updates, batch {learner['batch']}, cached features", f"{learner['cached_updates_per_s']:.1f} /s"),
        (
            f"updates, batch {learner['batch']}, trunk every update",
            f"{learner['plain_updates_per_s']:.2f} /s",
        ),
        ("cached over plain", f"{learner['ratio']:.0f} ×"),
        ("averaging the policy over averaging the targets", f"{learner['average_over_polyak']:.1f} ×"),
        *(_real_time_row(name, measured) for name, measured in result["real_time"].items()),
        ("step, publish → in replay, p50 / p99", f"{step['p50_ms']:.1f} / {step['p99_ms']:.1f} ms"),
        ("weights, publish → in policy, p50 / p99", f"{weights['p50_ms']:.1f} / {weights['p99_ms']:.1f} ms"),
        ("weights message", f"{latency['weights_received']['bytes'] / 1e6:.2f} MB"),
        (
            "a stored step: replay + feature cache",
            f"{storage['replay_bytes'] / 1e3:.1f} + {storage['feature_cache_bytes'] / 1e3:.1f} kB",
        ),
        (
            "a stored step on the disk: bag + features",
            f"{storage['bag_bytes'] / 1e3:.1f} + {resume['file_bytes'] / 1e3:.1f} kB",
        ),
        (
            "a stored step on a resume: trunk / features from the disk",
            f"{resume['computed_ms']:.1f} / {resume['read_ms']:.1f} ms ({resume['ratio']:.0f} ×)",
        ),
        (
            "whole system in lockstep",
            f"{system['env_steps_per_s']:.1f} steps/s, {system['updates_per_s']:.1f} updates/s",
        ),
        ("peak memory, all processes", f"{system['peak_memory_mb']['total']:.0f} MB"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _real_time_row(task: str, measured: dict[str, Any]) -> tuple[str, str]:
    """What the learner of a hardware's task file reaches while its cell runs."""
    return (
        f"learner of {task} (hardware's file), at {measured['frequency']:g} Hz",
        f"{measured['done_share']:.0%} of {measured['update_to_data']:g} updates a step "
        f"(alone {measured['records_per_s']:.0f} records/s, {measured['updates_per_s']:.0f} updates/s)",
    )
