# SPDX-License-Identifier: Apache-2.0
"""What layouts need to know of a task."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.action import workspace_box
from hil_serl_core.spec import ArmSpec, TaskSpec
from hil_serl_monitor.viewing.frames import WORLD
from hil_serl_ros import names

FIELD_OF_VIEW = 45.0
"""Height of a viewer's picture [degrees]."""
_FACING = 0.8  # rad
_TEXT = 0.1  # m, what the text above a hand needs


@dataclass(frozen=True)
class Cell:
    """A cell as viewers see it.

    Attributes:
        task: Name of the task.
        arms: Names of the arms, ``("",)`` for one.
        cameras: Names of the cameras.
        grippers: Whether the task moves grippers.
        frame: Fixed frame: the base of the only arm, or the world.
        centre: Where the hands start, in that frame [m].
        reach: Radius around it that holds the arms' workspace boxes [m].
        facing: Direction about the frame's z axis from which two arms are seen side by side, the first on the left [rad].
        namespace: ROS namespace of the run.
        action_size: Numbers of an action.
        state: Names of the state's parts.
        compressed: Names of the cameras whose compressed pictures are shown, instead of raw ones.
        agent: Which of two agents (forward-backward training) is shown; empty for the only one.
    """

    task: str
    arms: tuple[str, ...]
    cameras: tuple[str, ...]
    grippers: bool
    frame: str
    centre: tuple[float, float, float]
    reach: float
    facing: float
    namespace: str
    action_size: int
    state: tuple[str, ...]
    compressed: frozenset[str] = frozenset()
    agent: str = ""

    @classmethod
    def of(
        cls, spec: TaskSpec, namespace: str = "", compressed: Collection[str] = (), agent: str = ""
    ) -> Self:
        """The cell of a task; ``compressed`` and ``agent`` as the attributes."""
        arms = [spec.arm(name) for name in spec.arm_names]
        starts = np.stack([_in_world(arm, np.asarray(arm.nominal_position)) for arm in arms])
        centre = starts.mean(axis=0)
        corners = np.concatenate([_in_world(arm, _corners(arm)) for arm in arms])
        x, y, z = (round(float(value), 3) for value in centre)
        along = starts[-1] - starts[0]
        return cls(
            task=spec.name,
            arms=tuple(spec.arm_names),
            cameras=tuple(camera.name for camera in spec.cameras),
            grippers=spec.grippers > 0,
            frame=arms[0].base_frame if spec.arms is None else WORLD,
            centre=(x, y, z),
            reach=round(float(np.linalg.norm(corners - centre, axis=1).max()), 3),
            facing=round(math.atan2(-along[0], along[1]), 3) if len(arms) > 1 else _FACING,
            namespace=namespace.strip("/"),
            action_size=spec.action_size,
            state=tuple(spec.state),
            compressed=frozenset(compressed),
            agent=agent,
        )

    @property
    def distance(self) -> float:
        """From where the workspaces and what floats above the hands fill a picture of `FIELD_OF_VIEW` [m]."""
        return round((self.reach + _TEXT) / math.sin(math.radians(FIELD_OF_VIEW / 2)), 2)

    def topic(self, name: str, arm: str = "") -> str:
        """Full name of a topic of the run, or of one of its arms."""
        if name.startswith("/"):
            return name
        return "/" + "/".join(part for part in (self.namespace, names.for_arm(name, arm)) if part)

    def agent_topic(self, name: str) -> str:
        """Full name of a topic that each of two agents has for itself."""
        return self.topic(f"{self.agent}/{name}" if self.agent else name)

    def picture(self, camera: str) -> str:
        """Relative name of the topic that shows a camera."""
        return names.camera_topic(camera, names.COMPRESSED if camera in self.compressed else names.RAW)


def _in_world(arm: ArmSpec, points: np.ndarray) -> np.ndarray:
    """(..., 3) points of an arm's base frame in the frame that it stands in."""
    return np.asarray(Rotation.from_rotvec(arm.base_rotation).apply(points) + arm.base_position)


def _corners(arm: ArmSpec) -> np.ndarray:
    """(8, 3) corners of an arm's workspace box, base frame."""
    return np.array(list(itertools.product(*zip(*workspace_box(arm), strict=True))))
