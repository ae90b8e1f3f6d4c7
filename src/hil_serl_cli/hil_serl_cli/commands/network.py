# SPDX-License-Identifier: Apache-2.0
"""`hil-serl network`: does the network between robot PC and GPU PC carry a training? Run it before one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.table import Table

from hil_serl_bringup.graph.dds import VARIABLE, profile_file
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec
from hil_serl_bringup.supervisor import Supervisor, interrupt_on_signals
from hil_serl_cli.measuring.bench_measures import with_learner
from hil_serl_core.spec import TaskSpec, task_from_dict, task_to_yaml
from hil_serl_ros.process_setup import log_arguments
from hil_serl_runs.run_folder import write_json
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task

_NEVER = 10**9  # records before the first update: the network is measured, not the training
_VARIABLES = (
    "ROS_DOMAIN_ID",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "RMW_IMPLEMENTATION",
    VARIABLE,
    "FASTDDS_BUILTIN_TRANSPORTS",
)


def network_task(name: str, cameras: int, size: int) -> TaskSpec:
    """The task with other cameras, and a learner that stores and publishes but does not train."""
    content = find_task(name).model_dump(mode="json")
    content["cameras"] = [
        {"name": f"camera_{number}", "source_width": size, "source_height": size, "size": size}
        for number in range(cameras)
    ]
    content["reward"] = {**content["reward"], "kind": "ground_truth", "classifier": None}
    task = task_from_dict(content, f"task '{name}' with {cameras} cameras of {size} px")
    return with_learner(task, warmup_steps=_NEVER, replay_capacity=5000)


def variables(environment: Mapping[str, str]) -> str:
    """The variables that decide who finds whom, for a message."""
    return ", ".join(f"{name}={environment[name]}" for name in _VARIABLES if environment.get(name))


@dataclass
class Network:
    """Measure the link between robot PC and GPU PC: loss, latency, clocks; see docs/two_machines.md.

    Start 'hil-serl network learner' on the GPU PC, then 'hil-serl network robot' on the robot PC, with the same
    options and ROS_DOMAIN_ID.
    """

    end: Annotated[Literal["robot", "learner"], tyro.conf.Positional]
    """Which end runs on this machine."""
    task: str = "ram_insertion"
    """Task whose records and weights are sent."""
    cameras: int = 4
    """Cameras of the task instead of its own."""
    size: int = 128
    """Their side [px]."""
    rate: float = 10.0
    """Robot: records per second."""
    seconds: float = 60.0
    """Robot: how long to send; the learner serves until Ctrl-C."""
    patience: float = 30.0
    """Robot: how long to look for the learner, and to wait for the last acknowledgements [s]."""
    namespace: str = ""
    """ROS namespace of this end."""
    actor_id: str = "actor_0"
    """Robot: name of the actor; different ones when several send to one learner."""
    dds_profile: str = "auto"
    """Fast DDS profile: two_machines (auto, unless FASTRTPS_DEFAULT_PROFILES_FILE is set), none, or an XML file."""
    actors: str = ""
    """Learner: namespaces of several robots, such as 'cell_1,cell_2'."""
    folder: Path | None = None
    """Robot: folder of its log, to go on with after a kill; default: one that is removed at the end."""
    output: Path | None = None
    """Robot: JSON file to write."""

    def run(self) -> int:
        """Run this end."""
        spec = network_task(self.task, self.cameras, self.size)
        profile = profile_file(self.dds_profile, two_machines=True)
        if profile is not None:  # read when the first node is made
            os.environ[VARIABLE] = str(profile)
        with tempfile.TemporaryDirectory(prefix="hil-serl-network-") as name:
            folder = Path(name)
            task_file = folder / "task.yaml"
            task_file.write_text(task_to_yaml(spec), encoding="utf-8")
            run = self._run_learner if self.end == "learner" else self._run_robot
            return run(task_file, self.folder or folder)

    def _run_learner(self, task_file: Path, folder: Path) -> int:
        learner = ProcessSpec(
            "learner",
            "hil_serl_learner",
            "learner_node",
            # Needs no demonstrations, and stores records as every other method does.
            {
                "task": str(task_file),
                "run_dir": str(folder),
                "algorithm": "rlpd_scratch",
                "actors": self.actors,
            },
            namespace=self.namespace,
            environment=dict(THREAD_ENVIRONMENT),
        )
        console = plain_console()
        console.print(
            f"learner serves ({variables(os.environ)}); Ctrl-C ends it", highlight=False, soft_wrap=True
        )
        with interrupt_on_signals(), Supervisor([learner], folder / "logs") as supervisor:
            while True:
                supervisor.poll()
                time.sleep(0.2)

    def _run_robot(self, task_file: Path, folder: Path) -> int:
        import rclpy

        from hil_serl_cli.measuring.network_robot import RobotEnd, measure

        console = plain_console()
        steps = round(self.seconds * self.rate)
        rclpy.init(args=log_arguments())
        node = RobotEnd(
            task_file, folder, actor_id=self.actor_id, steps=steps, rate=self.rate, namespace=self.namespace
        )
        console.print(
            f"looking for the learner ({variables(os.environ)}) ...", highlight=False, soft_wrap=True
        )
        try:
            result = measure(node, self.seconds, self.patience, self.patience, console.print)
        except ConnectionError as error:
            raise ConnectionError(
                f"{error}. Both machines need the same ROS_DOMAIN_ID and RMW_IMPLEMENTATION, "
                "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET (or ROS_STATIC_PEERS, or ROS_DISCOVERY_SERVER), and UDP open "
                f"between them; here: {variables(os.environ) or 'none of these is set'}"
            ) from error
        finally:
            node.link.close()
            node.destroy_node()
            rclpy.try_shutdown()
        record_bytes = self.cameras * 3 * self.size**2
        result |= {
            "cameras": self.cameras,
            "size": self.size,
            "rate": self.rate,
            "record_bytes": record_bytes,
        }
        if self.output is not None:
            write_json(self.output, result)
        console.print(network_table(result))
        return 0 if result["lost"] == 0 and result["not_acknowledged"] == 0 else 1


def _times(values: Mapping[str, float]) -> str:
    if not values["count"]:
        return "none"
    return f"{values['p50_ms']:.1f} / {values['p99_ms']:.1f} / {values['max_ms']:.1f} ms"


def network_table(result: Mapping[str, Any]) -> Table:
    """Results for people."""
    title = f"{result['cameras']} cameras of {result['size']} px at {result['rate']:g} Hz"
    table = Table("measured", "value", title=title)
    payload = result["records"] * result["record_bytes"]
    megabytes = result["weights_bytes"] / 1e6
    clock = 1000 * result["clock_difference_s"]
    rows = (
        ("records made / lost", f"{result['records']} / {result['lost']}"),
        (
            "sent again by the actor / duplicates",
            f"{result['sent_again_by_the_actor']} / {result['duplicates']}",
        ),
        ("step made → acknowledged, p50 / p99 / max", _times(result["step_acknowledged"])),
        ("publishing a step, p50 / p99 / max", _times(result["publish_call"])),
        (f"weights ({megabytes:.2f} MB) on the way, p50 / p99 / max", _times(result["weights_received"])),
        ("sent on the wire / size of the images", f"{result['wire_bytes'] / max(payload, 1):.2f}"),
        ("longest silence of the learner", f"{result['longest_silence_s']:.2f} s"),
        ("this clock minus the learner's (≥ 0.2 ms of it transit)", f"{clock:.1f} ms"),
    )
    for row in rows:
        table.add_row(*row)
    return table
