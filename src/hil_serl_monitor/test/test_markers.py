# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker

from hil_serl_core import geometry
from hil_serl_core.spec import ArmSpec, WorkspaceSpec
from hil_serl_monitor.viewing.cell_scene import QUIET, SILENCE, CellScene
from hil_serl_monitor.viewing.frames import WORLD, Rivals, base_transforms, start_frame, transform
from hil_serl_monitor.viewing.markers import FORCE_SCALE, ArmView, Driver, MarkerScene

DOWN = Rotation.from_rotvec([math.pi, 0.0, 0.0])
ARM = ArmSpec(
    base_frame="base",
    tcp_frame="tcp",
    nominal_position=(0.5, 1.0, 1.5),
    workspace=WorkspaceSpec(lower=(-0.5, -1.0, -1.5), upper=(0.5, 1.0, 1.5), max_rotation=0.3),
)


def pose(x=0.5, y=0.0, z=0.2, rotation=DOWN):
    return geometry.make_pose(np.array([x, y, z]), rotation)


def view(at=None, reference=None, **fields):
    return ArmView(tcp_pose=pose() if at is None else at, reference=reference, force=np.zeros(3), **fields)


def drawn(scene, driver=Driver.POLICY, text="policy"):
    return {marker.ns: marker for marker in scene.draw(Time(sec=3), driver, text)}


def shown(scene):
    return {name for name, marker in drawn(scene).items() if marker.action == Marker.ADD}


def rgb(color):
    return (round(color.r, 2), round(color.g, 2), round(color.b, 2))


def xyz(point):
    return np.array([point.x, point.y, point.z])


def moved(*drivers):
    scene = MarkerScene(ARM)
    for i, driver in enumerate(drivers):
        scene.arm = view(pose(x=0.1 * i))
        scene.tick(driver)
    return scene


def test_before_anything_is_heard_there_is_the_workspace_alone():
    box = drawn(MarkerScene(ARM))
    assert set(box) == {"workspace"}
    points = [tuple(xyz(p)) for p in box["workspace"].points]
    assert len(points) == 24
    assert set(points) == {(x, y, z) for x in (0, 1) for y in (0, 2) for z in (0, 3)}


def test_the_path_has_the_colours_of_who_drove_and_ends_with_the_episode():
    scene = moved(Driver.POLICY, Driver.OPERATOR, Driver.POLICY)
    line = drawn(scene)["tcp_trail"]
    assert [rgb(c) for c in line.colors] == [
        d.color[:3] for d in (Driver.POLICY, Driver.OPERATOR, Driver.POLICY)
    ]
    assert [p.x for p in line.points] == pytest.approx([0.0, 0.1, 0.2])
    scene.start_episode()
    assert drawn(scene)["tcp_trail"].action == Marker.DELETE
    assert len({d.color for d in Driver}) == len(Driver)


def test_everything_is_in_the_base_frame_under_one_stamp_and_one_name_each():
    scene = moved(Driver.POLICY, Driver.POLICY)
    markers = scene.draw(Time(sec=3), Driver.POLICY, "")
    assert all(m.header.frame_id == "base" and m.header.stamp.sec == 3 for m in markers)
    assert len({m.ns for m in markers}) == len(markers) > 8
    left = MarkerScene(ARM, "left")
    left.arm = view()
    assert all(m.ns.startswith("left/") for m in left.draw(Time(), Driver.POLICY, ""))


def test_the_start_frame_is_the_measured_pose_of_the_first_tick():
    """App. D.1: what the policy sees of the arm's pose is relative to it."""
    scene = moved(Driver.POLICY, Driver.POLICY)
    assert scene.start[0] == 0.0
    tilted = pose(0.4, 0.1, 0.3, DOWN * Rotation.from_euler("z", 0.3))
    scene.start_episode()
    scene.arm = view(tilted)
    scene.tick(Driver.POLICY)
    origin, end = (xyz(p) for p in drawn(scene)["start"].points[:2])
    assert origin == pytest.approx([0.4, 0.1, 0.3])
    direction = (end - origin) / np.linalg.norm(end - origin)
    assert direction == pytest.approx(geometry.rotation_of(tilted).apply([1, 0, 0]))


