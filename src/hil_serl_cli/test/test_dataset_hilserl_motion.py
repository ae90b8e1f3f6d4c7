# SPDX-License-Identifier: Apache-2.0
"""Imports are compared with the motion: the adjoint error of the original is undone or refused, absolute poses are seen."""

from __future__ import annotations

import pickle
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from dataset_bags import hil_serl, small_task
from hilserl_release import RESET, TURNED, record, right_adjoint, their_adjoint, translating, wandering
from scipy.spatial.transform import Rotation

from hil_serl_core import geometry
from hil_serl_core.action import TwistMapper
from hil_serl_core.spec import task_to_yaml
from hil_serl_datasets.check import check
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.hilserl import Layout, import_files
from hil_serl_datasets.recordings import find_recordings
from hil_serl_ros.bag import read_steps

SPEC = small_task()
RESET_POSE = "0.588,-0.036,0.328,3.141592653589793,0.05,0"


@pytest.fixture
def imported(tmp_path):
    """``imported(episodes, **options)``: notes, steps with an action, motions that were executed."""

    def run(episodes, layout=None, adjoint="auto", **options):
        transitions, executed = [], []
        for number, actions in enumerate(episodes):
            made, motions = record(SPEC, actions, seed=number, **options)
            transitions += made
            executed += list(motions)
        file = tmp_path / "demos.pkl"
        file.write_bytes(pickle.dumps(transitions))
        result = import_files([file], SPEC, layout or Layout.of(SPEC), tmp_path / "run", adjoint)
        steps = [step for step in read_steps(tmp_path / "run") if step.action is not None]
        return " ".join(result.notes), steps, np.array(executed), transitions

    return run


def assert_executed(steps, executed, within=1e-6):
    np.testing.assert_allclose([s.action for s in steps], np.clip(executed, -1.0, 1.0), atol=within)


def assert_velocities(steps, within=1e-5):
    """Velocities in the tcp frame are those of the poses."""
    for before, step in pairwise(steps):
        if step.is_first:
            continue
        moved = geometry.relative(before.tcp_poses[0], step.tcp_poses[0])
        turn = geometry.rotation_of(moved).inv()
        expected = (
            np.concatenate([turn.apply(moved[:3]), geometry.rotation_of(moved).as_rotvec()]) / SPEC.period
        )
        np.testing.assert_allclose(step.state["tcp_twist"], expected, atol=within)


@pytest.mark.parametrize("make", [translating, wandering])
def test_the_error_of_the_originals_adjoint_is_undone_exactly(imported, make):
    notes, steps, executed, transitions = imported([make(20), make(30, 1)])
    recorded = np.array([t["actions"] for t in transitions])
    assert np.abs(recorded[:, 3:] - executed[:, 3:]).max() > 0.5  # of a full rotation
    assert_executed(steps, executed)
    assert_velocities(steps)
    assert "without the lever-arm error of HIL-SERL's adjoint 100 %" in notes
    assert "of a full rotation" in notes
    assert "it was undone" in notes


def test_a_translation_stays_one_under_our_law(imported):
    """As recorded, twenty steps turn the arm by tens of degrees where the recorded arm did not turn."""
    along = np.tile([0.0, 0.9, 0.0, 0.0, 0.0, 0.0], (20, 1))
    _, steps, _, transitions = imported([along])
    mapper = TwistMapper(SPEC)
    turned = []
    for actions in ([s.action for s in steps], [t["actions"] for t in transitions]):
        pose = geometry.make_pose(np.array(SPEC.reset.nominal_position), TURNED)
        angle = 0.0
        for action in actions:
            after = mapper.target(action, pose)
            angle += np.degrees((geometry.rotation_of(pose).inv() * geometry.rotation_of(after)).magnitude())
            pose = geometry.make_pose(pose[:3], TURNED)
        turned.append(angle)
    assert turned[0] < 0.01
    assert turned[1] > 30.0


@pytest.mark.parametrize("infos", [True, False])
@pytest.mark.parametrize("make", [translating, wandering])
def test_data_without_the_error_come_through_unchanged(imported, make, infos):
    notes, steps, executed, transitions = imported(
        [make(30), make(30, 1)], adjoint_matrix=right_adjoint, infos=infos
    )
    recorded = np.clip([t["actions"] for t in transitions], -1.0, 1.0).astype(np.float32)
    np.testing.assert_array_equal([s.action for s in steps], recorded)
    twists = np.array([t["observations"]["state"][0, 13:19] for t in transitions], np.float32)
    np.testing.assert_array_equal([s.state["tcp_twist"] for s in steps], twists)
    assert_executed(steps, executed)
    assert "as recorded they explain 100 % of the rotation" in notes
    assert "undone" not in notes


@pytest.mark.parametrize(("matrix", "undone"), [(their_adjoint, True), (right_adjoint, False)])
@pytest.mark.parametrize("infos", [True, False])
def test_an_arm_that_lags_and_noisy_sensors_do_not_mislead(imported, matrix, undone, infos):
    options = {"adjoint_matrix": matrix, "slip": 0.5, "noise": 0.02, "infos": infos}
    episodes = [wandering(40, k) for k in range(3)]
    if undone and not infos:
        with pytest.raises(DatasetError, match="carry the lever-arm error"):
            imported(episodes, **options)
        return
    notes, steps, executed, _ = imported(episodes, **options)
    assert ("it was undone" in notes) == undone
    assert_executed(steps, executed, 0.01)


