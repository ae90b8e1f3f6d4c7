# SPDX-License-Identifier: Apache-2.0
"""Processes that watch a run: RViz, rqt, PlotJuggler, the recording of its topics, and the playing of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from hil_serl_bringup.graph.executables import is_installed
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec, Value
from hil_serl_bringup.graph.robot_model import Robot
from hil_serl_bringup.resources import share
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_monitor.layouts import PLOTJUGGLER, RQT, RVIZ, Cell, write_layouts
from hil_serl_ros import names

RECORDINGS = "record"
"""Folder of a run with the recordings of its topics."""
LAYOUTS = "layouts"
"""Folder of a run with the layouts of its viewers."""
REPLAY = "replay"
"""Namespace in which recorded topics are played, so that nobody takes them for a running cell's."""

_OF_ARM = (
    "arm_state",
    "target_pose",
    "target_wrench",
    "gripper/command",
    "gripper/state",
    "spacenav/joy",
    "joy",
    "joint_states",
)
_OF_RUN = ("intervention", "episode", "stopped", "paused", "learner_status", "run_status", "markers")
_GLOBAL = ("/diagnostics", "/tf", "/tf_static", "/rosout")


def make_layouts(robot: Robot, task: TaskSpec, namespace: str, folder: Path) -> None:
    """Write the layouts of a cell's viewers, with the pictures as they travel there."""
    compressed = [
        camera.name
        for camera in task.cameras
        if (getattr(robot.cameras.get(camera.name), "transport", None) or robot.image_transport)
        == "compressed"
    ]
    write_layouts(Cell.of(task, namespace, compressed=compressed), folder)


def rviz(
    layouts: Path,
    namespace: str = "",
    parameters: Mapping[str, Value] | None = None,
    remappings: Mapping[str, str] | None = None,
) -> ProcessSpec:
    """RViz with the layout of a folder that `write_layouts` made."""
    arguments = ("-d", str(layouts / RVIZ))
    return ProcessSpec(
        "rviz",
        "rviz2",
        "rviz2",
        parameters or {},
        remappings or {},
        namespace,
        arguments=arguments,
        optional=True,
    )


def markers(
    task_file: str, namespace: str = "", parameters: Mapping[str, Value] | None = None
) -> ProcessSpec:
    """What draws the cell's markers and frames for viewers."""
    return ProcessSpec(
        "markers",
        "hil_serl_monitor",
        "markers_node",
        {**(parameters or {}), "task": task_file},
        namespace=namespace,
        environment=dict(THREAD_ENVIRONMENT),
        max_restarts=3,
    )


def run_monitor(parameters: Mapping[str, Value], namespace: str = "") -> ProcessSpec:
    """Rates, advice and episodes.csv of a run that is not started by ``hil-serl``; always in real time."""
    return ProcessSpec(
        "monitor",
        "hil_serl_monitor",
        "run_monitor_node",
        parameters,
        namespace=namespace,
        environment=dict(THREAD_ENVIRONMENT),
        max_restarts=3,
    )


def viewers(
    layouts: Path, task_file: str, namespace: str, windows: Sequence[str], parameters: Mapping[str, Value]
) -> list[ProcessSpec]:
    """Markers, diagnostics sorted for rqt_robot_monitor, and windows.

    Args:
        layouts: Folder that `write_layouts` made.
        task_file: Path of the task file.
        namespace: ROS namespace of the run.
        windows: Of rviz, rqt, plotjuggler.
        parameters: Of nodes that follow the cell's clock.
    """
    analyzers = ProcessSpec(
        "diagnostics",
        "diagnostic_aggregator",
        "aggregator_node",
        node="analyzers",
        parameter_files=(str(share() / "config" / "diagnostics.yaml"),),
    )
    made = {
        "rviz": rviz(layouts, namespace, parameters),
        "rqt": ProcessSpec(
            "rqt",
            "rqt_gui",
            "rqt_gui",
            arguments=("--perspective-file", str(layouts / RQT)),
            ros=False,
            optional=True,
        ),
        "plotjuggler": ProcessSpec(
            "plotjuggler",
            "plotjuggler",
            "plotjuggler",
            arguments=("--layout", str(layouts / PLOTJUGGLER)),
            ros=False,
            optional=True,
        ),
    }
    sorted_diagnostics = [analyzers] if "rqt" in windows else []
    return [markers(task_file, namespace, parameters), *sorted_diagnostics, *(made[name] for name in windows)]


