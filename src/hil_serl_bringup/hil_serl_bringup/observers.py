# SPDX-License-Identifier: Apache-2.0
"""Processes that watch a run: RViz, rqt, PlotJuggler, the recording of its topics, and the playing of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from hil_serl_bringup.executables import is_installed
from hil_serl_bringup.process_spec import ProcessSpec, Value
from hil_serl_bringup.resources import share

RECORDINGS = "record"
"""Folder of a run with the recordings of its topics."""
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
_OF_RUN = ("intervention", "episode", "stopped", "learner_status", "markers")
_GLOBAL = ("/diagnostics", "/tf", "/tf_static", "/rosout")


def rviz(
    namespace: str = "",
    parameters: Mapping[str, Value] | None = None,
    remappings: Mapping[str, str] | None = None,
) -> ProcessSpec:
    """RViz with the suite's layout."""
    layout = share() / "rviz" / "hil_serl.rviz"
    return ProcessSpec(
        "rviz",
        "rviz2",
        "rviz2",
        parameters or {},
        remappings or {},
        namespace=namespace,
        arguments=("-d", str(layout)),
        optional=True,
    )


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
    names = [f"{arm}/{topic}" if arm else topic for arm in arms for topic in _OF_ARM]
    names += [*_OF_RUN, *(("sim/truth",) if simulated else ())]
    if images != "none":
        suffix = "/compressed" if images == "compressed" else ""
        names += [f"camera/{camera}/image_raw{suffix}" for camera in cameras]
    topics = [f"{root}/{name}" for name in names]
    return [*topics, *_GLOBAL, *(("/clock",) if simulated else ())]


def replay(run_dir: Path, with_rviz: bool) -> list[ProcessSpec]:
    """What plays a run under the namespace ``replay``.

    The newest recording of its topics by ``ros2 bag play``, else the recorded steps by the suite's own player.

    Raises:
        FileNotFoundError: The run recorded nothing.
    """
    recordings = sorted(run_dir.glob(f"{RECORDINGS}/*/metadata.yaml"))
    if recordings and is_installed("ros2bag"):
        processes = [_bag_player(recordings[-1])]
    elif any(run_dir.glob("bags/**/*.mcap")):
        processes = [
            ProcessSpec(
                "player",
                "hil_serl_bringup",
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
    moved = {topic: f"/{REPLAY}{topic}" for topic in ("/tf", "/tf_static", "/clock")}
    return [*([rviz(REPLAY, remappings=moved)] if with_rviz else []), *processes]


def _bag_player(metadata: Path) -> ProcessSpec:
    content = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    topics = [entry["topic_metadata"]["name"] for entry in content["topics_with_message_count"]]
    remaps = [f"{topic}:=/{REPLAY}{topic}" for topic in topics]
    return ProcessSpec(
        "player",
        "ros2bag",
        "ros2",
        arguments=("bag", "play", str(metadata.parent), *(("--remap", *remaps) if remaps else ())),
        ros=False,
        ends_run=True,
        requires=("ros2bag",),
    )


def recorder(run_dir: Path, topics: Sequence[str], simulated: bool = False) -> ProcessSpec:
    """``ros2 bag record`` into a new folder of the run, as compressed MCAP."""
    output = run_dir / RECORDINGS / time.strftime("%Y%m%d-%H%M%S")
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