def test_a_target_the_law_does_not_follow_shows_the_gap():
    scene = MarkerScene(ARM)
    scene.arm = view(reference=pose(0.5))
    scene.set_target(pose(0.5003))
    assert {"target", "reference"} <= shown(scene)
    assert "limited" not in shown(scene)
    scene.set_target(pose(0.51))
    ends = [xyz(p)[0] for p in drawn(scene)["limited"].points]
    assert ends == pytest.approx([0.51, 0.5])


def test_wrench_tasks_show_the_commanded_force_in_the_tools_axes_and_no_target():
    scene = MarkerScene(ARM)
    scene.arm = ArmView(tcp_pose=pose(), reference=None, force=np.array([0.0, 0.0, 4.0]))
    scene.set_wrench(np.array([0.0, 0.0, 10.0, 0.0, 0.0, 0.0]))
    markers = drawn(scene)
    start, tip = (xyz(p) for p in markers["commanded_force"].points)
    assert tip - start == pytest.approx([0.0, 0.0, -10.0 * FORCE_SCALE], abs=1e-9), "the tool's z points down"
    start, tip = (xyz(p) for p in markers["force_on_tool"].points)
    assert tip - start == pytest.approx([0.0, 0.0, 4.0 * FORCE_SCALE])
    assert not {"target", "reference", "limited"} & shown(scene)


@pytest.mark.parametrize("force", [(0.0, 0.0, 0.5), (math.nan, 0.0, 9.0)])
def test_noise_and_nan_are_no_arrow(force):
    scene = MarkerScene(ARM)
    scene.arm = ArmView(tcp_pose=pose(), reference=None, force=np.array(force))
    assert "force_on_tool" not in shown(scene)


def test_the_hand_opens_across_y_and_a_fault_colours_it():
    scene = MarkerScene(ARM)
    widths = []
    for opening in (0.0, 1.0):
        scene.arm = view(gripper=opening)
        tips = [xyz(p) for p in drawn(scene)["hand"].points if p.z == 0.0]
        widths.append(np.ptp([t[1] for t in tips]))
    assert widths == pytest.approx([0.0, 0.08])
    scene.arm = view(fault="target is stale")
    markers = drawn(scene)
    assert len(markers["hand"].points) == 2, "no gripper, no fingers"
    assert rgb(markers["hand"].color) == Driver.STOPPED.color[:3]
    assert "target is stale" in markers["driver"].text
    scene.arm = view(fault="no fresh target within the configured age; check that its sender runs")
    assert max(map(len, drawn(scene)["driver"].text.splitlines())) <= 40, "else it leaves the picture"


# ---------------------------------------------------------------------- the whole cell


def cell(spec):
    scene = CellScene(spec)
    for name in spec.arm_names:
        scene.on_arm(name, view(), 0.0)
    return scene


def test_who_drives(spec):
    scene = cell(spec)
    assert scene.driver(0.0) is Driver.NOBODY
    scene.on_episode(True, "train")
    scene.on_tick(False, 4, 17, 1.0)
    assert (scene.driver(1.0), scene.text("", 1.0)) == (Driver.POLICY, "policy\nepisode 4, step 17")
    scene.on_tick(True, 4, 18, 1.1)
    assert scene.driver(1.1) is Driver.OPERATOR
    assert scene.driver(1.1 + QUIET + 0.1) is Driver.NOBODY
    scene.on_episode(False, "train")
    assert scene.text("", 1.2) == "between episodes"
    scene.on_episode(True, "record_demos")
    scene.on_tick(False, 5, 0, 1.3)
    assert scene.driver(1.3) is Driver.NOBODY, "while demonstrations are recorded there is no policy"
    scene.stopped = True
    assert scene.driver(1.3) is Driver.STOPPED
    assert "clear-stop" in scene.text("", 1.3)


def test_the_last_command_of_an_episode_is_no_target_of_the_reset_but_its_path_stays(spec):
    scene = cell(spec)
    scene.on_episode(True, "train")
    for step in range(3):
        scene.on_tick(False, 0, step, 0.1)
    scene.arms[""].set_target(pose())
    assert "target" in shown(scene.arms[""])
    scene.on_episode(False, "train")
    assert "target" not in shown(scene.arms[""])
    assert {"tcp_trail", "start"} <= shown(scene.arms[""])
    scene.on_episode(True, "train")
    assert not {"tcp_trail", "start"} & shown(scene.arms[""])


