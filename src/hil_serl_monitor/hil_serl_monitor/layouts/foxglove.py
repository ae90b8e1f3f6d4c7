# SPDX-License-Identifier: Apache-2.0
"""Foxglove layouts: one for a running cell (foxglove_bridge) or the recording of its topics, one for the bags of steps.

A bag of steps holds one topic, whose pictures and poses are fields of a record. Small scripts in the layout make image and
pose topics of them, which the panels for pictures and 3D can show.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hil_serl_monitor.layouts.cell import FIELD_OF_VIEW, Cell
from hil_serl_monitor.layouts.foxglove_scripts import camera_script, pose_script, script_topic
from hil_serl_monitor.layouts.plots import Plot, arm_plots, plot, run_plots
from hil_serl_ros import names

_POSES = "tcp"


class _Layout:
    """Panels by id, each once."""

    def __init__(self) -> None:
        self.panels: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, name: str, config: dict[str, Any]) -> str:
        """Add a panel; returns its id, which a layout is a tree of."""
        identity = f"{kind}!{name}"
        self.panels[identity] = config
        return identity

    def text(self, tree: Any, scripts: dict[str, dict[str, str]] | None = None) -> str:
        """Content of the file."""
        content = {
            "configById": self.panels,
            "globalVariables": {},
            "userNodes": scripts or {},
            "playbackConfig": {"speed": 1},
            "layout": tree,
        }
        return json.dumps(content, indent=2) + "\n"


def live(cell: Cell) -> str:
    """Layout of a running cell."""
    layout = _Layout()
    scene = _scene(layout, cell, {cell.topic(names.MARKERS): {"visible": True}})
    pictures = [_picture(layout, camera, cell.topic(cell.picture(camera))) for camera in cell.cameras]
    driver = cell.topic(names.INTERVENTION)
    who = layout.add(
        "Indicator",
        "driver",
        {
            "path": f"{driver}.active",
            "style": "background",
            "fallbackColor": "#1f77b4",
            "fallbackLabel": "policy",
            "rules": [{"operator": "=", "rawValue": "true", "color": "#ed8214", "label": "operator"}],
            "foxglovePanelTitle": "Who drives",
        },
    )
    stop = layout.add(
        "Indicator",
        "stop",
        {
            "path": f"{cell.topic(names.STOPPED)}.data",
            "style": "background",
            "fallbackColor": "#2ca02c",
            "fallbackLabel": "not stopped",
            "rules": [{"operator": "=", "rawValue": "true", "color": "#cc0d1a", "label": "STOPPED"}],
            "foxglovePanelTitle": "Stop",
        },
    )
    problems = layout.add(
        "DiagnosticSummary",
        "diagnostics",
        {
            "topicToRender": names.DIAGNOSTICS,
            "minLevel": 0,
            "pinnedIds": [],
            "hardwareIdFilter": "",
            "sortByLevel": True,
        },
    )
    advice = layout.add(
        "RawMessages",
        "advice",
        {"topicPath": f"{cell.topic(names.RUN_STATUS)}.advice", "foxglovePanelTitle": "Advice"},
    )
    rates = [_plot(layout, one) for one in run_plots(cell)]
    forces = [_plot(layout, one) for one in arm_plots(cell) if "force" in one.title]
    left = _stack([scene, _row(pictures)], [65])
    middle = _stack([_row([who, stop]), *rates[:2], *forces])
    right = _stack([problems, advice, *rates[2:]])
    return layout.text(_row([left, middle, right]))


def run(cell: Cell) -> str:
    """Layout of a bag of steps."""
    layout, step = _Layout(), cell.agent_topic(names.STEP)
    poses = script_topic(_POSES)
    scene = _scene(layout, cell, {poses: {"visible": True, "axisScale": 0.05}})
    pictures = [_picture(layout, camera, script_topic(camera)) for camera in cell.cameras]
    source = layout.add(
        "StateTransitions",
        "source",
        {
            "isSynced": True,
            "paths": [
                {"value": f"{step}.{field}", "label": label, "timestampMethod": "receiveTime"}
                for field, label in (
                    ("source", "who acted"),
                    ("is_first", "first"),
                    ("is_terminal", "solved or failed"),
                )
            ],
        },
    )
    moves = plot("Executed action", step, *(f"action[{k}]" for k in range(min(cell.action_size, 7))))
    plots = [
        plot("Reward", step, "reward", "grasp_penalty"),
        moves,
        plot("Policy version, episode", step, "policy_version", "episode"),
    ]
    plots += [_state_plot(cell, part) for part in cell.state if part.endswith(("wrench", "force"))]
    record = layout.add("RawMessages", "record", {"topicPath": f"{step}", "foxglovePanelTitle": "Record"})
    scripts = {
        camera: {"name": f"picture of {camera}", "sourceCode": camera_script(step, camera, index)}
        for index, camera in enumerate(cell.cameras)
    }
    scripts[_POSES] = {"name": "poses of the tcp", "sourceCode": pose_script(step, _POSES)}
    left = _stack([_row(pictures), scene])
    middle = _stack([source, *(_plot(layout, one) for one in plots)])
    return layout.text(_row([left, middle, record], [45, 60]), scripts)


def _state_plot(cell: Cell, part: str) -> Plot:
    field = f'state[:]{{name=="{part}"}}.values'
    return plot(f"State: {part}", cell.agent_topic(names.STEP), *(f"{field}[{k}]" for k in range(3)))


def _scene(layout: _Layout, cell: Cell, topics: dict[str, Any]) -> str:
    camera = {
        "distance": cell.distance,
        "perspective": True,
        "phi": 65,
        "thetaOffset": 50,
        "targetOffset": list(cell.centre),
        "target": [0, 0, 0],
        "targetOrientation": [0, 0, 0, 1],
        "fovy": FIELD_OF_VIEW,
        "near": 0.01,
        "far": 100,
    }
    grid = {"layerId": "foxglove.Grid", "instanceId": "grid", "visible": True, "size": 2, "divisions": 20}
    config = {
        "cameraState": camera,
        "followMode": "follow-none",
        "followTf": cell.frame,
        "scene": {"backgroundColor": "#202024"},
        "transforms": {},
        "topics": topics,
        "layers": {"grid": grid},
        "foxglovePanelTitle": "Cell",
    }
    return layout.add("3D", "scene", config)


def _picture(layout: _Layout, camera: str, topic: str) -> str:
    return layout.add("Image", camera, {"imageMode": {"imageTopic": topic}, "foxglovePanelTitle": camera})


def _plot(layout: _Layout, drawn: Plot) -> str:
    paths = [
        {
            "value": series.dotted,
            "label": series.field.split(".")[-1],
            "enabled": True,
            "timestampMethod": "receiveTime",
        }
        for series in drawn.series
    ]
    config = {
        "paths": paths,
        "showLegend": True,
        "legendDisplay": "floating",
        "isSynced": True,
        "xAxisVal": "timestamp",
        "showXAxisLabels": True,
        "showYAxisLabels": True,
        "showPlotValuesInLegend": True,
        "foxglovePanelTitle": drawn.title,
    }
    return layout.add("Plot", drawn.title, config)


def _row(panels: Sequence[Any], shares: Sequence[float] = ()) -> Any:
    return _split("row", panels, shares)


def _stack(panels: Sequence[Any], shares: Sequence[float] = ()) -> Any:
    return _split("column", panels, shares)


def _split(direction: str, panels: Sequence[Any], shares: Sequence[float]) -> Any:
    """Panels beside or below each other: a tree of pairs.

    Args:
        direction: row or column.
        panels: At least one.
        shares: Of each first panel in what is left [%]; by default all get the same.
    """
    if len(panels) == 1:
        return panels[0]
    share = shares[0] if shares else 100.0 / len(panels)
    rest = _split(direction, panels[1:], shares[1:])
    return {"direction": direction, "first": panels[0], "second": rest, "splitPercentage": share}