@pytest.mark.parametrize("make", [translating, wandering])
def test_where_the_base_frame_is_unknown_the_error_is_refused_with_its_size_and_the_remedy(
    imported, tmp_path, make
):
    with pytest.raises(
        DatasetError, match=r"up to 0\.\d+ of a full rotation \(\d\.\d degrees a step\).*--reset-pose"
    ):
        imported([make(30), make(30, 1)], infos=False)
    assert not (tmp_path / "run").exists()
    layout = Layout.of(SPEC, resets=[RESET_POSE])
    notes, steps, executed, _ = imported([make(30), make(30, 1)], infos=False, layout=layout)
    assert_executed(steps, executed)
    assert "it was undone" in notes


def test_what_a_random_reset_leaves_is_as_small_as_it_is_said(imported):
    layout = Layout.of(SPEC, resets=[RESET_POSE])
    _, steps, executed, _ = imported([wandering(30)], infos=False, layout=layout, shift=(0.01, -0.01, 0.0))
    assert_executed(steps, executed, 0.015 * np.sqrt(3))


def test_a_person_can_decide(imported, tmp_path):
    _, steps, _, transitions = imported([translating(20)], adjoint="none")
    recorded = np.clip([t["actions"] for t in transitions], -1.0, 1.0).astype(np.float32)
    np.testing.assert_array_equal([s.action for s in steps], recorded)
    (tmp_path / "run").rename(tmp_path / "other")
    notes, steps, executed, _ = imported([translating(3)], adjoint="original")
    assert_executed(steps, executed)
    assert "not compared" in notes


def test_actions_that_are_not_those_of_the_motion_are_refused(imported):
    """Actions of the base frame, recorded beside poses relative to the reset pose."""
    swapped = Rotation.from_euler("xyz", [0.5, 1.2, 0.3])
    with pytest.raises(
        DatasetError, match=r"of \d+ moving steps they explain \d+ % of the translation.*--adjoint none"
    ):
        imported(
            [wandering(40), wandering(40, 1)],
            adjoint_matrix=lambda position, rotation: right_adjoint(
                position, swapped * Rotation.from_euler("z", 2.5)
            ),
        )


def test_another_action_scale_is_said(imported):
    notes, *_ = imported([wandering(40)], adjoint_matrix=right_adjoint, slip=2.5)
    assert "The arm moved 2.5 times as far as the actions ask: translation_scale" in notes
    assert "ACTION_SCALE" in notes


# -------------------------------------------------------------------- absolute poses


def test_absolute_poses_are_refused_and_read_with_the_option(imported, tmp_path):
    with pytest.raises(
        DatasetError, match=r"starts 0\.67\d m and 3\.1\d rad from its reset pose.*--pose absolute"
    ):
        imported([wandering(30)], absolute=True, infos=False)
    assert not (tmp_path / "run").exists()
    absolute = Layout.of(SPEC, absolute=True)
    notes, steps, executed, _ = imported(
        [wandering(30), wandering(30, 1)], absolute=True, infos=False, layout=absolute
    )
    assert "recorded in the base frame" in notes
    np.testing.assert_allclose(steps[0].state["tcp_pose"], 0.0, atol=1e-6)
    np.testing.assert_allclose(steps[0].tcp_poses[0, :3], RESET, atol=1e-6)
    assert_executed(steps, executed)
    assert_velocities(steps)
    (recording,) = find_recordings([tmp_path / "run"])
    assert [str(f) for report in check(recording) for f in report.findings] == []


def test_relative_poses_are_not_read_as_absolute_ones(imported):
    with pytest.raises(
        DatasetError, match=r"begins 0\.000 m from the base frame's origin.*without --pose absolute"
    ):
        imported([wandering(30)], layout=Layout.of(SPEC, absolute=True))


def test_segments_of_a_replay_buffer_may_begin_in_the_middle(tmp_path):
    transitions, _ = record(SPEC, wandering(40))
    file = tmp_path / "buffer.pkl"
    file.write_bytes(pickle.dumps(transitions[:15] + transitions[25:]))
    import_files([file], SPEC, Layout.of(SPEC), tmp_path / "run")
    (recording,) = find_recordings([tmp_path / "run"])
    assert [str(f) for report in check(recording) for f in report.findings] == []
    halves = [tmp_path / f"{k}.pkl" for k in range(2)]
    for half, part in zip(halves, (transitions[:20], transitions[20:]), strict=True):
        half.write_bytes(pickle.dumps(part))
    result = import_files(halves, SPEC, Layout.of(SPEC), tmp_path / "both")
    assert (result.episodes, result.records) == (1, 41)


def test_the_command_prints_the_figures_and_takes_the_options(tmp_path, capsys):
    task = tmp_path / "task.yaml"
    task.write_text(task_to_yaml(SPEC))
    file = tmp_path / "demos.pkl"
    file.write_bytes(pickle.dumps(record(SPEC, translating(30), infos=False)[0]))
    command = partial(
        hil_serl, capsys, "dataset", "import-hilserl", file, "--task", task, "--output", tmp_path / "run"
    )
    code, _, error = command()
    assert code == 2
    assert "of a full rotation" in error
    code, _, error = command("--reset-pose", "1,2,3")
    assert code == 2
    assert "--reset-pose 1,2,3: write X,Y,Z,ROLL,PITCH,YAW" in error
    code, text, _ = command("--reset-pose", RESET_POSE)
    assert code == 0
    assert "Actions of 30 moving steps were compared with the motion" in text
    assert "it was undone" in text
