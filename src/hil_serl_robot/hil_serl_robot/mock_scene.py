# SPDX-License-Identifier: Apache-2.0
"""Pictures of a cell without cameras: the tool, its workspace box and its goal, drawn from measured poses."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec

_VIEWS = ((0, 1), (1, 2), (0, 2))
"""World axes along the picture's horizontal and vertical, of one camera after the other: from above, front and side."""
_MARGIN = 0.3  # of the box, on every side
_TOOL_LENGTH = 0.06  # m
_FINGER_LENGTH, _OPEN_WIDTH = 0.02, 0.04  # m
_COLOURS = ((230, 159, 0), (86, 180, 233))
_BACKGROUND, _BOX, _GOAL = (52, 58, 64), (134, 142, 150), (0, 158, 115)


class MockScene:
    """Draws what cameras of a task would roughly show.

    Args:
        spec: The task: arms, workspace boxes, cameras with the size of their driver's images, goal of the pose reward.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._bases = {
            name: (
                np.asarray(spec.arm(name).base_position),
                Rotation.from_rotvec(spec.arm(name).base_rotation),
            )
            for name in spec.arm_names
        }
        corners = np.concatenate([self._box(name) for name in spec.arm_names])
        self._low, self._high = corners.min(axis=0), corners.max(axis=0)
        self._empty = {camera.name: self._background(number) for number, camera in enumerate(spec.cameras)}

    def draw(self, camera: str, poses: Mapping[str, np.ndarray], openings: Mapping[str, float]) -> np.ndarray:
        """Picture of one camera.

        Args:
            camera: Its name in the task.
            poses: Arm -> (7,) measured tcp pose in its base frame, xyz and quaternion xyzw [m]; arms may be missing.
            openings: Arm -> opening of its gripper from 0 (closed) to 1 (open); NaN and missing: no fingers.

        Returns:
            (H, W, 3) uint8 RGB of the size of the driver's image.
        """
        number = next(k for k, spec in enumerate(self._spec.cameras) if spec.name == camera)
        image = self._empty[camera].copy()
        canvas = ImageDraw.Draw(image)
        width = max(2, round(0.02 * image.height))
        for (name, pose), colour in zip(poses.items(), itertools.cycle(_COLOURS), strict=False):
            lines = self._tool(name, pose, openings.get(name, float("nan")))
            for line in lines:
                canvas.line(self._pixels(number, line, image.size), fill=colour, width=width)
            (x, y), *_ = self._pixels(number, lines[0], image.size)
            canvas.ellipse((x - width, y - width, x + width, y + width), fill=(255, 255, 255))
        return np.asarray(image)

    def _tool(self, arm: str, pose: np.ndarray, opening: float) -> list[np.ndarray]:
        """Lines (N, 3) in the world from the tcp backwards along the tool's z axis, and of the fingers."""
        rotation = Rotation.from_quat(pose[3:])
        lines = [np.array([[0, 0, 0], [0, 0, -_TOOL_LENGTH]])]
        if np.isfinite(opening):
            half = 0.5 * _OPEN_WIDTH * opening + 0.004
            lines += [
                np.array([[0, y, 0], [0, y, -_FINGER_LENGTH], [0, 0, -_FINGER_LENGTH]]) for y in (half, -half)
            ]
        return [self._world(arm, pose[:3] + rotation.apply(line)) for line in lines]

    def _world(self, arm: str, points: np.ndarray) -> np.ndarray:
        origin, rotation = self._bases[arm]
        return origin + rotation.apply(points)

    def _box(self, arm: str) -> np.ndarray:
        """(8, 3) corners of an arm's workspace box in the world."""
        spec = self._spec.arm(arm)
        sides = np.array([spec.workspace.lower, spec.workspace.upper])
        corners = np.array([[sides[i, 0], sides[j, 1], sides[k, 2]] for i, j, k in np.ndindex(2, 2, 2)])
        return self._world(arm, np.asarray(spec.nominal_position) + corners)

    def _background(self, number: int) -> Image.Image:
        camera = self._spec.cameras[number]
        size = camera.source_width, camera.source_height
        image = Image.new("RGB", size, _BACKGROUND)
        canvas = ImageDraw.Draw(image)
        for arm in self._spec.arm_names:
            pixels = np.array(self._pixels(number, self._box(arm), size))
            canvas.rectangle((*pixels.min(axis=0), *pixels.max(axis=0)), outline=_BOX, width=2)
        for line in self._goal():
            canvas.line(self._pixels(number, line, size), fill=_GOAL, width=max(2, round(0.015 * size[1])))
        return image

    def _goal(self) -> list[np.ndarray]:
        """A cross at the goal of the pose reward, or at the middle of the height that it asks for."""
        pose = self._spec.reward.pose
        if pose is None or not pose.names_a_place:
            return []
        nominal = np.asarray(self._spec.arm(pose.arm).nominal_position)
        if pose.position is not None:
            centre = np.asarray(pose.position)
        else:
            height = pose.maximum_height if pose.maximum_height is not None else pose.minimum_height
            centre = np.array([nominal[0], nominal[1], height])
        reach = 0.01 * np.eye(3)
        return [self._world(pose.arm, np.array([centre - axis, centre + axis])) for axis in reach]

    def _pixels(self, number: int, points: np.ndarray, size: tuple[int, int]) -> list[tuple[float, float]]:
        """Picture coordinates of world points, (N, 3); the boxes fill the middle square of the picture."""
        across, up = _VIEWS[number % len(_VIEWS)]
        low, high = self._low, self._high
        span = max(high[across] - low[across], high[up] - low[up]) * (1 + 2 * _MARGIN)
        scale = min(size) / span
        x = 0.5 * size[0] + scale * (points[:, across] - 0.5 * (low + high)[across])
        y = 0.5 * size[1] - scale * (points[:, up] - 0.5 * (low + high)[up])
        return list(zip(x.tolist(), y.tolist(), strict=True))
