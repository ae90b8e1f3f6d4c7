# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time

from hil_serl_actor.markers import HUMAN_COLOR, POLICY_COLOR, MarkerScene
from hil_serl_core.spec import ArmSpec, WorkspaceSpec


def test_trail_shows_who_drove_and_the_box_its_edges():
    arm = ArmSpec(
        base_frame="base",
        tcp_frame="tcp",
        nominal_position=(0.5, 1.0, 1.5),
        workspace=WorkspaceSpec(lower=(-0.5, -1.0, -1.5), upper=(0.5, 1.0, 1.5), max_rotation=0.3),
    )
    scene = MarkerScene(arm)
    for i in range(3):
        scene.add(np.array([0.1 * i, 0, 0, 0, 0, 0, 1.0]), human=i == 1)
    scene.set_target(np.array([0.5, 0, 0, 0, 0, 0, 1.0]))
    drawn = {marker.ns: marker for marker in scene.draw(Time(sec=3), "policy")}
    assert set(drawn) == {"workspace", "tcp_trail", "driver", "target"}
    assert [round(c.r, 2) for c in drawn["tcp_trail"].colors] == [
        round(c[0], 2) for c in (POLICY_COLOR, HUMAN_COLOR, POLICY_COLOR)
    ]
    points = [(p.x, p.y, p.z) for p in drawn["workspace"].points]
    assert len(points) == 24
    assert set(points) == {(x, y, z) for x in (0, 1) for y in (0, 2) for z in (0, 3)}
    assert all(m.header.frame_id == "base" and m.header.stamp.sec == 3 for m in drawn.values())
    scene.start_episode()
    assert [marker.ns for marker in scene.draw(Time(), "")] == ["workspace"]
