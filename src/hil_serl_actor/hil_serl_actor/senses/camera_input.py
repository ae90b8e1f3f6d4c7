# SPDX-License-Identifier: Apache-2.0
"""Cameras of the control loop: the newest message of each is kept as it came and decoded when a tick looks at it.

A camera at 30 Hz brings three pictures per tick, of which two are never seen: decoding them all would cost three times as
much, and in the executor's thread it would delay the tick. Compressed pictures of several cameras are decoded side by
side (the decoder lets other threads run meanwhile).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from hil_serl_actor.senses.camera_health import CameraHealth
from hil_serl_ros.images import to_array
from hil_serl_ros.stamps import stamp_to_seconds

CameraMessage: TypeAlias = "Image | CompressedImage"


class CameraInputs:
    """Newest message per camera, and what is known of the camera's health."""

    def __init__(self, cameras: Sequence[str]) -> None:
        """``cameras``: names in the task."""
        self._waiting: dict[str, CameraMessage] = {}
        self._last: dict[str, CameraMessage] = {}  # to tell a picture that is only repeated
        self.health = {name: CameraHealth(name) for name in cameras}
        self._pool: ThreadPoolExecutor | None = None

    def put(self, camera: str, message: CameraMessage, latency: float = math.nan) -> None:
        """Take a message; one that nobody has looked at yet is replaced.

        Args:
            camera: Name in the task.
            message: As the driver sent it.
            latency: From the picture's stamp to its arrival [s]; NaN where clocks say nothing about it.
        """
        self._waiting[camera] = message
        stamp, last = stamp_to_seconds(message.header.stamp), self._last.get(camera)
        self.health[camera].arrived(stamp, latency)
        # Pictures with a sensor's noise differ within their first bytes, so that this costs nothing.
        self.health[camera].compared(stamp, same=last is not None and last.data == message.data)
        self._last[camera] = message

    def decode(self, use: Callable[[str, float, np.ndarray], None], warn: Callable[[str], None]) -> None:
        """Decode what has come since the last call; the last good picture stays where the newest cannot be used.

        Args:
            use: Called with camera, stamp [s] and (H, W, 3) uint8 RGB pixels; raises ValueError for ones it refuses.
            warn: Called with what is wrong with a picture.
        """
        waiting, self._waiting = self._waiting, {}
        for camera, result in self._decoded(waiting):
            try:
                if isinstance(result, ValueError):
                    raise result
                use(camera, stamp_to_seconds(waiting[camera].header.stamp), result)
            except ValueError as error:
                self.health[camera].refused(str(error))
                warn(str(error))
            else:
                self.health[camera].accepted()

    def clock_was_set(self) -> None:
        """Forget what waits; it is stamped by a clock that was set."""
        self._waiting = {}
        for health in self.health.values():
            health.clock_was_set()

    def close(self) -> None:
        """End the decoding threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _decoded(self, waiting: dict[str, CameraMessage]) -> list[tuple[str, np.ndarray | ValueError]]:
        compressed = sum(isinstance(message, CompressedImage) for message in waiting.values())
        if compressed < 2:
            return [_decode(item) for item in waiting.items()]
        if self._pool is None:
            workers = min(len(self.health), os.cpu_count() or 1)
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        return list(self._pool.map(_decode, waiting.items()))


def _decode(item: tuple[str, CameraMessage]) -> tuple[str, np.ndarray | ValueError]:
    camera, message = item
    try:
        return camera, to_array(message, camera)
    except ValueError as error:
        return camera, error