def topics_of_run(
    arms: Sequence[str], cameras: Sequence[str], images: str, namespace: str = "", simulated: bool = False
) -> list[str]:
    """Topics worth recording, by their full names; steps are in the run's own bags already.

    Args:
        arms: Names of the arms, ``("",)`` for one.
        cameras: Names of the cameras.
        images: none, compressed or raw.
        namespace: ROS namespace of the run.
        simulated: The cell's truth and clock as well.
    """
    root = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    wanted = [f"{arm}/{topic}" if arm else topic for arm in arms for topic in _OF_ARM]
    wanted += [*_OF_RUN, *(("sim/truth",) if simulated else ())]
    if images != "none":
        suffix = "/compressed" if images == "compressed" else ""
        wanted += [f"camera/{camera}/image_raw{suffix}" for camera in cameras]
    topics = [f"{root}/{name}" for name in wanted]
    return [*topics, *_GLOBAL, *(("/clock",) if simulated else ())]


def replay(run_dir: Path, with_rviz: bool) -> list[ProcessSpec]:
    """What plays a run under the namespace ``replay``.

    The newest recording of its topics by ``ros2 bag play``, else the recorded steps by the suite's own player.

    Raises:
        FileNotFoundError: The run recorded nothing.
    """
    recordings = sorted(run_dir.glob(f"{RECORDINGS}/*/metadata.yaml"))
    topics: list[str] = []
    if recordings and is_installed("ros2bag"):
        topics = _recorded_topics(recordings[-1])
        processes = [_bag_player(recordings[-1].parent, topics)]
    elif any(run_dir.glob("bags/**/*.mcap")):
        processes = [
            ProcessSpec(
                "player",
                "hil_serl_cli",  # the tool stands above this package: it is missed only when it is asked for
                "hil-serl",
                arguments=("replay", str(run_dir), "--publish"),
                ros=False,
                ends_run=True,
            )
        ]
    else:
        raise FileNotFoundError(
            f"{run_dir} holds no recorded steps and no recording; give run_dir:= the folder of a run"
        )
    if not with_rviz:
        return processes
    layouts = run_dir / REPLAY / LAYOUTS
    write_layouts(_recorded_cell(load_task(run_dir / "task.yaml"), topics), layouts)
    moved = {topic: f"/{REPLAY}{topic}" for topic in ("/tf", "/tf_static", "/clock")}
    if not topics:  # recorded steps hold no markers
        processes.append(replace(markers(str(run_dir / "task.yaml"), REPLAY), remappings=moved))
    return [rviz(layouts, REPLAY, remappings=moved), *processes]


def _recorded_topics(metadata: Path) -> list[str]:
    content = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    return [entry["topic_metadata"]["name"] for entry in content["topics_with_message_count"]]


def _recorded_cell(task: TaskSpec, topics: Sequence[str]) -> Cell:
    """The cell as it is played: below the namespace that it had, with the pictures that were recorded."""
    of_run = f"/{names.INTERVENTION}"
    root = next((topic.removesuffix(of_run) for topic in topics if topic.endswith(of_run)), "")
    compressed = [
        camera.name
        for camera in task.cameras
        if f"{root}/{names.camera_compressed(camera.name)}" in topics
        and f"{root}/{names.camera_image(camera.name)}" not in topics
    ]
    return Cell.of(task, REPLAY + root, compressed)


def _bag_player(bag: Path, topics: Sequence[str]) -> ProcessSpec:
    remaps = [f"{topic}:=/{REPLAY}{topic}" for topic in topics]
    return ProcessSpec(
        "player",
        "ros2bag",
        "ros2",
        arguments=("bag", "play", str(bag), *(("--remap", *remaps) if remaps else ())),
        ros=False,
        ends_run=True,
        requires=("ros2bag",),
    )


def recorder(run_dir: Path, topics: Sequence[str]) -> ProcessSpec:
    """``ros2 bag record`` into a new folder of the run, as compressed MCAP; without it the suite's own recorder."""
    output = run_dir / RECORDINGS / time.strftime("%Y%m%d-%H%M%S")
    if not (is_installed("ros2bag") and is_installed("rosbag2_storage_mcap")):
        parameters: dict[str, Value] = {"output": str(output), "topics": list(topics)}
        return ProcessSpec("record", "hil_serl_monitor", "topic_recorder", parameters)
    # It waits for topics that do not exist yet. Every topic is written with its time of arrival.
    arguments = ["bag", "record", "--storage", "mcap", "--storage-preset-profile", "zstd_fast"]
    arguments += ["--output", str(output)]
    arguments += ["--topics", *topics]
    return ProcessSpec(
        "record",
        "ros2bag",
        "ros2",
        arguments=arguments,
        ros=False,
        requires=("ros2bag", "rosbag2_storage_mcap"),
    )
