# SPDX-License-Identifier: Apache-2.0
"""What layouts need to know of a task."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_actor.viewing.frames import WORLD
from hil_serl_core.spec import TaskSpec
from hil_serl_ros import names


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
        starts = [
            Rotation.from_rotvec(arm.base_rotation).apply(arm.nominal_position) + arm.base_position
            for arm in arms
        ]
        x, y, z = (round(float(value), 3) for value in np.mean(np.stack(starts), axis=0))
        return cls(
            task=spec.name,
            arms=tuple(spec.arm_names),
            cameras=tuple(camera.name for camera in spec.cameras),
            grippers=spec.grippers > 0,
            frame=arms[0].base_frame if spec.arms is None else WORLD,
            centre=(x, y, z),
            namespace=namespace.strip("/"),
            action_size=spec.action_size,
            state=tuple(spec.state),
            compressed=frozenset(compressed),
            agent=agent,
        )

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
