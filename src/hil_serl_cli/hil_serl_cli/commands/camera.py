# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl camera-check`: do a task's cameras deliver, often enough, fast enough, with a locked exposure?"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from rich.live import Live

from hil_serl_actor.senses.camera_input import CameraInputs
from hil_serl_actor.senses.exposure import ExposureWatch
from hil_serl_core.observation import crop_and_resize
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_monitor.camera_view import CameraLine, brightness_of, render
from hil_serl_ros import names, qos
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task_file, tasks, twins

_DISCOVERY = 1.5  # s until publishers have been found
_REFRESH = 0.5  # s between two pictures of the screen
_PLAIN_PERIOD = 5.0  # s between two without a terminal
_WINDOW = 3.0  # s that the amount of data is taken over


class CameraListener:
    """A node of its own context that listens to a task's cameras; it spins only inside `spin`."""

    def __init__(self, spec: TaskSpec, transport: str = "auto", namespace: str = "") -> None:
        """``transport``: raw, compressed, or auto for the one that is published (raw, if both are)."""
        from rclpy.parameter import Parameter

        from hil_serl_ros.tool_node import ToolNode

        self._tool = ToolNode("camera_check", namespace)
        self._node = self._tool.node
        self.spin(_DISCOVERY)
        self._simulated = Parameter("use_sim_time", value=True)
        self._spec = spec
        self._inputs = CameraInputs([camera.name for camera in spec.cameras])
        self._topics = {camera.name: self._listen(camera.name, transport) for camera in spec.cameras}
        self._data: dict[str, deque[tuple[float, int]]] = {name: deque() for name in self._topics}
        self._encodings: dict[str, str] = {}
        self._sizes: dict[str, str] = {}
        self._views: dict[str, np.ndarray] = {}
        self._exposure = ExposureWatch(self._node, self._topics)

    def _listen(self, camera: str, transport: str) -> str:
        from sensor_msgs.msg import CompressedImage, Image

        topics = {
            how: self._node.resolve_topic_name(names.camera_topic(camera, how)) for how in names.TRANSPORTS
        }
        if transport == "auto":
            published = [how for how in names.TRANSPORTS if self._node.count_publishers(topics[how])]
            transport = published[0] if published else names.RAW
        kind = CompressedImage if transport == names.COMPRESSED else Image
        self._node.create_subscription(kind, topics[transport], partial(self._on_image, camera), qos.CAMERA)
        return topics[transport]

    def _on_image(self, camera: str, message: Any) -> None:
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        self._inputs.put(camera, message, self._now - stamp)
        if hasattr(message, "encoding"):
            self._encodings[camera] = message.encoding
        else:  # such as "rgb8; jpeg compressed bgr8"
            self._encodings[camera] = "png" if "png" in message.format else "jpeg"
        self._data[camera].append((time.monotonic(), len(message.data)))

    @property
    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds * 1e-9)

    def spin(self, seconds: float) -> None:
        """Handle messages for about `seconds`."""
        self._tool.spin(seconds)

    def lines(self) -> list[CameraLine]:
        """The cameras as they are now; decodes the newest picture of each."""
        if self._node.count_publishers(names.CLOCK) and not self._node.get_parameter("use_sim_time").value:
            self._node.set_parameters([self._simulated])
        self._exposure.poll()
        self._inputs.decode(self._keep, lambda text: None)
        return [self._line(camera.name) for camera in self._spec.cameras]

    def _keep(self, camera: str, stamp: float, pixels: np.ndarray) -> None:
        self._sizes[camera] = f"{pixels.shape[1]}x{pixels.shape[0]}"
        spec = next(c for c in self._spec.cameras if c.name == camera)
        self._views[camera] = crop_and_resize(pixels, spec)

    def _line(self, camera: str) -> CameraLine:
        health, data, now = self._inputs.health[camera], self._data[camera], time.monotonic()
        while data and now - data[0][0] > _WINDOW:
            data.popleft()
        problems = health.problems(self._now, self._spec.control.frequency, self._spec.observation_timeout)
        simulated = self._node.get_parameter("use_sim_time").value
        problems += [health.frozen()] if health.frozen() and not simulated else []
        words, doubt = brightness_of(self._views[camera]) if camera in self._views else ("", "")
        return CameraLine(
            camera,
            self._topics[camera],
            ", ".join(word for word in (self._encodings.get(camera), self._sizes.get(camera)) if word),
            health.rate,
            health.latency,
            health.age(self._now),
            sum(size for _, size in data) / _WINDOW,
            [*problems, *([doubt] if doubt else []), *self._exposure.problems(camera)],
            words,
        )

    def close(self) -> None:
        """Leave the ROS graph."""
        self._inputs.close()
        self._tool.close()


@dataclass
class CameraCheck:
    """Look at a task's cameras before a run: do they deliver, how often, how late, in which size, with locked exposure?

    The drivers have to run (ros2 launch hil_serl_bringup cameras.launch.py).
    Ctrl-C ends it; the exit code says whether every camera was usable (0) or not (1).
    """

    task: str = "ram_insertion"
    """Name of a task or path of a task file: its cameras, their size and crop, and how often and how fresh they have to
    be."""
    simulated: bool = False
    """The task's simulated twin instead of the real cell."""
    transport: Literal["auto", "raw", "compressed"] = "auto"
    """Which topics: raw, compressed, or what is published."""
    namespace: str = ""
    """ROS namespace of the cell."""
    seconds: float = math.inf
    """End after so long."""

    def run(self) -> int:
        only_twin = self.task in twins() and self.task not in tasks()
        file = find_task_file(self.task, simulated=self.simulated or only_twin)
        listener = CameraListener(load_task(file), self.transport, self.namespace)
        lines: Sequence[CameraLine] = ()
        try:
            lines = self._show(listener)
        except KeyboardInterrupt:  # the way to end it
            lines = listener.lines()
        finally:
            listener.close()
        return int(any(line.problems for line in lines))

    def _show(self, listener: CameraListener) -> Sequence[CameraLine]:
        console, end = plain_console(), time.monotonic() + self.seconds
        period = _REFRESH if console.is_terminal else _PLAIN_PERIOD
        lines: Sequence[CameraLine] = ()
        live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        with live or contextlib.nullcontext():
            while (left := end - time.monotonic()) > 0:
                listener.spin(min(left, period))
                lines = listener.lines()
                if live is not None:
                    live.update(render(lines), refresh=True)
                else:
                    console.print(render(lines))
        return lines
