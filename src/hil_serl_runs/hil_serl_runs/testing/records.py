# SPDX-License-Identifier: Apache-2.0
"""Records of an episode as an actor makes them."""

from __future__ import annotations

import numpy as np

from hil_serl_core.step import Source, Step

P, H, S = Source.POLICY, Source.HUMAN, Source.SCRIPT


def records(episode, sources, *, success=False, cut=False, first_sequence=0):
    """Records of one episode whose transitions were driven by `sources`."""
    result = []
    for index, source in enumerate([*sources, Source.NONE]):
        last = source == Source.NONE
        if last and cut:
            break
        result.append(
            Step(
                stamp=100.0 + 0.1 * index,
                actor_id="actor_0",
                sequence=first_sequence + index,
                episode=episode,
                step_index=index,
                frames={"wrist": np.zeros((4, 4, 3), np.uint8)},
                state={"tcp_pose": np.zeros(6, np.float32)},
                tcp_poses=np.array([[0, 0, 0, 0, 0, 0, 1.0]]),
                action=None if last else np.zeros(6, np.float32),
                policy_action=None,
                source=source,
                reward=float(last and success),
                grasp_penalty=0.0,
                is_first=index == 0,
                is_last=last,
                is_terminal=last and success,
                policy_version=2,
                spec_hash="0" * 16,
            )
        )
    return result
