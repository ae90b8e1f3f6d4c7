# SPDX-License-Identifier: Apache-2.0
"""The layouts that launched viewers get: pictures as they travel, and a recording below the namespace it had."""

from pathlib import Path

import pytest
import yaml

from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.robots import find_robot
from hil_serl_bringup.launching.arguments import WINDOWS
from hil_serl_bringup.launching.processes import viewer_processes
from hil_serl_bringup.launching.request import request_from
from hil_serl_monitor.layouts import RVIZ
from hil_serl_tasks.finder import find_task


def topics_in(layouts):
    """Name of a display -> its topic, of the RViz layout in a folder."""
    content = yaml.safe_load((layouts / RVIZ).read_text())["Visualization Manager"]
    return {one["Name"]: one["Topic"]["Value"] for one in content["Displays"] if "Topic" in one}


@pytest.mark.parametrize(
    ("robot", "wrist_1", "side"),
    [
        ("image_transport: compressed", "/compressed", "/compressed"),
        ("cameras: {side: {driver: mock, transport: compressed}}", "", "/compressed"),
        ("image_transport: compressed\ncameras: {side: {driver: mock, transport: raw}}", "/compressed", ""),
    ],
)
def test_the_pictures_are_shown_as_they_travel(tmp_path, robot, wrist_1, side):
    path = tmp_path / "cell.yaml"
    path.write_text(f"name: cell\ndescription: d\n{robot}\n")
    task = find_task("object_handover", simulated=False)
    observers.make_layouts(find_robot(str(path)), task, "", tmp_path)
    shown = topics_in(tmp_path)
    assert shown["wrist_1"] == f"camera/wrist_1/image_raw{wrist_1}"
    assert shown["side"] == f"camera/side/image_raw{side}"


def test_both_ways_to_open_viewers_ask_the_robot_how_pictures_travel(tmp_path):
    path = tmp_path / "cell.yaml"
    path.write_text("name: cell\ndescription: d\nimage_transport: compressed\n")
    values = {"robot": str(path), "task": "ram_insertion", "operator": "none"}
    request_from({**values, "rviz": "true", "reward": "operator", "run_dir": str(tmp_path / "r")})
    windows = {name: argument.default for name, argument in WINDOWS.items()}
    processes, _ = viewer_processes({**values, **windows})
    (rviz,) = [process for process in processes if process.name == "rviz"]
    elsewhere = rviz.arguments[1].removesuffix(RVIZ)
    for layouts in (tmp_path / "r" / observers.LAYOUTS, Path(elsewhere)):
        assert topics_in(layouts)["wrist_1"].endswith("/image_raw/compressed")


def test_a_recording_is_shown_below_the_namespace_it_had(tmp_path, monkeypatch):
    monkeypatch.setattr(observers, "is_installed", lambda package: True)
    request_from({"task": "ram_insertion", "run_dir": str(tmp_path / "r")})
    folder = tmp_path / "r" / observers.RECORDINGS / "one"
    folder.mkdir(parents=True)
    topics = ["/cell/intervention", "/cell/markers", "/cell/camera/wrist_1/image_raw/compressed"]
    recorded = [{"topic_metadata": {"name": topic}} for topic in topics]
    content = {"rosbag2_bagfile_information": {"topics_with_message_count": recorded}}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))
    processes = observers.replay(tmp_path / "r", with_rviz=True)
    shown = topics_in(tmp_path / "r" / observers.REPLAY / observers.LAYOUTS)
    assert shown["Markers"] == "/replay/cell/markers"
    assert shown["wrist_1"] == "/replay/cell/camera/wrist_1/image_raw/compressed"
    player = next(process for process in processes if process.name == "player")
    assert {f"{topic}:=/replay{topic}" for topic in topics} <= set(player.arguments), (
        "what it shows is played"
    )
