# SPDX-License-Identifier: Apache-2.0
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_serl_core import geometry
from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import task_from_dict
from hil_serl_sim.cell import Cell
from hil_serl_sim.panda import POLICY_GROUP, TCP_SITE, inverse_kinematics


def to(pose: np.ndarray) -> dict[str, ArmCommand]:
    return {"": ArmCommand(pose=pose)}


def shaken(cell: Cell, seed: int) -> list[np.ndarray]:
    """Everything a client sees over five steps of random targets."""
    rng, seen = np.random.default_rng(seed), []
    cell.reset(seed)
    for _ in range(5):
        pose = cell.arm_state().pose
        seen += [cell.render(camera.name) for camera in cell.spec.cameras]
        cell.advance(to(geometry.compose(pose, geometry.exp(rng.uniform(-0.02, 0.02, 6)))))
        state = cell.arm_state()
        seen += [state.pose, state.twist, state.wrench, state.joint_effort, state.target]
        seen += list(cell.truth().poses.values())
    return seen


def test_equal_seeds_give_equal_bits_whatever_came_before(spec, cell):
    other = Cell(spec, seed=99)
    try:
        shaken(other, 1)
        for a, b in zip(shaken(cell, 7), shaken(other, 7), strict=True):
            assert a.tobytes() == b.tobytes()
    finally:
        other.close()


def test_looking_changes_nothing(spec, cell):
    other = Cell(spec, seed=0)
    try:
        for looked in (cell, other):
            looked.reset(4)
            for _ in range(3):
                pose = looked.arm_state().pose
                if looked is other:
                    looked.render("wrist_1")
                    looked.truth()
                    looked.arm_state()
                looked.advance(to(pose + np.array([0.0, 0.0, -0.01, 0, 0, 0, 0])))
        assert cell.arm_state().pose.tobytes() == other.arm_state().pose.tobytes()
    finally:
        other.close()


def test_time_never_goes_back(cell):
    stamps = [cell.time]
    for seed in (1, None, 2):
        cell.reset(seed)
        stamps.append(cell.time)
        cell.advance(None)
        stamps.append(cell.time)
    assert (np.diff(stamps) > 0).all()
    assert cell.resets == 4


def test_pictures_have_the_drivers_size_and_differ_by_episode(cell, spec):
    pictures = []
    for seed in (1, 2):
        cell.reset(seed)
        for camera in spec.cameras:
            picture = cell.render(camera.name)
            assert picture.shape == (camera.source_height, camera.source_width, 3)
            assert picture.dtype == np.uint8
            assert picture.std() > 20
            pictures.append(picture)
    assert np.abs(pictures[0].astype(int) - pictures[2]).mean() > 5
    with pytest.raises(KeyError, match=r"elbow.*wrist_1"):
        cell.render("elbow")


def test_policy_sees_primitives_only_and_no_site(cell):
    model = cell.model
    assert model.nmesh == 0
    assert not set(model.geom_type) & {mujoco.mjtGeom.mjGEOM_MESH, mujoco.mjtGeom.mjGEOM_HFIELD}
    assert (model.geom_group[_geom_ids(model, "card")] == POLICY_GROUP).all()
    cell.render("wrist_1")
    assert not cell._cameras._option.sitegroup.any()


def _geoms(model):
    return [model.geom(i) for i in range(model.ngeom)]


def _geom_ids(model, name):
    return [geom.id for geom in _geoms(model) if geom.name == name]


def test_display_shows_the_same_state_with_meshes(cell):
    cell.reset(1)
    before = cell.arm_state().pose
    first = cell.render_display()
    assert first.shape == (480, 640, 3)
    cell.advance(to(before + np.array([0.0, 0.0, 0.03, 0, 0, 0, 0])))
    cell.advance(to(before + np.array([0.0, 0.0, 0.03, 0, 0, 0, 0])))
    second = cell.render_display()
    assert np.abs(first.astype(int) - second).max() > 60
    display = cell._display
    assert display._model.nmesh > 50
    site = display._data.site(TCP_SITE).xpos
    np.testing.assert_allclose(site, cell.arm_state().pose[:3], atol=1e-12)


def test_missing_camera_is_named(spec):
    content = spec.model_dump(mode="json")
    content["cameras"][1]["name"] = "elbow"
    content["reward"]["classifier"] = None
    with pytest.raises(ValueError, match=r"elbow.*wrist_1"):
        Cell(task_from_dict(content))


def test_free_motion_reaches_the_target_and_reports_its_motion(cell):
    cell.reset(5)
    start = cell.arm_state().pose
    goal = start + np.array([0.01, -0.02, 0.01, 0, 0, 0, 0])
    cell.advance(to(goal), 50)
    moving = cell.arm_state()
    assert moving.twist[:3] @ (goal - start)[:3] > 0
    for _ in range(10):
        cell.advance(to(goal))
    state = cell.arm_state()
    np.testing.assert_allclose(state.pose, goal, atol=5e-4)
    np.testing.assert_allclose(state.target, goal, atol=5e-4)
    np.testing.assert_allclose(state.wrench, 0.0, atol=1e-3)
    assert np.abs(state.twist).max() < 1e-3


@pytest.mark.parametrize("spoil", ["nan", "frame", "quaternion", "old"])
def test_bad_targets_latch_a_fault_until_the_reset(cell, spoil):
    cell.reset(6)
    pose = cell.arm_state().pose
    target, stamp, frame = pose.copy(), cell.time, None
    if spoil == "nan":
        target[1] = np.nan
    elif spoil == "frame":
        frame = "camera_link"
    elif spoil == "quaternion":
        target[3:] = 0.0
    else:
        stamp -= 10.0
    cell.command(ArmCommand(pose=target), stamp, frame)
    cell.advance(None)
    state = cell.arm_state()
    assert state.fault > 0
    assert state.fault_text
    cell.advance(to(pose + np.array([0.02, 0, 0, 0, 0, 0, 0])))
    np.testing.assert_allclose(cell.arm_state().pose[:3], pose[:3], atol=5e-4)
    cell.reset(6)
    assert cell.arm_state().fault == 0


def test_silence_makes_the_target_stale(cell, spec):
    cell.reset(6)
    cell.advance(to(cell.arm_state().pose))
    for _ in range(int(spec.control.target_timeout / spec.period) + 1):
        cell.advance(None)
    assert cell.arm_state().fault > 0


@settings(max_examples=25, deadline=None)
@given(
    offset=st.tuples(*[st.floats(-0.08, 0.08)] * 3),
    turn=st.tuples(*[st.floats(-0.3, 0.3)] * 3),
)
def test_inverse_kinematics_puts_the_tcp_where_it_is_wanted(spec_model, offset, turn):
    nominal = np.array([0.5, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0])
    wanted = geometry.compose(nominal, geometry.exp(np.array([*offset, *turn])))
    data = mujoco.MjData(spec_model)
    data.qpos[:7] = inverse_kinematics(spec_model, wanted)
    mujoco.mj_kinematics(spec_model, data)
    site = data.site(TCP_SITE)
    np.testing.assert_allclose(site.xpos, wanted[:3], atol=1e-6)
    np.testing.assert_allclose(site.xmat.reshape(3, 3), geometry.rotation_of(wanted).as_matrix(), atol=1e-5)


def test_out_of_reach_is_an_error(cell):
    with pytest.raises(ValueError, match="reach"):
        inverse_kinematics(cell.model, np.array([1.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]))


@pytest.fixture(scope="module")
def spec_model(spec):
    from hil_serl_sim.scene import build_model
    from hil_serl_sim.tasks import make_twin

    return build_model(spec, make_twin(spec), display=False)
