# SPDX-License-Identifier: Apache-2.0
"""RViz layout: markers, frames, robot model and camera pictures.

Without a namespace its topics are relative, so that RViz itself can be started in one.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from hil_serl_monitor.layouts.cell import Cell
from hil_serl_monitor.layouts.qt_docks import Area, Split, window_state
from hil_serl_ros import names

ROBOT_DESCRIPTION = "robot_description"

_WIDTH, _HEIGHT = 1500, 950
_DISPLAYS, _TIME = "Displays", "Time"
_DISPLAYS_WIDTH, _TIME_HEIGHT = 300, 60
_CAMERA_WIDTH = 300
_CAMERAS_IN_COLUMN = 3


def layout(cell: Cell) -> str:
    """Content of the .rviz file."""
    displays = [
        _display("Grid", "Grid", {"Cell Size": 0.1, "Plane Cell Count": 20, "Alpha": 0.3}),
        _display(
            "MarkerArray",
            "Markers",
            {"Topic": _topic(_name(cell, names.MARKERS), reliable=True, depth=10)},
        ),
        _display(
            "TF",
            "Frames",
            {"Marker Scale": 0.1, "Show Names": True, "Show Arrows": False, "Frame Timeout": 15},
        ),
        *(_model(cell, arm) for arm in cell.arms),
        *(_image(cell, camera) for camera in cell.cameras),
    ]
    content = {
        "Panels": [
            {"Class": "rviz_common/Displays", "Name": _DISPLAYS},
            {"Class": "rviz_common/Time", "Name": _TIME},
        ],
        "Visualization Manager": {
            "Class": "",
            "Global Options": {
                "Background Color": "32; 32; 36",
                "Fixed Frame": cell.frame,
                "Frame Rate": 30,
            },
            "Displays": displays,
            "Tools": [
                {"Class": "rviz_default_plugins/MoveCamera"},
                {"Class": "rviz_default_plugins/FocusCamera"},
                {"Class": "rviz_default_plugins/Measure"},
            ],
            "Views": {"Current": _view(cell)},
        },
        "Window Geometry": {
            "Width": _WIDTH,
            "Height": _HEIGHT,
            # RViz hides them or not by chance where it is not told.
            "Hide Left Dock": False,
            "Hide Right Dock": False,
            "QMainWindow State": _docks(cell),
        },
    }
    head = "# SPDX-License-Identifier: Apache-2.0\n# Made by: hil-serl layouts\n"
    return head + yaml.safe_dump(content, sort_keys=False)


def _docks(cell: Cell) -> str:
    """Displays on the left, the cameras on the right, time below."""
    count = len(cell.cameras)
    column = math.ceil(count / math.ceil(count / _CAMERAS_IN_COLUMN))
    columns = [Split(False, cell.cameras[first : first + column]) for first in range(0, count, column)]
    right = columns[0] if len(columns) == 1 else Split(True, tuple(columns))
    areas = {
        Area.LEFT: (Split(False, (_DISPLAYS,)), _DISPLAYS_WIDTH),
        Area.RIGHT: (right, len(columns) * _CAMERA_WIDTH),
        Area.BOTTOM: (Split(True, (_TIME,)), _TIME_HEIGHT),
    }
    return window_state(areas, _WIDTH, _HEIGHT, "Tools")


def _name(cell: Cell, topic: str, arm: str = "") -> str:
    return cell.topic(topic, arm) if cell.namespace else names.for_arm(topic, arm)


def _display(kind: str, name: str, values: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
    return {
        "Class": f"rviz_default_plugins/{kind}",
        "Name": name,
        "Enabled": enabled,
        "Value": enabled,
        **values,
    }


def _topic(name: str, *, reliable: bool, depth: int = 5, latched: bool = False) -> dict[str, Any]:
    return {
        "Value": name,
        "Depth": depth,
        "History Policy": "Keep Last",
        "Reliability Policy": "Reliable" if reliable else "Best Effort",
        "Durability Policy": "Transient Local" if latched else "Volatile",
    }


def _model(cell: Cell, arm: str) -> dict[str, Any]:
    """Shown where a robot_state_publisher runs; without one it waits for a description."""
    values = {
        "Description Source": "Topic",
        "Description Topic": _topic(_name(cell, ROBOT_DESCRIPTION, arm), reliable=True, latched=True),
        "Visual Enabled": True,
        "Collision Enabled": False,
        "Alpha": 0.7,
    }
    return _display("RobotModel", f"Robot model {arm}".strip(), values)


def _image(cell: Cell, camera: str) -> dict[str, Any]:
    topic = _topic(_name(cell, cell.picture(camera)), reliable=False)
    return _display("Image", camera, {"Topic": topic, "Normalize Range": True})


def _view(cell: Cell) -> dict[str, Any]:
    x, y, z = cell.centre
    return {
        "Class": "rviz_default_plugins/Orbit",
        "Name": "Current View",
        "Distance": cell.distance,
        "Focal Point": {"X": x, "Y": y, "Z": z},
        "Near Clip Distance": 0.01,
        "Pitch": 0.4,
        "Yaw": cell.facing,
        "Target Frame": "<Fixed Frame>",
        "Value": "Orbit (rviz)",
    }
