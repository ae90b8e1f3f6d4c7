# SPDX-License-Identifier: Apache-2.0
"""What several commands of `hil-serl` share: groups of options, the run folder, the session."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hil_serl_bringup.graph.build import GraphError, Operator
from hil_serl_bringup.graph.claims import claims_of_run, runs_elsewhere
from hil_serl_bringup.graph.robots import SIMULATED, Robot, find_robot
from hil_serl_bringup.supervisor import interrupt_on_signals
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Session
from hil_serl_monitor.node import MonitorNode
from hil_serl_monitor.view import View
from hil_serl_ros.domain import hold_domain
from hil_serl_ros.process_setup import log_arguments
from hil_serl_runs.run_folder import RunFolder
from hil_serl_runs.statistics import StopRule
from hil_serl_runs.terminal import plain_console, word


@contextlib.contextmanager
def session(
    folder: RunFolder, namespace: str = "", resume: str = "", robot: Robot = SIMULATED
) -> Iterator[Session]:
    """What the phases of a command share; `resume` is the command that goes on after an interruption."""
    claims, elsewhere = claims_of_run(robot, namespace), runs_elsewhere(robot)
    log_arguments()  # also for drivers, which do not look after a log folder themselves
    with interrupt_on_signals(), hold_domain(claims, fixed=elsewhere) as domain:
        node = MonitorNode(namespace)
        state = folder.state()
        title = f"{state['task']} · seed {folder.seed} · ROS_DOMAIN_ID={domain}"
        try:
            with View() as view:
                view.say(f"Run folder {folder.path} (ROS_DOMAIN_ID={domain})")
                yield Session(folder, node, view, title)
        except BaseException:
            if resume:
                plain_console(stderr=True).print(
                    f"To go on from here: {resume} --resume {word(folder.path)}",
                    soft_wrap=True,
                    highlight=False,
                )
            raise
        finally:
            node.close()


@dataclass
class CellOptions:
    task: str = "ram_insertion"
    """Name of a task (see 'hil-serl tasks') or path of a task file."""
    seed: int = 0
    """Seed of initial states, networks, exploration and the scripted operator."""
    run_dir: Path | None = None
    """Folder of the new run; default runs/TASK-TIME-seedN."""
    resume: Path | None = None
    """Run folder to go on with, from where it stopped; task and seed are the run's own."""
    robot: str = "sim"
    """Robot file by name or path: sim (the simulator), mock (ros2_control on a laptop), fr3, ..., external (a cell whose
    drivers run already)."""
    operator: Operator = Operator.SCRIPTED
    """Who corrects: scripted operator (simulator only), SpaceMouse (spacenav), gamepad, keyboard, nobody."""
    speed: str | None = None
    """Simulated time: 'lockstep' (as fast as it goes; results do not depend on the load) or a factor of real
    time such as 1.0. Default: lockstep with the scripted operator, 1.0 with a person."""
    namespace: str = ""
    """ROS namespace of the run."""
    display: bool = False
    """Publish camera/display/image_raw, a view for people (slow without a GPU)."""
    rviz: bool = False
    """Open RViz (needs a ROS install)."""
    record: bool = False
    """Record the run's topics into its folder 'record', with 'ros2 bag record' where that is installed."""
    record_images: Literal["none", "compressed", "raw"] = "none"
    """Which camera topics a recording holds besides."""

    def setup(self, device: str = "cpu", threads: int = 1) -> Setup:
        """Common settings of the phases; unless a speed is given, people get real time, scripts lockstep."""
        person = self.operator not in (Operator.SCRIPTED, Operator.NONE)
        if person and self.speed == "lockstep":
            text = f"operator {self.operator} cannot steer simulated time that waits for nobody"
            raise GraphError(f"{text}: use --speed 1.0")
        return Setup(
            operator=self.operator,
            speed=self.speed or ("1.0" if person else "lockstep"),
            device=device,
            learner_threads=threads,
            robot=find_robot(self.robot),
            namespace=self.namespace,
            display=self.display,
            rviz=self.rviz,
            record=self.record,
            record_images=self.record_images,
        )


@dataclass
class LearnerOptions:
    device: Literal["cpu", "cuda", "auto"] = "auto"
    """Where the learner computes."""
    learner_threads: int = 1
    """CPU threads of the learner; leave a core to each of simulator and actor."""
    minutes: float = 9.75
    """Longest wall-clock time of training."""
    steps: int | None = None
    """Most transitions of training; default: no limit."""
    window: int = StopRule.window
    """Training stops early when this many episodes in a row were solved without any intervention."""
    min_steps: int = 2000
    """Do not stop early before this many steps."""

    def stop_rule(self) -> StopRule:
        """When training is over."""
        return StopRule(
            window=self.window,
            success=0.97,
            interventions=0,
            min_steps=self.min_steps,
            max_seconds=60 * self.minutes,
            max_steps=math.inf if self.steps is None else self.steps,
        )
