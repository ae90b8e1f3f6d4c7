# SPDX-License-Identifier: Apache-2.0
"""rqt perspective: four rqt_plots and rqt_robot_monitor side by side.

rqt keeps its windows' places as byte arrays of Qt; the two here were written by rqt itself, for these windows.
"""

from __future__ import annotations

import json
from typing import Any

from hil_serl_monitor.layouts.cell import Cell
from hil_serl_monitor.layouts.plots import run_plots

WINDOW = 300.0
"""Seconds that the plots show."""

_MARGIN = 0.03  # below zero, so that a line at zero is seen
_MATPLOTLIB = 1  # rqt_plot's number of the backend that needs nothing besides matplotlib
_MONITOR = "rqt_robot_monitor/RobotMonitor"
_PLOT = "rqt_plot/Plot"
_GEOMETRY = (
    "01d9d0cb000300000000006400000064000006bf000003e70000006400000064000006bf000003e700000000000000000640"
    "0000006400000064000006bf000003e7"
)
_STATE = (
    "000000ff00000000fd00000001000000020000065c00000358fc0100000003fc000000000000021b0000015e00fffffffc02"
    "00000002fb00000042007200710074005f0070006c006f0074005f005f0050006c006f0074005f005f0031005f005f004400"
    "61007400610050006c006f00740057006900640067006500740100000016000001a90000009400fffffffb00000042007200"
    "710074005f0070006c006f0074005f005f0050006c006f0074005f005f0033005f005f00440061007400610050006c006f00"
    "7400570069006400670065007401000001c5000001a90000009400fffffffc000002210000021a0000015e00fffffffc0200"
    "000002fb00000042007200710074005f0070006c006f0074005f005f0050006c006f0074005f005f0032005f005f00440061"
    "007400610050006c006f00740057006900640067006500740100000016000001a90000009400fffffffb0000004200720071"
    "0074005f0070006c006f0074005f005f0050006c006f0074005f005f0034005f005f00440061007400610050006c006f0074"
    "00570069006400670065007401000001c5000001a90000009400fffffffb00000062007200710074005f0072006f0062006f"
    "0074005f006d006f006e00690074006f0072005f005f0052006f0062006f0074004d006f006e00690074006f0072005f005f"
    "0031005f005f0052006f0062006f00740020004d006f006e00690074006f007201000004410000021b000000cc00ffffff00"
    "00065c0000000000000004000000040000000800000008fc00000001000000030000000100000036004d0069006e0069006d"
    "0069007a006500640044006f0063006b00570069006400670065007400730054006f006f006c0062006100720000000000ff"
    "ffffff0000000000000000"
)


def layout(cell: Cell) -> str:
    """Content of the .perspective file."""
    plots = dict(enumerate(run_plots(cell), start=1))
    plugins = {
        f"plugin__rqt_plot__Plot__{number}": _group(
            dock_widget__DataPlotWidget=_group(dock_widget_title=_value(plot.title)),
            plugin=_group(
                autoscroll=_value(True),
                plot_type=_value(_MATPLOTLIB),
                topics=_value([series.slashed for series in plot.series]),
                x_limits=_value([0.0, WINDOW]),
                y_limits=_value([-_MARGIN * plot.top, plot.top]),
            ),
        )
        for number, plot in plots.items()
    }
    plugins["plugin__rqt_robot_monitor__RobotMonitor__1"] = _group()
    running = _value({_PLOT: list(plots), _MONITOR: [1]})
    content = _group(
        mainwindow=_group(geometry=_bytes(_GEOMETRY), state=_bytes(_STATE)),
        pluginmanager={"keys": {"running-plugins": running}, "groups": plugins},
    )
    return json.dumps(content, indent=2) + "\n"


def _group(**members: dict[str, Any]) -> dict[str, Any]:
    """A group of rqt's settings: values under `keys`, further groups under `groups`."""
    keys = {name: member for name, member in members.items() if "type" in member}
    return {"keys": keys, "groups": {name: m for name, m in members.items() if name not in keys}}


def _value(value: Any) -> dict[str, Any]:
    return {"type": "repr", "repr": repr(value)}


def _bytes(digits: str) -> dict[str, Any]:
    return {"type": "repr(QByteArray.hex)", "repr(QByteArray.hex)": f"QtCore.QByteArray(b'{digits}')"}
