# SPDX-License-Identifier: Apache-2.0
"""Is a camera's exposure locked? Drivers tell by their parameters.

A camera that adapts to what it sees makes the same scene look different, also to a reward classifier trained the day
before, and the arm that moves through the picture is reason enough for it to adapt.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future

PERIOD = 30.0  # s between two looks at a driver's parameters
_MANUAL = 1  # of the menu of V4L2's exposure control: 0 automatic, 1 manual, 2 and 3 half automatic

# Parameter of a driver -> what it makes automatic. Names of realsense2_camera 4.55, usb_cam 0.8 and v4l2_camera 0.7; the
# last one takes them from the kernel, which renamed some in Linux 5.16.
_SWITCHES: Mapping[str, str] = {
    "rgb_camera.enable_auto_exposure": "exposure",
    "rgb_camera.enable_auto_white_balance": "white balance",
    "depth_module.enable_auto_exposure": "exposure",
    "autoexposure": "exposure",
    "auto_exposure": "exposure",
    "exposure_auto": "exposure",
    "auto_white_balance": "white balance",
    "white_balance_automatic": "white balance",
    "white_balance_temperature_auto": "white balance",
    "gain_automatic": "gain",
    "autofocus": "focus",
    "focus_auto": "focus",
    "focus_automatic_continuous": "focus",
}


def automatic_controls(parameters: Mapping[str, Any]) -> list[str]:
    """What a driver lets its camera adjust by itself, e.g. ``exposure (rgb_camera.enable_auto_exposure)``.

    Args:
        parameters: Parameters of the driver's node; ones that say nothing about it are ignored.
    """
    # A RealSense's depth module takes colour pictures only where there is no colour sensor (D405).
    own_colour = any(name.startswith("rgb_camera.") for name in parameters)
    found = []
    for name, what in _SWITCHES.items():
        value = parameters.get(name)
        if name.startswith("depth_module.") and own_colour:
            continue
        automatic = value if isinstance(value, bool) else isinstance(value, int) and value != _MANUAL
        if automatic:
            found.append(f"{what} ({name})")
    return found


@dataclass
class _Driver:
    """Node that publishes a camera."""

    list_client: Client
    get_client: Client
    parameters: dict[str, Any] = field(default_factory=dict)
    asked: float = float("-inf")


class ExposureWatch:
    """Asks the nodes that publish the cameras for their parameters, now and then, without waiting for them."""

    def __init__(self, node: Node, topics: Mapping[str, str]) -> None:
        """``topics``: camera to the topic of its pictures."""
        self._node, self._topics = node, topics
        self._drivers: dict[str, _Driver] = {}
        self._driver_of: dict[str, str] = {}

    def poll(self) -> None:
        """Look who publishes, and ask whoever has not been asked for a while."""
        for camera, topic in self._topics.items():
            resolved = self._node.resolve_topic_name(topic)
            publisher = next(iter(self._node.get_publishers_info_by_topic(resolved)), None)
            if publisher is None or publisher.node_name.startswith("_NODE_NAME_UNKNOWN"):
                continue
            name = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
            self._driver_of[camera] = name
            if name not in self._drivers:
                self._drivers[name] = _Driver(
                    self._node.create_client(ListParameters, f"{name}/list_parameters"),
                    self._node.create_client(GetParameters, f"{name}/get_parameters"),
                )
            self._ask(self._drivers[name])

    def problems(self, camera: str) -> list[str]:
        """What to cure, empty while nothing is known."""
        name = self._driver_of.get(camera)
        found = automatic_controls(self._drivers[name].parameters) if name is not None else []
        if not found:
            return []
        return [f"automatic {', '.join(found)}: lock it in the robot file, or with ros2 param set {name}"]

    def _ask(self, driver: _Driver) -> None:
        now = time.monotonic()
        if now - driver.asked < PERIOD or not driver.list_client.service_is_ready():
            return
        driver.asked = now

        def on_list(future: Future) -> None:
            known = [
                name for name in future.result().result.names if name in _SWITCHES or "rgb_camera." in name
            ]
            request = GetParameters.Request(names=known)
            driver.get_client.call_async(request).add_done_callback(lambda reply: on_values(known, reply))

        def on_values(known: list[str], future: Future) -> None:
            values = [parameter_value_to_python(value) for value in future.result().values]
            driver.parameters = dict(zip(known, values, strict=False))

        driver.list_client.call_async(ListParameters.Request()).add_done_callback(on_list)
