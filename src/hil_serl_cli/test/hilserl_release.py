# SPDX-License-Identifier: Apache-2.0
"""Files as HIL-SERL's original release records them, from known motions.

A re-implementation of what its environment and its relative-frame wrapper do to actions, velocities and poses: the arm is
moved by v and turned by w in the base frame, and what is recorded is taken into the tcp frame by the inverse of an adjoint
whose lever-arm block stands in the wrong place. The tests of the import compare with the motions themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from hil_serl_core.spec import TaskSpec

RESET = np.array([0.588, -0.036, 0.328])
TURNED = Rotation.from_euler("xyz", [np.pi, 0.05, 0.0])


def skew(vector):
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def their_adjoint(position, rotation):
    """(6, 6), twists (v, w): the block of the lever arm as the release has it."""
    matrix = np.zeros((6, 6))
    matrix[:3, :3] = matrix[3:, 3:] = rotation.as_matrix()
    matrix[3:, :3] = skew(position) @ rotation.as_matrix()
    return matrix


def right_adjoint(position, rotation):
    """The same without the error: what their environment means by an action."""
    matrix = np.zeros((6, 6))
    matrix[:3, :3] = matrix[3:, 3:] = rotation.as_matrix()
    return matrix


@dataclass
class Arm:
    """The arm of their environment; ``slip``: share of a commanded motion that it makes."""

    spec: TaskSpec
    slip: float = 1.0

    def __post_init__(self):
        self.position, self.rotation = RESET.copy(), TURNED
        self.twist = np.zeros(6)

    def step(self, base_action):
        action = np.clip(base_action, -1.0, 1.0)
        move = action[:3] * self.spec.action.translation_scale * self.slip
        turn = Rotation.from_rotvec(action[3:6] * self.spec.action.rotation_scale * self.slip)
        self.position, self.rotation = self.position + move, turn * self.rotation
        self.twist = np.concatenate([move, turn.as_rotvec()]) / self.spec.period


def record(
    spec,
    base_actions,
    *,
    adjoint_matrix=their_adjoint,
    infos=True,
    absolute=False,
    slip=1.0,
    noise=0.0,
    seed=0,
    shift=(0, 0, 0),
):
    """One episode of transitions, and the motions in the tcp frame that were executed (N, 6).

    Args:
        spec: Task.
        base_actions: (N, 6) operator's actions in the base frame.
        adjoint_matrix: With their error, or without.
        infos: With absolute poses in the infos.
        absolute: As their tasks without the wrapper: pose, velocity and action of the base frame.
        slip: See Arm.
        noise: Of measured velocities [m/s, rad/s], of poses a hundredth of it.
        shift: Of the reset pose [m].
    """
    rng = np.random.default_rng(seed)
    arm = Arm(spec, slip)
    arm.position = arm.position + shift
    start = arm.position.copy(), arm.rotation
    images = {c.name: rng.integers(0, 256, (1, c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras}

    def observation():
        into = np.linalg.inv(adjoint_matrix(arm.position, arm.rotation))
        position = start[1].inv().apply(arm.position - start[0])
        rotation = start[1].inv() * arm.rotation
        twist = into @ arm.twist
        if absolute:
            position, rotation, twist = arm.position, arm.rotation, arm.twist
        pose = np.concatenate([position, rotation.as_euler("xyz")]) + rng.normal(0, 0.01 * noise + 1e-12, 6)
        twist = twist + rng.normal(0, noise + 1e-12, 6)
        force = rng.normal(0, 1, 6)
        state = np.concatenate([[0.0], force[:3], pose, force[3:], twist])[None]
        return {"state": state, **images}

    transitions, executed = [], []
    now = observation()
    for index, base_action in enumerate(base_actions):
        into = np.linalg.inv(adjoint_matrix(arm.position, arm.rotation))
        clipped = np.clip(base_action, -1.0, 1.0)
        executed.append(arm.rotation.inv().apply(clipped.reshape(2, 3)).ravel())
        action = base_action if absolute else into @ base_action
        arm.step(base_action)
        info = {"succeed": True, "intervene_action": action, "left": False, "right": False}
        if infos:
            pose = np.concatenate([arm.position, arm.rotation.as_quat()])
            info["original_state_obs"] = {"tcp_pose": pose, "tcp_vel": arm.twist}
        after, done = observation(), index == len(base_actions) - 1
        transitions.append(
            {
                "observations": now,
                "actions": action,
                "next_observations": after,
                "rewards": int(done),
                "masks": 1.0 - done,
                "dones": np.bool_(done),
                "infos": info,
            }
        )
        now = after
    return transitions, np.array(executed)


def wandering(count, seed=0, translation=0.6, rotation=0.4):
    """(N, 6) smooth actions in the base frame."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, (count + 8, 6))
    smooth = np.array([steps[k : k + 8].mean(axis=0) for k in range(count)]) * np.sqrt(8)
    return np.clip(smooth * np.repeat([translation, rotation], 3), -1.0, 1.0)


def translating(count, seed=0):
    """(N, 6) pure translations of the base frame."""
    return wandering(count, seed, rotation=0.0)