def test_a_lost_arm_is_grey_and_says_so_while_the_other_goes_on(handover):
    scene = cell(handover)
    scene.on_episode(True, "train")
    later = SILENCE + 1.0
    scene.on_arm("right", view(), later)
    scene.on_tick(False, 0, 3, later)
    markers = {m.ns: m for m in scene.draw(Time(), later)}
    assert markers["left/driver"].text == "no arm_state for 4 s"
    assert rgb(markers["left/hand"].color) == Driver.NOBODY.color[:3]
    assert rgb(markers["right/hand"].color) == Driver.POLICY.color[:3]
    assert markers["left/hand"].header.frame_id == "left_base"


def test_two_arms_say_once_where_the_run_is(handover):
    scene = cell(handover)
    scene.on_episode(True, "train")
    scene.on_tick(True, 2, 14, 0.1)
    texts = {m.ns: m.text for m in scene.draw(Time(), 0.1) if m.ns.endswith("driver")}
    assert texts == {"left/driver": "operator\nepisode 2, step 14", "right/driver": "operator"}


def test_texts_say_how_wide_a_space_is(spec):
    """RViz 2 takes scale.x for it, and with 0 it puts a word on each side of the room."""
    scene = cell(spec)
    scene.advice = ["let go earlier"]
    scene.on_episode(True, "train")
    scene.on_tick(False, 0, 0, 0.1)
    texts = [m for m in scene.draw(Time(), 0.1) if m.type == Marker.TEXT_VIEW_FACING and m.text]
    assert len(texts) == 2
    assert all(0 < text.scale.x < text.scale.z for text in texts)


def test_advice_floats_below_the_workspace_and_goes_away(spec):
    scene = cell(spec)
    scene.advice = ["long interventions: " + "let go " * 20]
    (text,) = [m for m in scene.draw(Time(), 0.0) if m.ns == "advice"]
    assert text.action == Marker.ADD
    assert max(map(len, text.text.splitlines())) <= 60
    bottom = min(p.z for m in scene.draw(Time(), 0.0) if m.ns == "workspace" for p in m.points)
    assert text.pose.position.z < bottom, "above are the hand's text and the arm"
    scene.advice = []
    (text,) = [m for m in scene.draw(Time(), 0.0) if m.ns == "advice"]
    assert text.action == Marker.DELETE


# ---------------------------------------------------------------------- frames


def test_frames_of_a_pose(spec, handover):
    placed = transform("base", "tcp", pose(0.1, 0.2, 0.3), Time(sec=5))
    translation = placed.transform.translation
    assert (translation.x, translation.y, translation.z) == pytest.approx((0.1, 0.2, 0.3))
    assert (placed.header.frame_id, placed.child_frame_id, placed.header.stamp.sec) == ("base", "tcp", 5)
    assert base_transforms(spec, Time()) == []
    left, right = base_transforms(handover, Time())
    assert (left.header.frame_id, left.child_frame_id) == (WORLD, "left_base")
    assert left.transform.translation.y - right.transform.translation.y == pytest.approx(0.8)
    assert start_frame("tcp") != "tcp"


def test_a_frame_that_a_robot_model_places_is_left_to_it():
    rivals = Rivals()
    own = [transform("base", "tcp", pose(), Time()), transform("base", "tcp_start", pose(), Time())]
    rivals.see(own)
    assert rivals.allowed(own) == own, "what we publish comes back to us"
    assert rivals.given_up(own) == []
    rivals.see([transform("hand", "tcp", pose(), Time()), transform("x", "y", pose(), Time())])
    assert [one.child_frame_id for one in rivals.allowed(own)] == ["tcp_start"]
    assert (rivals.given_up(own), rivals.given_up(own)) == (["tcp"], []), "said once"


def test_a_latched_frame_that_was_heard_before_ours_was_wanted_counts():
    rivals = Rivals()
    rivals.see([transform("hand", "tcp", pose(), Time())])
    assert rivals.allowed([transform("base", "tcp", pose(), Time())]) == []
