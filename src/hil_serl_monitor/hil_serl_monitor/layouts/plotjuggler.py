# SPDX-License-Identifier: Apache-2.0
"""PlotJuggler layout: a tab for the run and one for each arm."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from hil_serl_monitor.layouts.cell import Cell
from hil_serl_monitor.layouts.plots import Plot, arm_plots, run_plots

COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e")
BUFFER = 300
"""Seconds of streamed data that are kept. PlotJuggler 3.17 takes it when the layout is opened from its window only."""
_STREAMER = "ROS2 Topic Subscriber"


def layout(cell: Cell) -> str:
    """Content of the layout file."""
    root = Xml.Element("root")
    window = Xml.SubElement(root, "tabbed_widget", {"parent": "main_window", "name": "Main Window"})
    plots = arm_plots(cell)
    share = len(plots) // len(cell.arms)
    _tab(window, "run", run_plots(cell))
    for number, arm in enumerate(cell.arms):
        _tab(window, arm or "arm", plots[number * share : (number + 1) * share])
    Xml.SubElement(window, "currentTabIndex", index="0")
    Xml.SubElement(root, "use_relative_time_offset", enabled="1")
    Xml.SubElement(root, "streaming_buffer_size", value=str(BUFFER))
    plugins = Xml.SubElement(root, "Plugins")
    _streamer(Xml.SubElement(plugins, "plugin", ID=_STREAMER), [*run_plots(cell), *plots])
    Xml.SubElement(root, "previouslyLoaded_Datafiles")
    Xml.SubElement(root, "previouslyLoaded_Streamer", name=_STREAMER)
    Xml.indent(root)
    head = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    return head + Xml.tostring(root, encoding="unicode") + "\n"


def _tab(window: Xml.Element, name: str, plots: Sequence[Plot]) -> None:
    """Plots above each other.

    PlotJuggler before 3.17 looks for curves below one splitter only, and drops others that have no data yet.
    """
    container = Xml.SubElement(Xml.SubElement(window, "Tab", tab_name=name, containers="1"), "Container")
    sizes = ";".join(f"{1.0 / len(plots):g}" for _ in plots)
    rows = Xml.SubElement(container, "DockSplitter", orientation="-", count=str(len(plots)), sizes=sizes)
    for plot in plots:
        _plot(Xml.SubElement(rows, "DockArea", name=plot.title), plot)


def _plot(area: Xml.Element, plot: Plot) -> None:
    element = Xml.SubElement(area, "plot", mode="TimeSeries", style="Lines", flip_x="false", flip_y="false")
    Xml.SubElement(element, "range", left="0", right=str(BUFFER), bottom="0", top=f"{plot.top:g}")
    Xml.SubElement(element, "limitY")
    for series, color in zip(plot.series, COLORS, strict=False):
        Xml.SubElement(element, "curve", name=series.slashed, color=color)


def _streamer(plugin: Xml.Element, plots: Sequence[Plot]) -> None:
    """Which topics to subscribe to, by their time of arrival: a simulated cell's stamps are not the learner's."""
    topics = dict.fromkeys(series.topic for plot in plots for series in plot.series)
    for name, value in {
        "use_header_stamp": "false",
        "discard_large_arrays": "true",
        "max_array_size": "50",
        "boolean_strings_to_number": "false",
        "remove_suffix_from_strings": "false",
        "selected_topics": ";".join(topics),
    }.items():
        Xml.SubElement(plugin, name, value=value)
